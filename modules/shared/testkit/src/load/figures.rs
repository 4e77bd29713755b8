//! Figures of a run.

/// In milliseconds, of microseconds in order; 0 of none.
#[must_use]
pub fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    let micros = sorted.get(rank).copied().unwrap_or(0);
    round(f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1_000.0)
}

/// To two places.
#[must_use]
pub fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let micros: Vec<u64> = (1..=100).map(|number| number * 1_000).collect();
        for (percent, expected) in [(50, 50.0), (99, 99.0), (100, 100.0)] {
            assert!((percentile(&micros, percent) - expected).abs() < f64::EPSILON);
        }
        assert!(percentile(&[], 99).abs() < f64::EPSILON);
    }
}
