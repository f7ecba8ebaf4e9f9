//! Random histories of an instance. Two writers in two data centres deliver the facts late, repeatedly and in any
//! order, to a KV whose reads are stale and whose operations are slow and fail, and an isolate can end before its
//! deferred task.
//!
//! When every delivery was answered with 200, reads are no longer stale and no recheck is left, these must equal the
//! fold of all facts: the row, its metadata, and the fold of the facts that are still stored. About a contested removal
//! Wix must have been asked, and its answer stored once.
//!
//! Every test run has a hundred histories. `cargo xtask histories --count 1000000` runs more of them, optimised, with
//! the variables `HISTORIES` and `HISTORY_SEED`. A history that fails names its own seed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::join;

use super::*;
use crate::config::Config;
use crate::delivery::{ObjectError, command, report, requests};
use crate::facts::{State, Status, is_contested};
use crate::runtime::Clock as _;
use crate::store::{Store, keys};
use crate::testing::Fake;
use crate::testing::clock::START;
use crate::testing::kv::Op;
use crate::testing::object::FakeObjects;
use crate::testing::wix::Canned;
use crate::testing::world::{DELIVERING, config};
use crate::values::Ref;
use crate::{Shared, scheduled};

/// The generator `SplitMix64`, for which every number is a good seed.
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

/// A random fact. It has one of few times, so that many facts fall on the same second.
fn any_fact(chance: &Chance) -> Fact {
    let site = || chance.pick(&[None, Some(SITE), Some(VICTIM)]).map(|site| SiteId::parse(site).unwrap());
    let kind = match chance.below(20) {
        0 => Kind::Installed { origin: chance.pick(&[None, Some(InstanceId::parse(VICTIM).unwrap())]) },
        1 => Kind::Removed,
        2 => Kind::Connected { site: site() },
        3 => Kind::Joined { site: site() },
        4 => Kind::Seen,
        5 => Kind::Plan {
            plan: chance.pick(&["free", "pro", "max"]).to_owned(),
            cycle: None,
            // Wix is asked after that.
            expires_at: chance.pick(&[None, None, Some(Timestamp(START + 500))]),
            auto_renewing: None,
        },
        6 => Kind::Configured,
        7 => Kind::Healed,
        8 => Kind::Refused,
        9 => Kind::Present,
        10 => Kind::Created,
        14 => Kind::Cancelled { plan: chance.pick(&[None, Some("pro".to_owned())]), cycle: None },
        15 => Kind::BillingChanged,
        16 => answer(chance),
        17 => Kind::Described {
            name: Some(chance.pick(&["a shop", "another shop"]).to_owned()),
            url: None,
            locale: None,
            currency: None,
            app_version: None,
        },
        // The second is too long for metadata.
        18 => Kind::Referred { reference: Ref::parse(&chance.pick(&["7", "😀"]).repeat(300)).unwrap() },
        11 => Kind::Listed,
        12 => Kind::Deleted,
        // A known site is not stored again, so it has the time of the first message that named it.
        13 => return at(START - 300, Kind::Site { site: SiteId::parse(SITE).unwrap() }),
        _ => Kind::Accepted,
    };
    // Two minutes later it may contest a removal.
    at(START - 300 + chance.below(12) + chance.pick(&[0, 0, 0, 120]), kind)
}

/// A random answer of Wix's about the plan.
fn answer(chance: &Chance) -> Kind {
    let is_free = chance.one_in(2);
    let plan = Some("pro".to_owned()).filter(|_| !is_free && chance.one_in(2));
    Kind::Billed { is_free, plan, cycle: None, expires_at: None, auto_renewing: None, trial_ends_at: None }
}

/// One writer: it repeats each delivery, as Wix does, until it is stored.
async fn write(fake: &Fake, config: &Config, chance: &Chance, deliveries: &[Fact]) {
    let settings = &config.instances;
    let reports = settings.events.is_bound;
    let store = || Store::new(fake, &settings.keys, &settings.wix.app_id, settings.setup).reporting(reports);
    for fact in deliveries {
        fake.sleep(Duration::from_millis(chance.pick(&[0, 0, 7, 400, 1_000, 5_000, 30_000, 61_000, 90_000]))).await;
        loop {
            let now = Timestamp::from_millis(fake.now_millis());
            match store().record(&id(), fact.clone(), now).await {
                // In one of four cases the isolate ends before its deferred task.
                Ok(recorded) if recorded.changed && !chance.one_in(4) => {
                    if let Ok(Some(recorded)) = store().reconcile(&id()).await
                        && reports
                    {
                        let message = report::to_message(&id(), &recorded.facts).expect("facts");
                        let deadline = fake.now_millis() + 1_000;
                        let _ = command(fake, INSTANCE, requests::REPORT, &message, deadline).await;
                    }
                    break;
                }
                Ok(_) => break,
                Err(_) => fake.sleep(Duration::from_millis(chance.pick(&[10, 1_000, 61_000]))).await,
            }
        }
    }
}

/// The deliveries of two writers: each fact once or more, in any order.
fn deliveries(chance: &Chance, facts: &[Fact]) -> [Vec<Fact>; 2] {
    let mut writers = [Vec::new(), Vec::new()];
    for fact in facts {
        // Lost duplicates need no case of their own, since they equal fewer duplicates.
        for _ in 0..=chance.pick(&[0, 0, 1, 2]) {
            writers[usize::from(chance.one_in(2))].push(fact.clone());
        }
    }
    for writer in &mut writers {
        chance.shuffle(writer);
    }
    writers
}

/// Makes KV stale, slow and failing, each of them in a part of the histories.
fn inject_faults(fake: &Fake, chance: &Chance) {
    fake.kv().delay_visibility(chance.pick(&[0, 0, 500, 10_000, 60_000]));
    if chance.one_in(4) {
        fake.kv().delay_list_visibility(chance.pick(&[0, 500, 10_000, 60_000]));
    }
    let delays = chance.clone();
    let longest = chance.pick(&[1, 20, 400]);
    fake.kv().delay_where(move |_, _| 1 + delays.below(longest));
    if chance.one_in(3) {
        let failures = chance.clone();
        let left = Cell::new(chance.below(6));
        // Either any write fails, or only rechecks, or only rows, while the other writes of the same batch succeed.
        let kind = chance.pick(&["", "v1:todo:", "v1:instance:"]);
        fake.kv().fail_where(move |op, key| {
            let fails = op == Op::Put && key.starts_with(kind) && left.get() > 0 && failures.one_in(3);
            left.set(left.get() - u64::from(fails));
            fails
        });
    }
}

/// The plan of an instance, and that it is not free if the plan is unknown.
fn plan_of(instance: &Value) -> (Option<String>, Option<bool>) {
    let plan = instance["plan"].as_str().map(str::to_owned);
    let is_free = instance["is_free"].as_bool().filter(|is_free| !is_free && plan.is_none());
    (plan, is_free)
}

/// The events of our own must lead from the state that was known before to that of all facts, each by a change of the state.
fn check_own_events(fake: &Fake, before: State, facts: &[Fact], details: &str) {
    let bodies = fake.object(INSTANCE).texts("SELECT body FROM events ORDER BY sequence");
    let mut told = before;
    for body in &bodies {
        let body: Value = serde_json::from_str(body).expect("JSON");
        let kind = body["type"].as_str().expect("a type");
        let is_gone = matches!(told.status, None | Some(Status::Pending | Status::Removed));
        let (is_allowed, status) = match kind {
            "installation.installed" => (is_gone, Some(Status::Installed)),
            "installation.removed" => (told.status != Some(Status::Removed), Some(Status::Removed)),
            "installation.needs_reconnect" => (told.status == Some(Status::Installed), Some(Status::NeedsReconnect)),
            "installation.reconnected" => (told.status == Some(Status::NeedsReconnect), Some(Status::Installed)),
            "installation.plan_changed" => (plan_of(&body["data"]) != (told.plan.clone(), told.is_free), told.status),
            kind => panic!("{kind} is no event of ours"),
        };
        assert!(is_allowed, "{kind} was told after {told:?}, {details}\n{bodies:#?}");
        told.status = status;
        if kind == "installation.plan_changed" {
            (told.plan, told.is_free) = plan_of(&body["data"]);
        }
    }
    let folded = fold(&id(), facts).expect("an instance");
    let is_told = match folded.status {
        Status::Pending => !matches!(told.status, Some(Status::Removed | Status::NeedsReconnect)),
        status => told.status == Some(status),
    };
    assert!(is_told, "the app was told {told:?}, but the instance is {folded:?}, {details}\n{bodies:#?}");
    if folded.status != Status::Removed {
        let State { plan, is_free, .. } = State::of(&folded);
        assert_eq!((told.plan, told.is_free), (plan, is_free), "{details}\n{bodies:#?}");
    }
}

fn history(seed: u64, [quiet, delivering]: &[(Config, Rc<Shared>); 2]) -> usize {
    let chance = Chance::new(seed);
    let fake = Fake::default();
    let billing = json!({"packageName": "pro", "autoRenewing": true});
    let described = json!({"instance": {"instanceId": INSTANCE, "isFree": false, "billing": billing}});
    fake.wix().always("/apps/v1/instance", Canned::ok(&described));
    let mut facts: Vec<Fact> = (0..=chance.below(8)).map(|_| any_fact(&chance)).collect();
    // Since each object has a database, a part of the histories has none.
    let delivers = chance.one_in(3);
    let (config, shared) = if delivers { delivering } else { quiet };
    let mut before = State::default();
    if delivers && chance.one_in(2) {
        let older: Vec<Fact> = (0..=chance.below(3)).map(|_| any_fact(&chance)).collect();
        fake.clock().run(write(&fake, &quiet.0, &chance, &older));
        fake.clock().advance(3_600);
        fake.clock().run(scheduled(fake.clone(), &quiet.1));
        // Until KV shows its answers everywhere.
        fake.clock().advance(120);
        // With Wix's answer about a contested removal.
        let row = &fake.kv().entries()[&keys::row(&id())];
        before = State::of(&Row::read(&id(), &row.value).expect("a row").instance);
        facts.extend(older);
    }
    let [one, other] = deliveries(&chance, &facts);
    if delivers {
        fake.use_objects(Some(FakeObjects::new(Rc::clone(shared))));
        for _ in 0..chance.below(6) {
            let error = ObjectError { is_retryable: false, text: "the object broke".to_owned() };
            fake.object_answers(chance.pick(&[0, 400, 2_000]), Err(error));
        }
    }
    inject_faults(&fake, &chance);
    fake.clock().run(join(write(&fake, config, &chance, &one), write(&fake, config, &chance, &other)));

    fake.kv().clear_faults();
    for _ in 0..100 {
        fake.clock().advance(300);
        fake.clock().run(scheduled(fake.clone(), shared));
        if fake.rechecks().is_empty() {
            break;
        }
    }
    assert!(fake.rechecks().is_empty(), "seed {seed}: rechecks are left after 100 runs of the Cron Trigger");

    let entries = fake.kv().entries();
    let stored = entries.iter().filter(|(key, _)| key.starts_with(&keys::facts(&id())));
    let stored: Vec<Fact> = stored.filter_map(|(_, entry)| Fact::from_json(&entry.value)).collect();
    // A fact from Wix's answer about the removal is later than every delivered fact.
    let from_wix: Vec<&Fact> = stored.iter().filter(|fact| fact.at.0 >= START).collect();
    let facts: Vec<Fact> = facts.iter().chain(from_wix.iter().copied()).cloned().collect();
    assert!(!is_contested(&facts), "seed {seed}: a contested removal is left\n{facts:#?}");
    let asked = fake.wix().sent().iter().filter(|sent| sent.path() == "/apps/v1/instance").count();
    let denied = from_wix.iter().filter(|fact| matches!(fact.kind, Kind::Present | Kind::Refused)).count();
    assert!(asked >= denied && denied <= 1, "seed {seed}: Wix was asked {asked} times: {from_wix:?}");
    let expected = fold(&id(), &facts);
    let details = || format!("seed {seed}\nfacts {facts:#?}\none writer {one:?}\nother {other:?}");
    let row = entries.get(&keys::row(&id())).unwrap_or_else(|| panic!("there is no row, {}", details()));
    let in_row = Row::read(&id(), &row.value).unwrap();
    assert_eq!(Some(in_row.instance), expected, "the row differs from the fold, {}", details());
    let listed: Instance = serde_json::from_str(row.metadata.as_deref().unwrap()).unwrap();
    assert_eq!(
        Some(listed),
        expected.clone().map(Instance::listed),
        "the metadata differs from the fold, {}",
        details()
    );
    assert_eq!(fold(&id(), &stored), expected, "the stored facts differ from the fold, {}", details());
    if delivers {
        check_own_events(&fake, before, &facts, &details());
        fake.use_objects(None);
    }
    one.len() + other.len()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} must be a number: {text}")))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn random_histories_end_in_the_fold_of_all_facts() {
    let (count, seed) = (number("HISTORIES", 100), number("HISTORY_SEED", 1));
    let of = |changes| (config(changes).expect("a configuration"), Rc::new(Shared::new(config(changes))));
    let configs = [of(&[]), of(&DELIVERING)];
    let started = Instant::now();
    let mut deliveries = 0;
    for done in 0..count {
        deliveries += history(seed.wrapping_add(done), &configs);
        if (done + 1) % 100_000 == 0 {
            println!("{} histories, {:.0} s", done + 1, started.elapsed().as_secs_f64());
        }
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "{count} histories from seed {seed}, {deliveries} deliveries, {took:.1} s: each ended in the fold of its facts"
    );
}
