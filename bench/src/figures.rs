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

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn an_outlier_does_not_change_the_median() {
        assert_eq!(Figure::of([4.0, 5.0, 90.0, 6.0, 4.0]), Figure { median: 5.0, spread: 1.0 });
        assert_eq!(Figure::of([1.0, 2.0]), Figure { median: 1.5, spread: 0.5 });
        assert_eq!(Figure::of([]), Figure { median: 0.0, spread: 0.0 });
    }
}
