//! Growing groups of nodes and what forbids joining two of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::SmallVec;

use super::{Edge, Link};
use crate::standardize::{Identifier, Standardized, region::Relation};

/// Most members of a group that say where it is.
const SPEAKERS: usize = 16;

/// Nodes, most often few: millions of groups would each ask for memory.
type Few = SmallVec<[usize; 4]>;

/// Why two groups cannot be joined, in ranks and judgement indices.
#[derive(Clone, Debug)]
pub(super) enum Conflict {
    Negative {
        judgement: usize,
        left: usize,
        right: usize,
    },
    Exclusive {
        scheme: String,
        left: usize,
        right: usize,
    },
    Kinds,
}

#[derive(Default)]
struct Group<'a> {
    members: Few,
    /// Valid exclusive identifiers and the node that holds them.
    held: Vec<(&'a Identifier, usize)>,
    /// Negative judgements with the side a member stands on, and that member.
    sides: BTreeMap<(usize, bool), usize>,
    /// Pairs of identifier texts that a judgement on members put together.
    excused: BTreeSet<(&'a str, &'a str)>,
}

pub(super) struct Groups<'a> {
    records: &'a [&'a Standardized],
    parent: Vec<usize>,
    groups: Vec<Group<'a>>,
    neighbours: Vec<Few>,
}

/// Whether an identifier is of a scheme of which a party has one value at a time.
fn is_exclusive(i: &Identifier, exclusive: &[String]) -> bool {
    let scheme = i.scheme.split(':').next().unwrap_or_default();
    i.valid && exclusive.iter().any(|e| e == scheme)
}

/// Whether different exclusive identifiers keep two records apart.
pub(super) fn apart(a: &Standardized, b: &Standardized, exclusive: &[String]) -> bool {
    let differ =
        |x: &Identifier| is_exclusive(x, exclusive) && b.identifiers().any(|y| x.contradicts(y));
    a.kind() != b.kind() || a.identifiers().any(differ)
}

fn find(parent: &mut [usize], mut x: usize) -> usize {
    while parent[x] != x {
        parent[x] = parent[parent[x]];
        x = parent[x];
    }
    x
}

impl<'a> Groups<'a> {
    pub(super) fn new(records: &'a [&'a Standardized], exclusive: &[String]) -> Self {
        let groups = records
            .iter()
            .enumerate()
            .map(|(r, std)| Group {
                members: smallvec::smallvec![r],
                held: std
                    .identifiers()
                    .filter(|i| is_exclusive(i, exclusive))
                    .map(|i| (i, r))
                    .collect(),
                ..Group::default()
            })
            .collect();
        Self {
            records,
            parent: (0..records.len()).collect(),
            groups,
            neighbours: vec![Few::new(); records.len()],
        }
    }

    pub(super) fn forbid(
        &mut self,
        judgement: usize,
        left: &BTreeSet<usize>,
        right: &BTreeSet<usize>,
    ) {
        for (side, records) in [(false, left), (true, right)] {
            for &r in records {
                self.groups[r].sides.insert((judgement, side), r);
            }
        }
    }

    /// Notes the pairs that [`Self::weak_bridge`] counts.
    pub(super) fn set_pairs(&mut self, edges: &[Edge]) {
        for e in edges {
            self.neighbours[e.a].push(e.b);
            self.neighbours[e.b].push(e.a);
        }
    }

    pub(super) fn root(&mut self, x: usize) -> usize {
        find(&mut self.parent, x)
    }

    /// Joins two groups without asking; false when they are one already.
    pub(super) fn join(&mut self, a: usize, b: usize) -> bool {
        let (x, y) = (self.root(a), self.root(b));
        if x == y {
            return false;
        }
        let (big, small) = if self.groups[x].members.len() >= self.groups[y].members.len() {
            (x, y)
        } else {
            (y, x)
        };
        let gone = std::mem::take(&mut self.groups[small]);
        self.parent[small] = big;
        let group = &mut self.groups[big];
        group.members.extend(gone.members);
        group.excused.extend(gone.excused);
        for (i, r) in gone.held {
            // The same value with the same validity constrains only once.
            if !group.held.iter().any(|(x, _)| *x == i) {
                group.held.push((i, r));
            }
        }
        for (side, r) in gone.sides {
            group
                .sides
                .entry(side)
                .and_modify(|m| *m = r.min(*m))
                .or_insert(r);
        }
        true
    }

    /// Lets all identifiers that `node`'s group now holds stand together in it.
    pub(super) fn excuse(&mut self, node: usize) {
        let root = self.root(node);
        let group = &mut self.groups[root];
        for (x, _) in &group.held {
            for (y, _) in &group.held {
                if x.contradicts(y) {
                    group.excused.insert((&x.text, &y.text));
                }
            }
        }
    }

    /// What forbids joining the groups of two nodes, with the node on each side.
    pub(super) fn conflict(
        &mut self,
        a: usize,
        b: usize,
        overriding: bool,
    ) -> Option<(usize, usize, Conflict)> {
        let (x, y) = (self.root(a), self.root(b));
        if x == y {
            return None;
        }
        let (p, q) = (&self.groups[x], &self.groups[y]);
        for (&(judgement, side), &left) in &p.sides {
            if let Some(&right) = q.sides.get(&(judgement, !side)) {
                return Some((
                    left,
                    right,
                    Conflict::Negative {
                        judgement,
                        left,
                        right,
                    },
                ));
            }
        }
        if self.records[a].kind() != self.records[b].kind() {
            return Some((a, b, Conflict::Kinds));
        }
        if overriding {
            return None;
        }
        let excused =
            |x: &'a str, y: &'a str| p.excused.contains(&(x, y)) || q.excused.contains(&(x, y));
        let mut least: Option<(usize, usize, &str)> = None;
        for (i, left) in &p.held {
            for (j, right) in &q.held {
                if i.contradicts(j) && !excused(&i.text, &j.text) {
                    let found = (*left, *right, i.scheme.as_str());
                    least = Some(least.map_or(found, |l| l.min(found)));
                }
            }
        }
        least.map(|(left, right, scheme)| {
            (
                left,
                right,
                Conflict::Exclusive {
                    scheme: scheme.to_owned(),
                    left,
                    right,
                },
            )
        })
    }

    /// What forbids joining all groups of `records`.
    pub(super) fn obstacle(
        &mut self,
        records: &[usize],
        overriding: bool,
    ) -> Option<(usize, usize, Conflict)> {
        for (i, &a) in records.iter().enumerate() {
            for &b in &records[i + 1..] {
                if let Some(c) = self.conflict(a, b, overriding) {
                    return Some(c);
                }
            }
        }
        None
    }

    /// Whether the groups of two nodes, both of three and more, have fewer than two pairs
    /// without a node in common between them.
    pub(super) fn weak_bridge(&mut self, a: usize, b: usize) -> bool {
        let (x, y) = (self.root(a), self.root(b));
        let (small, other) = if self.groups[x].members.len() <= self.groups[y].members.len() {
            (x, y)
        } else {
            (y, x)
        };
        if self.groups[small].members.len() < 3 {
            return false;
        }
        let mut first: Option<(usize, usize)> = None;
        let members = self.groups[small].members.clone();
        let mut pairs = Vec::new();
        for m in members {
            for i in 0..self.neighbours[m].len() {
                let n = self.neighbours[m][i];
                if self.root(n) == other {
                    pairs.push((m, n));
                }
            }
        }
        for &(m, n) in &pairs {
            match first {
                None => first = Some((m, n)),
                Some((p, q)) if p != m && q != n => return false,
                Some(_) => {}
            }
        }
        // The first pair may share a node with two pairs that share none with each other.
        !pairs.iter().enumerate().any(|(i, p)| {
            pairs[i + 1..]
                .iter()
                .take(64)
                .any(|q| p.0 != q.0 && p.1 != q.1)
        })
    }

    /// Whether a pair of which one says no region would join two groups that name regions, and no
    /// two alike, though no compared pair of theirs fits: the short name that a company in one city
    /// has in common with a company in another belongs to one of them at most.
    pub(super) fn torn(&mut self, a: usize, b: usize) -> bool {
        let placed = |r: usize| !self.records[r].regions.is_empty();
        if placed(a) && placed(b) {
            return false;
        }
        let (x, y) = (self.root(a), self.root(b));
        let some = |root: usize| -> Vec<usize> {
            let members = self.groups[root].members.iter().copied();
            let placed = members.filter(|m| !self.records[*m].regions.is_empty());
            placed.take(SPEAKERS).collect()
        };
        let (left, right) = (some(x), some(y));
        if left.is_empty() || right.is_empty() {
            return false;
        }
        let regions = |r: &usize| self.records[*r].regions.iter();
        let differ = left.iter().flat_map(regions).all(|p| {
            let mut others = right.iter().flat_map(regions);
            others.all(|q| p.relation(*q) == Relation::Different)
        });
        differ
            && !left.iter().any(|m| {
                let neighbours = self.neighbours[*m].clone();
                neighbours
                    .into_iter()
                    .any(|n| self.root(n) == y && !self.records[n].regions.is_empty())
            })
    }

    /// All groups: members ascending, groups by their first member.
    pub(super) fn clusters(&mut self) -> Vec<Vec<usize>> {
        let mut by_root: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for r in 0..self.records.len() {
            let root = self.root(r);
            by_root.entry(root).or_default().push(r);
        }
        let mut out: Vec<Vec<usize>> = by_root.into_values().collect();
        out.sort();
        out
    }
}

/// The nodes from `a` over links to one of `records`, to another of them, over links to `b`.
pub(super) fn path(
    links: &[Link],
    records: &[usize],
    a: usize,
    b: usize,
    nodes: usize,
) -> Vec<usize> {
    let mut next = vec![Vec::new(); nodes];
    for l in links {
        next[l.a].push(l.b);
        next[l.b].push(l.a);
    }
    let mut out = walk(&next, a, records);
    let mut back = walk(&next, b, records);
    back.reverse();
    out.extend(back);
    out
}

/// The shortest way from `from` to the nearest of `goals`; only `from` when there is none.
fn walk(next: &[Vec<usize>], from: usize, goals: &[usize]) -> Vec<usize> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(x) = queue.pop_front() {
        if goals.contains(&x) {
            let mut way = vec![x];
            let mut at = x;
            while at != from {
                at = before[&at];
                way.push(at);
            }
            way.reverse();
            return way;
        }
        for &n in &next[x] {
            before.entry(n).or_insert_with(|| {
                queue.push_back(n);
                x
            });
        }
    }
    vec![from]
}
