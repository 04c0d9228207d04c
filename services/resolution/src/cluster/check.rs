//! Whether a new positive judgement may be made.

use super::{Edge, Grown, Node, Obstacle, Ranked, Reason, group, grow, named_reason};
use crate::{judgement::Judgement, rules::RuleSet};

/// Whether the positive judgement `new` can hold beside `judgements`, and everything that holds
/// without it still holds with it; else why not.
///
/// It is tried after all judgements of its kind first, so that it is `new` which is refused and
/// not an older one which gives way. Then the clusters with it are held against those without
/// it: no other judgement may be suspended by it, and no two records be parted. Without this, a
/// record could silently leave those it was one with, because they hold another identifier than
/// its new ones, or were judged not to be one with them.
///
/// `nodes` and `edges` must hold the components of all records it names. A judgement with the
/// same id among `judgements` is replaced. For [`Reason::WeakBridge`] the path is the pair that
/// would part.
pub fn check_positive(
    nodes: &[Node<'_>],
    edges: &[Edge],
    judgements: &[Judgement],
    new: &Judgement,
    rules: &RuleSet,
) -> Result<(), Obstacle> {
    let others: Vec<Judgement> = judgements
        .iter()
        .filter(|j| j.id != new.id)
        .cloned()
        .collect();
    let mut all = others.clone();
    all.push(new.clone());
    let ranked = Ranked::new(nodes, edges, rules);
    let before = grow(&ranked, &others, rules, None);
    let last = grow(&ranked, &all, rules, Some(&new.id)).suspended;
    let after = grow(&ranked, &all, rules, None);
    let own = |o: &&Obstacle| o.judgement == new.id;
    let found = last
        .iter()
        .find(own)
        .or_else(|| after.suspended.iter().find(own))
        .or_else(|| broken(&before, &after))
        .cloned()
        .or_else(|| parted(&ranked, &before, after, new));
    match found {
        Some(o) => Err(ranked.obstacle(Obstacle {
            judgement: new.id.clone(),
            ..o
        })),
        None => Ok(()),
    }
}

/// What stands against the first judgement that held before.
fn broken<'a>(before: &Grown<'_, '_>, after: &'a Grown<'_, '_>) -> Option<&'a Obstacle> {
    let held = |o: &&Obstacle| before.suspended.iter().all(|b| b.judgement != o.judgement);
    after.suspended.iter().find(held)
}

/// What parts the ends of the strongest link that held before.
fn parted(
    ranked: &Ranked<'_>,
    before: &Grown<'_, '_>,
    mut after: Grown<'_, '_>,
    new: &Judgement,
) -> Option<Obstacle> {
    let groups = &mut after.groups;
    let link = before
        .links
        .iter()
        .find(|l| groups.root(l.a) != groups.root(l.b))?;
    let count = ranked.records.len();
    let (reason, path) = match groups.conflict(link.a, link.b, false) {
        Some((a, b, conflict)) => (
            named_reason(conflict, &after.sorted),
            group::path(&before.links, &ranked.named(new), a, b, count),
        ),
        None => (Reason::WeakBridge, vec![link.a, link.b]),
    };
    Some(Obstacle {
        judgement: new.id.clone(),
        reason,
        path,
    })
}
