//! That what is said to split a cluster does split it.

use std::collections::BTreeSet;

use jinke_resolution::{Cause, Edge, Judgement, JudgementKind, explain_cluster};
use proptest::prelude::*;

use crate::clustering::{build, cases, judge};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_would_split_a_cluster_splits_it(case in cases(), coarse in any::<bool>()) {
        let (w, mut edges, judgements) = build(&case);
        if coarse {
            // Many links have one score.
            edges.iter_mut().for_each(|e| e.score = w.rules.thresholds.merge - (e.score % 3) * 1_000);
        }
        let c = w.run(&edges, &judgements);
        for (n, members) in c.clusters.iter().enumerate() {
            let e = explain_cluster(&w.nodes(), &edges, &c, n, &w.rules);
            prop_assert_eq!(e.links.len() + 1, members.len());
            let scored = e.links.iter().any(|l| matches!(l.cause, Cause::Score(_)));
            prop_assert_eq!(e.weakest.is_some(), scored);
            let [left, right] = &e.sides;
            if !scored {
                prop_assert!(left.is_empty() && right.is_empty() && e.holding.is_empty());
                continue;
            }
            prop_assert!(!left.is_empty() && !right.is_empty());
            prop_assert_eq!(left.len() + right.len(), members.len());
            let lowest = e.links.iter().filter_map(|l| match l.cause {
                Cause::Score(s) => Some(s),
                Cause::Judgement(_) => None,
            }).min();
            let weakest = e.weakest.clone().expect("a link");
            prop_assert_eq!(lowest.map(Cause::Score), Some(weakest.cause.clone()));
            let ends = BTreeSet::from([weakest.a, weakest.b]);
            prop_assert!(e.holding.iter().any(|h| BTreeSet::from([h.a, h.b]) == ends));
            // The records of the cluster by themselves.
            let own = |e: &&Edge| members.contains(&e.a) && members.contains(&e.b);
            let inner: Vec<Edge> = edges.iter().filter(own).copied().collect();
            let of = |edges: &[Edge], judgements: &[Judgement]| -> Vec<Vec<usize>> {
                let all = w.run(edges, judgements).clusters;
                all.into_iter().filter(|c| c.iter().any(|m| members.contains(m))).collect()
            };
            let mut parted = [left.clone(), right.clone()];
            parted.sort();
            let between = |e: &Edge| left.contains(&e.a) != left.contains(&e.b);
            let without: Vec<Edge> = inner.iter().filter(|e| !between(e)).copied().collect();
            prop_assert_eq!(&of(&without, &judgements)[..], &parted[..]);
            // It is enough that they fall below the merge threshold.
            let fallen: Vec<Edge> = inner.iter().map(|e| Edge {
                score: if between(e) { e.score.min(w.rules.thresholds.merge - 1) } else { e.score },
                ..*e
            }).collect();
            prop_assert_eq!(&of(&fallen, &judgements)[..], &parted[..]);
            // A judgement parts them whoever else is there.
            let told: Vec<Judgement> = judgements.iter().cloned()
                .chain([judge("parting", JudgementKind::Negative, left, right)]).collect();
            let all = w.run(&edges, &told).clusters;
            let some = |c: &[usize], side: &[usize]| c.iter().any(|m| side.contains(m));
            prop_assert!(!all.iter().any(|c| some(c, left) && some(c, right)));
            prop_assert_eq!(&of(&inner, &told)[..], &parted[..]);
        }
    }
}
