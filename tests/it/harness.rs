//! The test harness: Workers, the simulated Wix, HTTP clients and servers, webhook messages.

mod bundle;
mod direct;
mod flow;
mod http;
mod log;
mod message;
mod objects;
mod page;
mod plain;
mod proxy;
mod receiver;
mod stage;
mod upstream;
mod wix;
mod worker;
mod wrangler;

pub use bundle::{bundled, example_worker};
pub use direct::{IN_1_MINUTE, IN_2_HOURS, IN_10_MINUTES, Isolate, NOW, Testbed};
pub use flow::{Flow, external};
pub use http::{Jar, Request, Response, get, parameter, request};
pub use log::Log;
pub use message::{KEY, Key, Message, encode, with_signature};
pub use objects::{APP, HOOK, Objects, memory, serve};
pub use page::{assert_browser_headers, assert_refused};
pub use proxy::{Exchange, Proxy};
pub use receiver::{Delivery, Reaction, Receiver, key, problem};
pub use stage::{API_KEY, Stage, api_key, shared, values_for, with_plugins};
pub use upstream::{Upstream, UpstreamCall};
pub use wix::{RUNTIME, TIMEOUT, Wix};
pub use worker::{Values, Worker, build_folder, highest, path_with_node};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A random GUID. Tests that share a stage use different instance ids.
pub fn guid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The current time, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    since.as_secs().try_into().expect("a time in i64")
}

/// Waits for the clock's next second. Wix's times are whole seconds, so an event is later only in a later second.
pub fn next_second() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    std::thread::sleep(Duration::from_millis(1010 - u64::from(since.subsec_millis())));
}
