//! What a request costs that waits for another request's call to Wix.

use std::thread;

use anyhow::{Result, anyhow};

use crate::client::{self, Request};
use crate::figures::Figure;
use crate::report::{Report, Row};
use crate::routes::{Kind, token};
use crate::stage::{Running, Stage};
use crate::usage::{Cores, cpu};

/// How many requests wait at once, each for another instance's token.
const WAITING: usize = 20;
/// The goal, in milliseconds.
const GOAL: f64 = 2.0;

/// Measures tokens of instances for which Wix takes five seconds, with one request for each and with two.
pub fn waiting(stage: &Stage, cores: Cores, rounds: usize, report: &mut Report) -> Result<()> {
    Cores::pin(&[cores.workers])?;
    let edge = stage.start(&stage.edge()?, &Request::new("GET", "/healthz", &[], 200));
    Cores::pin(&[cores.client])?;
    let (edge, _) = edge?;
    client::many(&edge.url, &[token(&crate::stage::instance(0))], 1_000)?;
    let slow = stage.seed_slow(2 * rounds * WAITING);
    let mut instances = slow.chunks(WAITING);
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let mut cost = |each| at_once(&edge, instances.next().unwrap_or_default(), each);
        let (alone, with_waiting) = (cost(1)?, cost(2)?);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        costs.push((with_waiting - alone) / WAITING as f64);
    }
    let (case, beside) = ("waiting 5 s for another request's call to Wix", "2 ms of CPU");
    let ratio = Figure::of(costs.iter().map(|millis| millis / GOAL));
    let limit = GOAL * 1_000.0;
    let costs = Some((ratio.median * limit, limit));
    report.rows.push(Row { costs, ..Row::new(case, beside, Kind::Limit, Some(1.0), ratio) });
    Ok(())
}

/// Asks for the tokens of instances, `each` times at once. Returns the CPU time in milliseconds.
fn at_once(edge: &Running, instances: &[String], each: usize) -> Result<f64> {
    let before = cpu(&edge.ids)?;
    thread::scope(|scope| {
        let ask = |id: &String| {
            let request = token(id);
            scope.spawn(move || client::one(&edge.url, &request).map(|_| ()))
        };
        let threads: Vec<_> = instances.iter().flat_map(|id| std::iter::repeat_n(id, each)).map(ask).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let millis = (cpu(&edge.ids)? - before) as f64 / 1e6;
    Ok(millis)
}
