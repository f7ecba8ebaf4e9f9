//! The results: printed as tables, stored as JSON, and compared with the accepted results.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::figures::Figure;

/// The tolerated increase of a ratio beyond the spread of both runs, since machines differ.
const TOLERANCE: f64 = 0.05;
/// The tolerated distance of two runs in spreads: three standard errors of the median of five normally distributed rounds.
const SPREADS: f64 = 2.5;

/// The results of a run.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// The machine.
    pub machine: String,
    /// The CPU time of a request in microseconds, by case.
    pub cpu: BTreeMap<String, Figure>,
    /// The comparisons.
    pub rows: Vec<Row>,
    /// Sizes in bytes.
    pub sizes: BTreeMap<String, u64>,
    /// Calls to Wix and KV operations, by route.
    pub counts: BTreeMap<String, Counts>,
    /// Growth, memory and start time.
    pub growth: BTreeMap<String, Figure>,
}

/// A comparison of two cases.
#[derive(Debug, Deserialize, Serialize)]
pub struct Row {
    /// The case.
    pub case: String,
    /// The case that it is compared with.
    pub beside: String,
    /// The ratio of their CPU times, from the ratios of each round.
    pub ratio: Figure,
    /// The largest ratio that meets the goal.
    pub goal: Option<f64>,
}

/// The work of a request.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Before the response.
    pub before: Work,
    /// With deferred tasks.
    pub in_all: Work,
}

/// Numbers of calls to Wix and of KV operations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Work {
    /// Calls to Wix.
    pub wix: u64,
    /// Values read.
    pub reads: u64,
    /// Values written.
    pub writes: u64,
    /// Values removed.
    pub removals: u64,
    /// Pages listed.
    pub lists: u64,
}

impl Report {
    /// Prints the results as Markdown tables, for the documentation too.
    pub fn print(&self) {
        println!("\nMachine: {}\n", self.machine);
        println!(
            "| {:<20} | {:>6} | {:<48} | {:>6} | {:>12} | {:<15} |",
            "Case", "µs", "beside", "µs", "ratio", "goal"
        );
        println!("|---|---|---|---|---|---|");
        let median = |case: &str| self.cpu.get(case).map_or(String::new(), |figure| format!("{:.0}", figure.median));
        for row in &self.rows {
            let goal = row.goal.map_or(String::new(), |goal| {
                let met = if row.ratio.median <= goal { "met" } else { "not met" };
                format!("≤ {goal:.2}: {met}")
            });
            let (case, beside) = (&row.case, &row.beside);
            let (ours, theirs, ratio) = (median(case), median(beside), row.ratio.to_string());
            println!("| {case:<20} | {ours:>6} | {beside:<48} | {theirs:>6} | {ratio:>12} | {goal:<15} |");
        }
        if !self.counts.is_empty() {
            println!("\n| {:<30} | Wix | Reads, writes, removals, lists before the response | With tasks |", "Route");
            println!("|---|---|---|---|");
        }
        for (route, counts) in &self.counts {
            println!("| {route:<30} | {} | {} | {} |", counts.before.wix, counts.before.show(), counts.in_all.show());
        }
        println!("\n| | |\n|---|---|");
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        for (name, bytes) in &self.sizes {
            println!("| {name}, kB | {:.0} |", *bytes as f64 / 1000.0);
        }
        for (name, figure) in &self.growth {
            println!("| {name} | {figure} |");
        }
    }

    /// Fails if a ratio exceeds the accepted one by more than the noise of both runs, or if a count differs.
    pub fn check(&self, accepted: &Self) -> Result<()> {
        let mut worse = Vec::new();
        for now in &self.rows {
            let Some(then) = accepted.rows.iter().find(|then| then.case == now.case && then.beside == now.beside)
            else {
                continue;
            };
            let noise = SPREADS * now.ratio.spread.hypot(then.ratio.spread) + TOLERANCE * then.ratio.median;
            if now.ratio.median > then.ratio.median + noise {
                worse.push(format!("{} / {}: {}, accepted {}", now.case, now.beside, now.ratio, then.ratio));
            }
        }
        for (route, now) in &self.counts {
            let Some(then) = accepted.counts.get(route) else { continue };
            // `before` varies in KV operations, since deferred tasks may start before the count.
            if now.in_all != then.in_all || now.before.wix != then.before.wix {
                worse.push(format!("{route}: {now:?}, accepted {then:?}"));
            }
        }
        ensure!(worse.is_empty(), "the costs exceed the accepted results:\n{}", worse.join("\n"));
        Ok(())
    }
}

impl Work {
    fn show(self) -> String {
        format!("{} {} {} {}", self.reads, self.writes, self.removals, self.lists)
    }
}

#[cfg(test)]
mod tests;
