//! What holds a cluster of rows together, and what would split it.
//!
//! Of the scored pairs within a cluster the strongest that join it form a tree (Kruskal, 1956).
//! Without its weakest link the tree falls in two sides; the pairs between the sides that reach
//! the threshold are all that keeps them together: clusters are joined by such pairs alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, group::Scored, table::Table};

/// What holds a cluster together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohesion {
    /// The link with the least score.
    pub weakest: Scored,
    /// The rows on each side of it, in the order of their names, the larger side first.
    pub sides: [Vec<u32>; 2],
    /// The pairs between the sides that hold them together, the best first.
    pub holding: Vec<Scored>,
}

/// The order in which pairs are looked at: the best first, ties by the names of rows.
fn best_first(table: &Table, x: &Scored, y: &Scored) -> std::cmp::Ordering {
    let name = |s: &Scored| {
        let (a, b) = (table.name(s.a as usize), table.name(s.b as usize));
        if a <= b { (a, b) } else { (b, a) }
    };
    y.score.cmp(&x.score).then_with(|| name(x).cmp(&name(y)))
}

/// The clusters of at least three rows with the weakest links, the weakest first, at most `most`.
/// `threshold` is that of the partition in [`Outcome::heads`], in milli-bits.
pub fn weakest(table: &Table, outcome: &Outcome, threshold: i32, most: usize) -> Vec<Cohesion> {
    let head = |r: u32| outcome.heads[r as usize];
    let mut inside: BTreeMap<u32, Vec<Scored>> = BTreeMap::new();
    for s in &outcome.scored {
        if s.score >= threshold && head(s.a) == head(s.b) {
            inside.entry(head(s.a)).or_default().push(*s);
        }
    }
    // (score of the weakest link, head): only the weakest are looked at closely.
    let mut found: Vec<(i32, u32)> = Vec::new();
    for (head, pairs) in &inside {
        let (tree, rows) = tree(table, pairs);
        if let Some(last) = tree.last().filter(|_| rows > 2) {
            found.push((last.score, *head));
        }
    }
    found.sort_by(|x, y| {
        let name = |h: u32| table.name(h as usize);
        x.0.cmp(&y.0).then_with(|| name(x.1).cmp(&name(y.1)))
    });
    found.truncate(most);
    let of = |(_, head): (i32, u32)| cohesion(table, inside.get(&head)?);
    found.into_iter().filter_map(of).collect()
}

/// The strongest pairs that join all rows of `pairs`, the weakest last, and how many rows.
fn tree(table: &Table, pairs: &[Scored]) -> (Vec<Scored>, usize) {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|x, y| best_first(table, x, y));
    let mut up: BTreeMap<u32, u32> = BTreeMap::new();
    fn root(up: &mut BTreeMap<u32, u32>, mut x: u32) -> u32 {
        while let Some(p) = up.get(&x).copied().filter(|p| *p != x) {
            let next = up.get(&p).copied().unwrap_or(p);
            up.insert(x, next);
            x = next;
        }
        x
    }
    let mut out = Vec::new();
    for s in sorted {
        up.entry(s.a).or_insert(s.a);
        up.entry(s.b).or_insert(s.b);
        let (x, y) = (root(&mut up, s.a), root(&mut up, s.b));
        if x != y {
            up.insert(x, y);
            out.push(s);
        }
    }
    (out, up.len())
}

fn cohesion(table: &Table, pairs: &[Scored]) -> Option<Cohesion> {
    let (tree, _) = tree(table, pairs);
    let weakest = *tree.last()?;
    let mut next: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut all: BTreeSet<u32> = BTreeSet::new();
    for s in &tree {
        all.extend([s.a, s.b]);
        if *s != weakest {
            next.entry(s.a).or_default().push(s.b);
            next.entry(s.b).or_default().push(s.a);
        }
    }
    let mut near = BTreeSet::from([weakest.a]);
    let mut todo = vec![weakest.a];
    while let Some(x) = todo.pop() {
        for y in next.get(&x).into_iter().flatten() {
            if near.insert(*y) {
                todo.push(*y);
            }
        }
    }
    let mut holding: Vec<Scored> = pairs
        .iter()
        .copied()
        .filter(|s| near.contains(&s.a) != near.contains(&s.b))
        .collect();
    holding.sort_by(|x, y| best_first(table, x, y));
    let mut sides: [Vec<u32>; 2] = [
        near.iter().copied().collect(),
        all.difference(&near).copied().collect(),
    ];
    for side in &mut sides {
        side.sort_by(|a, b| table.name(*a as usize).cmp(&table.name(*b as usize)));
    }
    let first = |side: &[u32]| side.first().map(|r| table.name(*r as usize));
    let swap = match sides[1].len().cmp(&sides[0].len()) {
        std::cmp::Ordering::Equal => first(&sides[1]) < first(&sides[0]),
        order => order.is_gt(),
    };
    if swap {
        sides.swap(0, 1);
    }
    Some(Cohesion {
        weakest,
        sides,
        holding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Column, Semantic};

    #[test]
    fn a_bridge_is_the_weakest_link_and_its_pairs_are_listed() {
        let mut table = Table::new(vec![Column {
            name: "x".into(),
            semantic: Semantic::Text,
        }]);
        let s = table.source("s");
        for key in ["a", "b", "c", "d", "e", "f", "g"] {
            table.push(s, key, std::iter::once(""));
        }
        let pair = |a, b, score| Scored { a, b, score };
        // a b c hold together, d e do; c–d and b–d are between. f g are two rows alone.
        let outcome = Outcome {
            heads: vec![0, 0, 0, 0, 0, 5, 5],
            scored: vec![
                pair(0, 1, 9_000),
                pair(1, 2, 8_000),
                pair(0, 2, 4_000),
                pair(3, 4, 7_000),
                pair(2, 3, 2_000),
                pair(1, 3, 1_500),
                pair(0, 4, -900),
                pair(5, 6, 100),
            ],
            ..Outcome::default()
        };
        let found = weakest(&table, &outcome, 0, 5);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].weakest, pair(2, 3, 2_000));
        assert_eq!(found[0].sides, [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(found[0].holding, [pair(2, 3, 2_000), pair(1, 3, 1_500)]);
    }
}
