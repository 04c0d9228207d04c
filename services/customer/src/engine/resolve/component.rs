//! The components that changes touch, clustered anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jinke_resolution::{Clustering, Edge, Judgement, Node, Reason, cluster};
use jinke_store::Tx;
use jinke_types::{Failure, PartyKind, RecordKey};

use super::{MOST_AT_ONCE, ObstacleView, Work, pairs::Changed};
use crate::{
    domain::{Decision, key_text},
    engine::prepare::Indexed,
    store::{
        customers,
        judgements::{self, JudgementRow},
        pairs::{self, ReviewRow},
        pending, records,
        shadow::{self, Lane},
    },
};

/// The clusters that changes touch.
#[derive(Debug, Default)]
pub(super) struct Clustered {
    /// Record to customer, of every record of the components.
    pub(super) customers: BTreeMap<i64, i64>,
    /// Positive judgements that cannot hold.
    pub(super) obstacles: BTreeMap<String, ObstacleView>,
}

/// What is gathered while walking through the components.
#[derive(Default)]
struct Walk {
    nodes: BTreeSet<i64>,
    edges: BTreeMap<(i64, i64), i32>,
    judgements: BTreeMap<i64, JudgementRow>,
    by_key: HashMap<RecordKey, i64>,
    /// Records from which the walk did not go on, because too many follow.
    far: BTreeSet<i64>,
}

pub(super) async fn run(
    work: &mut Work<'_>,
    tx: &mut Tx,
    changed: &Changed,
) -> Result<Clustered, Failure> {
    let judged: Vec<String> = work.input.judged.iter().map(key_text).collect();
    let mut seeds: BTreeSet<i64> = work.input.changes.iter().map(|c| c.no).collect();
    seeds.extend(&work.input.seeds);
    seeds.extend(&work.input.again);
    seeds.extend(changed.keys().flat_map(|p| [p.0, p.1]));
    let named = records::parties_by_key(tx, judged).await?;
    seeds.extend(work.keep(tx, named).await?);
    let walk = walk(work, tx, changed, seeds.clone()).await?;
    let mut components = components(work, &walk);
    let mut out = Clustered::default();
    if !walk.far.is_empty() {
        components = leave(work, tx, &walk, &seeds, components, &mut out).await?;
    }
    let large = components.iter().filter(|c| c.len() > 1).flatten().copied();
    work.load_indexed(tx, large.collect::<Vec<_>>()).await?;
    let mut jobs = Vec::new();
    for nodes in components {
        if let [only] = nodes[..] {
            out.customers.insert(only, only);
        } else {
            jobs.push(Job::of(work, &walk, nodes)?);
        }
    }
    let done = tokio::task::spawn_blocking({
        let rules = Arc::clone(&work.rules);
        move || {
            jobs.into_iter()
                .map(|job| {
                    let clustering = job.run(&rules);
                    (job, clustering)
                })
                .collect::<Vec<_>>()
        }
    })
    .await
    .map_err(Failure::internal)?;
    let mut reviews = BTreeMap::new();
    for (job, clustering) in done {
        job.read(&clustering, &walk, &mut out, &mut reviews);
    }
    write(work, tx, &walk, &out, reviews).await?;
    Ok(out)
}

/// Leaves components that were not walked to their end to the background; the others.
async fn leave(
    work: &mut Work<'_>,
    tx: &mut Tx,
    walk: &Walk,
    seeds: &BTreeSet<i64>,
    components: Vec<Vec<i64>>,
    out: &mut Clustered,
) -> Result<Vec<Vec<i64>>, Failure> {
    let (large, rest): (Vec<_>, Vec<_>) = components
        .into_iter()
        .partition(|c| c.iter().any(|n| walk.far.contains(n)));
    let mut noted = BTreeSet::new();
    let mut customers = BTreeSet::new();
    for no in large.into_iter().flatten().filter(|n| seeds.contains(n)) {
        match work.row(no).and_then(|r| r.customer) {
            // Whoever walks from one record of a customer walks through all of them.
            Some(customer) => {
                if customers.insert(customer) || work.changed.contains_key(&no) {
                    noted.insert(no);
                }
            }
            None => {
                noted.insert(no);
                out.customers.insert(no, no);
            }
        }
    }
    work.left |= !noted.is_empty();
    pending::put(tx, noted, false).await?;
    Ok(rest)
}

/// Follows pairs, positive judgements and present customers from the seeds.
async fn walk(
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
fn components(work: &Work<'_>, walk: &Walk) -> Vec<Vec<i64>> {
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

/// One component to be clustered.
struct Job {
    kind: PartyKind,
    nodes: Vec<i64>,
    keys: Vec<RecordKey>,
    indexed: Vec<Arc<Indexed>>,
    edges: Vec<Edge>,
    judgements: Vec<Judgement>,
}

impl Job {
    fn of(work: &Work<'_>, walk: &Walk, nodes: Vec<i64>) -> Result<Self, Failure> {
        let lost = || Failure::internal("a record of a component is missing");
        let mut keys = Vec::with_capacity(nodes.len());
        let mut indexed = Vec::with_capacity(nodes.len());
        for n in &nodes {
            keys.push(work.row(*n).ok_or_else(lost)?.key);
            indexed.push(work.indexed.get(n).cloned().ok_or_else(lost)?);
        }
        let at: HashMap<i64, usize> = nodes.iter().enumerate().map(|(i, n)| (*n, i)).collect();
        // Edges are kept by their smaller end, and nodes of one component are few.
        let edges = nodes
            .iter()
            .flat_map(|n| walk.edges.range((*n, i64::MIN)..=(*n, i64::MAX)))
            .filter_map(|((a, b), score)| {
                Some(Edge {
                    a: *at.get(a)?,
                    b: *at.get(b)?,
                    score: *score,
                })
            })
            .collect();
        let judgements = walk
            .judgements
            .values()
            .filter(|j| {
                j.left
                    .iter()
                    .chain(&j.right)
                    .any(|k| walk.by_key.get(k).is_some_and(|n| at.contains_key(n)))
            })
            .map(JudgementRow::judgement)
            .collect();
        let kind = indexed.first().ok_or_else(lost)?.std.kind();
        Ok(Self {
            kind,
            nodes,
            keys,
            indexed,
            edges,
            judgements,
        })
    }

    fn run(&self, rules: &jinke_resolution::Rules) -> Clustering {
        let nodes: Vec<Node<'_>> = self
            .keys
            .iter()
            .zip(&self.indexed)
            .map(|(key, indexed)| Node {
                key,
                std: &indexed.std,
            })
            .collect();
        cluster(&nodes, &self.edges, &self.judgements, rules.of(self.kind))
    }

    fn read(
        &self,
        clustering: &Clustering,
        walk: &Walk,
        out: &mut Clustered,
        reviews: &mut BTreeMap<(i64, i64), ReviewRow>,
    ) {
        for members in &clustering.clusters {
            let id = members
                .iter()
                .map(|i| self.nodes[*i])
                .min()
                .unwrap_or_default();
            out.customers
                .extend(members.iter().map(|i| (self.nodes[*i], id)));
        }
        for r in &clustering.reviews {
            let (a, b) = (self.nodes[r.a], self.nodes[r.b]);
            let settled = walk.judgements.values().any(|j| {
                let names = |side: &[RecordKey], i: usize| side.contains(&self.keys[i]);
                j.decision == Decision::Unsure
                    && ((names(&j.left, r.a) && names(&j.right, r.b))
                        || (names(&j.left, r.b) && names(&j.right, r.a)))
            });
            if !settled {
                let reason = if r.reason.is_none() { 1 } else { 2 };
                put_review(reviews, a, b, r.score, reason);
            }
        }
        for o in &clustering.suspended {
            let key = |i: usize| self.keys[i].clone();
            let (conflict, detail, left, right) = match &o.reason {
                Reason::Negative {
                    judgement,
                    left,
                    right,
                } => (
                    "negative_judgement",
                    format!("judgements/{judgement}"),
                    *left,
                    *right,
                ),
                Reason::Exclusive {
                    scheme,
                    left,
                    right,
                } => ("exclusive_identifier", scheme.clone(), *left, *right),
                Reason::WeakBridge | Reason::DifferentKinds => {
                    ("different_kinds", String::new(), 0, 0)
                }
            };
            let view = ObstacleView {
                conflict,
                detail,
                kind: self.kind,
                left: key(left),
                right: key(right),
                path: o.path.iter().map(|i| key(*i)).collect(),
            };
            out.obstacles.insert(o.judgement.clone(), view);
            let ends = o.judgement.parse().ok().and_then(|id: i64| {
                let j = walk.judgements.get(&id)?;
                let of = |side: &[RecordKey]| side.iter().find_map(|k| walk.by_key.get(k).copied());
                Some((of(&j.left)?, of(&j.right)?))
            });
            if let Some((a, b)) = ends.filter(|(a, b)| a != b) {
                let score = walk.edges.get(&(a.min(b), a.max(b))).copied().unwrap_or(0);
                put_review(reviews, a, b, score, 3);
            }
        }
    }
}

fn put_review(
    reviews: &mut BTreeMap<(i64, i64), ReviewRow>,
    a: i64,
    b: i64,
    score: i32,
    reason: i64,
) {
    let (a, b) = (a.min(b), a.max(b));
    reviews.insert(
        (a, b),
        ReviewRow {
            a,
            b,
            score,
            reason,
        },
    );
}

/// Stores the reviews of the components and which judgements are suspended.
async fn write(
    work: &Work<'_>,
    tx: &mut Tx,
    walk: &Walk,
    out: &Clustered,
    reviews: BTreeMap<(i64, i64), ReviewRow>,
) -> Result<(), Failure> {
    let known: Vec<i64> = walk
        .nodes
        .iter()
        .copied()
        .filter(|n| work.row(*n).is_some_and(|r| r.customer.is_some()))
        .collect();
    pairs::replace_reviews(tx, work.lane, &known, &reviews.into_values().collect()).await?;
    if work.lane == Lane::Shadow {
        // What a judgement is worth is told under the rules in force.
        return Ok(());
    }
    let mut suspend = Vec::new();
    let mut release = Vec::new();
    for j in walk
        .judgements
        .values()
        .filter(|j| j.decision == Decision::Positive)
    {
        match (out.obstacles.contains_key(&j.id.to_string()), j.suspended) {
            (true, false) => suspend.push(j.id),
            (false, true) => release.push(j.id),
            _ => {}
        }
    }
    judgements::set_suspended(tx, &suspend, true).await?;
    judgements::set_suspended(tx, &release, false).await
}
