//! Measuring a clustering against known truth.

use std::collections::BTreeMap;

/// Precision, recall and F1, for reports only: no decision uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Share of what was joined that belongs together.
    pub precision: f64,
    /// Share of what belongs together that was joined.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl Quality {
    fn of(precision: f64, recall: f64) -> Self {
        let sum = precision + recall;
        Self {
            precision,
            recall,
            f1: if sum > 0.0 {
                2.0 * precision * recall / sum
            } else {
                0.0
            },
        }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

/// Sizes of (cluster, entity) intersections, of clusters, and of entities.
type Tables = (
    BTreeMap<(usize, usize), u64>,
    BTreeMap<usize, u64>,
    BTreeMap<usize, u64>,
);

fn tables(predicted: &[usize], truth: &[usize]) -> Tables {
    let mut t: Tables = Default::default();
    for (&p, &e) in predicted.iter().zip(truth) {
        *t.0.entry((p, e)).or_default() += 1;
        *t.1.entry(p).or_default() += 1;
        *t.2.entry(e).or_default() += 1;
    }
    t
}

/// Pairwise quality. Both slices give a label per record, in one order of records.
pub fn pairwise(predicted: &[usize], truth: &[usize]) -> Quality {
    let (both, clusters, entities) = tables(predicted, truth);
    let pairs = |n: &u64| (n * (n - 1) / 2) as f64;
    let hit: f64 = both.values().map(pairs).sum();
    let said: f64 = clusters.values().map(pairs).sum();
    let real: f64 = entities.values().map(pairs).sum();
    Quality::of(ratio(hit, said), ratio(hit, real))
}

/// B-cubed quality (Bagga and Baldwin, 1998): precision and recall averaged over records.
pub fn b_cubed(predicted: &[usize], truth: &[usize]) -> Quality {
    let (both, clusters, entities) = tables(predicted, truth);
    let n = predicted.len() as f64;
    let (mut p, mut r) = (0.0, 0.0);
    for (&(c, e), &k) in &both {
        let k = k as f64;
        p += k * k / clusters[&c] as f64;
        r += k * k / entities[&e] as f64;
    }
    Quality::of(ratio(p, n), ratio(r, n))
}

/// Labels per record from clusters given as lists of indices.
pub fn labels(clusters: &[Vec<usize>], records: usize) -> Vec<usize> {
    let mut out = vec![usize::MAX; records];
    for (label, members) in clusters.iter().enumerate() {
        for &m in members {
            out[m] = label;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_pairs_and_records() {
        // Truth {0,1,2} {3}; predicted {0,1} {2,3}.
        let truth = [0, 0, 0, 1];
        let predicted = labels(&[vec![0, 1], vec![2, 3]], 4);
        let p = pairwise(&predicted, &truth);
        assert_eq!((p.precision, p.recall), (0.5, 1.0 / 3.0));
        let b = b_cubed(&predicted, &truth);
        // Precision per record 1, 1, 1/2, 1/2; recall 2/3, 2/3, 1/3, 1.
        assert!((b.precision - 0.75).abs() < 1e-9);
        assert!((b.recall - 2.0 / 3.0).abs() < 1e-9);
        assert!((pairwise(&truth, &truth).f1 - 1.0).abs() < 1e-9);
    }
}
