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
fn a_listing_is_paged_and_ordered() {
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
fn a_removed_or_expired_value_is_missing() {
    let mut state = State::default();
    state.put("removed", Some(value("x")));
    state.put("removed", None);
    state.put("expired", Some(Value { expires_at: Some(unix_now()), ..value("x") }));
    assert_eq!((text(&state, "removed", 0), text(&state, "expired", 0)), (None, None));
    assert_eq!(state.entries(""), []);
}

#[test]
fn a_stale_read_returns_the_former_value() {
    let mut state = State::default();
    state.seed(Entry::new("old", "0", None));
    for text in ["1", "2"] {
        state.put("old", Some(value(text)));
        state.put("new", Some(value(text)));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!([0, 150, 5_000].map(|ago| text(&state, "old", ago).expect("the key was seeded")), ["2", "1", "0"]);
    assert_eq!([0, 150, 5_000].map(|ago| text(&state, "new", ago).unwrap_or_default()), ["2", "1", ""]);
    assert_eq!(state.list("", None, 10, Duration::from_secs(5)).keys.len(), 1);
}

#[test]
fn a_fault_applies_to_matching_operations_only() {
    let mut state = State::default();
    state.faults.push(Fault::new(Kind::Status(500)).on(Op::Write).prefix("a:").part("x").after(1).times(1));
    let mut fails = |op, key| state.begin(op, key).is_some();
    assert!(
        ![(Op::Read, "a:x"), (Op::Write, "b:x"), (Op::Write, "a:y")].map(|(op, key)| fails(op, key)).contains(&true)
    );
    assert_eq!([(); 3].map(|()| fails(Op::Write, "a:x")), [false, true, false]);
    assert_eq!((state.counts.reads, state.counts.writes), (1, 5));
}

#[test]
fn after_a_crash_every_operation_fails_until_the_faults_are_cleared() {
    let mut state = State::default();
    state.faults.push(Fault::new(Kind::Crash).on(Op::Write).after(1));
    let mut begin = |op| state.begin(op, "key");
    assert_eq!([Op::Read, Op::Write].map(&mut begin), [None, None]);
    assert_eq!([Op::Write, Op::Read, Op::List].map(&mut begin), [Some(Kind::Crash); 3]);
    state.clear_faults();
    assert_eq!(state.begin(Op::Write, "key"), None);
}

#[test]
fn a_second_write_to_a_key_within_a_second_is_429() {
    let mut state = State::default();
    state.faults.push(Fault::new(Kind::WriteRate).on(Op::Write));
    assert_eq!(state.begin(Op::Write, "key"), None);
    state.put("key", Some(value("")));
    assert_eq!(state.begin(Op::Write, "key"), Some(Kind::WriteRate));
    assert_eq!(state.begin(Op::Write, "other"), None);
}
