//! The components that changes touch, clustered anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jinke_resolution::{
    Clustering, Edge, Judgement, Node, Obstacle, Reason, check_positive, cluster,
};
use jinke_store::Tx;
use jinke_types::{Failure, PartyKind, RecordKey};

use super::{
    ObstacleView, Work,
    pairs::Changed,
    walk::{Walk, components, walk},
};
use crate::{
    domain::{Decision, key_text},
    engine::prepare::Indexed,
    store::{
        judgements::{self, JudgementRow},
        pairs::{self, ReviewRow},
        pending, records,
        shadow::Lane,
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
        let new = work
            .input
            .new_positive
            .filter(|_| work.lane == Lane::Active);
        let new = new.map(|id| id.to_string());
        move || {
            jobs.into_iter()
                .map(|job| {
                    let clustering = job.run(&rules);
                    let refused = new.as_deref().and_then(|id| job.refused(id, &rules));
                    (job, clustering, refused)
                })
                .collect::<Vec<_>>()
        }
    })
    .await
    .map_err(Failure::internal)?;
    let mut reviews = BTreeMap::new();
    for (job, clustering, refused) in done {
        job.read(&clustering, &walk, &mut out, &mut reviews);
        out.obstacles
            .extend(refused.map(|o| (o.judgement.clone(), job.view(&o))));
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

    fn nodes(&self) -> Vec<Node<'_>> {
        self.keys
            .iter()
            .zip(&self.indexed)
            .map(|(key, indexed)| Node {
                key,
                std: &indexed.std,
            })
            .collect()
    }

    fn run(&self, rules: &jinke_resolution::Rules) -> Clustering {
        let rules = rules.of(self.kind);
        cluster(&self.nodes(), &self.edges, &self.judgements, rules)
    }

    /// Why the positive judgement of this id may not be made.
    fn refused(&self, id: &str, rules: &jinke_resolution::Rules) -> Option<Obstacle> {
        let new = self.judgements.iter().find(|j| j.id == id)?;
        let rules = rules.of(self.kind);
        check_positive(&self.nodes(), &self.edges, &self.judgements, new, rules).err()
    }

    /// An obstacle in names.
    fn view(&self, o: &Obstacle) -> ObstacleView {
        let key = |i: usize| self.keys[i].clone();
        // Where the reason names no records, the way between them does.
        let from = o.path.first().copied().unwrap_or_default();
        let to = o.path.last().copied().unwrap_or_default();
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
            Reason::WeakBridge => ("weak_bridge", String::new(), from, to),
            Reason::DifferentKinds => ("different_kinds", String::new(), from, to),
        };
        ObstacleView {
            conflict,
            detail,
            kind: self.kind,
            left: key(left),
            right: key(right),
            path: o.path.iter().map(|i| key(*i)).collect(),
        }
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
            out.obstacles.insert(o.judgement.clone(), self.view(o));
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
