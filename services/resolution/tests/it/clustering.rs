//! Clustering: precedence, paths, bridges; and its laws under random input.

use std::collections::BTreeSet;

use jinke_resolution::{
    Cause, Clustering, Edge, Judgement, JudgementKind, Node, Reason, RuleSet, Standardized,
    check_positive, cluster, explain_cluster, standardize,
};
use jinke_types::{PartyKind, RecordKey, Timestamp, Value};
use proptest::prelude::*;

use crate::words::USCC;

const POSITIVE: JudgementKind = JudgementKind::Positive {
    overrides_exclusivity: false,
};
const OVERRIDING: JudgementKind = JudgementKind::Positive {
    overrides_exclusivity: true,
};

pub struct World {
    pub keys: Vec<RecordKey>,
    std: Vec<Standardized>,
    pub rules: RuleSet,
}

impl World {
    /// One record per entry, holding that credit code or none.
    pub fn new(codes: &[Option<usize>]) -> Self {
        let rules = RuleSet::organization();
        let of = |c: &Option<usize>| {
            c.map(|i| Value::identifier("uscc", USCC[i]))
                .into_iter()
                .collect::<Vec<_>>()
        };
        Self {
            keys: (0..codes.len())
                .map(|i| RecordKey::new("s", format!("{i:02}")))
                .collect(),
            std: codes
                .iter()
                .map(|c| standardize(PartyKind::Organization, &of(c), &rules))
                .collect(),
            rules,
        }
    }
    pub fn nodes(&self) -> Vec<Node<'_>> {
        self.keys
            .iter()
            .zip(&self.std)
            .map(|(key, std)| Node { key, std })
            .collect()
    }
    pub fn run(&self, edges: &[Edge], judgements: &[Judgement]) -> Clustering {
        cluster(&self.nodes(), edges, judgements, &self.rules)
    }
    /// An edge `above` milli-bits over the merge threshold.
    pub fn edge(&self, a: usize, b: usize, above: i32) -> Edge {
        Edge {
            a,
            b,
            score: self.rules.thresholds.merge + above,
        }
    }
}

pub fn judge(id: &str, kind: JudgementKind, left: &[usize], right: &[usize]) -> Judgement {
    let keys = |list: &[usize]| {
        list.iter()
            .map(|i| RecordKey::new("s", format!("{i:02}")))
            .collect()
    };
    Judgement {
        id: id.into(),
        kind,
        left: keys(left),
        right: keys(right),
    }
}

#[test]
fn scores_join_from_the_highest() {
    let w = World::new(&[None; 4]);
    let edges = [w.edge(0, 1, 5), w.edge(1, 2, 0), w.edge(2, 3, -1)];
    let c = w.run(&edges, &[]);
    assert_eq!(c.clusters, [vec![0, 1, 2], vec![3]]);
    assert_eq!(c.reviews.len(), 1);
    assert_eq!(c.reviews[0].reason, None);
    let e = explain_cluster(&w.nodes(), &edges, &c, 0, &w.rules);
    assert_eq!(
        e.weakest.map(|l| l.cause),
        Some(Cause::Score(w.rules.thresholds.merge))
    );
    assert_eq!(e.supporting.len(), 2);
}

#[test]
fn a_negative_judgement_holds_along_every_path() {
    let w = World::new(&[None; 3]);
    let edges = [w.edge(0, 1, 9000), w.edge(1, 2, 5000)];
    let c = w.run(&edges, &[judge("n", JudgementKind::Negative, &[0], &[2])]);
    assert_eq!(c.clusters, [vec![0, 1], vec![2]]);
    assert!(
        c.reviews.is_empty(),
        "what a judgement settled is not asked again"
    );
}

#[test]
fn exclusive_identifiers_hold_along_every_path() {
    let w = World::new(&[Some(0), None, Some(1)]);
    let c = w.run(&[w.edge(0, 1, 5000), w.edge(1, 2, 9000)], &[]);
    assert_eq!(c.clusters, [vec![0], vec![1, 2]]);
    assert!(
        matches!(&c.reviews[0].reason, Some(Reason::Exclusive { scheme, left: 0, right: 2 }) if scheme == "uscc")
    );
}

#[test]
fn precedence_is_negative_overriding_exclusive_positive() {
    let w = World::new(&[Some(0), Some(1), None]);
    let positive = judge("p", POSITIVE, &[0], &[1]);
    let c = w.run(&[], std::slice::from_ref(&positive));
    assert_eq!(c.suspended.len(), 1);
    assert_eq!(c.suspended[0].path, [0, 1]);
    let c = w.run(&[w.edge(1, 2, 0)], &[judge("o", OVERRIDING, &[0], &[1])]);
    assert_eq!(c.clusters, [vec![0, 1, 2]]);
    let both = [
        judge("o", OVERRIDING, &[0], &[1]),
        judge("n", JudgementKind::Negative, &[1], &[0]),
    ];
    let c = w.run(&[], &both);
    assert_eq!(c.clusters.len(), 3);
    assert!(
        matches!(&c.suspended[0].reason, Reason::Negative { judgement, .. } if judgement == "n")
    );
}

#[test]
fn a_positive_judgement_holds_below_every_threshold() {
    let w = World::new(&[None; 3]);
    let c = w.run(&[], &[judge("p", POSITIVE, &[0, 2], &[1])]);
    assert_eq!(c.clusters, [vec![0, 1, 2]]);
    assert!(
        c.links
            .iter()
            .all(|l| l.cause == Cause::Judgement("p".into()))
    );
}

#[test]
fn a_positive_that_cannot_hold_is_told_with_its_path() {
    let w = World::new(&[Some(0), None, None, Some(1)]);
    let old = [
        judge("a", POSITIVE, &[0], &[1]),
        judge("b", POSITIVE, &[2], &[3]),
    ];
    // It joins 1 and 2, in the middle of 0-1 and 2-3. The order of judgements is that of
    // their records, so the one with the greatest records is tried last.
    let new = judge("c", POSITIVE, &[1], &[2]);
    let all: Vec<Judgement> = old.iter().cloned().chain([new.clone()]).collect();
    let suspended = w.run(&[], &all).suspended;
    assert_eq!(suspended.len(), 1);
    assert_eq!(suspended[0].path.len(), 4);
    let found = check_positive(&w.nodes(), &[], &old, &new, &w.rules);
    let obstacle = found.expect_err("two credit codes");
    assert!(matches!(&obstacle.reason, Reason::Exclusive { scheme, .. } if scheme == "uscc"));
    assert_eq!(obstacle.path, [0, 1, 2, 3]);
    // One that overrides goes first, but the codes are not its records': an older one gives way.
    let overriding = Judgement {
        kind: OVERRIDING,
        ..new
    };
    let found = check_positive(&w.nodes(), &[], &old, &overriding, &w.rules);
    let obstacle = found.expect_err("b is suspended");
    assert_eq!(obstacle.judgement, "c");
    assert_eq!(obstacle.path, [0, 1, 2, 3]);
    let overriding = judge("c", OVERRIDING, &[0], &[3]);
    assert_eq!(
        check_positive(&w.nodes(), &[], &old, &overriding, &w.rules),
        Ok(())
    );
}

#[test]
fn a_positive_that_would_part_others_is_told_with_its_path() {
    let w = World::new(&[Some(0), None, Some(1)]);
    let edges = [w.edge(0, 1, 100)];
    let new = judge("p", POSITIVE, &[1], &[2]);
    // It holds, and 1 leaves 0 for it.
    let c = w.run(&edges, std::slice::from_ref(&new));
    assert_eq!(c.suspended, []);
    assert_eq!(c.clusters, [vec![0], vec![1, 2]]);
    let found = check_positive(&w.nodes(), &edges, &[], &new, &w.rules);
    let obstacle = found.expect_err("0 and 1 part");
    assert!(matches!(
        &obstacle.reason,
        Reason::Exclusive {
            left: 0,
            right: 2,
            ..
        }
    ));
    assert_eq!(obstacle.path, [0, 1, 2]);
    let apart = [judge("n", JudgementKind::Negative, &[0], &[2])];
    let found = check_positive(&w.nodes(), &edges, &apart, &new, &w.rules);
    let obstacle = found.expect_err("0 and 1 part");
    assert!(matches!(&obstacle.reason, Reason::Negative { judgement, .. } if judgement == "n"));
}

#[test]
fn validity_that_does_not_overlap_is_no_conflict() {
    let rules = RuleSet::organization();
    let mut old = Value::identifier("uscc", USCC[0]);
    old.valid_to = Some(Timestamp::from_secs(100));
    let mut new = Value::identifier("uscc", USCC[1]);
    new.valid_from = Some(Timestamp::from_secs(100));
    let keys = [RecordKey::new("s", "0"), RecordKey::new("s", "1")];
    let run = |a: &Value, b: &Value| {
        let std =
            [a, b].map(|v| standardize(PartyKind::Organization, std::slice::from_ref(v), &rules));
        let nodes: Vec<Node<'_>> = keys
            .iter()
            .zip(&std)
            .map(|(key, std)| Node { key, std })
            .collect();
        cluster(
            &nodes,
            &[Edge {
                a: 0,
                b: 1,
                score: 99_000,
            }],
            &[],
            &rules,
        )
        .clusters
        .len()
    };
    assert_eq!(run(&old, &new), 1);
    new.valid_from = Some(Timestamp::from_secs(99));
    assert_eq!(run(&old, &new), 2);
}

#[test]
fn a_weak_bridge_does_not_join_two_dense_groups() {
    let w = World::new(&[None; 6]);
    let mut edges: Vec<Edge> = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]
        .iter()
        .map(|&(a, b)| w.edge(a, b, 9000))
        .collect();
    edges.push(w.edge(2, 3, 100));
    let c = w.run(&edges, &[]);
    assert_eq!(c.clusters, [vec![0, 1, 2], vec![3, 4, 5]]);
    assert_eq!(c.reviews[0].reason, Some(Reason::WeakBridge));
    // A second pair from the same node is the same bridge; one without a node in common is not.
    edges.push(w.edge(2, 4, 50));
    assert_eq!(w.run(&edges, &[]).clusters.len(), 2);
    edges.push(w.edge(0, 5, 50));
    assert_eq!(w.run(&edges, &[]).clusters.len(), 1);
}

#[test]
fn what_people_joined_makes_no_bridge_weak() {
    let w = World::new(&[None; 6]);
    let edges = [(0, 1), (1, 2), (0, 2), (2, 3)].map(|(a, b)| w.edge(a, b, 100));
    let judged = [
        judge("p", POSITIVE, &[3], &[4]),
        judge("q", POSITIVE, &[4], &[5]),
    ];
    // 3 is one with 0, 1 and 2 by itself, and stays so whomever it is judged to be.
    for some in 0..=2 {
        let c = w.run(&edges, &judged[..some]);
        assert_eq!(c.clusters[0], (0..4 + some).collect::<Vec<_>>());
    }
}

pub type Case = (
    Vec<Option<usize>>,
    Vec<(usize, usize, i32)>,
    Vec<(u8, Vec<usize>, Vec<usize>)>,
);

pub fn cases() -> impl Strategy<Value = Case> {
    let n = 9_usize;
    (
        prop::collection::vec(prop::option::weighted(0.4, 0..3_usize), n),
        prop::collection::vec((0..n, 0..n, -4000..6000_i32), 0..24),
        prop::collection::vec(
            (
                0..4_u8,
                prop::collection::vec(0..n, 1..3),
                prop::collection::vec(0..n, 1..3),
            ),
            0..6,
        ),
    )
}

pub fn build(case: &Case) -> (World, Vec<Edge>, Vec<Judgement>) {
    let w = World::new(&case.0);
    let edges = case.1.iter().map(|&(a, b, s)| w.edge(a, b, s)).collect();
    let kinds = [
        JudgementKind::Negative,
        POSITIVE,
        OVERRIDING,
        JudgementKind::Unsure,
    ];
    let judgements = case
        .2
        .iter()
        .enumerate()
        .map(|(i, (k, l, r))| judge(&format!("j{i}"), kinds[usize::from(*k)], l, r));
    let judgements = judgements.collect();
    (w, edges, judgements)
}

/// Clusters and links by record key.
type Named = (Vec<Vec<RecordKey>>, Vec<(RecordKey, RecordKey, Cause)>);

fn by_key(w: &World, c: &Clustering) -> Named {
    let clusters = c
        .clusters
        .iter()
        .map(|m| m.iter().map(|&i| w.keys[i].clone()).collect())
        .collect();
    let links = c
        .links
        .iter()
        .map(|l| (w.keys[l.a].clone(), w.keys[l.b].clone(), l.cause.clone()))
        .collect();
    (clusters, links)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_negative_judgement_and_no_exclusive_scheme_is_violated(case in cases()) {
        let (w, edges, judgements) = build(&case);
        let c = w.run(&edges, &judgements);
        let mut of = vec![0; w.keys.len()];
        for (n, members) in c.clusters.iter().enumerate() {
            members.iter().for_each(|&m| of[m] = n);
        }
        for (kind, left, right) in &case.2 {
            if *kind == 0 {
                for l in left {
                    prop_assert!(right.iter().all(|r| l == r || of[*l] != of[*r]));
                }
            }
        }
        let overridden: BTreeSet<usize> =
            case.2.iter().filter(|j| j.0 == 2).flat_map(|j| j.1.iter().chain(&j.2)).map(|&i| of[i]).collect();
        for (n, members) in c.clusters.iter().enumerate() {
            let codes: BTreeSet<usize> = members.iter().filter_map(|&m| case.0[m]).collect();
            prop_assert!(codes.len() <= 1 || overridden.contains(&n));
        }
        // Links are a spanning forest of the clusters.
        prop_assert_eq!(c.links.len() + c.clusters.len(), w.keys.len());
        prop_assert!(c.links.iter().all(|l| of[l.a] == of[l.b]));
        // Every positive judgement either holds or is told to be suspended.
        for (i, (kind, left, right)) in case.2.iter().enumerate() {
            if *kind == 1 || *kind == 2 {
                let together: BTreeSet<usize> = left.iter().chain(right).map(|&x| of[x]).collect();
                let told = c.suspended.iter().any(|o| o.judgement == format!("j{i}"));
                prop_assert!(told || together.len() == 1);
            }
        }
    }

    #[test]
    fn a_positive_that_may_be_made_parts_nobody(
        case in cases(), left in 0..9_usize, right in 0..9_usize, over in any::<bool>(),
    ) {
        let new = judge("new", if over { OVERRIDING } else { POSITIVE }, &[left], &[right]);
        let (w, edges, judgements) = build(&case);
        let with = |judgements: &[Judgement]| -> Vec<Judgement> {
            judgements.iter().chain([&new]).cloned().collect()
        };
        let before = w.run(&edges, &judgements);
        let after = w.run(&edges, &with(&judgements));
        let within = |a: &[usize], b: &[usize]| a.iter().all(|m| b.contains(m));
        let together = |before: &Clustering, after: &Clustering| {
            before.clusters.iter().all(|c| after.clusters.iter().any(|d| within(c, d)))
        };
        let told = |c: &Clustering, id: &str| c.suspended.iter().any(|o| o.judgement == id);
        let held = after.suspended.iter().all(|o| told(&before, &o.judgement));
        let found = check_positive(&w.nodes(), &edges, &judgements, &new, &w.rules);
        if found.is_ok() {
            prop_assert!(held && together(&before, &after));
        }
        // With neither codes nor negative judgements there is nothing that could part any two.
        let plain = World::new(&[None; 9]);
        let free: Vec<Judgement> =
            judgements.into_iter().filter(|j| j.kind != JudgementKind::Negative).collect();
        let before = plain.run(&edges, &free);
        prop_assert!(together(&before, &plain.run(&edges, &with(&free))));
        let found = check_positive(&plain.nodes(), &edges, &free, &new, &plain.rules);
        prop_assert_eq!(found, Ok(()));
    }

    #[test]
    fn the_order_of_input_does_not_matter(case in cases(), seed in any::<u64>()) {
        let (w, mut edges, mut judgements) = build(&case);
        let first = by_key(&w, &w.run(&edges, &judgements));
        // A permutation from the seed: multiply by an odd number, sort.
        let shuffle = |n: usize| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            order
        };
        let order = shuffle(w.keys.len());
        let mut at = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| at[old] = new);
        for e in &mut edges {
            *e = Edge { a: at[e.b], b: at[e.a], score: e.score };
        }
        edges.reverse();
        edges.extend(edges.clone());
        judgements.reverse();
        let moved = World {
            keys: order.iter().map(|&i| w.keys[i].clone()).collect(),
            std: order.iter().map(|&i| w.std[i].clone()).collect(),
            rules: w.rules.clone(),
        };
        prop_assert_eq!(first, by_key(&moved, &moved.run(&edges, &judgements)));
    }

    #[test]
    fn components_can_be_clustered_apart(case in cases()) {
        let (w, edges, judgements) = build(&case);
        // Two copies side by side under other keys give the same clusters twice.
        let twice = World {
            keys: w.keys.iter().cloned().chain(w.keys.iter().map(|k| RecordKey::new("t", k.external_id.clone()))).collect(),
            std: w.std.iter().chain(&w.std).cloned().collect(),
            rules: w.rules.clone(),
        };
        let n = w.keys.len();
        let both: Vec<Edge> = edges.iter().flat_map(|e| [*e, Edge { a: e.a + n, b: e.b + n, score: e.score }]).collect();
        let alone = w.run(&edges, &judgements).clusters;
        let unjudged = w.run(&edges, &[]).clusters;
        let want: Vec<Vec<usize>> =
            alone.into_iter().chain(unjudged.into_iter().map(|c| c.into_iter().map(|i| i + n).collect())).collect();
        prop_assert_eq!(twice.run(&both, &judgements).clusters, want);
    }
}

#[test]
fn a_short_name_does_not_join_two_cities() {
    let rules = RuleSet::organization();
    let names = ["金客科技", "杭州金客科技有限公司", "成都金客科技有限公司"];
    let std = names.map(|n| {
        let name = Value::text(jinke_types::attribute::NAME, n.to_owned());
        standardize(PartyKind::Organization, &[name], &rules)
    });
    let keys = [0, 1, 2].map(|i| RecordKey::new("s", format!("{i}")));
    let nodes: Vec<Node<'_>> = (keys.iter().zip(&std))
        .map(|(key, std)| Node { key, std })
        .collect();
    let edge = |a, b, above| Edge {
        a,
        b,
        score: rules.thresholds.merge + above,
    };
    let short = [edge(0, 1, 500), edge(0, 2, 400)];
    let found = cluster(&nodes, &short, &[], &rules);
    assert_eq!(found.clusters, [vec![0, 1], vec![2]]);
    assert_eq!(found.reviews[0].reason, Some(Reason::WeakBridge));
    // Where records that name their city fit, as those of a company that moved, all are one.
    let moved = [edge(0, 1, 500), edge(0, 2, 400), edge(1, 2, 100)];
    assert_eq!(
        cluster(&nodes, &moved, &[], &rules).clusters,
        [vec![0, 1, 2]]
    );
}
