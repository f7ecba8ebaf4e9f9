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
mod run;
mod target;
mod verdict;

use std::fmt::Debug;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use workerd::Workerd;

use self::plan::mix;
use self::run::{Figures, Run, agent};
use self::target::Mode;
use crate::harness::now;

const THREADS: usize = 8;
const DAY: i64 = 86_400;
/// After the target is up again, the clock is moved by this much with each further kill, in seconds: an event that failed
/// before may then be passed.
const STEP: i64 = 20 * 60;
/// Longer than the longest pause between two attempts, in seconds.
const PAUSE: i64 = 5_000;
/// How often the clock is moved at the end, so that events with a long pause are delivered.
const ROUNDS: usize = 6;

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
    run.target.set_mode(Mode::Down);
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
                run.target.set_mode(Mode::Failing);
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
    run.target.set_mode(Mode::Healthy);
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
