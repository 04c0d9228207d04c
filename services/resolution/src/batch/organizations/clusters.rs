//! Clustering by two rule sets, each component of the scored pairs apart.

use crate::{
    batch::{
        Table,
        group::{self, Scored},
        parallel::{self, Tally},
    },
    cluster::{Edge, partition},
    rules::RuleSet,
    standardize::Standardized,
};

/// Clusters each component of the scored pairs apart, by two rule sets.
pub(super) fn components<'a>(
    table: &Table,
    scored: &[Scored],
    rules: [&RuleSet; 2],
    threads: usize,
    record: &(impl Fn(u32) -> &'a Standardized + Sync),
    tally: &Tally<'_>,
) -> [Vec<u32>; 2] {
    let alone: Vec<u32> = (0..table.len() as u32).collect();
    let mut heads = [alone.clone(), alone];
    let parts = group::components(table.len(), scored);
    let found: Vec<(usize, u32, u32)> = parallel::flat(threads, parts.len(), 512, |range| {
        let mut out = Vec::new();
        tally.add(range.clone().map(|i| parts.of(i).len() as u64).sum());
        for part in range.map(|i| parts.of(i)) {
            if let [p] = part {
                // Two rows, as in most components.
                let name = |row: u32| table.name(row as usize);
                let swap = name(p.a) > name(p.b);
                let (head, other) = if swap { (p.b, p.a) } else { (p.a, p.b) };
                let records = [record(head), record(other)];
                let mut edge = [Edge {
                    a: 0,
                    b: 1,
                    score: p.score,
                }];
                for (at, rules) in rules.iter().enumerate() {
                    if partition(&records, &mut edge, rules).len() == 1 {
                        out.push((at, other, head));
                    }
                }
                continue;
            }
            let mut rows: Vec<u32> = part.iter().flat_map(|p| [p.a, p.b]).collect();
            rows.sort_unstable();
            rows.dedup();
            let mut named: Vec<_> = rows
                .iter()
                .zip(0..)
                .map(|(row, i)| (table.name(*row as usize), i))
                .collect();
            named.sort_unstable();
            let by_name: Vec<u32> = named.into_iter().map(|(_, i)| i).collect();
            let mut place = vec![0; rows.len()];
            for (p, i) in by_name.iter().enumerate() {
                place[*i as usize] = p;
            }
            let rank = |row: u32| rows.binary_search(&row).map_or(0, |i| place[i]);
            let records: Vec<&Standardized> =
                by_name.iter().map(|i| record(rows[*i as usize])).collect();
            let mut edges: Vec<Edge> = part
                .iter()
                .map(|p| {
                    let (a, b) = (rank(p.a), rank(p.b));
                    Edge {
                        a: a.min(b),
                        b: a.max(b),
                        score: p.score,
                    }
                })
                .collect();
            let rows: Vec<u32> = by_name.iter().map(|i| rows[*i as usize]).collect();
            for (at, rules) in rules.iter().enumerate() {
                for c in partition(&records, &mut edges, rules) {
                    let head = rows[c[0]];
                    let joined = c.iter().filter(|i| rows[**i] != head);
                    out.extend(joined.map(|i| (at, rows[*i], head)));
                }
            }
        }
        out
    });
    for (at, row, head) in found {
        heads[at][row as usize] = head;
    }
    heads
}
