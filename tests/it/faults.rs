//! What becomes of a request when KV or Wix fails at any of its steps, in real workerd.
//!
//! The steps are not written down: each route is run once while nothing fails, and whatever it asks of KV and of Wix is a
//! step. The tables in `faults/` say for each step and each trouble, in this order,
//! - what the caller sees,
//! - what is stored then: `+` came, `~` changed, `-` went; `?` where several things were under way at once,
//! - what the same request is answered when all is well again, where the first answer was a failure,
//! - and where the instance then ends in another way than if nothing had failed: how.
//!
//! `UPDATE_TABLES=1` writes them anew, `ROUTES=webhook` runs only what begins so. `beside.rs` has what does not fit into a table.

mod beside;
mod file;
mod route;
mod table;
mod trouble;

use file::{compare, read};
use route::{ROUTES, Route};
use table::{Cell, run};
use trouble::{Step, Trouble, slow_beyond_measure, steps_on_kv, troubles};

use crate::harness::Direct;

/// A stand for each of the two configurations.
fn stand(on_install: bool) -> Direct {
    let mode = if on_install { "on-install" } else { "on-request" };
    let stand = Direct::start(|values| values.with("FINISH_CONFIGURATION", mode));
    route::set_up(&stand);
    stand
}

fn routes(on_install: bool) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.on_install == on_install && is_wanted(route.name))
}

/// Whether a route is one of those that are run.
fn is_wanted(route: &str) -> bool {
    std::env::var("ROUTES").map_or(true, |beginning| route.starts_with(&beginning))
}

/// The steps of a route when nothing fails.
fn steps(stand: &Direct, route: &Route, of_kv: bool) -> Vec<Step> {
    stand.kv.forget(|_| true);
    route::begin(stand);
    let case = (route.prepare)(stand);
    stand.kv.forget_operations();
    let calls = stand.wix.calls(&case.id).len();
    let answer = case.ask.send().expect(route.good);
    if answer.header("x-request-id").is_some() {
        stand.settled(&answer);
    }
    if of_kv {
        return steps_on_kv(&stand.kv.operations());
    }
    let mut endpoints: Vec<Step> = Vec::new();
    for call in &stand.wix.calls(&case.id)[calls..] {
        let step = Step::Wix(call["endpoint"].as_str().expect("an endpoint").to_owned());
        if !endpoints.contains(&step) {
            endpoints.push(step);
        }
    }
    endpoints
}

fn kv_cells(stand: &Direct, on_install: bool) -> Vec<Cell> {
    let cells = |route: &'static Route| {
        let steps = steps(stand, route, true).into_iter();
        steps
            .flat_map(move |step| troubles(&step).into_iter().map(move |trouble| (step.clone(), trouble)))
            .map(move |(step, trouble)| Cell { route, step, trouble })
    };
    routes(on_install).flat_map(cells).collect()
}

/// One stand for all cells at once: what goes wrong does so for one instance. With `on-install` the Cron Trigger of one
/// cell would send the events of another, so there each has a stand of its own meanwhile.
fn wix_table(name: &str, threads: usize, lanes: usize, choose: impl Fn(&Step) -> Vec<Trouble>) {
    let mut table = Vec::new();
    for (on_install, lanes, threads) in [(false, 1, threads), (true, lanes, 1)] {
        let stands: Vec<Direct> = (0..lanes).map(|_| stand(on_install)).collect();
        let stand = &stands[0];
        let mut cells = Vec::new();
        // A Wix that rotates refresh tokens does so for all.
        for route in routes(on_install).filter(|route| !route.name.ends_with("that changes")) {
            for step in steps(stand, route, false) {
                cells.extend(choose(&step).into_iter().map(|trouble| Cell { route, step: step.clone(), trouble }));
            }
        }
        table.extend(run(cells, &stands, threads, &read(name)));
    }
    compare(name, table, &ROUTES);
}

#[test]
fn wix_fails_at_any_step() {
    wix_table("wix.txt", 12, 5, troubles);
}

#[test]
fn wix_is_slow_beyond_measure_at_any_step() {
    wix_table("slow.txt", 24, 5, |_| vec![slow_beyond_measure()]);
}

#[test]
fn kv_fails_at_any_step() {
    let mut table = Vec::new();
    for (on_install, lanes) in [(false, 9), (true, 6)] {
        let stands: Vec<Direct> = (0..lanes).map(|_| stand(on_install)).collect();
        table.extend(run(kv_cells(&stands[0], on_install), &stands, 1, &read("kv.txt")));
    }
    compare("kv.txt", table, &ROUTES);
}
