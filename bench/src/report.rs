//! The results: printed as tables, stored as JSON, and compared with the accepted results.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::figures::{Figure, Ratio};
use crate::routes::Kind;

/// The tolerated increase of a ratio beyond the spread of both runs, since machines differ.
const TOLERANCE: f64 = 0.05;
/// The tolerated distance of two runs in spreads, each of which is half an interval at 95 %.
const SPREADS: f64 = 1.5;

/// The results of a run.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// The machine.
    pub machine: String,
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
    /// The ratio of their CPU times, from pairs of slices. Its spread is half the confidence interval.
    pub ratio: Figure,
    /// The largest ratio that meets the goal.
    pub goal: Option<f64>,
    /// What the comparison says.
    #[serde(default = "Kind::lower_bound")]
    pub kind: Kind,
    /// The CPU time of a request of each, in microseconds, from the same slices.
    #[serde(default)]
    pub costs: Option<(f64, f64)>,
    /// The confidence interval of the ratio, at 95 %.
    #[serde(default)]
    pub interval: Option<(f64, f64)>,
    /// The part of the slices that other processes disturbed.
    #[serde(default)]
    pub disturbed: Option<f64>,
    /// Whether the interval is as narrow as it should be.
    #[serde(default)]
    pub is_narrow: Option<bool>,
}

impl Row {
    /// A row without an interval.
    pub fn new(case: &str, beside: &str, kind: Kind, goal: Option<f64>, ratio: Figure) -> Self {
        let (case, beside) = (case.to_owned(), beside.to_owned());
        Self { case, beside, ratio, goal, kind, costs: None, interval: None, disturbed: None, is_narrow: None }
    }

    /// A row of a ratio with its interval.
    pub fn with_interval(case: &str, beside: &str, kind: Kind, goal: Option<f64>, ratio: Ratio) -> Self {
        let figure = Figure { median: ratio.median, spread: ratio.half_width() };
        Self { interval: Some(ratio.interval), ..Self::new(case, beside, kind, goal, figure) }
    }

    /// The ratio, with what makes it uncertain.
    pub fn text(&self) -> String {
        let mut text = self.ratio.to_string();
        if self.is_narrow == Some(false) {
            text.push_str(" (not narrow)");
        }
        if let Some(disturbed) = self.disturbed.filter(|part| *part >= 0.1) {
            let _ = write!(text, " ({:.0} % disturbed)", disturbed * 100.0);
        }
        text
    }
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
        println!("| Case | µs | peer | µs | work | ratio | goal |\n|---|---|---|---|---|---|---|");
        for row in &self.rows {
            let goal = row.goal.map_or(String::new(), |goal| {
                let met = if row.ratio.median <= goal { "met" } else { "not met" };
                format!("≤ {goal:.2}: {met}")
            });
            let (case, beside) = (&row.case, row.beside.trim_end_matches(", same work"));
            let (ours, theirs) = row
                .costs
                .map_or_else(Default::default, |(ours, theirs)| (format!("{ours:.0}"), format!("{theirs:.0}")));
            let (work, ratio) = (row.kind.text(), row.text());
            println!("| {case} | {ours} | {beside} | {theirs} | {work} | {ratio} | {goal} |");
        }
        if !self.counts.is_empty() {
            println!("\n| Route | calls to Wix | reads, writes, deletes, lists before the response | in all |");
            println!("|---|---|---|---|");
        }
        for (route, counts) in &self.counts {
            println!("| {route} | {} | {} | {} |", counts.before.wix, counts.before.show(), counts.in_all.show());
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

    /// Fails if a ratio exceeds the accepted one by more than the noise of both runs, if it was never accepted, or if a count
    /// differs.
    pub fn check(&self, accepted: &Self) -> Result<()> {
        let mut worse = Vec::new();
        for now in &self.rows {
            let Some(then) = accepted.rows.iter().find(|then| then.case == now.case && then.beside == now.beside)
            else {
                worse.push(format!("{} / {}: {}, never accepted", now.case, now.beside, now.ratio));
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
