//! Walking through the components that changes touch, as far as one transaction should.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jinke_store::Tx;
use jinke_types::{Failure, PartyKind, RecordKey};

use super::{MOST_AT_ONCE, Work, pairs::Changed};
use crate::{
    domain::{Decision, key_text},
    store::{
        customers,
        judgements::{self, JudgementRow},
        pairs, records,
        shadow::{self, Lane},
    },
};

/// What is gathered while walking through the components.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) nodes: BTreeSet<i64>,
    pub(super) edges: BTreeMap<(i64, i64), i32>,
    pub(super) judgements: BTreeMap<i64, JudgementRow>,
    pub(super) by_key: HashMap<RecordKey, i64>,
    /// Records from which the walk did not go on, because too many follow.
    pub(super) far: BTreeSet<i64>,
}

/// Follows pairs, positive judgements and present customers from the seeds.
pub(super) async fn walk(
    work: &mut Work<'_>,
    tx: &mut Tx,
    changed: &Changed,
    seeds: BTreeSet<i64>,
) -> Result<Walk, Failure> {
    let fresh: HashSet<i64> = work
        .input
        .changes
        .iter()
        .filter(|c| c.fresh)
        .map(|c| c.no)
        .collect();
    let mut walk = Walk::default();
    // All pairs of new records are among the changes, and their ends are seeds.
    for (p, score) in changed {
        if let Some(score) = score {
            walk.edges.insert(*p, *score);
        }
    }
    let judging = judgements::any_in_force(tx).await?;
    let mut customers_seen: BTreeSet<i64> = BTreeSet::new();
    let mut frontier = seeds;
    loop {
        frontier.retain(|n| !walk.nodes.contains(n));
        if frontier.is_empty() {
            let customers: BTreeSet<i64> = walk
                .nodes
                .difference(&walk.far)
                .filter_map(|n| work.row(*n)?.customer)
                .filter(|c| !customers_seen.contains(c))
                .collect();
            if customers.is_empty() {
                return Ok(walk);
            }
            let list: Vec<i64> = customers.iter().copied().collect();
            customers_seen.extend(customers);
            let members = match work.lane {
                Lane::Active => records::members(tx, &list).await?,
                Lane::Shadow => shadow::members(tx, &list).await?,
            };
            for row in members {
                frontier.insert(row.no);
                work.rows.insert(row.no, row);
            }
            continue;
        }
        work.load_rows(tx, frontier.iter().copied()).await?;
        frontier.retain(|n| {
            let kind = work.row(*n).and_then(|r| r.kind.party());
            kind.is_some() && (work.only.is_none() || work.only == kind)
        });
        walk.nodes.extend(&frontier);
        if work.input.bounded {
            stop(work, tx, &mut walk, &mut frontier).await?;
        }
        let mut next = BTreeSet::new();
        let known: Vec<i64> = frontier
            .iter()
            .copied()
            .filter(|n| !fresh.contains(n))
            .collect();
        // A batch of many records has many pairs without any component being large.
        let most = if work.input.bounded {
            MOST_AT_ONCE * 20 + known.len() * 100
        } else {
            usize::MAX
        };
        let found = pairs::from_some(tx, work.lane, &known, most).await?;
        if found.len() == most {
            // Too many pairs to tell which record is in a component that is too large.
            walk.far.extend(&known);
        }
        for (a, b, score) in found {
            walk.edges.insert((a.min(b), a.max(b)), score);
            next.insert(b);
        }
        for n in &frontier {
            if let Some(row) = work.row(*n) {
                walk.by_key.insert(row.key, *n);
            }
        }
        if judging {
            let keys: Vec<String> = frontier
                .iter()
                .filter_map(|n| Some(key_text(&work.row(*n)?.key)))
                .collect();
            next.extend(judged(work, tx, &mut walk, &keys).await?);
        }
        frontier = next;
    }
}

/// Takes records out of the frontier that are in components of too many records.
async fn stop(
    work: &Work<'_>,
    tx: &mut Tx,
    walk: &mut Walk,
    frontier: &mut BTreeSet<i64>,
) -> Result<(), Failure> {
    let held: BTreeSet<i64> = frontier
        .iter()
        .filter_map(|n| work.row(*n)?.customer)
        .collect();
    let held: Vec<i64> = held.into_iter().collect();
    let most = i64::try_from(MOST_AT_ONCE).unwrap_or(i64::MAX);
    let sizes = match work.lane {
        Lane::Active => {
            let rows = customers::by_ids(tx, &held).await?.into_values();
            rows.map(|c| (c.id, c.record_count)).collect()
        }
        Lane::Shadow => shadow::sizes(tx, &held).await?,
    };
    let large: BTreeSet<i64> = sizes
        .into_iter()
        .filter(|(_, n)| *n > most)
        .map(|(id, _)| id)
        .collect();
    let mut far: BTreeSet<i64> = frontier
        .iter()
        .copied()
        .filter(|n| {
            work.row(*n)
                .and_then(|r| r.customer)
                .is_some_and(|c| large.contains(&c))
        })
        .collect();
    if walk.nodes.len() > MOST_AT_ONCE {
        for c in components(work, walk)
            .iter()
            .filter(|c| c.len() > MOST_AT_ONCE)
        {
            far.extend(c.iter().filter(|n| frontier.contains(n)));
        }
    }
    frontier.retain(|n| !far.contains(n));
    walk.far.extend(far);
    Ok(())
}

/// Judgements that name these records, and the records that positive ones tie to them.
async fn judged(
    work: &mut Work<'_>,
    tx: &mut Tx,
    walk: &mut Walk,
    keys: &[String],
) -> Result<BTreeSet<i64>, Failure> {
    let found = judgements::naming(tx, keys).await?;
    let mut tied = BTreeSet::new();
    for j in found.values().filter(|j| j.decision == Decision::Positive) {
        if !walk.judgements.contains_key(&j.id) {
            tied.extend(j.left.iter().chain(&j.right).cloned());
        }
    }
    walk.judgements.extend(found);
    let changed: BTreeSet<i64> = work
        .input
        .changes
        .iter()
        .filter(|c| tied.contains(&c.key))
        .map(|c| c.no)
        .collect();
    let mut out = changed;
    let keys: Vec<String> = tied.iter().map(key_text).collect();
    let mut named = records::parties_by_key(tx, keys).await?;
    out.extend(named.iter().map(|r| r.no));
    named.retain(|r| !work.changed.contains_key(&r.no));
    work.keep(tx, named).await?;
    Ok(out)
}

/// The components over pairs and positive judgements; kinds never share one.
pub(super) fn components(work: &Work<'_>, walk: &Walk) -> Vec<Vec<i64>> {
    let index: HashMap<i64, usize> = walk
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| (*n, i))
        .collect();
    let mut parent: Vec<usize> = (0..index.len()).collect();
    fn find(parent: &mut [usize], mut x: usize) -> usize {
        while parent[x] != x {
            parent[x] = parent[parent[x]];
            x = parent[x];
        }
        x
    }
    let mut join = |a: i64, b: i64| {
        if let (Some(&a), Some(&b)) = (index.get(&a), index.get(&b)) {
            let (a, b) = (find(&mut parent, a), find(&mut parent, b));
            parent[a.max(b)] = a.min(b);
        }
    };
    for (a, b) in walk.edges.keys() {
        join(*a, *b);
    }
    for j in walk
        .judgements
        .values()
        .filter(|j| j.decision == Decision::Positive)
    {
        let mut last: BTreeMap<Option<PartyKind>, i64> = BTreeMap::new();
        for key in j.left.iter().chain(&j.right) {
            let Some(&no) = walk.by_key.get(key) else {
                continue;
            };
            let kind = work.row(no).and_then(|r| r.kind.party());
            if let Some(before) = last.insert(kind, no) {
                join(before, no);
            }
        }
    }
    let mut out: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for (n, i) in &index {
        let root = find(&mut parent, *i);
        out.entry(root).or_default().push(*n);
    }
    let mut out: Vec<Vec<i64>> = out.into_values().collect();
    for c in &mut out {
        c.sort_unstable();
    }
    out
}
