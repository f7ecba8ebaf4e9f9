use std::time::Duration;

use super::super::{Entry, Fault, Kind, Op};
use super::{State, Value, unix_now};

fn value(text: &str) -> Value {
    Value { bytes: text.into(), metadata: None, expires_at: None }
}

fn text(state: &State, key: &str, ago: u64) -> Option<String> {
    let value = state.get(key, Duration::from_millis(ago))?;
    Some(String::from_utf8(value.bytes.clone()).expect("a text"))
}

#[test]
fn a_listing_comes_in_pages_in_order() {
    let mut state = State::default();
    state.seed(Entry::new("b", "", None));
    for key in ["a:3", "a:1", "a:2", "a"] {
        state.put(key, Some(value("")));
    }
    let names = |page: &super::Page| page.keys.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let first = state.list("a:", None, 2, Duration::ZERO);
    assert_eq!((names(&first), first.cursor.as_deref()), (vec!["a:1".to_owned(), "a:2".to_owned()], Some("a:2")));
    let second = state.list("a:", first.cursor.as_deref(), 2, Duration::ZERO);
    assert_eq!((names(&second), second.cursor), (vec!["a:3".to_owned()], None));
    assert_eq!(state.list("a:", None, 3, Duration::ZERO).cursor, None);
}

#[test]
fn what_is_removed_or_has_ended_is_not_there() {
    let mut state = State::default();
    state.put("removed", Some(value("x")));
    state.put("removed", None);
    state.put("ended", Some(Value { expires_at: Some(unix_now()), ..value("x") }));
    assert_eq!((text(&state, "removed", 0), text(&state, "ended", 0)), (None, None));
    assert_eq!(state.entries(""), []);
}

#[test]
fn a_stale_read_shows_what_was() {
    let mut state = State::default();
    state.seed(Entry::new("old", "0", None));
    for text in ["1", "2"] {
        state.put("old", Some(value(text)));
        state.put("new", Some(value(text)));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!([0, 150, 5_000].map(|ago| text(&state, "old", ago).expect("it is there")), ["2", "1", "0"]);
    assert_eq!([0, 150, 5_000].map(|ago| text(&state, "new", ago).unwrap_or_default()), ["2", "1", ""]);
    assert_eq!(state.list("", None, 10, Duration::from_secs(5)).keys.len(), 1);
}

#[test]
fn a_fault_meets_what_it_names_and_no_more() {
    let mut state = State::default();
    state.faults.push(Fault::new(Kind::Status(500)).on(Op::Write).prefix("a:").part("x").after(1).times(1));
    let mut meet = |op, key| state.meet(op, key).is_some();
    assert!(
        ![(Op::Read, "a:x"), (Op::Write, "b:x"), (Op::Write, "a:y")].map(|(op, key)| meet(op, key)).contains(&true)
    );
    assert_eq!([(); 3].map(|()| meet(Op::Write, "a:x")), [false, true, false]);
    assert_eq!((state.counts.reads, state.counts.writes), (1, 5));
}

#[test]
fn after_a_crash_nothing_goes_until_it_is_healed() {
    let mut state = State::default();
    state.faults.push(Fault::new(Kind::Crash).on(Op::Write).after(1));
    let mut meet = |op| state.meet(op, "key");
    assert_eq!([Op::Read, Op::Write].map(&mut meet), [None, None]);
    assert_eq!([Op::Write, Op::Read, Op::List].map(&mut meet), [Some(Kind::Crash); 3]);
    state.heal();
    assert_eq!(state.meet(Op::Write, "key"), None);
}

#[test]
fn a_key_takes_one_write_a_second() {
    let mut state = State::default();
    state.faults.push(Fault::new(Kind::WriteRate).on(Op::Write));
    assert_eq!(state.meet(Op::Write, "key"), None);
    state.put("key", Some(value("")));
    assert_eq!(state.meet(Op::Write, "key"), Some(Kind::WriteRate));
    assert_eq!(state.meet(Op::Write, "other"), None);
}
