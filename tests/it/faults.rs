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
    stand.kv.delete_where(|_| true);
    route::begin(stand);
    let case = (route.prepare)(stand);
    stand.kv.clear_operations();
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

/// How many stands there are for a configuration, and how many cells are run at once on each.
type Lanes = (usize, usize);

/// Runs a table, both configurations at once, and compares it.
fn table(
    name: &str,
    [on_request, on_install]: [Lanes; 2],
    cells: impl Fn(&Direct, &'static Route) -> Vec<Cell> + Sync,
) {
    let half = |is_on_install, (lanes, threads): Lanes| {
        let stands: Vec<Direct> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..lanes).map(|_| scope.spawn(|| stand(is_on_install))).collect();
            starting.into_iter().map(|thread| thread.join().expect("a stand")).collect()
        });
        let cells = routes(is_on_install).flat_map(|route| cells(&stands[0], route)).collect();
        run(name, cells, &stands, threads, &read(name))
    };
    let (mut lines, rest) = std::thread::scope(|scope| {
        let one = scope.spawn(|| half(false, on_request));
        let other = half(true, on_install);
        (one.join().expect("its half of the table"), other)
    });
    lines.extend(rest);
    compare(name, lines, &ROUTES);
}

fn cells(route: &'static Route, steps: Vec<Step>, troubles: impl Fn(&Step) -> Vec<Trouble>) -> Vec<Cell> {
    let cells = |step: Step| {
        troubles(&step).into_iter().map(move |trouble| Cell { route, step: step.clone(), trouble }).collect::<Vec<_>>()
    };
    steps.into_iter().flat_map(cells).collect()
}

/// What goes wrong at Wix does so for one instance, so one stand is enough for all. With `on-install` the Cron Trigger of
/// one cell would send the events of another: there each has a stand of its own meanwhile.
fn wix_table(name: &str, lanes: [Lanes; 2], troubles: impl Fn(&Step) -> Vec<Trouble> + Sync) {
    table(name, lanes, |stand, route| {
        // A Wix that rotates refresh tokens does so for all.
        let is_for_one = !route.name.ends_with("that changes");
        if is_for_one { cells(route, steps(stand, route, false), &troubles) } else { Vec::new() }
    });
}

#[test]
fn wix_fails_at_any_step() {
    wix_table("wix.txt", [(1, 12), (5, 1)], troubles);
}

#[test]
fn wix_is_slow_beyond_measure_at_any_step() {
    wix_table("slow.txt", [(1, 24), (5, 1)], |_| vec![slow_beyond_measure()]);
}

#[test]
fn kv_fails_at_any_step() {
    table("kv.txt", [(10, 1), (5, 1)], |stand, route| cells(route, steps(stand, route, true), troubles));
}
