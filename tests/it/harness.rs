//! What the tests stand on: processes, HTTP, and Wix's side of each exchange.

mod direct;
mod flow;
mod http;
mod log;
mod message;
mod page;
mod proxy;
mod stage;
mod upstream;
mod wix;
mod worker;

pub use direct::{Direct, LAST, LATER, NOW, SOON};
pub use flow::Flow;
pub use http::{Answer, Ask, Jar, ask, get, parameter};
pub use message::{Key, Message, encode, with_signature};
pub use page::{assert_browser_headers, assert_refused};
pub use proxy::{Exchange, Proxy};
pub use stage::{API_KEY, Stage, api_key, shared, values_for};
pub use upstream::{Heard, Upstream};
pub use wix::{PATIENCE, Wix};
pub use worker::{Values, Worker, build_folder, path_with_node};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A GUID that nobody else has: what keeps tests apart that share a stage.
pub fn guid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    since.as_secs().try_into().expect("a clock before the end of time")
}

/// Waits for the clock's next second. Wix's times are whole seconds, and of what is to be seen as later the second must
/// be another.
pub fn next_second() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    std::thread::sleep(Duration::from_millis(1010 - u64::from(since.subsec_millis())));
}
