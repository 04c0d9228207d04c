//! The plain columns of transactions, interactions and relationships, and the sums.

use std::collections::BTreeMap;

use jinke_types::Failure;

use super::{Difference, Walk, differences};
use crate::{
    engine::{
        Core,
        activity::{Plain, plain},
    },
    store::{
        activities::{self, ActivityRow, RelationshipRow, Total},
        rebuild as store, records,
    },
};

/// Records or parties of one transaction.
const STEP: i64 = 500;

pub(super) async fn run(core: &Core, walk: &mut Walk) -> Result<(), Failure> {
    let mut after = i64::MIN;
    loop {
        let mut reader = core.db.read().await?;
        let page = store::others(&mut reader, after, STEP).await?;
        drop(reader);
        let Some(last) = page.last() else { break };
        after = *last;
        let repair = walk.repair;
        let found = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let (found, rows, relationships) = columns(core, tx, &page).await?;
                if repair {
                    activities::put(tx, &rows).await?;
                    activities::put_relationships(tx, &relationships).await?;
                }
                Ok(found)
            })
            .await?;
        walk.out.note(found);
        walk.out.records += i64::try_from(page.len()).unwrap_or(0);
        walk.step(page.len()).await?;
    }
    let mut after = String::new();
    loop {
        let mut reader = core.db.read().await?;
        let page = store::parties(&mut reader, &after, STEP).await?;
        drop(reader);
        let Some(last) = page.last() else {
            return Ok(());
        };
        after.clone_from(last);
        let repair = walk.repair;
        let found = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let stored = activities::totals(tx, &page).await?;
                let mut right = store::right_totals(tx, &page).await?;
                // A sum that counts nothing any more is as good as none.
                for key in stored.keys() {
                    right.entry(key.clone()).or_default();
                }
                let shown = |list: &BTreeMap<activities::TotalKey, Total>| {
                    let list = list.iter().filter(|(_, t)| **t != Total::default());
                    list.map(|((party, source, kind, currency), t)| {
                        let subject = format!("{party} from {source}, kind {kind} {currency}");
                        let sum = format!("{} of {}", t.amount.normalize(), t.count);
                        (("total", subject), sum)
                    })
                    .collect::<BTreeMap<_, _>>()
                };
                let found = differences(&shown(&stored), &shown(&right));
                if repair && !found.is_empty() {
                    activities::put_totals(tx, &right).await?;
                }
                Ok(found)
            })
            .await?;
        walk.out.note(found);
    }
}

/// What is stored otherwise of these records, and the rows that are right.
async fn columns(
    core: &Core,
    conn: &mut jinke_store::Conn,
    nos: &[i64],
) -> Result<(Vec<Difference>, Vec<ActivityRow>, Vec<RelationshipRow>), Failure> {
    let rows = records::by_nos(conn, nos).await?;
    let bodies = core.bodies(conn, nos).await?;
    let mut activities_right = BTreeMap::new();
    let mut relationships_right = BTreeMap::new();
    for row in &rows {
        match bodies.get(&row.no).and_then(|body| plain(row, body)) {
            Some(Plain::Activity(a)) => {
                activities_right.insert(row.no, a);
            }
            Some(Plain::Relationship(r)) => {
                relationships_right.insert(row.no, r);
            }
            None => {}
        }
    }
    let stored = activities::by_nos(conn, nos).await?;
    let mut found = compared("activity", &stored, &activities_right);
    let stored = activities::relationships_by_nos(conn, nos).await?;
    found.extend(compared("relationship", &stored, &relationships_right));
    Ok((
        found,
        activities_right.into_values().collect(),
        relationships_right.into_values().collect(),
    ))
}

fn compared<T: PartialEq + std::fmt::Debug>(
    about: &'static str,
    stored: &BTreeMap<i64, T>,
    right: &BTreeMap<i64, T>,
) -> Vec<Difference> {
    let text = |row: Option<&T>| row.map_or_else(String::new, |r| format!("{r:?}"));
    right
        .iter()
        .filter(|(no, row)| stored.get(no) != Some(row))
        .map(|(no, row)| Difference {
            about,
            subject: no.to_string(),
            stored: text(stored.get(no)),
            right: text(Some(row)),
        })
        .collect()
}
