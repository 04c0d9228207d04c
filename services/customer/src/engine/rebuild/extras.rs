//! Keys that no record has, and rows that belong to nothing.
//!
//! Whether there is a key too many is told by sums over all rows, which hold no row in memory:
//! the sum of what the records should have, and of what is stored, in one snapshot. Only when they
//! differ are the rows looked for, in shares that fit in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_store::Conn;
use jinke_types::Failure;

use super::{Difference, Walk};
use crate::{
    engine::{Core, prepare::Indexed, resolve::held},
    store::{
        blocks::{self, BlockChanges, Held},
        rebuild as store,
        records::{self, PartyRow},
        tokens::{self, TokenChanges},
    },
};

/// Records per step.
const STEP: i64 = 1_000;
/// Rows per step.
const ROWS: i64 = 20_000;
/// Rows that are held in memory at a time, 40 bytes each.
const SHARE: i64 = 2_000_000;

/// A stored row: of the blocking keys or, without a place, of the search tokens.
type Row = (i64, Option<Held>, i64);

/// A number for a row that is as good as chance, so that sums of them tell sets apart.
/// (SplitMix64, by Steele, Lea and Flood, 2014.)
fn mark(row: &Row) -> u64 {
    let mix = |x: u64| {
        let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let (token, held, no) = row;
    let (core, place) = held.map_or((1, 2), |h| (h.core, h.place));
    [*token, core, place, *no]
        .into_iter()
        .fold(u64::from(held.is_some()), |sum, part| {
            mix(sum ^ part.cast_unsigned())
        })
}

pub(super) async fn run(core: &Core, walk: &mut Walk) -> Result<(), Failure> {
    let found = search(core, walk).await?;
    let (mut tokens_found, mut blocks_found) = (TokenChanges::default(), BlockChanges::default());
    let mut differences = Vec::new();
    for (token, held, no) in found {
        let about = match held {
            Some(held) => {
                blocks_found.removed.insert((token, held));
                "blocking key"
            }
            None => {
                tokens_found.removed.insert((token, no));
                "token"
            }
        };
        differences.push(Difference {
            about,
            subject: format!("{token} of record {no}"),
            stored: "present".to_owned(),
            right: String::new(),
        });
    }
    let mut reader = core.db.read().await?;
    let orphans = store::orphans(&mut reader).await?;
    drop(reader);
    differences.extend(orphans.iter().map(|(about, x, y)| Difference {
        about,
        subject: if x == y {
            x.to_string()
        } else {
            format!("{x}-{y}")
        },
        stored: "present".to_owned(),
        right: String::new(),
    }));
    if walk.repair && !differences.is_empty() {
        let (tokens_found, blocks_found) = (&tokens_found.removed, &blocks_found.removed);
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                // A record that changed since the snapshot may have the key by now.
                let right = rightful(core, tx, tokens_found, blocks_found).await?;
                let removed = tokens_found.iter();
                let removed = removed.filter(|(t, no)| !right.contains(&(*t, None, *no)));
                let changes = TokenChanges {
                    removed: removed.copied().collect(),
                    ..TokenChanges::default()
                };
                tokens::write(tx, changes, false).await?;
                let removed = blocks_found.iter();
                let removed = removed.filter(|(t, h)| !right.contains(&(*t, Some(*h), h.no)));
                let changes = BlockChanges {
                    removed: removed.copied().collect(),
                    ..BlockChanges::default()
                };
                blocks::write(tx, changes, false).await?;
                let orphans = store::orphans(tx).await?;
                store::remove_orphans(tx, &orphans).await
            })
            .await?;
    }
    walk.out.note(differences);
    Ok(())
}

/// The rows that the records of these rows should have.
async fn rightful(
    core: &Core,
    conn: &mut Conn,
    searched: &BTreeSet<(i64, i64)>,
    blocking: &BTreeSet<(i64, Held)>,
) -> Result<BTreeSet<Row>, Failure> {
    let nos: BTreeSet<i64> = searched
        .iter()
        .map(|r| r.1)
        .chain(blocking.iter().map(|r| r.1.no))
        .collect();
    let nos: Vec<i64> = nos.into_iter().collect();
    let mut out = BTreeSet::new();
    for chunk in nos.chunks(1_000) {
        out.extend(expected(&core.indexed(conn, chunk).await?));
    }
    Ok(out)
}

/// The rows that these records should have.
fn expected(indexed: &BTreeMap<i64, (PartyRow, Arc<Indexed>)>) -> impl Iterator<Item = Row> {
    indexed.iter().flat_map(|(no, (row, i))| {
        let held = held(*no, &row.key, i);
        let terms = i.terms.iter().map(|t| (*t, None, *no));
        let keys = i.keys.iter().map(move |t| (*t, Some(held), *no));
        terms.chain(keys).collect::<Vec<Row>>()
    })
}

/// Stored rows that no record should have, as one snapshot shows them.
async fn search(core: &Core, walk: &mut Walk) -> Result<Vec<Row>, Failure> {
    let mut reader = core.db.snapshot().await?;
    let conn = &mut *reader;
    let (mut right, mut stored) = (0_u64, 0_u64);
    let mut after = i64::MIN;
    loop {
        let page = records::page_of_parties(conn, after, STEP).await?;
        let Some(last) = page.last() else { break };
        after = last.no;
        let nos: Vec<i64> = page.iter().map(|r| r.no).collect();
        for row in expected(&core.indexed(conn, &nos).await?) {
            right = right.wrapping_add(mark(&row));
        }
        walk.step(page.len()).await?;
    }
    each(conn, |row| stored = stored.wrapping_add(mark(&row))).await?;
    if right == stored {
        return Ok(Vec::new());
    }
    let (a, b) = store::rows(conn).await?;
    let shares = u64::try_from((a + b) / SHARE + 1).unwrap_or(1);
    let mut found = Vec::new();
    for share in 0..shares {
        let mine = |row: &Row| mark(row) % shares == share;
        let mut here: BTreeSet<u64> = BTreeSet::new();
        let mut after = i64::MIN;
        loop {
            let page = records::page_of_parties(conn, after, STEP).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            let nos: Vec<i64> = page.iter().map(|r| r.no).collect();
            let indexed = core.indexed(conn, &nos).await?;
            let rows = expected(&indexed);
            here.extend(rows.filter(|r| mine(r)).map(|r| mark(&r)));
            walk.step(0).await?;
        }
        each(conn, |row| {
            if mine(&row) && !here.contains(&mark(&row)) {
                found.push(row);
            }
        })
        .await?;
    }
    Ok(found)
}

/// Goes through all stored rows.
async fn each(conn: &mut Conn, mut seen: impl FnMut(Row)) -> Result<(), Failure> {
    let mut after = (i64::MIN, i64::MIN);
    loop {
        let page = tokens::page(conn, after, ROWS).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        page.into_iter().for_each(|(t, no)| seen((t, None, no)));
    }
    let least = Held {
        core: i64::MIN,
        place: i64::MIN,
        no: i64::MIN,
    };
    let mut after = (i64::MIN, least);
    loop {
        let page = blocks::page(conn, after, ROWS).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = *last;
        page.into_iter().for_each(|(t, h)| seen((t, Some(h), h.no)));
    }
}
