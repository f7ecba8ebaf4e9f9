//! Measures the CPU that workerd uses for a request, and compares the Worker with peers as ratios of one run. Linux only.
//!
//! Each Worker runs in its own workerd process. This process has the KV, the upstream in place of Wix, and the client. Each
//! round measures every case once, so that other load on the machine affects all cases alike.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the program prints its measurements")]

mod client;
mod counts;
mod figures;
mod growth;
mod message;
mod report;
mod routes;
mod stage;
mod upstream;
mod usage;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::client::Request;
use crate::figures::Figure;
use crate::report::{Report, Row};
use crate::routes::{COMPARISONS, Case, DELIVERED, DELIVERED_OF_A_THOUSAND};
use crate::stage::{EVENTS, Running, Stage};
use crate::usage::memory;

/// Measures the built Worker and its peers.
#[derive(Debug, Parser)]
#[command(override_usage = "cargo xtask bench [OPTIONS]")]
struct Options {
    /// The root of the repository
    #[arg(long, hide = true)]
    root: PathBuf,
    /// The directory of the built Worker
    #[arg(long)]
    build: Option<PathBuf>,
    /// Fewer rounds and no growth: a minute instead of five
    #[arg(long)]
    quick: bool,
    /// Only the cases with this prefix and the cases that they are compared with; or only `growth`
    #[arg(long)]
    only: Option<String>,
    /// Only this number of mixed requests to one Worker: cost and memory over time
    #[arg(long)]
    uptime: Option<usize>,
    /// Writes the results to a file; --check compares with bench/results/accepted.json
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fails if the Worker costs more than the accepted results, beyond the noise of both runs
    #[arg(long)]
    check: bool,
    /// Measures a second build of the Worker, a copy of an earlier build/, in the same rounds
    #[arg(long)]
    beside: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let root = options.root.canonicalize()?;
    let build = options.build.clone().unwrap_or_else(|| root.join("build"));
    let stage = Stage::new(&root, &build)?;
    if let Some(count) = options.uptime {
        return growth::uptime(&stage, count).map(|_| ());
    }
    stage.seed(1);
    let mut report = Report { machine: machine(), ..Report::default() };

    let (rounds, thousands) = if options.quick { (5, 1) } else { (9, 2) };
    compare(&stage, options, rounds, thousands * 1000, &mut report)?;
    if options.only.is_none() && options.beside.is_none() {
        cold(&stage, if options.quick { 3 } else { 9 }, &mut report)?;
        let (edge, _) = stage.start(&stage.edge()?, &Request::new("GET", "/healthz", &[], 200))?;
        report.counts = counts::counts(&stage, &edge)?;
        drop(edge);
        let wasm = fs::read(build.join("index_bg.wasm"))?;
        report.sizes.insert("wasm".to_owned(), wasm.len() as u64);
    }
    let all = options.only.is_none() && options.beside.is_none() && !options.quick;
    if all || options.only.as_deref() == Some("growth") {
        println!("==> growth");
        report.growth.extend(growth::growth(&stage, 3, 1_500)?);
        report.growth.extend(growth::uptime(&stage, 100_000)?);
        report.growth.extend(growth::many_instances(&stage, 100_000)?);
    }
    report.print();
    println!("\n{:.0} s", started.elapsed().as_secs_f64());

    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if options.check {
        let path = root.join("bench/results/accepted.json");
        let text = fs::read_to_string(&path).with_context(|| format!("{} must exist for --check", path.display()))?;
        report.check(&serde_json::from_str(&text)?)?;
        println!("==> the costs do not exceed the accepted results");
    }
    Ok(())
}

/// The number of warm-up requests of a case: the runtime optimises hot code.
const WARM_UP: usize = 5_000;

/// Measures all cases, round by round.
fn compare(stage: &Stage, options: &Options, rounds: usize, thousand: usize, report: &mut Report) -> Result<()> {
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.starts_with(only));
    let comparisons: Vec<_> = COMPARISONS.iter().filter(|row| wanted(row.case)).collect();
    let is_delivered = comparisons.iter().any(|row| row.case == DELIVERED);
    let events = is_delivered.then_some((WARM_UP + rounds * thousand) * DELIVERED_OF_A_THOUSAND / 1000);
    let mut cases = routes::cases(stage, events.unwrap_or_default())?;
    cases.retain(|case| comparisons.iter().any(|row| row.case == case.name || row.beside == case.name));

    println!("==> starting the Workers of {} cases", cases.len());
    let objects = tempfile::Builder::new().prefix("bench-").tempdir()?;
    for folder in ["first", "second"] {
        fs::create_dir(objects.path().join(folder))?;
    }
    let mut workers: BTreeMap<&str, Running> = BTreeMap::new();
    for case in &cases {
        if workers.contains_key(case.worker) {
            continue;
        }
        let worker = match case.worker {
            "edge" => stage.edge()?,
            "delivering" => stage.delivering(stage.build(), &objects.path().join("first"))?,
            "plugins" => stage.plugins(stage.build())?,
            "webcrypto-log" => stage.peer("webcrypto")?.text("WITH_LOG", "yes"),
            name => stage.peer(name)?,
        };
        let health = Request::new("GET", "/healthz", &[], 200);
        let first = case.requests.first().filter(|_| !case.is_delivered).unwrap_or(&health);
        workers.insert(case.worker, stage.start(&worker, first)?.0);
    }
    let mut second: BTreeMap<&str, Running> = BTreeMap::new();
    if let Some(build) = &options.beside {
        let first = Request::new("GET", "/healthz", &[], 200);
        second.insert("edge", stage.start(&stage.edge_of(build)?, &first)?.0);
        if cases.iter().any(|case| case.worker == "plugins") {
            second.insert("plugins", stage.start(&stage.plugins(build)?, &first)?.0);
        }
        if is_delivered {
            let worker = stage.delivering(build, &objects.path().join("second"))?;
            second.insert("delivering", stage.start(&worker, &first)?.0);
        }
    }

    let mut costs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut sent = 0;
    for round in 0..=rounds {
        for case in &cases {
            let worker = workers.get(case.worker).context("a case must name a Worker")?;
            // Round 0 warms up and does not count.
            let thousand = if round == 0 { WARM_UP } else { thousand };
            let count = (thousand * case.of_a_thousand / 1000).max(4);
            let cost = cost(stage, worker, case, sent, count)?;
            let beside = match second.get(case.worker) {
                Some(second) => Some(self::cost(stage, second, case, sent, count)?),
                None => None,
            };
            if case.is_delivered {
                sent += count;
            }
            if round > 0 {
                costs.entry(case.name.to_owned()).or_default().push(cost);
                if let Some(beside) = beside {
                    costs.entry(format!("{} (second build)", case.name)).or_default().push(beside);
                }
            }
        }
    }
    for (name, worker) in &workers {
        report.sizes.insert(format!("memory of {name} after the rounds"), memory(&worker.ids())?);
    }
    let mut ratio = |case: &str, beside: &str, goal| {
        let (Some(ours), Some(theirs)) = (costs.get(case), costs.get(beside)) else { return };
        let ratio = Figure::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
        report.rows.push(Row { case: case.to_owned(), beside: beside.to_owned(), ratio, goal });
    };
    for row in comparisons {
        ratio(row.case, row.beside, row.goal);
    }
    for case in &cases {
        ratio(case.name, &format!("{} (second build)", case.name), None);
    }
    report.cpu = costs.into_iter().map(|(case, costs)| (case, Figure::of(costs))).collect();
    Ok(())
}

/// The cost of a request of a case. Of a case whose events are delivered `sent` requests were sent before, and the cost
/// includes the delivery.
fn cost(stage: &Stage, worker: &Running, case: &Case, sent: usize, count: usize) -> Result<f64> {
    const LIMIT: Duration = Duration::from_mins(1);
    if !case.is_delivered {
        return growth::cost(worker, &case.requests, count);
    }
    let events = case.requests.get(sent..sent + count).context("there must be enough events")?;
    let wanted = stage.upstream.count(EVENTS) + count as u64;
    growth::cost_until(worker, events, count, || {
        let until = Instant::now() + LIMIT;
        while stage.upstream.count(EVENTS) < wanted {
            ensure!(Instant::now() < until, "all events must be delivered");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })
}

/// Measures the time from workerd's start to the first response.
fn cold(stage: &Stage, rounds: usize, report: &mut Report) -> Result<()> {
    let (edge, hello) = (stage.edge()?, stage.peer("hello")?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let first = Request::new("GET", "/healthz", &[], 200);
        ours.push(stage.start(&edge, &first)?.1.as_secs_f64() * 1000.0);
        theirs.push(stage.start(&hello, &first)?.1.as_secs_f64() * 1000.0);
    }
    report.rows.push(Row {
        case: "cold start".to_owned(),
        beside: "JS hello, cold start".to_owned(),
        ratio: Figure::of(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs)),
        goal: Some(1.5),
    });
    report.growth.insert("cold start, ours, ms of time".to_owned(), Figure::of(ours.iter().copied()));
    report.growth.insert("cold start, JS hello, ms of time".to_owned(), Figure::of(theirs.iter().copied()));
    Ok(())
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{} · {cores} cores · Linux", model.trim_start_matches([' ', '\t', ':']))
}
