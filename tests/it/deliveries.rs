//! A long run of event delivery: the target is down for a day of simulated time and then fails at random, workerd is killed
//! and started again, and Wix sends copies out of order. No event may be lost, and each duplicate must have a cause.
//!
//! `cargo xtask deliveries` runs it; `cargo xtask test` runs a short form.
//!
//! Time is simulated by `CLOCK_OFFSET_SECONDS`, which changes when workerd is started again. Within the life of a process
//! the alarms of the objects come in real time. An alarm that was set before the clock was moved comes too late by the
//! difference; an object that gets an event delivers what is due. So the day of the target's failure has the attempts of
//! the first seconds after each start, and not every hourly one.

#![expect(clippy::print_stdout, reason = "the run prints its progress and its figures")]

mod plan;
mod target;
mod verdict;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use ureq::Agent;
use workerd::{Kv, Workerd};

use self::plan::{Plan, Send, mix};
use self::target::{Mode, Target};
use crate::events::SECRETS;
use crate::harness::{APP, Objects, Values, Wix, memory, now, request, values_for};

const THREADS: usize = 8;
const DAY: i64 = 86_400;
/// After the target is up again, the clock is moved by this much with each further kill, in seconds: an event that failed
/// before may then be passed.
const STEP: i64 = 20 * 60;
/// Longer than the longest pause between two attempts, in seconds.
const PAUSE: i64 = 5_000;
/// How often the clock is moved at the end, so that events with a long pause are delivered.
const ROUNDS: usize = 6;

/// The lines of the Worker's log by their outcome.
#[derive(Default)]
struct Lines {
    delivered: AtomicU64,
    failed: AtomicU64,
    parked: AtomicU64,
    errors: Mutex<Vec<String>>,
}

impl Lines {
    fn push(&self, line: &str) {
        if line.contains(r#""route":"deliver""#) {
            for (outcome, count) in [("delivered", &self.delivered), ("failed", &self.failed), ("parked", &self.parked)]
            {
                if line.contains(&format!(r#""outcome":"{outcome}""#)) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        } else if line.contains(r#""level":"error""#) || !line.starts_with('{') {
            let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
            if errors.len() < 20 {
                errors.push(line.to_owned());
            }
        }
    }
}

/// One run.
struct Run {
    plan: Plan,
    target: Target,
    kv: Kv,
    _wix: Wix,
    folder: TempDir,
    values: Values,
    lines: Arc<Lines>,
    /// The address of the Worker; it differs between processes.
    url: Mutex<String>,
    /// By how many seconds the Worker's clock is ahead.
    ahead: AtomicI64,
    /// Requests that were not answered 200, and sent again.
    refused: AtomicUsize,
    done: AtomicUsize,
    is_over: AtomicBool,
    started: Instant,
}

/// What the processes did.
#[derive(Default)]
struct Figures {
    /// When each process was killed.
    killed: Vec<Instant>,
    /// The sums of what `tests/it/events/entry.mjs` measures.
    sums: BTreeMap<String, u64>,
    /// The resident memory at the start and at the end of each process, in KiB.
    memory: Vec<[u64; 2]>,
}

impl Run {
    fn new(seed: u64, events: usize, installations: usize, single: usize) -> Self {
        let plan = Plan::new(seed, events, installations, single);
        let of_event = plan.events.iter().map(|event| event.installation).collect();
        let late = u32::try_from(events / 5_000).expect("a number that fits");
        let target = Target::start(&SECRETS, seed, late, &plan.instances, of_event);
        let wix = Wix::start();
        let values = values_for(&wix).with("EVENTS_URL", &target.url).with("EVENTS_SECRETS", SECRETS.join(","));
        Self {
            plan,
            target,
            kv: Kv::start().expect("a KV"),
            _wix: wix,
            folder: tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder"),
            values,
            lines: Arc::default(),
            url: Mutex::default(),
            ahead: AtomicI64::new(0),
            refused: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            started: Instant::now(),
        }
    }

    fn start(&self, figures: &mut Figures) -> Workerd {
        let ahead = self.ahead.load(Ordering::SeqCst);
        self.target.new_process(ahead);
        let values = self.values.clone().with("CLOCK_OFFSET_SECONDS", ahead.to_string());
        let lines = Arc::clone(&self.lines);
        let objects = Objects { values: &values, kv: &self.kv, folder: self.folder.path() };
        let workerd = objects.start(None, move |line| lines.push(line));
        let url = workerd.url(APP).to_owned();
        request("GET", format!("{url}/readyz")).send().expect(200);
        figures.memory.push([memory(&workerd); 2]);
        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = url;
        workerd
    }

    /// Kills workerd at any moment of its work, moves the clock, and starts it again.
    fn restart(&self, workerd: Workerd, forward: i64, figures: &mut Figures) -> Workerd {
        figures.end(&workerd, &self.url());
        workerd.kill();
        figures.killed.push(Instant::now());
        self.ahead.fetch_add(forward, Ordering::SeqCst);
        self.start(figures)
    }

    fn url(&self) -> String {
        self.url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request again until it is answered 200, as Wix does.
    fn send(&self, agent: &Agent, send: Send) {
        let message = self.plan.message(send, now() + self.ahead.load(Ordering::SeqCst));
        while !self.is_over.load(Ordering::SeqCst) {
            let answer = agent.post(format!("{}/webhook", self.url())).send(message.as_str());
            if answer.is_ok_and(|answer| answer.status() == 200) {
                self.done.fetch_add(1, Ordering::SeqCst);
                return;
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(100));
        }
    }

    fn progress(&self, workerd: &Workerd, killed: usize) {
        let (attempts, delivered) = self.target.counts();
        println!(
            "{:>5.0} s: {} of {} requests, {delivered} of {} events delivered, {attempts} attempts, {killed} kills, {} MiB",
            self.started.elapsed().as_secs_f64(),
            self.done.load(Ordering::SeqCst),
            self.plan.sends.len(),
            self.plan.events.len(),
            memory(workerd) / 1024
        );
    }
}

impl Figures {
    /// Adds what a process did until now.
    fn end(&mut self, workerd: &Workerd, url: &str) {
        if let Some(last) = self.memory.last_mut() {
            last[1] = memory(workerd);
        }
        let measured = request("GET", format!("{url}/objects")).send().expect(200).json();
        for (name, value) in measured.as_object().into_iter().flatten() {
            *self.sums.entry(name.clone()).or_default() += value.as_u64().unwrap_or(0);
        }
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None);
    config.timeout_global(Some(Duration::from_secs(30))).build().into()
}

/// Sends events one at a time to an idle Worker. Prints how long each took until the answer, and until the target had it.
fn measure_latency(run: &Run, count: usize) {
    let (agent, installations) = (agent(), run.plan.instances.len());
    let (mut answers, mut first, mut further) = (Vec::new(), Vec::new(), Vec::new());
    for send in &run.plan.sends[..count] {
        let message = run.plan.message(*send, now());
        let started = Instant::now();
        let answer = agent.post(format!("{}/webhook", run.url())).send(message.as_str()).expect("an answer");
        assert_eq!(answer.status(), 200);
        answers.push(started.elapsed());
        run.done.fetch_add(1, Ordering::SeqCst);
        let came = run.target.wait_for(send.event, Duration::from_mins(1)) - started;
        if send.event < installations { &mut first } else { &mut further }.push(came);
    }
    println!("one event at a time, median and 95 %:");
    print_times("the answer to Wix", answers);
    print_times("at the target, first event of an installation", first);
    print_times("at the target, further events", further);
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!("  {what}: {:.1} ms, {:.1} ms ({} events)", at(50), at(95), times.len());
}

/// Kills workerd `kills` times while the requests are sent. Returns the running process.
fn kill_while_sending(run: &Run, mut workerd: Workerd, kills: usize, seed: u64, figures: &mut Figures) -> Workerd {
    let (begun, total) = (run.done.load(Ordering::SeqCst), run.plan.sends.len());
    let down = (kills * 3 / 5).max(1);
    let mut shown = Instant::now();
    run.target.become_(Mode::Down);
    while run.done.load(Ordering::SeqCst) < total {
        let kill = figures.killed.len();
        // Somewhere in the middle of the requests between two kills.
        let share = mix([seed, kill as u64, 7]) % 500 + 250;
        let thousandths = kill as u64 * 1_000 + share;
        let due = begun + usize::try_from((total - begun) as u64 * thousandths / (kills as u64 * 1_000)).unwrap_or(0);
        if kill < kills && run.done.load(Ordering::SeqCst) >= due {
            let forward = match kill + 1 {
                kill if kill < down => DAY / i64::try_from(down).unwrap_or(1),
                kill if kill == down => DAY / i64::try_from(down).unwrap_or(1) + PAUSE,
                _ => STEP,
            };
            workerd = run.restart(workerd, forward, figures);
            if kill + 1 == down {
                run.target.become_(Mode::Failing);
                println!("{:>5.0} s: the target is up again, and fails at random", run.started.elapsed().as_secs_f64());
            }
        }
        if shown.elapsed() > Duration::from_secs(10) {
            run.progress(&workerd, figures.killed.len());
            shown = Instant::now();
        }
        sleep(Duration::from_millis(20));
    }
    workerd
}

/// Lets everything be delivered: in real time first, and then with the clock moved.
fn finish(run: &Run, mut workerd: Workerd, figures: &mut Figures) -> Workerd {
    let agent = agent();
    run.progress(&workerd, figures.killed.len());
    run.target.become_(Mode::Healthy);
    for round in 0..=ROUNDS {
        if round > 0 {
            workerd = run.restart(workerd, PAUSE, figures);
            // A copy of a delivered event makes the object deliver what is due. A copy of another one would replace it, if
            // it was lost.
            for installation in 0..run.plan.instances.len() {
                let sends =
                    || run.plan.sends.iter().filter(|send| run.plan.events[send.event].installation == installation);
                let is_waiting = sends().any(|send| !run.target.is_delivered(send.event));
                if let Some(send) = sends().find(|send| is_waiting && run.target.is_delivered(send.event)) {
                    run.send(&agent, *send);
                }
            }
        }
        let (until, mut before) = (Instant::now() + Duration::from_mins(2), 0);
        let (mut changed, mut shown) = (Instant::now(), Instant::now());
        while Instant::now() < until {
            let (_, delivered) = run.target.counts();
            if delivered == run.plan.events.len() {
                return workerd;
            }
            if delivered != before {
                (before, changed) = (delivered, Instant::now());
            }
            if changed.elapsed() > Duration::from_secs(2) {
                break;
            }
            if shown.elapsed() > Duration::from_secs(10) {
                run.progress(&workerd, figures.killed.len());
                shown = Instant::now();
            }
            sleep(Duration::from_millis(50));
        }
        run.progress(&workerd, figures.killed.len());
    }
    workerd
}

fn drive(seed: u64, events: usize, installations: usize, kills: usize) {
    let single = (2 * installations).min(events / 10).min(400);
    let run = Run::new(seed, events, installations, single);
    let mut figures = Figures::default();
    let workerd = run.start(&mut figures);
    println!("seed {seed}: {events} events of {installations} installations in {} requests", run.plan.sends.len());
    measure_latency(&run, single);

    let next = AtomicUsize::new(single);
    let workerd = scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let agent = agent();
                while let Some(send) = run.plan.sends.get(next.fetch_add(1, Ordering::SeqCst)) {
                    run.send(&agent, *send);
                }
            });
        }
        // Ends the threads if this fails.
        let over = Over(&run.is_over);
        let workerd = kill_while_sending(&run, workerd, kills, seed, &mut figures);
        std::mem::forget(over);
        workerd
    });
    let in_traffic = figures.killed.len();
    let workerd = finish(&run, workerd, &mut figures);
    // The object stores the last answer.
    sleep(Duration::from_millis(500));
    figures.end(&workerd, &run.url());
    run.progress(&workerd, figures.killed.len());
    report(&run, &figures, in_traffic, workerd);
}

/// Ends the senders when it is dropped, which a panic does.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn report(run: &Run, figures: &Figures, in_traffic: usize, workerd: Workerd) {
    drop(workerd);
    let [delivered, failed, parked] =
        [&run.lines.delivered, &run.lines.failed, &run.lines.parked].map(|count| count.load(Ordering::Relaxed));
    let attempts = run.target.attempts();
    print_line("requests", (run.plan.sends.len(), "sent again", run.refused.load(Ordering::SeqCst)));
    print_line("kills", (in_traffic, "further starts to move the clock", figures.killed.len() - in_traffic));
    print_line("lines of the log", [("delivered", delivered), ("failed", failed), ("parked", parked)]);
    print_line("objects", &figures.sums);
    let of = |index: usize| figures.memory.iter().map(move |of| of[index] / 1024).collect::<Vec<_>>();
    print_line("MiB at the start of each process", of(0));
    print_line("MiB at the end of each process", of(1));
    let errors = run.lines.errors.lock().unwrap_or_else(PoisonError::into_inner);
    print_line("other lines of the log", &*errors);
    let verdict = verdict::judge(&run.plan, &attempts, &figures.killed);
    print_line("verdict", &verdict);
    println!("{:.0} s", run.started.elapsed().as_secs_f64());
    assert_eq!(parked, 0, "no event may be parked before EVENTS_KEEP_HOURS have passed");
}

fn print_line(name: &str, value: impl Debug) {
    println!("{name}: {value:?}");
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number")))
}

#[test]
#[ignore = "cargo xtask deliveries runs it"]
fn a_long_run_loses_no_event() {
    let seed = variable("DELIVERIES_SEED", 1) as u64;
    let events = variable("DELIVERIES_EVENTS", 100_000);
    drive(seed, events, variable("DELIVERIES_INSTALLATIONS", 100), variable("DELIVERIES_KILLS", 20));
}

#[test]
fn a_short_run_loses_no_event() {
    drive(1, 300, 10, 2);
}
