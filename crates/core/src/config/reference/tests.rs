use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Binding, Config};
use crate::testing::world::{DELIVERING, config};

/// What stands before and after the tables.
const MARKS: [&str; 2] = [
    "<!-- The tables are written by `cargo xtask configuration`, from crates/core/src/config/reference.rs. -->\n\n",
    "<!-- The end of the tables. -->",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn values() -> impl Iterator<Item = &'static Value> {
    GROUPS.iter().flat_map(|group| group.values)
}

/// The bindings that the Worker's own sources read, which are no part of `Config`.
fn names_of_the_worker() -> BTreeSet<String> {
    let is_part_of_a_name = |char: char| char.is_ascii_uppercase() || char == '_';
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join("src")).expect("the Worker's sources") {
        let source = fs::read_to_string(entry.expect("an entry").path()).expect("a source");
        for read in ["env, &\"", "env."] {
            let name = |rest: &str| rest.chars().take_while(|char| is_part_of_a_name(*char)).collect::<String>();
            names.extend(source.split(read).skip(1).map(name).filter(|name| !name.is_empty()));
        }
    }
    assert!(names.contains("RATE_LIMITER"), "{names:?}");
    names
}

#[test]
fn the_tables_have_every_name_that_the_worker_reads_and_no_other() {
    let read = RefCell::new(names_of_the_worker());
    let record = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        Binding::Missing
    };
    assert!(Config::parse(record).is_err());
    let listed: BTreeSet<String> = values().map(|value| value.name.to_owned()).collect();
    assert_eq!(listed.len(), values().count(), "a name is listed twice");
    assert_eq!(listed, read.into_inner());
}

#[test]
fn a_value_is_required_exactly_where_the_tables_say_so() {
    let Err(missing) = Config::parse(|_| Binding::Missing) else { panic!("required values are missing") };
    let missing: BTreeSet<&str> = missing.iter().map(|fault| fault.name).collect();
    let required: BTreeSet<&str> = values().filter(|value| value.need == Required).map(|value| value.name).collect();
    assert_eq!(required, missing);

    let with_targets: BTreeSet<&str> =
        values().filter(|value| matches!(value.need, RequiredWith(_))).map(|value| value.name).collect();
    let needed = |name: &'static str| {
        let without: Vec<_> = DELIVERING.into_iter().filter(|(other, _)| *other != name).collect();
        config(&without).is_err_and(|faults| faults.iter().any(|fault| fault.name == name))
    };
    let needed: BTreeSet<&str> = values().map(|value| value.name).filter(|name| needed(name)).collect();
    assert_eq!(with_targets, needed);
}

#[test]
fn a_value_is_set_as_the_tables_say() {
    let bad: Vec<(&str, &str)> = values().map(|value| (value.name, "a bad value")).collect();
    let faults: BTreeMap<&str, &str> =
        config(&bad).err().unwrap_or_default().iter().map(|fault| (fault.name, fault.fix)).collect();
    for Value { name, kind, .. } in values() {
        let Some(fix) = faults.get(name) else {
            assert_ne!(*kind, Kind::Secret, "{name}: any text is accepted");
            continue;
        };
        assert_eq!(fix.contains("wrangler secret"), *kind == Kind::Secret, "{name}: {fix}");
        let is_bound = fix.contains(&format!(" as {name} in `"));
        assert_eq!(is_bound, matches!(kind, Kind::Binding(_)), "{name}: {fix}");
    }
}

#[test]
fn a_default_may_be_set() {
    for Value { name, need, .. } in values() {
        if let Default(value) = need {
            assert!(config(&[(name, value)]).is_ok(), "{name}: {value}");
        }
    }
}

/// With `UPDATE_CONFIGURATION`, which `cargo xtask configuration` sets, it writes the file instead.
#[test]
fn the_document_has_the_tables() {
    let file = root().join("docs/configuration.md");
    let document = fs::read_to_string(&file).expect("the document");
    let [begin, end] = MARKS;
    let (before, rest) = document.split_once(begin).expect("the mark before the tables");
    let (written, after) = rest.split_once(end).expect("the mark after the tables");
    if std::env::var_os("UPDATE_CONFIGURATION").is_some() {
        fs::write(file, format!("{before}{begin}{}{end}{after}", tables())).expect("a writable file");
        return;
    }
    assert!(
        written == tables(),
        "docs/configuration.md must have the tables of the code: run `cargo xtask configuration`"
    );
}
