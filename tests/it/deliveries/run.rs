//! The processes of a run: workerd, which is killed and started again, the target, and the requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use ureq::Agent;
use workerd::{Kv, Workerd};

use super::plan::{Plan, Send};
use super::target::Target;
use crate::events::SECRETS;
use crate::harness::{APP, Objects, Values, Wix, memory, now, request, values_for};

/// The lines of the Worker's log by their outcome.
#[derive(Default)]
pub struct Lines {
    pub delivered: AtomicU64,
    pub failed: AtomicU64,
    pub parked: AtomicU64,
    pub errors: Mutex<Vec<String>>,
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
pub struct Run {
    pub plan: Plan,
    pub target: Target,
    kv: Kv,
    _wix: Wix,
    folder: TempDir,
    values: Values,
    pub lines: Arc<Lines>,
    /// The address of the Worker; it differs between processes.
    url: Mutex<String>,
    /// By how many seconds the Worker's clock is ahead.
    ahead: AtomicI64,
    /// Requests that were not answered 200, and sent again.
    pub refused: AtomicUsize,
    pub done: AtomicUsize,
    pub is_over: AtomicBool,
    pub started: Instant,
}

/// What the processes did.
#[derive(Default)]
pub struct Figures {
    /// When each process was killed.
    pub killed: Vec<Instant>,
    /// The sums of what `tests/it/events/entry.mjs` measures.
    pub sums: BTreeMap<String, u64>,
    /// The resident memory at the start and at the end of each process, in KiB.
    pub memory: Vec<[u64; 2]>,
}

impl Run {
    pub fn new(seed: u64, events: usize, installations: usize, single: usize) -> Self {
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

    pub fn start(&self, figures: &mut Figures) -> Workerd {
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
    pub fn restart(&self, workerd: Workerd, forward: i64, figures: &mut Figures) -> Workerd {
        figures.end(&workerd, &self.url());
        workerd.kill();
        figures.killed.push(Instant::now());
        self.ahead.fetch_add(forward, Ordering::SeqCst);
        self.start(figures)
    }

    pub fn url(&self) -> String {
        self.url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request again until it is answered 200, as Wix does.
    pub fn send(&self, agent: &Agent, send: Send) {
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

    pub fn progress(&self, workerd: &Workerd, killed: usize) {
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
    pub fn end(&mut self, workerd: &Workerd, url: &str) {
        if let Some(last) = self.memory.last_mut() {
            last[1] = memory(workerd);
        }
        let measured = request("GET", format!("{url}/objects")).send().expect(200).json();
        for (name, value) in measured.as_object().into_iter().flatten() {
            *self.sums.entry(name.clone()).or_default() += value.as_u64().unwrap_or(0);
        }
    }
}

pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None);
    config.timeout_global(Some(Duration::from_secs(30))).build().into()
}
