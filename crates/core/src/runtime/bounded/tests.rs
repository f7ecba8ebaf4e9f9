use super::*;

#[test]
fn a_map_is_bounded_and_evicts_the_least_recently_used() {
    let map = BoundedMap::default();
    for number in 0..3 * CAPACITY {
        map.put(number, ());
    }
    assert_eq!(map.0.borrow().len(), CAPACITY);
    assert!(map.get(&(3 * CAPACITY - 1)).is_some(), "the latest entry must stay");
    assert!(map.get(&0).is_none());

    for number in 0..2 * CAPACITY {
        map.with_or_insert(&(4 * CAPACITY + number), || (), |()| ());
    }
    assert_eq!(map.0.borrow().len(), CAPACITY);
}

#[test]
fn an_entry_of_a_set_expires() {
    let until = Until::default();
    until.set("one", Timestamp(30));
    assert!(until.contains(&"one", Timestamp(29)));
    assert!(!until.contains(&"one", Timestamp(30)));
    assert!(!until.contains(&"other", Timestamp(0)));
}

#[test]
fn a_key_can_be_cleared() {
    let until = Until::default();
    until.set("one", Timestamp(30));
    assert!(until.clear(&"one"));
    assert!(!until.contains(&"one", Timestamp(0)));
    assert!(!until.clear(&"one"));
}
