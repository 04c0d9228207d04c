//! Records that were erased, and taking away what is stored of them.

use std::collections::BTreeSet;

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::{Failure, RecordKey, Timestamp};

use crate::domain::key_from_text;

/// The record that an id stands for now: itself, or the one its id passed to; none when the customer
/// was erased as a whole.
pub async fn successor(conn: &mut Conn, no: i64) -> Result<Option<Option<i64>>, Failure> {
    conn.fetch_optional(
        "SELECT successor FROM erasures WHERE record_no = $1",
        args![no],
    )
    .await?
    .map(|r| r.opt_i64("successor"))
    .transpose()
}

/// The record that an id stands for: itself, or the one it passed to.
pub async fn standing(conn: &mut Conn, no: i64) -> Result<i64, Failure> {
    Ok(successor(conn, no).await?.flatten().unwrap_or(no))
}

/// Notes that these records were erased; ids that had passed to one of them pass on.
pub async fn note(
    tx: &mut Tx,
    nos: &[i64],
    successor: Option<i64>,
    now: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE erasures SET successor = $1 WHERE successor IN LIST($2)",
        args![successor, nos],
    )
    .await?;
    let mut rows = Rows::new(&["record_no", "successor", "time"]);
    for no in nos {
        rows.push(args![*no, successor, now]);
    }
    tx.insert_many("erasures", rows, "").await?;
    Ok(())
}

/// Records that are no parties and name one of these parties: number, and whether the timeline
/// shows it. At most `limit` of each.
pub async fn naming(
    conn: &mut Conn,
    keys: &[String],
    limit: usize,
) -> Result<Vec<(i64, bool)>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut out = BTreeSet::new();
    for r in conn
        .fetch_all(
            "SELECT record_no FROM activities WHERE party IN LIST($1) LIMIT $2",
            args![keys, limit],
        )
        .await?
    {
        out.insert((r.i64("record_no")?, true));
    }
    for r in conn
        .fetch_all(
            "SELECT record_no FROM relationships WHERE from_party IN LIST($1) \
             OR to_party IN LIST($1) LIMIT $2",
            args![keys, limit],
        )
        .await?
    {
        out.insert((r.i64("record_no")?, false));
    }
    Ok(out.into_iter().collect())
}

/// Takes these records out of every judgement, and judgements away of which a side is empty then.
/// The other records that judgements in force named with them.
pub async fn judgements(tx: &mut Tx, keys: &[String]) -> Result<BTreeSet<RecordKey>, Failure> {
    let mut ids = BTreeSet::new();
    for r in tx
        .fetch_all(
            "SELECT judgement FROM judgement_records WHERE key IN LIST($1)",
            args![keys],
        )
        .await?
    {
        ids.insert(r.i64("judgement")?);
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    tx.execute(
        "DELETE FROM judgement_records WHERE key IN LIST($1)",
        args![keys],
    )
    .await?;
    let others = tx
        .fetch_all(
            "SELECT r.key FROM judgement_records r JOIN judgements j ON j.id = r.judgement \
             WHERE j.id IN LIST($1) AND j.retract_time IS NULL",
            args![ids.clone()],
        )
        .await?
        .iter()
        .map(|r| Ok(key_from_text(&r.text("key")?)))
        .collect::<Result<_, Failure>>()?;
    tx.execute(
        "DELETE FROM judgements WHERE id IN LIST($1) AND (SELECT COUNT(DISTINCT r.side) \
         FROM judgement_records r WHERE r.judgement = judgements.id) < 2",
        args![ids.clone()],
    )
    .await?;
    tx.execute(
        "DELETE FROM judgement_records WHERE judgement IN LIST($1) \
         AND NOT EXISTS (SELECT 1 FROM judgements j WHERE j.id = judgement_records.judgement)",
        args![ids],
    )
    .await?;
    Ok(others)
}

/// Removes the rows of party records, named `keys`, and of the other records that name them.
pub async fn remove(
    tx: &mut Tx,
    nos: &[i64],
    others: &[i64],
    keys: &[String],
) -> Result<(), Failure> {
    for text in [
        "DELETE FROM reviews WHERE a IN LIST($1)",
        "DELETE FROM reviews WHERE b IN LIST($1)",
        "DELETE FROM tags WHERE record_no IN LIST($1)",
        "UPDATE customers SET display_name = NULL WHERE id IN LIST($1)",
    ] {
        tx.execute(text, args![nos]).await?;
    }
    tx.execute("DELETE FROM totals WHERE party IN LIST($1)", args![keys])
        .await?;
    let all: Vec<i64> = nos.iter().chain(others).copied().collect();
    for chunk in all.chunks(5_000) {
        for text in [
            "DELETE FROM activities WHERE record_no IN LIST($1)",
            "DELETE FROM relationships WHERE record_no IN LIST($1)",
            "DELETE FROM versions WHERE record_no IN LIST($1)",
            "DELETE FROM records WHERE record_no IN LIST($1)",
        ] {
            tx.execute(text, args![chunk]).await?;
        }
    }
    Ok(())
}
