//! What another rule set would change: two partitions of the same records compared exactly.

use std::collections::BTreeMap;

/// How a group of records is partitioned otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Several clusters become one.
    Merge,
    /// One cluster becomes several.
    Split,
    /// Several clusters become several others.
    Change,
}

/// The smallest group of whole clusters, before and after, in which something changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The clusters before, as indices of records: members ascending, clusters by their first.
    pub before: Vec<Vec<usize>>,
    /// The clusters after, of the same records.
    pub after: Vec<Vec<usize>>,
}

/// All changes from one partition to another, ordered by their first record. Both slices give a
/// label per record, in one order of records; a record beyond the shorter slice is left out.
/// Clusters that stay as they are belong to no change, so that the list is empty exactly when
/// both partitions are the same.
pub fn differences(before: &[usize], after: &[usize]) -> Vec<Change> {
    let records = before.len().min(after.len());
    let (before, after) = (&before[..records], &after[..records]);
    // Records that share a cluster in either partition hang together.
    let mut parent: Vec<usize> = (0..records).collect();
    for labels in [before, after] {
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for (i, l) in labels.iter().enumerate() {
            let f = *first.entry(*l).or_insert(i);
            let (x, y) = (find(&mut parent, f), find(&mut parent, i));
            parent[x.max(y)] = x.min(y);
        }
    }
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for i in 0..records {
        parts.entry(find(&mut parent, i)).or_default().push(i);
    }
    let changed = parts.into_values().filter_map(|members| {
        let (before, after) = (clusters(&members, before), clusters(&members, after));
        let kind = match (before.len(), after.len()) {
            (1, 1) => return None,
            (_, 1) => ChangeKind::Merge,
            (1, _) => ChangeKind::Split,
            _ => ChangeKind::Change,
        };
        Some(Change {
            kind,
            before,
            after,
        })
    });
    changed.collect()
}

fn clusters(members: &[usize], labels: &[usize]) -> Vec<Vec<usize>> {
    let mut by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for m in members {
        by.entry(labels[*m]).or_default().push(*m);
    }
    let mut out: Vec<Vec<usize>> = by.into_values().collect();
    out.sort();
    out
}

fn find(parent: &mut [usize], mut x: usize) -> usize {
    while parent[x] != x {
        parent[x] = parent[parent[x]];
        x = parent[x];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_splits_and_changes_are_told_apart() {
        let before = [0, 0, 1, 2, 2, 2, 3, 3, 4, 4, 9];
        let after = [7, 7, 7, 5, 5, 6, 3, 8, 8, 4, 9];
        let found = differences(&before, &after);
        let kinds: Vec<ChangeKind> = found.iter().map(|c| c.kind).collect();
        assert_eq!(
            kinds,
            [ChangeKind::Merge, ChangeKind::Split, ChangeKind::Change]
        );
        assert_eq!(found[0].before, [vec![0, 1], vec![2]]);
        assert_eq!(found[0].after, [vec![0, 1, 2]]);
        assert_eq!(found[1].after, [vec![3, 4], vec![5]]);
        assert_eq!(found[2].before, [vec![6, 7], vec![8, 9]]);
        assert_eq!(found[2].after, [vec![6], vec![7, 8], vec![9]]);
        assert!(differences(&before, &[3, 3, 5, 0, 0, 0, 1, 1, 2, 2, 7]).is_empty());
        assert!(differences(&[], &[]).is_empty());
    }
}
