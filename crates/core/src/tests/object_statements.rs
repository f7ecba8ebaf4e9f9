//! The numbers of SQL statements that an event costs in the object of its installation. Each is a call from wasm to
//! JavaScript, which costs more than what most of them do in the database.

use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::world::{INSTANCE, World};

fn order(number: u64) -> String {
    jws::event("wix.ecom.v1.order_created", INSTANCE, &json!({ "number": number }), START)
}

/// A change that increases a number must change this test, and the table of docs/performance.md.
#[test]
fn an_event_costs_ten_statements() {
    let world = World::delivering_with(&[("RECHECK_HOURS", "24")]);
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.deliver(INSTANCE);
    world.fake.pass(INSTANCE, 60);
    let object = world.fake.object(INSTANCE);
    let statements_of = |what: &str, expected: usize, work: &dyn Fn()| {
        object.take_statements();
        work();
        let statements = object.take_statements();
        assert_eq!(statements.len(), expected, "{what}:\n{}", statements.join("\n"));
    };
    statements_of("to accept it", 4, &|| drop(world.webhook(order(1))));
    statements_of("to deliver it", 6, &|| world.fake.deliver(INSTANCE));
    statements_of("a copy", 3, &|| drop(world.webhook(order(1))));
    statements_of("the alarm after it", 12, &|| world.fake.pass(INSTANCE, 60));
}
