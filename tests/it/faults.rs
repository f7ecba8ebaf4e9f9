//! Fault injection: KV, Wix or an object fails at each step of each route, in workerd.
//!
//! The tests find the steps themselves: they run each route once without faults, and each KV operation, each called
//! endpoint, each request to an object and each statement of its storage that writes is a step. The tables in `faults/` have a line for each step and each failure, with these columns:
//! - the step, and the failure,
//! - the response that the caller gets,
//! - the change of the store: `+` added, `~` changed, `-` removed; `?` if concurrent operations make it random,
//! - the response to the same request after the fault is removed, if the first response was an error,
//! - the final state of the instance, if it differs from that without faults, which the head of the route has: status,
//!   auth, plan, ref; the grant of the next token (`kept` for a cached one) or its status; the number of accepted BI events; with
//!   objects, the events that the app got, in order.
//!
//! `UPDATE_TABLES=1` rewrites the tables; `ROUTES=webhook` runs only the routes with that prefix. `beside.rs` has the cases
//! that need more than one request.

mod beside;
mod file;
mod object;
mod route;
mod table;
mod trouble;

use file::{compare, read};
use route::{ROUTES, Route};
use table::{Cell, run};
use trouble::{Failure, Step, failures, seven_second_delay, steps_on_kv};

use crate::harness::{Testbed, Values, with_plugins};

/// Where the app wants the browser after a flow.
const PAGE: &str = "https://shop.example/welcome";

/// A test bed with one of the two configurations.
fn bed(on_install: bool) -> Testbed {
    let mode = if on_install { "on-install" } else { "on-request" };
    let values =
        |values: Values| with_plugins(values.with("FINISH_CONFIGURATION", mode).with("AFTER_INSTALL_URL", PAGE));
    let bed = Testbed::start(values);
    route::set_up(&bed);
    bed
}

fn routes(on_install: bool) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.on_install == on_install && is_wanted(route.name))
}

/// Whether `ROUTES` selects a route.
fn is_wanted(route: &str) -> bool {
    std::env::var("ROUTES").map_or(true, |beginning| route.starts_with(&beginning))
}

/// The steps of a route, found by a run without faults.
fn steps(bed: &Testbed, route: &Route, of_kv: bool) -> Vec<Step> {
    bed.kv.delete_where(|_| true);
    route::begin(bed);
    let case = (route.prepare)(bed);
    bed.kv.clear_operations();
    let calls = bed.wix.calls(&case.id).len();
    let response = case.request.send().expect(route.good);
    if response.header("x-request-id").is_some() {
        bed.wait_for_tasks(&response);
    }
    if of_kv {
        return steps_on_kv(&bed.kv.operations());
    }
    let mut endpoints: Vec<Step> = Vec::new();
    for call in &bed.wix.calls(&case.id)[calls..] {
        let step = Step::Wix(call["endpoint"].as_str().expect("an endpoint").to_owned());
        if !endpoints.contains(&step) {
            endpoints.push(step);
        }
    }
    endpoints
}

/// The number of test beds for a configuration, and of cells that run at the same time on each.
type Parallelism = (usize, usize);

/// Runs the cells of a table, both configurations at the same time, and compares the table with its file.
fn table(
    name: &str,
    [on_request, on_install]: [Parallelism; 2],
    cells: impl Fn(&Testbed, &'static Route) -> Vec<Cell> + Sync,
) {
    let half = |is_on_install, (bed_count, threads): Parallelism| {
        let beds: Vec<Testbed> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..bed_count).map(|_| scope.spawn(|| bed(is_on_install))).collect();
            starting.into_iter().map(|thread| thread.join().expect("a test bed")).collect()
        });
        let cells = routes(is_on_install).flat_map(|route| cells(&beds[0], route)).collect();
        run(name, cells, &beds, threads, &read(name))
    };
    let (mut lines, rest) = std::thread::scope(|scope| {
        let one = scope.spawn(|| half(false, on_request));
        let other = half(true, on_install);
        (one.join().expect("half of the table"), other)
    });
    lines.extend(rest);
    compare(name, lines, &ROUTES);
}

fn cells(route: &'static Route, steps: Vec<Step>, failures: impl Fn(&Step) -> Vec<Failure>) -> Vec<Cell> {
    let cells = |step: Step| {
        failures(&step).into_iter().map(move |failure| Cell { route, step: step.clone(), failure }).collect::<Vec<_>>()
    };
    steps.into_iter().flat_map(cells).collect()
}

/// A fault of Wix applies to one instance, but cells cannot share a test bed at the same time: the Cron Trigger of one cell
/// would ask Wix about the instance of another, or send its events.
fn wix_table(name: &str, parallelism: [Parallelism; 2], failures: impl Fn(&Step) -> Vec<Failure> + Sync) {
    table(name, parallelism, |bed, route| {
        // The switch that rotates refresh tokens applies to all instances.
        let is_for_one = !route.name.ends_with("that changes");
        if is_for_one { cells(route, steps(bed, route, false), &failures) } else { Vec::new() }
    });
}

#[test]
fn wix_fails_at_any_step() {
    wix_table("wix.txt", [(10, 1), (5, 1)], failures);
}

#[test]
fn wix_takes_seven_seconds_at_any_step() {
    wix_table("slow.txt", [(10, 1), (5, 1)], |_| vec![seven_second_delay()]);
}

#[test]
fn kv_fails_at_any_step() {
    table("kv.txt", [(10, 1), (5, 1)], |bed, route| cells(route, steps(bed, route, true), failures));
}
