//! Measures two Workers in turns, in slices so short that other load on the machine affects both alike.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::client::{Amount, Client, Request};
use crate::routes::{Case, Requests};
use crate::stage::{EVENTS, Running, Stage};
use crate::usage::{Cores, cpu, own_cpu};

/// The length of a slice. Pairs of longer ones differ as much, so that more of them are needed.
const SLICE: Duration = Duration::from_millis(30);
/// The number of events in a slice whose events are delivered.
const EVENTS_IN_A_SLICE: usize = 24;
/// How long the events of a slice may take.
const DELIVERY_LIMIT: Duration = Duration::from_mins(1);
/// What a Worker with objects does after the target's answer: it notes that the event was delivered.
const AFTER_DELIVERY: Duration = Duration::from_millis(15);
/// The share of a slice, and the resolution of `/proc/stat` on two cores, that other processes may use.
const UNDISTURBED: f64 = 0.05;
const RESOLUTION: Duration = Duration::from_millis(20);

/// Two adjacent slices, one of each Worker.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The CPU time of a request in microseconds.
    pub cost: f64,
    /// That of the other Worker.
    pub beside: f64,
    /// Whether other processes used the cores meanwhile.
    pub is_disturbed: bool,
}

/// A Worker with the requests of a case.
pub struct Side<'a> {
    worker: &'a Running,
    case: &'a Case,
    client: Client,
}

impl<'a> Side<'a> {
    /// Warms the Worker up with so many requests: the runtime optimises hot code.
    pub fn warm_up(stage: &Stage, worker: &'a Running, case: &'a Case, count: usize) -> Result<Self> {
        let mut side = Self { worker, case, client: Client::open(&worker.url)? };
        match &case.requests {
            Requests::Repeated(requests) => {
                let count = (count * case.of_a_thousand / 1000).max(4);
                side.client.send(requests, Amount::Count(count))?;
            }
            Requests::Fresh(_) => {
                for _ in 0..(count * case.of_a_thousand / 1000).div_ceil(EVENTS_IN_A_SLICE) {
                    side.slice(stage)?;
                }
            }
        }
        Ok(side)
    }

    /// Opens the connections anew: the runtime closes idle ones.
    pub fn reconnect(&mut self) -> Result<()> {
        self.client = Client::open(&self.worker.url)?;
        Ok(())
    }

    /// Sends requests for the time of a slice. Returns the CPU time of each in microseconds.
    pub fn slice(&mut self, stage: &Stage) -> Result<f64> {
        let ids = &self.worker.ids;
        let (before, count) = match &self.case.requests {
            Requests::Repeated(requests) => {
                let before = cpu(ids)?;
                (before, self.client.send(requests, Amount::For(SLICE))?)
            }
            Requests::Fresh(make) => {
                let requests: Vec<Request> = (0..EVENTS_IN_A_SLICE).map(|_| make(stage)).collect::<Result<_>>()?;
                let wanted = stage.upstream.count(EVENTS) + EVENTS_IN_A_SLICE as u64;
                let before = cpu(ids)?;
                let count = self.client.send(&requests, Amount::Count(EVENTS_IN_A_SLICE))?;
                let until = Instant::now() + DELIVERY_LIMIT;
                while stage.upstream.count(EVENTS) < wanted {
                    ensure!(Instant::now() < until, "all events must be delivered");
                    sleep(Duration::from_millis(1));
                }
                sleep(AFTER_DELIVERY);
                (before, count)
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let cost = (cpu(ids)? - before) as f64 / count as f64 / 1000.0;
        Ok(cost)
    }
}

/// Measures one slice of each Worker; `number` decides which comes first, so that a trend favours neither.
pub fn pair(stage: &Stage, cores: Cores, number: usize, ours: &mut Side<'_>, theirs: &mut Side<'_>) -> Result<Pair> {
    let of_workers = |ours: &Side<'_>, theirs: &Side<'_>| -> Result<Duration> {
        Ok(Duration::from_nanos(cpu(&ours.worker.ids)? + cpu(&theirs.worker.ids)?) + own_cpu())
    };
    let (started, busy, used) = (Instant::now(), cores.busy()?, of_workers(ours, theirs)?);
    let (cost, beside) = if number.is_multiple_of(2) {
        let cost = ours.slice(stage)?;
        (cost, theirs.slice(stage)?)
    } else {
        let beside = theirs.slice(stage)?;
        (ours.slice(stage)?, beside)
    };
    let used = of_workers(ours, theirs)?.saturating_sub(used);
    let others = cores.busy()?.saturating_sub(busy).saturating_sub(used);
    let allowed = started.elapsed().mul_f64(2.0 * UNDISTURBED) + RESOLUTION;
    Ok(Pair { cost, beside, is_disturbed: others > allowed })
}
