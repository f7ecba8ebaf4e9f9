//! Measured figures with their spread.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The median and the median absolute deviation of several measurements.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The median absolute deviation.
    pub spread: f64,
}

impl Figure {
    /// The figure of measurements in any order; 0 without measurements.
    pub fn of(measurements: impl IntoIterator<Item = f64>) -> Self {
        let measurements: Vec<f64> = measurements.into_iter().collect();
        let middle = median(measurements.clone());
        Self { median: middle, spread: median(measurements.iter().map(|value| (value - middle).abs()).collect()) }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median.abs() < 10.0 { 2 } else { 0 };
        write!(f, "{:.digits$}", self.median)?;
        // A single measurement has no spread.
        if self.spread > 0.0 { write!(f, " ± {:.digits$}", self.spread) } else { Ok(()) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) }
}

/// A ratio with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// The bounds of the interval, at 95 %.
    pub interval: (f64, f64),
}

/// How often the bootstrap draws.
const DRAWS: usize = 1000;

impl Ratio {
    /// The ratio of several starts of the Workers, each with its pairs: the median of the starts' medians. The interval is that
    /// of a bootstrap (Efron) which draws starts, and pairs of each, since the pairs of one start resemble each other.
    pub fn of(starts: &[Vec<f64>]) -> Self {
        let of_starts = |starts: Vec<f64>| median(starts);
        let estimate = of_starts(starts.iter().map(|pairs| median(pairs.clone())).collect());
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut drawn: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let draw = |_| {
                    let pairs = random.choose(starts).map_or(&[][..], Vec::as_slice);
                    median(pairs.iter().filter_map(|_| random.choose(pairs).copied()).collect())
                };
                of_starts((0..starts.len()).map(draw).collect())
            })
            .collect();
        drawn.sort_by(f64::total_cmp);
        let at = |place: usize| drawn.get(place).copied().unwrap_or(estimate);
        Self { median: estimate, interval: (at(DRAWS / 40), at(DRAWS - 1 - DRAWS / 40)) }
    }

    /// Half the width of the interval.
    pub fn half_width(&self) -> f64 {
        (self.interval.1 - self.interval.0) / 2.0
    }
}

/// A xorshift generator (Marsaglia), so that the same measurements give the same interval.
struct Random(u64);

impl Random {
    fn choose<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        of.get(usize::try_from(self.0 >> 33).ok()?.checked_rem(of.len())?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Ratio};

    #[test]
    fn an_outlier_does_not_change_the_median() {
        assert_eq!(Figure::of([4.0, 5.0, 90.0, 6.0, 4.0]), Figure { median: 5.0, spread: 1.0 });
        assert_eq!(Figure::of([1.0, 2.0]), Figure { median: 1.5, spread: 0.5 });
        assert_eq!(Figure::of([]), Figure { median: 0.0, spread: 0.0 });
    }

    #[test]
    fn the_interval_is_as_wide_as_the_starts_differ() {
        let alike = Ratio::of(&[vec![1.0, 1.01, 0.99, 50.0], vec![1.0, 1.0, 1.01, 0.02]]);
        assert!((0.99..=1.01).contains(&alike.median), "{alike:?}");
        let differing = Ratio::of(&[vec![0.9; 20], vec![1.0; 20], vec![1.1; 20]]);
        assert_eq!(differing, Ratio { median: 1.0, interval: (0.9, 1.1) });
        let one = Ratio::of(&[vec![1.2; 20]]);
        assert!(one.half_width() < 1e-9, "{one:?}");
    }
}
