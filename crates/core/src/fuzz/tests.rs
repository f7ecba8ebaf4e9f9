//! Runs every target with its seeds. An input with which the fuzzer found a fault becomes a seed.

use std::fs;
use std::path::{Path, PathBuf};

use super::stub::{HERE, NOW, Stub};
use super::*;
use crate::crypto::state::{self, Purpose};
use crate::crypto::{SealingKey, StateKey};
use crate::values::Ref;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds of a target, in the order of their names.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder().join("seeds").join(target)).expect("a folder of seeds");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a seed"))).collect()
}

#[test]
fn every_seed_passes_its_target() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        for (path, seed) in seeds {
            println!("{}", path.display());
            target(&seed);
        }
    }
}

#[test]
fn seeds_are_few_and_small() {
    let all: Vec<usize> = TARGETS.iter().flat_map(|(name, _)| seeds(name)).map(|(_, seed)| seed.len()).collect();
    assert!(all.len() <= 60, "{} seeds", all.len());
    assert!(all.iter().all(|size| *size <= 1024), "{all:?}");
}

#[test]
fn every_target_is_a_program_of_the_fuzz_crate() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "no program for {name}");
        let source = fs::read_to_string(folder().join(format!("targets/{name}.rs"))).expect("a target's source");
        assert!(source.contains(&format!("fuzz::{name}(data)")), "{name}.rs calls another target");
    }
}

/// The fuzzer cannot sign, so it reaches the code behind a check of a signature only from seeds with a valid one.
#[test]
fn signed_seeds_have_the_signatures_of_this_version() {
    let key = SealingKey::parse(SEALING_KEY).unwrap();
    let issued = state::issue(&Stub::new(false), &[StateKey::derive(&key)], Purpose::Install, NOW, HERE, None).unwrap();
    let cookie = issued.set_cookie.split(';').next().unwrap();
    let state = format!("{}\nother=1; {cookie}", issued.state);
    assert_eq!(seeds("state")[0].1, state.as_bytes(), "the first seed in seeds/state must be: {state}");
    let reference = Ref::parse("Kunde 7");
    let with_ref =
        state::issue(&Stub::new(false), &[StateKey::derive(&key)], Purpose::Install, NOW, HERE, reference.as_ref());
    let with_ref = with_ref.unwrap();
    let with_ref = format!("{}\n{}", with_ref.state, with_ref.set_cookie.split(';').next().unwrap());
    assert_eq!(seeds("state")[2].1, with_ref.as_bytes(), "the third seed in seeds/state must be: {with_ref}");
    let path = format!("GET /redirect?code=c&state={}&instanceId={INSTANCE}\ncookie: {cookie}", issued.state);
    assert!(
        seeds("request").iter().any(|(_, seed)| seed.starts_with(path.as_bytes())),
        "a seed in seeds/request must begin with: {path}"
    );
}
