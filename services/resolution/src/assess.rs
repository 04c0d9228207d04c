//! How good a clustering is, from a sample of pairs that a person labelled.
//!
//! Compared pairs are put into strata by their score; within a stratum pairs are drawn by a
//! fixed rule. From the labels of each stratum follow how many of its pairs are one thing
//! (stratified estimation, Cochran, *Sampling Techniques*, 1977), and from all strata precision
//! and recall, with intervals that hold in 95 of 100 samples. Recall is among compared pairs: what
//! blocking never brought together no sample of pairs can show.

/// One stratum of compared pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stratum {
    /// Pairs in it.
    pub pairs: u64,
    /// Whether its pairs are joined by the clustering.
    pub joined: bool,
    /// Labelled pairs.
    pub labelled: u64,
    /// Labelled pairs that are one thing.
    pub same: u64,
}

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The likeliest value.
    pub value: f64,
    /// Lower end of the interval of 95 in 100.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What the labels say.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Assessment {
    /// Share of joined pairs that are one thing.
    pub precision: Estimate,
    /// Share of compared pairs of one thing that are joined.
    pub recall: Estimate,
    /// Labels counted.
    pub labelled: u64,
}

/// 1.96, the normal quantile of intervals of 95 in 100.
const Z: f64 = 1.959_964;

/// Share of a stratum's pairs that are one thing, and the variance of that estimate. Two labels of
/// each kind are added (Agresti and Coull, 1998), so that a stratum without a surprise is not
/// taken to be without error; the variance shrinks with the part of the stratum that is known.
fn share(s: &Stratum) -> (f64, f64) {
    let n = s.labelled as f64;
    let value = if s.labelled == 0 {
        0.5
    } else {
        s.same as f64 / n
    };
    let (n, p) = (n + 4.0, (s.same as f64 + 2.0) / (n + 4.0));
    let unknown = 1.0 - (s.labelled as f64 / (s.pairs.max(1)) as f64).min(1.0);
    (value, p * (1.0 - p) / n * unknown)
}

/// Precision and recall from labelled strata. A stratum nobody labelled counts as half, with an
/// interval as wide as that.
pub fn assess(strata: &[Stratum]) -> Assessment {
    // Pairs of one thing, joined and not, with the variances of both numbers.
    let (mut hit, mut missed, mut joined) = ((0.0, 0.0), (0.0, 0.0), 0.0);
    for s in strata.iter().filter(|s| s.pairs > 0) {
        let (p, v) = share(s);
        let n = s.pairs as f64;
        let side = if s.joined { &mut hit } else { &mut missed };
        side.0 += n * p;
        side.1 += n * n * v;
        if s.joined {
            joined += n;
        }
    }
    let interval = |value: f64, variance: f64| Estimate {
        value,
        low: (value - Z * variance.sqrt()).max(0.0),
        high: (value + Z * variance.sqrt()).min(1.0),
    };
    let precision = if joined > 0.0 {
        interval(hit.0 / joined, hit.1 / (joined * joined))
    } else {
        interval(1.0, 0.0)
    };
    let all: f64 = hit.0 + missed.0;
    let recall = if all > 0.0 {
        // The delta method on hit / (hit + missed).
        let (a, b) = (missed.0 / (all * all), hit.0 / (all * all));
        interval(hit.0 / all, a * a * hit.1 + b * b * missed.1)
    } else {
        interval(1.0, 0.0)
    };
    Assessment {
        precision,
        recall,
        labelled: strata.iter().map(|s| s.labelled).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stratum(pairs: u64, joined: bool, labelled: u64, same: u64) -> Stratum {
        Stratum {
            pairs,
            joined,
            labelled,
            same,
        }
    }

    #[test]
    fn strata_count_by_their_size() {
        let a = assess(&[
            stratum(900, true, 50, 50),
            stratum(100, true, 50, 40),
            stratum(500, false, 50, 10),
        ]);
        assert!((a.precision.value - 0.98).abs() < 1e-9);
        assert!((a.recall.value - 980.0 / 1080.0).abs() < 1e-9);
        assert!(a.precision.low < 0.98 && a.precision.high > 0.98 && a.precision.low > 0.9);
        assert!(a.recall.low < a.recall.value && a.recall.high > a.recall.value);
        assert_eq!(a.labelled, 150);
    }

    #[test]
    fn all_labelled_is_certain_and_none_is_open() {
        let sure = assess(&[stratum(10, true, 10, 9), stratum(10, false, 10, 1)]);
        assert_eq!((sure.precision.low, sure.precision.high), (0.9, 0.9));
        assert_eq!(sure.recall.value, 0.9);
        let open = assess(&[stratum(10, true, 0, 0)]);
        assert!(open.precision.low <= 0.02 && open.precision.high >= 0.98);
        assert_eq!(assess(&[]).precision.value, 1.0);
    }

    /// In 95 of 100 samples the interval holds what is true, or nearly so.
    #[test]
    fn intervals_hold_as_often_as_they_say() {
        let truth = |i: u64| crate::batch::parallel::mix(i) % 100 < 93;
        let all = 20_000_u64;
        let real = (0..all).filter(|i| truth(*i)).count() as f64 / all as f64;
        let mut held = 0;
        for run in 0..400_u64 {
            let drawn = (0..80_u64).map(|k| crate::batch::parallel::mix(run * 1_000 + k) % all);
            let same = drawn.filter(|i| truth(*i)).count() as u64;
            let a = assess(&[stratum(all, true, 80, same)]);
            held += u32::from(a.precision.low <= real && real <= a.precision.high);
        }
        assert!(held >= 370, "{held} of 400");
    }
}
