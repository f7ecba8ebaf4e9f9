//! When the Cron Trigger ran last: who notes it, how often, and what that costs.

use super::{DAY, ON_TOKEN, both, counts, figures, installed};
use crate::testing::wix::Canned;
use crate::testing::world::{INSTANCE, World};

/// When the Cron Trigger ran last, and by when it must run again.
fn runs(world: &World) -> [Option<u64>; 2] {
    let figures = figures(world);
    ["cron_ran_at", "cron_next_by"].map(|name| figures.get(name).map(|at| at.as_u64().expect("a time")))
}

#[test]
fn each_run_of_the_cron_trigger_is_noted_by_the_object_of_the_app() {
    for hours in ["24", "0"] {
        let world = World::delivering_with(&[("RECHECK_HOURS", hours)]);
        assert_eq!(runs(&world), [None, None], "it has never run");
        installed(&world);
        for _ in 0..3 {
            world.fake.clock().advance(300);
            world.fake.kv().take_counts();
            world.cron();
            assert_eq!(world.fake.kv().take_counts()[1], 0, "nothing is written to KV");
            assert_eq!(runs(&world), [Some(world.now()), Some(world.now() + 900)]);
        }
        let ran_at = world.now();
        // An object compares by its own alarm, which proves nothing about the Cron Trigger.
        world.fake.pass(INSTANCE, 3 * DAY);
        assert_eq!(runs(&world), [Some(ran_at), Some(ran_at + 900)]);
    }
}

#[test]
fn without_objects_a_run_that_writes_nothing_else_is_noted_once_an_hour() {
    for hours in ["24", "0"] {
        let world = World::with(&[("RECHECK_HOURS", hours)]);
        assert_eq!(runs(&world), [None, None], "it has never run");
        world.cron();
        let ran_at = world.now();
        world.fake.kv().take_counts();
        for _ in 0..11 {
            world.fake.clock().advance(300);
            world.cron();
            assert_eq!(runs(&world), [Some(ran_at), Some(ran_at + 4_500)]);
        }
        assert_eq!(world.fake.kv().take_counts()[1], 0);
        world.fake.clock().advance(300);
        world.cron();
        assert_eq!(runs(&world)[0], Some(world.now()));
        assert_eq!(world.fake.kv().take_counts()[1], 1);
    }
}

#[test]
fn a_run_is_noted_while_wix_is_down() {
    for world in both() {
        installed(&world);
        world.fake.wix().always(ON_TOKEN, Canned::unreachable());
        let began = world.now();
        world.cron();
        assert_eq!(runs(&world)[0], Some(began));
        assert_eq!(counts(&world).0, 0);
    }
}
