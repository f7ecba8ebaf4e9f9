//! What was found: as a table for people, as JSON for the next run, and beside what was accepted before.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::figures::Figure;

/// How far a ratio may move by itself, beyond the spread that both runs measured: machines differ.
const TOLERANCE: f64 = 0.05;
/// Spreads that two runs may be apart: three standard errors of the median of five rounds, if they scatter normally.
const SPREADS: f64 = 2.5;

/// Everything.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// On what it ran.
    pub machine: String,
    /// CPU of a request in microseconds, by case.
    pub cpu: BTreeMap<String, Figure>,
    /// Cases beside others.
    pub rows: Vec<Row>,
    /// Bytes.
    pub sizes: BTreeMap<String, u64>,
    /// Requests to Wix and operations on KV, by route: before the answer and in all.
    pub counts: BTreeMap<String, Counts>,
    /// What is asked once: of growth, memory, time.
    pub growth: BTreeMap<String, Figure>,
}

/// A case beside another.
#[derive(Debug, Deserialize, Serialize)]
pub struct Row {
    /// The case.
    pub case: String,
    /// The other.
    pub beside: String,
    /// The ratio, round by round.
    pub ratio: Figure,
    /// The largest ratio that meets the goal.
    pub goal: Option<f64>,
}

/// See [`Report::counts`].
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// When the answer is there.
    pub before: Work,
    /// When the work after it is done as well.
    pub in_all: Work,
}

/// Requests to Wix, and operations on KV.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Work {
    /// Requests to Wix.
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
    /// For people, and as it stands in the documentation: tables in Markdown.
    pub fn print(&self) {
        println!("\nOn {}.\n", self.machine);
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
            println!("\n| {:<30} | Wix | reads, writes, removals, lists before the answer | in all |", "Route");
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

    /// Fails where a ratio is worse than it was, by more than the two runs' own noise, or where counts are others.
    pub fn check(&self, accepted: &Self) -> Result<()> {
        let mut worse = Vec::new();
        for now in &self.rows {
            let Some(then) = accepted.rows.iter().find(|then| then.case == now.case && then.beside == now.beside)
            else {
                continue;
            };
            let noise = SPREADS * now.ratio.spread.hypot(then.ratio.spread) + TOLERANCE * then.ratio.median;
            if now.ratio.median > then.ratio.median + noise {
                worse.push(format!("{} beside {}: {} was {}", now.case, now.beside, now.ratio, then.ratio));
            }
        }
        for (route, now) in &self.counts {
            let Some(then) = accepted.counts.get(route) else { continue };
            // Work after an answer may begin before it is counted.
            if now.in_all != then.in_all || now.before.wix != then.before.wix {
                worse.push(format!("{route}: {now:?} was {then:?}"));
            }
        }
        ensure!(worse.is_empty(), "it costs more than was accepted:\n{}", worse.join("\n"));
        Ok(())
    }
}

impl Work {
    fn show(self) -> String {
        format!("{} {} {} {}", self.reads, self.writes, self.removals, self.lists)
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
