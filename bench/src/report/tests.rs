use super::{Counts, Report, Row, Work};
use crate::figures::Figure;
use crate::routes::Kind;

fn report(median: f64, spread: f64, writes: u64) -> Report {
    let ratio = Figure { median, spread };
    let work = Work { wix: 0, reads: 1, writes, removals: 0, lists: 0 };
    Report {
        rows: vec![Row::new("a", "b", Kind::SameWork, None, ratio)],
        counts: [("r".to_owned(), Counts { before: work, in_all: work })].into(),
        ..Report::default()
    }
}

#[test]
fn an_increase_within_the_noise_passes_and_a_larger_one_fails() {
    let accepted = report(1.0, 0.01, 3);
    assert!(report(1.05, 0.01, 3).check(&accepted).is_ok());
    assert!(report(0.5, 0.01, 3).check(&accepted).is_ok(), "a decrease passes");
    let lost = report(1.2, 0.01, 3).check(&accepted).expect_err("an increase by a fifth").to_string();
    assert!(lost.contains("a / b: 1.20 ± 0.01, accepted 1.00 ± 0.01"), "{lost}");
    assert!(report(1.2, 0.11, 3).check(&accepted).is_ok(), "a larger spread tolerates the increase");
    let unknown = report(1.0, 0.01, 3).check(&Report { counts: accepted.counts, ..Report::default() });
    assert!(unknown.expect_err("a new comparison").to_string().contains("a / b: 1.00 ± 0.01, never accepted"));
}

#[test]
fn a_different_count_fails() {
    assert!(report(1.0, 0.01, 4).check(&report(1.0, 0.01, 3)).is_err());
}
