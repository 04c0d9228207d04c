//! Measuring a clustering against known truth.

use std::collections::{BTreeMap, BTreeSet};

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

/// What a steward who never errs makes of reviews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// How many he was asked: those whose answer follows from earlier ones are not put to him.
    pub asked: usize,
    /// The cluster of every record then.
    pub labels: Vec<usize>,
}

/// Answers reviews in the order given, each of two records, by the truth. `heads` names for every
/// record one that stands for its cluster. What was joined is one customer from then on, and what
/// was kept apart stays apart from all that joins it, so that many answers follow from others.
pub fn reviewed(
    reviews: impl IntoIterator<Item = (usize, usize)>,
    heads: &[usize],
    truth: &[usize],
) -> Reviewed {
    fn root(parent: &mut [usize], mut x: usize) -> usize {
        while parent[x] != x {
            parent[x] = parent[parent[x]];
            x = parent[x];
        }
        x
    }
    let mut parent = heads.to_vec();
    let mut apart: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut asked = 0;
    for (a, b) in reviews {
        let (x, y) = (root(&mut parent, a), root(&mut parent, b));
        if x == y || apart.get(&x).is_some_and(|of| of.contains(&y)) {
            continue;
        }
        asked += 1;
        if truth[a] != truth[b] {
            apart.entry(x).or_default().insert(y);
            apart.entry(y).or_default().insert(x);
            continue;
        }
        // The one with fewer others apart goes, so that few are told of it.
        let others = |x: &usize| apart.get(x).map_or(0, BTreeSet::len);
        let (keep, gone) = if others(&x) < others(&y) {
            (y, x)
        } else {
            (x, y)
        };
        parent[gone] = keep;
        for other in apart.remove(&gone).unwrap_or_default() {
            if let Some(of) = apart.get_mut(&other) {
                of.remove(&gone);
                of.insert(keep);
            }
            apart.entry(keep).or_default().insert(other);
        }
    }
    let labels = (0..heads.len()).map(|x| root(&mut parent, x)).collect();
    Reviewed { asked, labels }
}

/// How many records each cluster, each entity, and each both have.
struct Tables {
    both: Vec<(usize, usize, u64)>,
    clusters: Vec<u64>,
    entities: Vec<u64>,
}

/// Labels as numbers from 0, and how many there are.
fn numbered(labels: &[usize]) -> (Vec<usize>, usize) {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let number = |l: &usize| sorted.binary_search(l).unwrap_or(0);
    (labels.iter().map(number).collect(), sorted.len())
}

fn tables(predicted: &[usize], truth: &[usize]) -> Tables {
    let ((p, n), (e, m)) = (numbered(predicted), numbered(truth));
    let mut t = Tables {
        both: Vec::new(),
        clusters: vec![0; n],
        entities: vec![0; m],
    };
    let mut pairs: Vec<(usize, usize)> = p.into_iter().zip(e).collect();
    pairs.sort_unstable();
    for same in pairs.chunk_by(|x, y| x == y) {
        let (p, e) = same[0];
        t.both.push((p, e, same.len() as u64));
        t.clusters[p] += same.len() as u64;
        t.entities[e] += same.len() as u64;
    }
    t
}

/// Pairwise quality. Both slices give a label per record, in one order of records.
pub fn pairwise(predicted: &[usize], truth: &[usize]) -> Quality {
    let t = tables(predicted, truth);
    let pairs = |n: &u64| (n * (n - 1) / 2) as f64;
    let hit: f64 = t.both.iter().map(|b| pairs(&b.2)).sum();
    let said: f64 = t.clusters.iter().map(pairs).sum();
    let real: f64 = t.entities.iter().map(pairs).sum();
    Quality::of(ratio(hit, said), ratio(hit, real))
}

/// B-cubed quality (Bagga and Baldwin, 1998): precision and recall averaged over records.
pub fn b_cubed(predicted: &[usize], truth: &[usize]) -> Quality {
    let t = tables(predicted, truth);
    let n = predicted.len() as f64;
    let (mut p, mut r) = (0.0, 0.0);
    for &(c, e, k) in &t.both {
        let k = k as f64;
        p += k * k / t.clusters[c] as f64;
        r += k * k / t.entities[e] as f64;
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
    fn a_steward_is_not_asked_what_follows() {
        // Three clusters of one entity, one of another.
        let heads = [0, 0, 2, 3, 4];
        let truth = [7, 7, 7, 7, 8];
        let all = [(1, 2), (2, 4), (0, 4), (2, 3), (0, 3), (3, 4)];
        let done = reviewed(all, &heads, &truth);
        // 0-4 follows from 2-4, 0-3 from 2-3, 3-4 from all of them.
        assert_eq!(done.asked, 3);
        assert_eq!(pairwise(&done.labels, &truth).f1, 1.0);
        // What the engine joined wrongly stays: no review is about it.
        let done = reviewed([(0, 2)], &[0, 0, 2], &[1, 2, 1]);
        assert_eq!((done.asked, done.labels), (1, vec![0, 0, 0]));
        // Kept apart before the join, and told apart after it.
        let done = reviewed([(0, 1), (1, 2), (0, 2)], &[0, 1, 2], &[1, 2, 2]);
        assert_eq!((done.asked, done.labels), (2, vec![0, 1, 1]));
    }

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
