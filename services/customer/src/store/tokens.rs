//! Keyed hashes of blocking keys, look-up values and search terms.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, Engine, Row, Rows, Tx, args};
use jinke_types::Failure;

/// Who has a token: (record, core).
pub type Holder = (i64, Option<i64>);

/// At most `limit` holders of each token, with the limit of each token given. A token that
/// nobody has is left out.
pub async fn probe(
    conn: &mut Conn,
    asked: &BTreeMap<i64, i64>,
) -> Result<BTreeMap<i64, Vec<Holder>>, Failure> {
    let mut out: BTreeMap<i64, Vec<Holder>> = BTreeMap::new();
    if asked.is_empty() {
        return Ok(out);
    }
    let rows = match conn.engine() {
        Engine::Postgres => {
            let (tokens, limits): (Vec<i64>, Vec<i64>) = asked.iter().unzip();
            conn.fetch_all(
                "SELECT p.token, h.record_no, h.core \
                 FROM UNNEST($1::int8[], $2::int8[]) AS p(token, most) \
                 CROSS JOIN LATERAL (SELECT t.record_no, t.core FROM tokens t \
                 WHERE t.token = p.token ORDER BY t.record_no LIMIT p.most) AS h",
                args![tokens, limits],
            )
            .await?
        }
        Engine::Sqlite => {
            let mut by_limit: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            for (token, most) in asked {
                by_limit.entry(*most).or_default().push(*token);
            }
            let mut rows = Vec::new();
            for (most, tokens) in by_limit {
                let list = serde_json::to_string(&tokens).map_err(Failure::internal)?;
                // The last record within the limit bounds the stretch of the index that is
                // read. LIMIT and OFFSET cannot name a column, so each limit asks for itself.
                rows.extend(
                    conn.fetch_all(
                        "SELECT t.token, t.record_no, t.core FROM json_each($1) AS p \
                         CROSS JOIN tokens AS t ON t.token = p.value AND t.record_no <= COALESCE(\
                         (SELECT x.record_no FROM tokens AS x WHERE x.token = p.value \
                         ORDER BY x.record_no LIMIT 1 OFFSET $2), 9223372036854775807)",
                        args![list, most - 1],
                    )
                    .await?,
                );
            }
            rows
        }
    };
    for row in &rows {
        out.entry(row.i64("token")?).or_default().push(holder(row)?);
    }
    Ok(out)
}

fn holder(row: &Row) -> Result<Holder, Failure> {
    Ok((row.i64("record_no")?, row.opt_i64("core")?))
}

/// What a batch changes in the token table: (token, record) to what follows.
#[derive(Debug, Default)]
pub struct TokenChanges {
    /// Added.
    pub added: BTreeMap<(i64, i64), Option<i64>>,
    /// Given another core.
    pub changed: BTreeMap<(i64, i64), Option<i64>>,
    /// Taken away.
    pub removed: BTreeSet<(i64, i64)>,
}

/// Writes the changes.
pub async fn write(tx: &mut Tx, changes: TokenChanges) -> Result<(), Failure> {
    if !changes.removed.is_empty() {
        match tx.engine() {
            Engine::Postgres => {
                let (tokens, nos): (Vec<i64>, Vec<i64>) = changes.removed.iter().copied().unzip();
                tx.execute(
                    "DELETE FROM tokens USING UNNEST($1::int8[], $2::int8[]) AS u(token, record_no) \
                     WHERE tokens.token = u.token AND tokens.record_no = u.record_no",
                    args![tokens, nos],
                )
                .await?;
            }
            Engine::Sqlite => {
                let list: Vec<&(i64, i64)> = changes.removed.iter().collect();
                let list = serde_json::to_string(&list).map_err(Failure::internal)?;
                tx.execute(
                    "DELETE FROM tokens WHERE (token, record_no) IN \
                     (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') \
                     FROM json_each($1))",
                    args![list],
                )
                .await?;
            }
        }
    }
    // Most batches only add; an insert without a conflict clause is a good deal cheaper. Sorted
    // by token, the index is walked once from left to right.
    let known = "ON CONFLICT (token, record_no) DO UPDATE SET core = excluded.core";
    for (list, conflict) in [(changes.added, ""), (changes.changed, known)] {
        if list.is_empty() {
            continue;
        }
        let mut rows = Rows::new(&["token", "record_no", "core"]);
        for ((token, no), core) in list {
            rows.push(args![token, no, core]);
        }
        tx.insert_many("tokens", rows, conflict).await?;
    }
    Ok(())
}

/// Forgets all tokens and pairs, for making them anew.
pub async fn clear(tx: &mut Tx) -> Result<(), Failure> {
    tx.execute("DELETE FROM tokens", args![]).await?;
    tx.execute("DELETE FROM pairs", args![]).await?;
    tx.execute("DELETE FROM reviews", args![]).await?;
    Ok(())
}

/// Every token of every record, for checking: (token, record, core).
pub async fn all(conn: &mut Conn) -> Result<BTreeMap<(i64, i64), Option<i64>>, Failure> {
    conn.fetch_all("SELECT token, record_no, core FROM tokens", args![])
        .await?
        .iter()
        .map(|r| Ok(((r.i64("token")?, r.i64("record_no")?), r.opt_i64("core")?)))
        .collect()
}
