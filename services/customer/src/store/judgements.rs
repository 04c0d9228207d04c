//! What people decided.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::{Judgement, JudgementKind};
use jinke_store::{Conn, Row, Rows, Sql, Tx, args};
use jinke_types::{Failure, RecordKey, Timestamp};

use crate::domain::{Decision, damaged, key_from_text, key_text};

/// A judgement's row.
#[derive(Clone, Debug)]
pub struct JudgementRow {
    /// Its id.
    pub id: i64,
    /// What was decided.
    pub decision: Decision,
    /// A positive one holds against exclusive identifiers.
    pub overrides: bool,
    /// Later evidence broke it.
    pub suspended: bool,
    /// Wrapped data key of the comment.
    pub data_key: Vec<u8>,
    /// The sealed comment.
    pub comment: Vec<u8>,
    /// Who.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// When it was taken back.
    pub retract_time: Option<Timestamp>,
    /// One side.
    pub left: Vec<RecordKey>,
    /// The other.
    pub right: Vec<RecordKey>,
}

impl JudgementRow {
    /// As the resolution engine takes it.
    pub fn judgement(&self) -> Judgement {
        Judgement {
            id: self.id.to_string(),
            kind: match self.decision {
                Decision::Positive => JudgementKind::Positive {
                    overrides_exclusivity: self.overrides,
                },
                Decision::Negative => JudgementKind::Negative,
                Decision::Unsure => JudgementKind::Unsure,
            },
            left: self.left.clone(),
            right: self.right.clone(),
        }
    }
}

const COLUMNS: &str = "id, kind, overrides, suspended, data_key, comment, creator, create_time, \
    retract_time";

fn judgement(row: &Row) -> Result<JudgementRow, Failure> {
    Ok(JudgementRow {
        id: row.i64("id")?,
        decision: match row.i64("kind")? {
            1 => Decision::Positive,
            2 => Decision::Negative,
            3 => Decision::Unsure,
            _ => return Err(damaged("judgement")),
        },
        overrides: row.bool("overrides")?,
        suspended: row.bool("suspended")?,
        data_key: row.bytes("data_key")?,
        comment: row.bytes("comment")?,
        creator: row.text("creator")?,
        create_time: row.time("create_time")?,
        retract_time: row.opt_time("retract_time")?,
        left: Vec::new(),
        right: Vec::new(),
    })
}

async fn with_records(
    conn: &mut Conn,
    mut found: BTreeMap<i64, JudgementRow>,
) -> Result<BTreeMap<i64, JudgementRow>, Failure> {
    if found.is_empty() {
        return Ok(found);
    }
    let ids: Vec<i64> = found.keys().copied().collect();
    let rows = conn
        .fetch_all(
            "SELECT judgement, side, key FROM judgement_records WHERE judgement IN LIST($1) \
             ORDER BY judgement, side, key",
            args![ids],
        )
        .await?;
    for row in rows {
        if let Some(j) = found.get_mut(&row.i64("judgement")?) {
            let key = key_from_text(&row.text("key")?);
            if row.i64("side")? == 1 {
                j.left.push(key)
            } else {
                j.right.push(key)
            }
        }
    }
    Ok(found)
}

/// Whether any judgement is in force, so that most batches ask no further.
pub async fn any_in_force(conn: &mut Conn) -> Result<bool, Failure> {
    Ok(conn
        .fetch_optional(
            "SELECT 1 AS one FROM judgements WHERE retract_time IS NULL LIMIT 1",
            args![],
        )
        .await?
        .is_some())
}

/// Judgements in force that name any of these records, by id.
pub async fn naming(
    conn: &mut Conn,
    keys: &[String],
) -> Result<BTreeMap<i64, JudgementRow>, Failure> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: BTreeSet<i64> = conn
        .fetch_all(
            "SELECT judgement FROM judgement_records WHERE key IN LIST($1)",
            args![keys],
        )
        .await?
        .iter()
        .map(|r| r.i64("judgement"))
        .collect::<Result<_, _>>()?;
    let ids: Vec<i64> = ids.into_iter().collect();
    let mut found = by_ids(conn, &ids).await?;
    found.retain(|_, j| j.retract_time.is_none());
    Ok(found)
}

/// Judgements of these ids.
pub async fn by_ids(conn: &mut Conn, ids: &[i64]) -> Result<BTreeMap<i64, JudgementRow>, Failure> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = conn
        .fetch_all(
            Sql::assembled(format!(
                "SELECT {COLUMNS} FROM judgements WHERE id IN LIST($1)"
            )),
            args![ids],
        )
        .await?
        .iter()
        .map(|r| judgement(r).map(|j| (j.id, j)))
        .collect::<Result<_, _>>()?;
    with_records(conn, found).await
}

/// Judgements after `after`, by id; those that name `record`, and also those taken back, if asked.
pub async fn list(
    conn: &mut Conn,
    after: i64,
    limit: i64,
    record: Option<&RecordKey>,
    show_retracted: bool,
) -> Result<Vec<JudgementRow>, Failure> {
    let mut text = format!("SELECT {COLUMNS} FROM judgements WHERE id > $1");
    let mut arguments = args![after, limit];
    if !show_retracted {
        text.push_str(" AND retract_time IS NULL");
    }
    if let Some(key) = record {
        arguments.push(key_text(key).into());
        text.push_str(" AND id IN (SELECT judgement FROM judgement_records WHERE key = $3)");
    }
    text.push_str(" ORDER BY id LIMIT $2");
    let found = conn
        .fetch_all(Sql::assembled(text), arguments)
        .await?
        .iter()
        .map(|r| judgement(r).map(|j| (j.id, j)))
        .collect::<Result<_, _>>()?;
    Ok(with_records(conn, found).await?.into_values().collect())
}

/// Every judgement in force, for checking.
pub async fn all_in_force(conn: &mut Conn) -> Result<Vec<JudgementRow>, Failure> {
    let found = conn
        .fetch_all(
            Sql::assembled(format!(
                "SELECT {COLUMNS} FROM judgements WHERE retract_time IS NULL"
            )),
            args![],
        )
        .await?
        .iter()
        .map(|r| judgement(r).map(|j| (j.id, j)))
        .collect::<Result<_, _>>()?;
    Ok(with_records(conn, found).await?.into_values().collect())
}

/// Stores a judgement.
pub async fn insert(tx: &mut Tx, j: &JudgementRow) -> Result<(), Failure> {
    let kind = match j.decision {
        Decision::Positive => 1_i64,
        Decision::Negative => 2,
        Decision::Unsure => 3,
    };
    tx.execute(
        "INSERT INTO judgements (id, kind, overrides, suspended, data_key, comment, creator, \
         create_time) VALUES ($1, $2, $3, 0, $4, $5, $6, $7)",
        args![
            j.id,
            kind,
            j.overrides,
            &j.data_key,
            &j.comment,
            &j.creator,
            j.create_time
        ],
    )
    .await?;
    let mut rows = Rows::new(&["judgement", "side", "key"]);
    for (side, keys) in [(1_i64, &j.left), (2, &j.right)] {
        let distinct: BTreeSet<&RecordKey> = keys.iter().collect();
        for key in distinct {
            rows.push(args![j.id, side, key_text(key)]);
        }
    }
    tx.insert_many("judgement_records", rows, "").await?;
    Ok(())
}

/// Takes a judgement back.
pub async fn retract(tx: &mut Tx, id: i64, now: Timestamp) -> Result<(), Failure> {
    tx.execute(
        "UPDATE judgements SET retract_time = $1, suspended = 0 \
         WHERE id = $2 AND retract_time IS NULL",
        args![now, id],
    )
    .await?;
    Ok(())
}

/// Says which of these judgements later evidence broke.
pub async fn set_suspended(tx: &mut Tx, ids: &[i64], suspended: bool) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute(
        "UPDATE judgements SET suspended = $1 WHERE id IN LIST($2)",
        args![suspended, ids],
    )
    .await?;
    Ok(())
}
