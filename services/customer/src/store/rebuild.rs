//! What a rebuild reads: rows by their whole key, rows that belong to nothing, parties in order.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, Engine, Tx, args};
use jinke_types::Failure;
use rust_decimal::Decimal;

use super::{
    activities::{Total, TotalKey},
    blocks::Held,
};
use crate::domain::damaged;

/// Most rows that belong to nothing which one look finds, of each table.
const ORPHANS: i64 = 1_000;

/// Those of these search tokens that are stored.
pub async fn stored_tokens(
    conn: &mut Conn,
    asked: &[(i64, i64)],
) -> Result<BTreeSet<(i64, i64)>, Failure> {
    let rows = match conn.engine() {
        Engine::Postgres => {
            let (tokens, nos): (Vec<i64>, Vec<i64>) = asked.iter().copied().unzip();
            conn.fetch_all(
                "SELECT t.token, t.record_no FROM UNNEST($1::int8[], $2::int8[]) AS p(token, no) \
                 JOIN tokens t ON t.token = p.token AND t.record_no = p.no",
                args![tokens, nos],
            )
            .await?
        }
        Engine::Sqlite => {
            let list = serde_json::to_string(asked).map_err(Failure::internal)?;
            conn.fetch_all(
                "SELECT t.token, t.record_no FROM json_each($1) AS p CROSS JOIN tokens AS t \
                 ON t.token = json_extract(p.value, '$[0]') \
                 AND t.record_no = json_extract(p.value, '$[1]')",
                args![list],
            )
            .await?
        }
    };
    rows.iter()
        .map(|r| Ok((r.i64("token")?, r.i64("record_no")?)))
        .collect()
}

/// Those of these blocking keys that are stored.
pub async fn stored_blocks(
    conn: &mut Conn,
    asked: &[(i64, Held)],
) -> Result<BTreeSet<(i64, Held)>, Failure> {
    let rows = match conn.engine() {
        Engine::Postgres => {
            let mut columns: [Vec<i64>; 4] = Default::default();
            for (token, h) in asked {
                for (column, v) in columns.iter_mut().zip([*token, h.core, h.place, h.no]) {
                    column.push(v);
                }
            }
            let [tokens, cores, places, nos] = columns;
            conn.fetch_all(
                "SELECT b.token, b.core, b.place, b.record_no \
                 FROM UNNEST($1::int8[], $2::int8[], $3::int8[], $4::int8[]) \
                 AS p(token, core, place, no) JOIN blocks b ON b.token = p.token \
                 AND b.core = p.core AND b.place = p.place AND b.record_no = p.no",
                args![tokens, cores, places, nos],
            )
            .await?
        }
        Engine::Sqlite => {
            let list: Vec<[i64; 4]> = asked
                .iter()
                .map(|(t, h)| [*t, h.core, h.place, h.no])
                .collect();
            let list = serde_json::to_string(&list).map_err(Failure::internal)?;
            conn.fetch_all(
                "SELECT b.token, b.core, b.place, b.record_no FROM json_each($1) AS p \
                 CROSS JOIN blocks AS b ON b.token = json_extract(p.value, '$[0]') \
                 AND b.core = json_extract(p.value, '$[1]') \
                 AND b.place = json_extract(p.value, '$[2]') \
                 AND b.record_no = json_extract(p.value, '$[3]')",
                args![list],
            )
            .await?
        }
    };
    rows.iter()
        .map(|r| {
            let held = Held {
                core: r.i64("core")?,
                place: r.i64("place")?,
                no: r.i64("record_no")?,
            };
            Ok((r.i64("token")?, held))
        })
        .collect()
}

/// Those of these keys that are stored as generic.
pub async fn generic(conn: &mut Conn, tokens: &[i64]) -> Result<BTreeSet<i64>, Failure> {
    conn.fetch_all(
        "SELECT token FROM generic_keys WHERE token IN LIST($1)",
        args![tokens],
    )
    .await?
    .iter()
    .map(|r| r.i64("token"))
    .collect()
}

/// Reviews that name one of these records: (a, b) to score and reason.
pub async fn reviews(
    conn: &mut Conn,
    nos: &[i64],
) -> Result<BTreeMap<(i64, i64), (i64, i64)>, Failure> {
    let mut out = BTreeMap::new();
    for text in [
        "SELECT a, b, score, reason FROM reviews WHERE a IN LIST($1)",
        "SELECT a, b, score, reason FROM reviews WHERE b IN LIST($1)",
    ] {
        for r in conn.fetch_all(text, args![nos]).await? {
            let at = (r.i64("a")?, r.i64("b")?);
            out.insert(at, (r.i64("score")?, r.i64("reason")?));
        }
    }
    Ok(out)
}

/// Tables whose rows belong to a record or a block, with the condition under which one does not.
const BELONGING: [(&str, &str, &str); 6] = [
    (
        "pair",
        "SELECT t.a AS x, t.b AS y FROM pairs t WHERE NOT EXISTS \
         (SELECT 1 FROM records r WHERE r.record_no = t.a AND r.customer IS NOT NULL) LIMIT $1",
        "DELETE FROM pairs WHERE a = $1 AND b = $2",
    ),
    (
        "review",
        "SELECT t.a AS x, t.b AS y FROM reviews t WHERE NOT EXISTS \
         (SELECT 1 FROM records r WHERE r.record_no = t.a AND r.customer IS NOT NULL) LIMIT $1",
        "DELETE FROM reviews WHERE a = $1 AND b = $2",
    ),
    (
        "generic key",
        "SELECT t.token AS x, t.token AS y FROM generic_keys t WHERE NOT EXISTS \
         (SELECT 1 FROM blocks b WHERE b.token = t.token) LIMIT $1",
        "DELETE FROM generic_keys WHERE token = $1 AND token = $2",
    ),
    (
        "customer",
        "SELECT t.id AS x, t.id AS y FROM customers t WHERE t.live = 1 AND NOT EXISTS \
         (SELECT 1 FROM records r WHERE r.customer = t.id) LIMIT $1",
        "UPDATE customers SET live = 0, revision = revision + 1 WHERE id = $1 AND id = $2",
    ),
    (
        "activity",
        "SELECT t.record_no AS x, t.record_no AS y FROM activities t WHERE NOT EXISTS \
         (SELECT 1 FROM records r WHERE r.record_no = t.record_no) LIMIT $1",
        "DELETE FROM activities WHERE record_no = $1 AND record_no = $2",
    ),
    (
        "relationship",
        "SELECT t.record_no AS x, t.record_no AS y FROM relationships t WHERE NOT EXISTS \
         (SELECT 1 FROM records r WHERE r.record_no = t.record_no) LIMIT $1",
        "DELETE FROM relationships WHERE record_no = $1 AND record_no = $2",
    ),
];

/// Rows that belong to nothing: what they are about and the two numbers of their key.
pub async fn orphans(conn: &mut Conn) -> Result<Vec<(&'static str, i64, i64)>, Failure> {
    let mut out = Vec::new();
    for (about, text, _) in BELONGING {
        for r in conn.fetch_all(text, args![ORPHANS]).await? {
            out.push((about, r.i64("x")?, r.i64("y")?));
        }
    }
    Ok(out)
}

/// Takes rows away that belong to nothing.
pub async fn remove_orphans(tx: &mut Tx, list: &[(&'static str, i64, i64)]) -> Result<(), Failure> {
    for (about, x, y) in list {
        if let Some((_, _, text)) = BELONGING.iter().find(|b| b.0 == *about) {
            tx.execute(*text, args![*x, *y]).await?;
        }
    }
    Ok(())
}

/// How many rows the two token tables hold: those to search by and those that block.
pub async fn rows(conn: &mut Conn) -> Result<(i64, i64), Failure> {
    let mut count = async |text: &'static str| conn.fetch_one(text, args![]).await?.i64("n");
    Ok((
        count("SELECT COUNT(*) AS n FROM tokens").await?,
        count("SELECT COUNT(*) AS n FROM blocks").await?,
    ))
}

/// How many records there are: of parties, and of everything else.
pub async fn records(conn: &mut Conn) -> Result<(i64, i64), Failure> {
    let mut count = async |text: &'static str| conn.fetch_one(text, args![]).await?.i64("n");
    Ok((
        count("SELECT COUNT(*) AS n FROM records WHERE type <= 2").await?,
        count("SELECT COUNT(*) AS n FROM records WHERE type > 2").await?,
    ))
}

/// Numbers of records that are no parties, after one, in order.
pub async fn others(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT record_no FROM records WHERE record_no > $1 AND type > 2 \
         ORDER BY record_no LIMIT $2",
        args![after, limit],
    )
    .await?
    .iter()
    .map(|r| r.i64("record_no"))
    .collect()
}

/// Names of parties that have transactions or sums, after one, in order.
pub async fn parties(conn: &mut Conn, after: &str, limit: i64) -> Result<Vec<String>, Failure> {
    conn.fetch_all(
        "SELECT party FROM (SELECT party FROM (SELECT DISTINCT party FROM activities \
         WHERE party > $1 ORDER BY party LIMIT $2) AS a \
         UNION SELECT party FROM (SELECT DISTINCT party FROM totals \
         WHERE party > $1 ORDER BY party LIMIT $2) AS t) AS p ORDER BY party LIMIT $2",
        args![after, limit],
    )
    .await?
    .iter()
    .map(|r| r.text("party"))
    .collect()
}

/// The sums of these parties as their transactions give them.
pub async fn right_totals(
    conn: &mut Conn,
    parties: &[String],
) -> Result<BTreeMap<TotalKey, Total>, Failure> {
    let rows = conn
        .fetch_all(
            "SELECT a.party, r.source, a.kind, a.currency, a.amount FROM activities a \
             JOIN records r ON r.record_no = a.record_no \
             WHERE a.party IN LIST($1) AND a.type = 4 AND a.deleted = 0",
            args![parties],
        )
        .await?;
    let mut right: BTreeMap<TotalKey, Total> = BTreeMap::new();
    for r in rows {
        let currency = r.opt_text("currency")?.unwrap_or_default();
        let key = (
            r.text("party")?,
            r.text("source")?,
            r.i64("kind")?,
            currency,
        );
        let total = right.entry(key).or_default();
        total.count += 1;
        if let Some(amount) = r.opt_text("amount")? {
            let amount: Decimal = amount.parse().map_err(|_| damaged("amount"))?;
            total.amount = (total.amount + amount).normalize();
        }
    }
    Ok(right)
}
