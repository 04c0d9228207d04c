//! What the new clusters mean for customers: ids, revisions, list columns, change log.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::{Member, survive};
use jinke_store::{
    Tx,
    changelog::{self, Entry},
};
use jinke_types::{Failure, PartyKind, Timestamp};

use super::{ObstacleView, Work, component::Clustered};
use crate::{
    domain::{ChangeKind, FEED, Source},
    store::{
        customers::{self, CustomerRow, RevisionRow},
        records::{self, PartyRow},
    },
};

/// Customers of the records looked at, and what stands against positive judgements.
type Done = (BTreeMap<i64, i64>, BTreeMap<String, ObstacleView>);

pub(super) async fn run(
    work: &mut Work<'_>,
    tx: &mut Tx,
    clustered: Clustered,
    sources: &BTreeMap<String, Source>,
    now: Timestamp,
) -> Result<Done, Failure> {
    let mut new_members: BTreeMap<i64, BTreeMap<i64, PartyRow>> = BTreeMap::new();
    let mut old_members: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (no, id) in &clustered.customers {
        let Some(row) = work.row(*no) else { continue };
        if let Some(old) = row.customer {
            old_members.entry(old).or_default().insert(*no);
        }
        new_members.entry(*id).or_default().insert(*no, row);
    }
    // Customers whose records stay but whose attachments or sources changed.
    let touched: Vec<i64> = work
        .input
        .touched
        .iter()
        .copied()
        .filter(|id| !old_members.contains_key(id))
        .collect();
    for row in records::members(tx, &touched).await? {
        if let Some(id) = row.customer {
            old_members.entry(id).or_default().insert(row.no);
            new_members
                .entry(id)
                .or_default()
                .insert(row.no, row.clone());
            work.rows.insert(row.no, row);
        }
    }
    let organizations: Vec<i64> = new_members
        .values()
        .flat_map(|m| m.values())
        .filter(|m| m.kind.party() == Some(PartyKind::Organization))
        .map(|m| m.no)
        .collect();
    work.load_indexed(tx, organizations).await?;
    let ids: BTreeSet<i64> = old_members
        .keys()
        .chain(new_members.keys())
        .copied()
        .collect();
    let list: Vec<i64> = ids.iter().copied().collect();
    let mut rows = customers::by_ids(tx, &list).await?;
    let mut writes = Vec::new();
    let mut revisions = Vec::new();
    for id in ids {
        let row = rows.remove(&id);
        let none = BTreeSet::new();
        let old = old_members.get(&id).unwrap_or(&none);
        let Some(change) = change(
            work,
            id,
            row.as_ref(),
            old,
            new_members.get(&id),
            &clustered.customers,
        ) else {
            continue;
        };
        let members = new_members.get(&id);
        let row = next_row(work, id, row, &change, members, sources, now)?;
        let members = members.into_iter().flatten();
        revisions.push(RevisionRow {
            customer: id,
            revision: row.revision,
            kind: change.kind,
            time: now,
            related: change.related.iter().copied().collect(),
            members: members.map(|(no, m)| (*no, m.versions)).collect(),
        });
        writes.push(row);
    }
    write(work, tx, &clustered.customers, &writes, &revisions).await?;
    Ok((clustered.customers, clustered.obstacles))
}

async fn write(
    work: &Work<'_>,
    tx: &mut Tx,
    assigned: &BTreeMap<i64, i64>,
    rows: &[CustomerRow],
    revisions: &[RevisionRow],
) -> Result<(), Failure> {
    // Changed records are written by the caller, their customer with them.
    let moved: Vec<(i64, i64)> = assigned
        .iter()
        .filter(|(no, id)| {
            !work.changed.contains_key(no)
                && work.rows.get(no).is_none_or(|r| r.customer != Some(**id))
        })
        .map(|(no, id)| (*no, *id))
        .collect();
    records::assign(tx, &moved).await?;
    customers::put(tx, rows).await?;
    customers::put_revisions(tx, revisions).await?;
    for r in revisions {
        let related: Vec<String> = r.related.iter().map(i64::to_string).collect();
        changelog::append(
            tx,
            Entry {
                feed: FEED,
                subject: r.customer.to_string(),
                kind: r.kind.as_str(),
                revision: r.revision,
                time: r.time,
                body: related.join(",").into_bytes(),
            },
        );
    }
    Ok(())
}

/// What happened to one customer.
#[derive(Debug)]
struct Change {
    kind: ChangeKind,
    related: BTreeSet<i64>,
}

fn change(
    work: &Work<'_>,
    id: i64,
    row: Option<&CustomerRow>,
    old: &BTreeSet<i64>,
    new: Option<&BTreeMap<i64, PartyRow>>,
    assigned: &BTreeMap<i64, i64>,
) -> Option<Change> {
    let Some(new) = new else {
        // The first record may be erased; its id then passes on with the others.
        let first = assigned.get(&id);
        let next = first.or_else(|| old.iter().find_map(|no| assigned.get(no)));
        let related = next.copied().into_iter().collect();
        return Some(Change {
            kind: ChangeKind::Redirected,
            related,
        });
    };
    let from: BTreeSet<i64> = new
        .values()
        .filter_map(|m| m.customer)
        .filter(|c| *c != id)
        .collect();
    if !row.is_some_and(|r| r.live) {
        return Some(Change {
            kind: ChangeKind::Created,
            related: from,
        });
    }
    if !from.is_empty() {
        return Some(Change {
            kind: ChangeKind::Merged,
            related: from,
        });
    }
    let to: BTreeSet<i64> = old
        .iter()
        .filter_map(|no| assigned.get(no))
        .copied()
        .filter(|c| *c != id)
        .collect();
    if !to.is_empty() {
        return Some(Change {
            kind: ChangeKind::Unmerged,
            related: to,
        });
    }
    let related = BTreeSet::new();
    let all_deleted = new.values().all(|m| m.deleted);
    if all_deleted && row.is_some_and(|r| r.delete_time.is_none()) {
        return Some(Change {
            kind: ChangeKind::Deleted,
            related,
        });
    }
    let changed = new.keys().any(|no| work.changed.contains_key(no));
    let touched = work.input.touched.contains(&id);
    (changed || touched).then_some(Change {
        kind: ChangeKind::Updated,
        related,
    })
}

fn next_row(
    work: &Work<'_>,
    id: i64,
    row: Option<CustomerRow>,
    change: &Change,
    members: Option<&BTreeMap<i64, PartyRow>>,
    sources: &BTreeMap<String, Source>,
    now: Timestamp,
) -> Result<CustomerRow, Failure> {
    let kind = match (&row, members.and_then(|m| m.values().next())) {
        (Some(row), _) => row.kind,
        (None, Some(m)) => m.kind.party().unwrap_or(PartyKind::Organization),
        (None, None) => return Err(Failure::internal("a customer without row and records")),
    };
    let mut next = CustomerRow {
        id,
        kind,
        live: change.kind != ChangeKind::Redirected,
        revision: row.as_ref().map_or(1, |r| r.revision + 1),
        display_name: None,
        record_count: members.map_or(0, |m| i64::try_from(m.len()).unwrap_or(i64::MAX)),
        create_time: row.as_ref().map_or(now, |r| r.create_time),
        update_time: now,
        delete_time: None,
    };
    let Some(members) = members else {
        return Ok(next);
    };
    if members.values().all(|m| m.deleted) {
        next.delete_time = Some(row.and_then(|r| r.delete_time).unwrap_or(now));
    }
    if kind == PartyKind::Organization {
        next.display_name = display_name(work, members, sources);
    }
    Ok(next)
}

/// The best name for sorting lists. It must not tell of walled sources, so it is taken from the
/// records of shared ones; when there is none, from the only org unit there is.
fn display_name(
    work: &Work<'_>,
    members: &BTreeMap<i64, PartyRow>,
    sources: &BTreeMap<String, Source>,
) -> Option<String> {
    let of = |m: &PartyRow| sources.get(&m.key.source);
    let shared = members.values().any(|m| of(m).is_some_and(|s| s.shared));
    let units: BTreeSet<&str> = members
        .values()
        .filter_map(|m| Some(of(m)?.org_unit.as_str()))
        .collect();
    if !shared && units.len() > 1 {
        return None;
    }
    let list: Vec<Member<'_>> = members
        .iter()
        .filter(|(_, m)| !shared || of(m).is_some_and(|s| s.shared))
        .filter_map(|(no, m)| {
            Some(Member {
                key: &m.key,
                kind: PartyKind::Organization,
                trust: of(m)?.trust,
                deleted: m.deleted,
                business_time: m.time,
                values: &work.indexed.get(no)?.names,
            })
        })
        .collect();
    let name = survive(&list, &work.core.policy)
        .display_name
        .replace('\0', "");
    (!name.is_empty()).then_some(name)
}
