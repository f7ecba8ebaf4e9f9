//! Reads, writes and compares the files of the tables.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::is_wanted;
use super::route::Route;

/// A line of a table.
pub struct Line {
    pub route: &'static str,
    /// The step, the failure, the response, the change of the store, the response to the repeated request, and the final
    /// state of the instance if it differs from that without faults.
    pub fields: [String; 6],
}

impl Line {
    /// The line in the format of [`read`].
    pub fn text(&self) -> String {
        normal(self.route, &self.fields.join(" | "))
    }
}

fn normal(route: &str, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    format!("{route} | {}", words.join(" ").trim_end_matches([' ', '|']))
}

/// The normalised lines of a file, each with its route. Empty if `UPDATE_TABLES` is set.
pub fn read(name: &str) -> Vec<String> {
    if std::env::var_os("UPDATE_TABLES").is_some() {
        return Vec::new();
    }
    lines_of(&std::fs::read_to_string(path(name)).unwrap_or_default())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults").join(name)
}

/// Compares the table with its file. If `UPDATE_TABLES` is set, it writes the file first; a person must review it.
pub fn compare(name: &str, mut lines: Vec<Line>, routes: &'static [Route]) {
    let place = |line: &Line| routes.iter().position(|route| route.name == line.route);
    lines.sort_by_cached_key(|line| (place(line), line.fields.clone()));
    let is = written(&lines, routes);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(path(name), &is).expect("a writable file");
    }
    let wanted = std::fs::read_to_string(path(name)).unwrap_or_default();
    #[expect(clippy::print_stdout, reason = "shown with --nocapture")]
    {
        println!("{name}\n{}", counts(&lines));
    }
    let (is, wanted) = (lines_of(&is), lines_of(&wanted));
    let only = |sign, these: &[String], those: &[String]| {
        let only = these.iter().filter(|line| !those.contains(line));
        only.fold(String::new(), |text, line| format!("{text}{sign} {line}\n"))
    };
    let difference = only('-', &wanted, &is) + &only('+', &is, &wanted);
    assert!(difference.is_empty(), "{name} differs from its file:\n{difference}");
}

fn written(lines: &[Line], routes: &[Route]) -> String {
    let width = |field: usize| lines.iter().map(|line| line.fields[field].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    let mut table = String::new();
    for route in routes {
        let lines: Vec<&Line> = lines.iter().filter(|line| line.route == route.name).collect();
        if !lines.is_empty() {
            let _ = writeln!(table, "\n{}: {}; {}", route.name, route.good, route.end);
        }
        for line in lines {
            let cells = line.fields.iter().zip(widths).map(|(field, width)| format!("{field:width$}"));
            let _ = writeln!(table, "  {}", cells.collect::<Vec<_>>().join(" | ").trim_end());
        }
    }
    table
}

/// The normalised lines of the selected routes in a table.
fn lines_of(table: &str) -> Vec<String> {
    let mut route = "";
    let mut lines = Vec::new();
    for line in table.lines() {
        if !line.starts_with(' ') {
            route = line.split(':').next().unwrap_or_default();
        }
        if is_wanted(route) && !line.is_empty() {
            lines.push(normal(route, line));
        }
    }
    lines
}

/// The number of cells for each route and failure, as a Markdown table.
fn counts(lines: &[Line]) -> String {
    let mut failures: Vec<&str> = lines.iter().map(|line| line.fields[1].as_str()).collect();
    failures.sort_unstable();
    failures.dedup();
    let mut routes: Vec<&str> = lines.iter().map(|line| line.route).collect();
    routes.dedup();
    let count = |route: Option<&str>, failure: Option<&str>| {
        let is_of = |line: &&Line| {
            route.is_none_or(|route| line.route == route) && failure.is_none_or(|failure| line.fields[1] == failure)
        };
        lines.iter().filter(is_of).count()
    };
    let mut text = format!("| Route | {} | All |\n|---|{}---|\n", failures.join(" | "), "---|".repeat(failures.len()));
    for route in routes.into_iter().map(Some).chain([None]) {
        let cells: Vec<String> = failures.iter().map(|failure| count(route, Some(failure)).to_string()).collect();
        let _ = writeln!(text, "| {} | {} | {} |", route.unwrap_or("all"), cells.join(" | "), count(route, None));
    }
    text
}
