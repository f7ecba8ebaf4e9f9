//! Compares two cases: starts their Workers several times, and measures them in turns until the ratio is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Request;
use crate::figures::{Figure, Ratio};
use crate::routes::{Case, Requests};
use crate::slices::{Pair, Side, pair};
use crate::stage::{Running, Stage};
use crate::usage::{Cores, memory};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The cores.
    pub cores: Cores,
    /// The number of warm-up requests after each start.
    pub warm_up: usize,
    /// The number of pairs of slices after each start.
    pub pairs: usize,
    /// How often the Workers are started at least: two processes of one build differ more than two slices of one process.
    pub starts: usize,
    /// The half-width of the confidence interval that is narrow enough, as a part of the ratio.
    pub narrow: f64,
    /// After this time no further start begins.
    pub limit: Duration,
}

/// A case, and the directory of the build if it is wix-edge's.
pub type Of<'a> = (&'a Case, &'a Path);

/// The result of a comparison.
pub struct Compared {
    /// The ratio of the costs.
    pub ratio: Ratio,
    /// The CPU time of a request in microseconds.
    pub cost: Figure,
    /// That of the other case.
    pub beside: Figure,
    /// The part of the pairs that other processes disturbed.
    pub disturbed: f64,
    /// The resident memory of the Workers at the end, by name.
    pub memory: BTreeMap<&'static str, u64>,
}

/// Compares a case with another one.
pub fn compare(stage: &Stage, plan: &Plan, ours: Of<'_>, theirs: Of<'_>) -> Result<Compared> {
    let started = Instant::now();
    let mut starts: Vec<Vec<Pair>> = Vec::new();
    let mut held = BTreeMap::new();
    loop {
        let began = Instant::now();
        let objects = tempfile::Builder::new().prefix("bench-").tempdir()?;
        let start = |(case, build): Of<'_>, folder: &str| -> Result<Running> {
            let folder = objects.path().join(folder);
            fs::create_dir(&folder)?;
            let first = match case.requests {
                Requests::Repeated(_) => case.request(stage)?,
                Requests::Fresh(_) => Request::new("GET", "/healthz", &[], if case.is_ours() { 200 } else { 404 }),
            };
            Cores::pin(&[plan.cores.workers])?;
            let started = stage.start(&stage.worker(case.worker, build, &folder)?, &first);
            Cores::pin(&[plan.cores.client])?;
            Ok(started?.0)
        };
        // The order alternates, so that neither gets the better of two places in memory.
        let (first, second) = if starts.len().is_multiple_of(2) {
            let ours = start(ours, "ours")?;
            (ours, start(theirs, "theirs")?)
        } else {
            let theirs = start(theirs, "theirs")?;
            (start(ours, "ours")?, theirs)
        };
        let mut one = Side::warm_up(stage, &first, ours.0, plan.warm_up)?;
        let mut other = Side::warm_up(stage, &second, theirs.0, plan.warm_up)?;
        one.reconnect()?;
        other.reconnect()?;
        // On a busy machine a start takes long: measuring takes as long then.
        let (warm, took) = (Instant::now(), began.elapsed());
        let mut pairs = Vec::new();
        while pairs.len() < plan.pairs || warm.elapsed() < took {
            pairs.push(pair(stage, plan.cores, pairs.len(), &mut one, &mut other)?);
        }
        starts.push(pairs);
        held.insert(ours.0.worker, memory(&first.ids)?);
        held.insert(theirs.0.worker, memory(&second.ids)?);
        let ratio = Ratio::of(&ratios(&starts));
        let is_enough = starts.len() >= plan.starts && ratio.half_width() <= plan.narrow * ratio.median;
        if is_enough || started.elapsed() >= plan.limit {
            let all = || starts.iter().flatten();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let disturbed = all().filter(|pair| pair.is_disturbed).count() as f64 / all().count().max(1) as f64;
            return Ok(Compared {
                ratio,
                cost: Figure::of(all().map(|pair| pair.cost)),
                beside: Figure::of(all().map(|pair| pair.beside)),
                disturbed,
                memory: held,
            });
        }
    }
}

/// The ratios of the pairs, by start. Disturbed pairs count only where nearly all are disturbed.
fn ratios(starts: &[Vec<Pair>]) -> Vec<Vec<f64>> {
    let all = starts.iter().flatten();
    let is_quiet = all.clone().filter(|pair| !pair.is_disturbed).count() * 4 >= all.count();
    let of_start = |pairs: &Vec<Pair>| {
        pairs.iter().filter(|pair| !is_quiet || !pair.is_disturbed).map(|pair| pair.cost / pair.beside).collect()
    };
    starts.iter().map(of_start).filter(|ratios: &Vec<f64>| !ratios.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Pair, ratios};

    #[test]
    fn disturbed_pairs_count_only_where_few_others_are_left() {
        let pair = |cost, is_disturbed| Pair { cost, beside: 1.0, is_disturbed };
        let quiet = vec![pair(1.0, false), pair(9.0, true), pair(9.0, true)];
        assert_eq!(ratios(&[quiet.clone(), vec![pair(9.0, true)]]), [[1.0]]);
        let busy = vec![pair(9.0, true); 3];
        assert_eq!(ratios(&[busy, quiet]), [vec![9.0; 3], vec![1.0, 9.0, 9.0]]);
    }
}
