//! Why records are held to be one party, and what a party would match.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_resolution::{
    Cause, Clustering, Edge, Generic, Node, RuleSet, cluster, explain_cluster, explain_pair,
};
use jinke_store::Conn;
use jinke_types::{Failure, PartyKind, RecordKey, RowScope, Value};

use super::{
    Core, Engine,
    golden::sees,
    prepare::{Indexed, index},
    resolve::views::{self, Ask, Origin},
};
use crate::{
    domain::{Cohesion, MatchCandidate, PairExplanation, Shown, WeighedPair, key_text},
    store::{
        customers,
        judgements::{self, JudgementRow},
        pairs,
        records::{self, PartyRow},
        sources,
    },
};

/// Most links of a customer that are explained, strongest first.
const MAX_LINKS: usize = 200;

impl Core {
    async fn pair(
        &self,
        conn: &mut Conn,
        (left, a): (&PartyRow, &Indexed),
        (right, b): (&PartyRow, &Indexed),
    ) -> Result<PairExplanation, Failure> {
        let kind = a.std.kind();
        let active = self.active(conn).await?;
        let rules = active.of(kind);
        let generic = self.generic_texts(conn, &[a, b]).await?;
        let steps = explain_pair(&a.std.rated(rules), &b.std.rated(rules), &generic, rules);
        let shared: BTreeSet<String> = a
            .std
            .keys()
            .iter()
            .filter(|k| b.std.keys().contains(k) && !generic.contains(*k))
            .filter_map(|k| rules.keys.get(usize::from(k.rule)))
            .map(|r| r.name.clone())
            .collect();
        let exclusive_conflict = conflicting_scheme(a, b, &rules.exclusive);
        let named = judgements::naming(conn, &[key_text(&left.key)]).await?;
        Ok(PairExplanation {
            left: left.key.clone(),
            right: right.key.clone(),
            kind,
            score: steps.last().map_or(0, |s| s.sum),
            steps,
            shared_keys: shared.into_iter().collect(),
            judgements: named
                .values()
                .filter(|j| on_both_sides(j, &left.key, &right.key))
                .map(|j| j.id)
                .collect(),
            exclusive_conflict,
            same_customer: left.customer.is_some() && left.customer == right.customer,
        })
    }
}

fn on_both_sides(j: &JudgementRow, a: &RecordKey, b: &RecordKey) -> bool {
    (j.left.contains(a) && j.right.contains(b)) || (j.left.contains(b) && j.right.contains(a))
}

/// The scheme of an exclusive identifier that differs while both hold; empty when none.
fn conflicting_scheme(a: &Indexed, b: &Indexed, exclusive: &[String]) -> String {
    for x in a.std.identifiers() {
        let scheme = x.scheme.split(':').next().unwrap_or_default();
        if exclusive.iter().any(|e| e == scheme) && b.std.identifiers().any(|y| x.contradicts(y)) {
            return x.scheme.to_string();
        }
    }
    String::new()
}

/// What would split these records. Of several clusters, which records that are not among them join
/// to one, there is nothing to split.
fn cohesion(
    nodes: &[Node<'_>],
    edges: &[Edge],
    clustering: &Clustering,
    (rules, generic): (&RuleSet, &dyn Generic),
) -> Cohesion {
    let of_links = clustering.links.iter();
    let judgements: BTreeSet<i64> = of_links
        .filter_map(|link| match &link.cause {
            Cause::Judgement(id) => id.parse().ok(),
            Cause::Score(_) => None,
        })
        .collect();
    let mut out = Cohesion {
        records: nodes.len(),
        judgements: Shown::of(judgements.into_iter()),
        ..Cohesion::default()
    };
    if clustering.clusters.len() != 1 {
        return out;
    }
    let found = explain_cluster(nodes, edges, clustering, 0, rules);
    let name = |n: usize| nodes[n].key.clone();
    let pair = |(a, b): (usize, usize)| WeighedPair {
        left: name(a),
        right: name(b),
        weights: explain_pair(nodes[a].std, nodes[b].std, generic, rules)
            .into_iter()
            .map(|step| (step.comparison, step.weight))
            .collect(),
    };
    if let Some(link) = &found.weakest {
        out.weakest = Some(pair((link.a, link.b)));
        out.sides = found
            .sides
            .map(|s| Shown::of(s.into_iter().map(name)))
            .into();
    }
    let Shown { first, omitted } = Shown::of(found.holding.into_iter());
    out.holding = Shown {
        first: first.iter().map(|e| pair((e.a, e.b))).collect(),
        omitted,
    };
    out
}

impl Engine {
    /// Why two party records are held to be one, or not. `NOT_FOUND` for a record that is not
    /// there, not visible or not a party; `KIND_MISMATCH` (INVALID_ARGUMENT) for two kinds.
    pub async fn explain(
        &self,
        left: &RecordKey,
        right: &RecordKey,
        scope: &RowScope,
    ) -> Result<PairExplanation, Failure> {
        let core = &self.core;
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let known = sources::all(conn).await?;
        let mut found = Vec::new();
        for key in [left, right] {
            let row = records::parties_by_key(conn, vec![key_text(key)])
                .await?
                .pop()
                .filter(|r| sees(scope, &known, &r.key))
                .ok_or_else(|| Failure::not_found(format!("sources/{}", key.source)))?;
            found.push(row.no);
        }
        let loaded = core.indexed(conn, &found).await?;
        let of = |no: i64| {
            loaded
                .get(&no)
                .ok_or_else(|| Failure::internal("a record of a pair is missing"))
        };
        let (a, b) = (of(found[0])?, of(found[1])?);
        if a.1.std.kind() != b.1.std.kind() {
            return Err(Failure::new(
                jinke_types::Code::InvalidArgument,
                "KIND_MISMATCH",
                "an organization and a person are never compared",
            ));
        }
        core.pair(conn, (&a.0, &a.1), (&b.0, &b.1)).await
    }

    /// What holds a customer together, over the records the caller sees: the tree of links,
    /// strongest first and at most 200, and what would split it.
    ///
    /// The records that the caller does not see are left out before anything is computed, so that
    /// nothing tells of them.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no such customer, or the caller sees none of its records.
    pub async fn links(
        &self,
        id: i64,
        scope: &RowScope,
    ) -> Result<(Vec<PairExplanation>, Cohesion), Failure> {
        let core = &self.core;
        let missing = || Failure::not_found(format!("customers/{id}"));
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let known = sources::all(conn).await?;
        let live = customers::resolve(conn, id).await?.ok_or_else(missing)?;
        let mut members = records::members(conn, &[live]).await?;
        members.retain(|m| sees(scope, &known, &m.key));
        let nos: Vec<i64> = members.iter().map(|m| m.no).collect();
        let active = core.active(conn).await?;
        let mut loaded = core.indexed(conn, &nos).await?;
        for (_, indexed) in loaded.values_mut() {
            *indexed = core.rated(indexed, &active);
        }
        let list: Vec<&(PartyRow, Arc<Indexed>)> = loaded.values().collect();
        let Some(kind) = list.first().map(|l| l.1.std.kind()) else {
            return Err(missing());
        };
        let at: BTreeMap<i64, usize> = list.iter().enumerate().map(|(i, l)| (l.0.no, i)).collect();
        let edges: Vec<Edge> = pairs::from(conn, &nos)
            .await?
            .into_iter()
            .filter_map(|(a, b, score)| {
                Some(Edge {
                    a: *at.get(&a)?,
                    b: *at.get(&b)?,
                    score,
                })
            })
            .collect();
        let keys: Vec<String> = members.iter().map(|m| key_text(&m.key)).collect();
        let judged: Vec<_> = judgements::naming(conn, &keys)
            .await?
            .values()
            .map(JudgementRow::judgement)
            .collect();
        let all: Vec<&Indexed> = list.iter().map(|l| &*l.1).collect();
        let generic = core.generic_texts(conn, &all).await?;
        let (links, cohesion) = {
            let nodes: Vec<Node<'_>> = list
                .iter()
                .map(|l| Node {
                    key: &l.0.key,
                    std: &l.1.std,
                })
                .collect();
            let rules = active.of(kind);
            let clustering = cluster(&nodes, &edges, &judged, rules);
            let cohesion = cohesion(&nodes, &edges, &clustering, (rules, &generic));
            (clustering.links, cohesion)
        };
        let mut out = Vec::new();
        for link in links.iter().take(MAX_LINKS) {
            let (a, b) = (list[link.a], list[link.b]);
            let mut explained = core.pair(conn, (&a.0, &a.1), (&b.0, &b.1)).await?;
            if let Cause::Judgement(judgement) = &link.cause
                && let Ok(judgement) = judgement.parse()
                && !explained.judgements.contains(&judgement)
            {
                explained.judgements.push(judgement);
            }
            out.push(explained);
        }
        Ok((out, cohesion))
    }

    /// The customers that a party would match by their best record, best first, at most `limit`;
    /// nothing is stored.
    pub async fn match_party(
        &self,
        kind: PartyKind,
        values: &[Value],
        scope: &RowScope,
        limit: usize,
    ) -> Result<Vec<MatchCandidate>, Failure> {
        let core = &self.core;
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let active = core.active(conn).await?;
        let rules = active.of(kind);
        let asked = Arc::new(index(&core.ring, &core.rules, kind, values));
        let asked = core.rated(&asked, &active);
        let known = sources::all(conn).await?;
        let generic = core.generic_keys(conn).await?;
        let own = asked.core.unwrap_or(0);
        let keys = asked.std.keys().iter().zip(&asked.keys);
        let asks = keys.map(|(key, token)| {
            let origin = Origin {
                kind,
                rule: key.rule,
            };
            let ask = Ask {
                origin,
                leaving: 0,
                cores: BTreeSet::from([own]),
                counted: false,
            };
            (*token, ask)
        });
        let views = views::load(conn, &core.rules, &asks.collect(), &generic.tokens).await?;
        // As a record would meet them that is no hub.
        let nos: BTreeSet<i64> = views
            .values()
            .filter_map(|v| Some(v.partners(v.origin.rule(&core.rules)?, own, 0).0))
            .flatten()
            .collect();
        let nos: Vec<i64> = nos.into_iter().collect();
        let mut found = core.indexed(conn, &nos).await?;
        for (_, indexed) in found.values_mut() {
            *indexed = core.rated(indexed, &active);
        }
        found.retain(|_, (row, _)| sees(scope, &known, &row.key));
        let mut all: Vec<&Indexed> = found.values().map(|f| &*f.1).collect();
        all.push(&asked);
        let texts = core.generic_texts(conn, &all).await?;
        let mut best: BTreeMap<i64, MatchCandidate> = BTreeMap::new();
        for (no, (row, indexed)) in &found {
            let Some(customer) = row.customer else {
                continue;
            };
            let steps = explain_pair(&asked.std, &indexed.std, &texts, rules);
            let score = steps.last().map_or(0, |s| s.sum);
            if score < rules.thresholds.review
                || best.get(&customer).is_some_and(|c| c.score >= score)
            {
                continue;
            }
            let would_merge = score >= rules.thresholds.merge
                && conflicting_scheme(&asked, indexed, &rules.exclusive).is_empty();
            let candidate = MatchCandidate {
                customer,
                record_no: *no,
                score,
                would_merge,
                steps,
            };
            best.insert(customer, candidate);
        }
        let mut out: Vec<MatchCandidate> = best.into_values().collect();
        out.sort_by_key(|c| (std::cmp::Reverse(c.score), c.customer));
        out.truncate(limit);
        Ok(out)
    }
}
