//! Measures the CPU that workerd uses for a request, and compares the Worker with peers as ratios of one run. Linux only.
//!
//! Each Worker runs in its own workerd process. This process has the KV, the upstream in place of Wix, and the client. Two
//! Workers are measured in turns (`slices.rs`), so that other load on the machine affects both alike, and started several
//! times (`compare.rs`).

#![expect(clippy::print_stdout, reason = "the program prints its measurements")]

mod client;
mod cold;
mod compare;
mod counts;
mod figures;
mod growth;
mod message;
mod report;
mod routes;
mod same_work;
mod slices;
mod stage;
mod upstream;
mod usage;
mod waiting;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use workerd::Setup;

use crate::client::Request;
use crate::compare::{Of, Plan};
use crate::report::{Report, Row};
use crate::routes::{COMPARISONS, Kind};
use crate::slices::Side;
use crate::stage::Stage;
use crate::usage::Cores;

/// Measures the built Worker and its peers.
#[derive(Debug, Parser)]
#[command(override_usage = "cargo xtask bench [OPTIONS]")]
pub struct Options {
    /// The root of the repository
    #[arg(long, hide = true)]
    root: PathBuf,
    /// The directory of the built Worker
    #[arg(long)]
    build: Option<PathBuf>,
    /// Fewer slices and no growth: three minutes instead of thirty
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
    /// Only checks that the peers with the same work answer and log what wix-edge does
    #[arg(long)]
    same_work: bool,
    /// Only sends requests of this case for half a minute, for a profiler
    #[arg(long)]
    profile: Option<String>,
    /// Measures a second build of the Worker, a copy of an earlier build/, in the same rounds
    #[arg(long)]
    beside: Option<PathBuf>,
}

/// Checks that the peers that claim the same work as the Worker in the directory `build` answer and log the same.
pub fn check_same_work(root: &Path, build: &Path) -> Result<()> {
    same_work::check(&Stage::new(root, build)?)
}

/// Measures what the options ask for, and prints it.
pub fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let root = options.root.canonicalize()?;
    let build = options.build.clone().unwrap_or_else(|| root.join("build"));
    let cores = Cores::choose()?;
    Cores::pin(&[cores.client])?;
    let stage = Stage::new(&root, &build)?;
    if options.same_work {
        return same_work::check(&stage);
    }
    if let Some(name) = &options.profile {
        return profile(&stage, cores, name);
    }
    if let Some(count) = options.uptime {
        return growth::uptime(&stage, count).map(|_| ());
    }
    stage.seed(routes::INSTALLED);
    let mut report = Report { machine: machine(), ..Report::default() };

    compare(&stage, options, cores, &mut report)?;
    let is_wanted =
        |name: &str| options.beside.is_none() && options.only.as_ref().is_none_or(|only| name.starts_with(only));
    if is_wanted("waiting") {
        waiting::waiting(&stage, cores, if options.quick { 1 } else { 3 }, &mut report)?;
    }
    if is_wanted("cold start") {
        cold::cold(&stage, cores, if options.quick { 10 } else { 40 }, &mut report)?;
    }
    if options.only.is_none() && options.beside.is_none() {
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

/// Measures all comparisons, or each case of wix-edge beside a second build.
fn compare(stage: &Stage, options: &Options, cores: Cores, report: &mut Report) -> Result<()> {
    let plan = if options.quick {
        Plan { cores, warm_up: 2000, pairs: 25, starts: 2, narrow: 0.03, limit: Duration::from_secs(6) }
    } else {
        Plan { cores, warm_up: 4000, pairs: 80, starts: 4, narrow: 0.015, limit: Duration::from_mins(2) }
    };
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.starts_with(only));
    let cases = routes::cases(stage)?;
    let case = |name: &str| cases.iter().find(|case| case.name == name).context("a comparison must name a case");
    let mut measure = |ours: Of<'_>, theirs: Of<'_>, name: String, kind, goal| -> Result<()> {
        print!("    {} / {name}: ", ours.0.name);
        std::io::stdout().flush()?;
        let compared = compare::compare(stage, &plan, ours, theirs)?;
        let row = Row {
            costs: Some((compared.cost.median, compared.beside.median)),
            disturbed: Some(compared.disturbed),
            is_narrow: Some(compared.ratio.half_width() <= plan.narrow * compared.ratio.median),
            ..Row::with_interval(ours.0.name, &name, kind, goal, compared.ratio)
        };
        println!("{}", row.text());
        for (worker, bytes) in compared.memory {
            report.sizes.insert(format!("memory of {worker} after the slices"), bytes);
        }
        report.rows.push(row);
        Ok(())
    };
    if let Some(build) = &options.beside {
        for case in cases.iter().filter(|case| case.is_ours() && wanted(case.name)) {
            let name = format!("{} (second build)", case.name);
            measure((case, stage.build()), (case, build), name, Kind::Own, None)?;
        }
        return Ok(());
    }
    for row in COMPARISONS.iter().filter(|row| wanted(row.case)) {
        let (ours, theirs) = (case(row.case)?, case(row.beside)?);
        measure((ours, stage.build()), (theirs, stage.build()), row.beside.to_owned(), row.kind, row.goal)?;
    }
    Ok(())
}

/// Sends the requests of a case to a Worker whose wasm and JavaScript functions have names for `perf`.
fn profile(stage: &Stage, cores: Cores, name: &str) -> Result<()> {
    const TIME: Duration = Duration::from_secs(30);
    stage.seed(routes::INSTALLED);
    let cases = routes::cases(stage)?;
    let case = cases.iter().find(|case| case.name == name).context("--profile must be the name of a case")?;
    let objects = tempfile::tempdir()?;
    let worker = stage.worker(case.worker, stage.build(), objects.path())?;
    Cores::pin(&[cores.workers])?;
    let running = stage.start_with(Setup::default().v8_flag("--perf-basic-prof"), &worker, &case.request(stage)?);
    Cores::pin(&[cores.client])?;
    let (running, _) = running?;
    let mut side = Side::warm_up(stage, &running, case, 5_000)?;
    let id = running.ids.first().context("workerd must have a process")?;
    println!("perf record --event cpu-clock --call-graph fp --pid {id} sleep 25");
    let (until, mut slices, mut total) = (Instant::now() + TIME, 0.0, 0.0);
    while Instant::now() < until {
        (slices, total) = (slices + 1.0, total + side.slice(stage)?);
    }
    println!("{:.0} µs of CPU for each request", total / slices);
    Ok(())
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    format!("{} · {cores} cores · Linux", model.trim_start_matches([' ', '\t', ':']))
}
