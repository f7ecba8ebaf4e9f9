//! Random histories: what happened to an instance is delivered by two writers in two data centres, late, twice, in any
//! order, over a store that shows each of them what was a while ago, that fails now and then, and that is left in the
//! middle. When Wix has got its 200 for everything, everybody sees the same and the Cron Trigger has been there, the row
//! is the fold of all facts, and so is what is left of the facts; what contradicts a removal was asked of Wix, once.
//!
//! A hundred in every test run. `cargo xtask histories --count 1000000` asks for more, optimised, through the variables
//! `HISTORIES` and `HISTORY_SEED`; a history that fails names its own seed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::join;

use super::*;
use crate::config::Config;
use crate::facts::is_contested;
use crate::runtime::Clock as _;
use crate::store::{Store, keys};
use crate::testing::Fake;
use crate::testing::clock::START;
use crate::testing::kv::Op;
use crate::testing::world::config;
use crate::{Shared, scheduled};

/// `SplitMix64`: every number is a good seed.
#[derive(Clone)]
struct Chance(Rc<Cell<u64>>);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(Rc::new(Cell::new(seed)))
    }

    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut bits = self.0.get();
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Clone>(&self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()].clone()
    }

    fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, usize::try_from(self.below(last as u64 + 1)).unwrap());
        }
    }
}

/// Few different times, so that many fall on the same second.
fn any_fact(chance: &Chance) -> Fact {
    let site = || chance.pick(&[None, Some(SITE), Some(VICTIM)]).map(|site| SiteId::parse(site).unwrap());
    let kind = match chance.below(11) {
        0 => Kind::Installed { origin: chance.pick(&[None, Some(InstanceId::parse(VICTIM).unwrap())]) },
        1 => Kind::Removed,
        2 => Kind::Connected { site: site() },
        3 => Kind::Joined { site: site() },
        4 => Kind::Seen,
        5 => Kind::Plan { plan: chance.pick(&["free", "pro", "max"]).to_owned() },
        6 => Kind::Configured,
        7 => Kind::Healed,
        8 => Kind::Refused,
        9 => Kind::Present,
        _ => Kind::Accepted,
    };
    // Or two minutes later, where it may contradict a removal.
    at(START - 300 + chance.below(12) + chance.pick(&[0, 0, 0, 120]), kind)
}

/// One writer: each of its deliveries is repeated, as Wix does, until it is answered with 200.
async fn write(fake: &Fake, config: &Config, chance: &Chance, deliveries: &[Fact]) {
    let settings = &config.instances;
    let store = || Store::new(fake, &settings.keys, &settings.wix.app_id, settings.setup);
    for fact in deliveries {
        fake.sleep(Duration::from_millis(chance.pick(&[0, 0, 7, 400, 1_000, 5_000, 30_000, 61_000, 90_000]))).await;
        loop {
            let now = Timestamp::from_millis(fake.now_millis());
            match store().record(&id(), fact.clone(), now).await {
                // The isolate is gone before its work after the answer, every fourth time.
                Ok(recorded) if recorded.changed && !chance.one_in(4) => {
                    let _ = store().reconcile(&id()).await;
                    break;
                }
                Ok(_) => break,
                Err(_) => fake.sleep(Duration::from_millis(chance.pick(&[10, 1_000, 61_000]))).await,
            }
        }
    }
}

/// What is delivered: each fact once or more, in any order.
fn deliveries(chance: &Chance, facts: &[Fact]) -> [Vec<Fact>; 2] {
    let mut writers = [Vec::new(), Vec::new()];
    for fact in facts {
        // A duplicate that is lost on its way is one the fewer: the first copy is the one that arrives.
        for _ in 0..=chance.pick(&[0, 0, 1, 2]) {
            writers[usize::from(chance.one_in(2))].push(fact.clone());
        }
    }
    for writer in &mut writers {
        chance.shuffle(writer);
    }
    writers
}

/// Lag, slowness and failures of the store, of which there may be none.
fn trouble(fake: &Fake, chance: &Chance) {
    fake.kv().delay_visibility(chance.pick(&[0, 0, 500, 10_000, 60_000]));
    if chance.one_in(4) {
        fake.kv().delay_list_visibility(chance.pick(&[0, 500, 10_000, 60_000]));
    }
    let slowness = chance.clone();
    let longest = chance.pick(&[1, 20, 400]);
    fake.kv().delay_where(move |_, _| slowness.below(longest));
    if chance.one_in(3) {
        let failures = chance.clone();
        let left = Cell::new(chance.below(6));
        // Any write, or that of one kind alone: what else belongs to the same round is then stored.
        let kind = chance.pick(&["", "v1:todo:", "v1:instance:"]);
        fake.kv().fail_where(move |op, key| {
            let fails = op == Op::Put && key.starts_with(kind) && left.get() > 0 && failures.one_in(3);
            left.set(left.get() - u64::from(fails));
            fails
        });
    }
}

fn history(seed: u64, config: &Config, shared: &Shared) -> usize {
    let chance = Chance::new(seed);
    let fake = Fake::default();
    let facts: Vec<Fact> = (0..=chance.below(8)).map(|_| any_fact(&chance)).collect();
    let [one, other] = deliveries(&chance, &facts);
    trouble(&fake, &chance);
    fake.clock().run(join(write(&fake, config, &chance, &one), write(&fake, config, &chance, &other)));

    fake.kv().clear_faults();
    for _ in 0..100 {
        fake.clock().advance(300);
        fake.clock().run(scheduled(fake.clone(), shared));
        if fake.kv().keys("v1:todo:").is_empty() {
            break;
        }
    }
    assert!(fake.kv().keys("v1:todo:").is_empty(), "seed {seed}: the Cron Trigger does not come to an end");

    let entries = fake.kv().entries();
    let kept = entries.iter().filter(|(key, _)| key.starts_with(&keys::facts(&id())));
    let kept: Vec<Fact> = kept.map(|(_, entry)| Fact::from_json(&entry.value)).collect();
    // What Wix said when it was asked is later than everything that was delivered.
    let said: Vec<&Fact> = kept.iter().filter(|fact| fact.at.0 >= START).collect();
    let facts: Vec<Fact> = facts.iter().chain(said.iter().copied()).cloned().collect();
    assert!(!is_contested(&facts), "seed {seed}: left in doubt\n{facts:#?}");
    let asked = fake.wix().sent().iter().filter(|sent| sent.path() == "/apps/v1/instance").count();
    assert!(asked >= said.len() && said.len() <= 1, "seed {seed}: {said:?}, asked {asked} times");
    let expected = fold(&id(), &facts);
    let told = || format!("seed {seed}\nfacts {facts:#?}\none writer {one:?}\nother {other:?}");
    let row = entries.get(&keys::row(&id())).unwrap_or_else(|| panic!("no row, {}", told()));
    let in_row = Row::read(&id(), &row.value).unwrap();
    assert_eq!(Some(in_row.instance), expected, "the row, {}", told());
    let listed: Instance = serde_json::from_str(row.metadata.as_deref().unwrap()).unwrap();
    assert_eq!(Some(listed), expected, "the listing, {}", told());
    assert_eq!(fold(&id(), &kept), expected, "the facts, {}", told());
    one.len() + other.len()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is told by the real clock")]
fn random_histories_end_in_the_fold_of_all_facts() {
    let (count, seed) = (number("HISTORIES", 100), number("HISTORY_SEED", 1));
    let config = config(&[]).expect("a configuration");
    let shared = Shared::new(crate::testing::world::config(&[]));
    let started = Instant::now();
    let mut deliveries = 0;
    for done in 0..count {
        deliveries += history(seed.wrapping_add(done), &config, &shared);
        if (done + 1) % 100_000 == 0 {
            println!("{} histories, {:.0} s", done + 1, started.elapsed().as_secs_f64());
        }
    }
    let took = started.elapsed().as_secs_f64();
    println!("{count} histories from seed {seed}, {deliveries} deliveries, {took:.1} s: each ended in its fold");
}
