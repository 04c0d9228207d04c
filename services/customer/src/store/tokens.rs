//! Keyed hashes of look-up values and search terms.

use std::collections::BTreeSet;

use jinke_store::{Conn, Engine, Rows, Tx, args};
use jinke_types::Failure;

/// What a batch changes in the token table: (token, record).
#[derive(Debug, Default)]
pub struct TokenChanges {
    /// Added.
    pub added: BTreeSet<(i64, i64)>,
    /// Taken away.
    pub removed: BTreeSet<(i64, i64)>,
}

/// Writes the changes. With `again`, rows that are there already are left as they are.
pub async fn write(tx: &mut Tx, changes: TokenChanges, again: bool) -> Result<(), Failure> {
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
    if changes.added.is_empty() {
        return Ok(());
    }
    // Most batches only add; an insert without a conflict clause is a good deal cheaper. Sorted
    // by token, the index is walked once from left to right.
    let mut rows = Rows::new(&["token", "record_no"]);
    for (token, no) in changes.added {
        rows.push(args![token, no]);
    }
    let conflict = if again { "ON CONFLICT DO NOTHING" } else { "" };
    tx.insert_many("tokens", rows, conflict).await?;
    Ok(())
}

/// Forgets all tokens, blocks and pairs, for making them anew.
pub async fn clear(tx: &mut Tx) -> Result<(), Failure> {
    tx.execute("DELETE FROM tokens", args![]).await?;
    tx.execute("DELETE FROM blocks", args![]).await?;
    tx.execute("DELETE FROM pairs", args![]).await?;
    tx.execute("DELETE FROM reviews", args![]).await?;
    Ok(())
}

/// Rows after one, in order, for going through all of them.
pub async fn page(
    conn: &mut Conn,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<(i64, i64)>, Failure> {
    conn.fetch_all(
        "SELECT token, record_no FROM tokens WHERE (token, record_no) > ($1, $2) \
         ORDER BY token, record_no LIMIT $3",
        args![after.0, after.1, limit],
    )
    .await?
    .iter()
    .map(|r| Ok((r.i64("token")?, r.i64("record_no")?)))
    .collect()
}

/// Every token of every record, for checking.
pub async fn all(conn: &mut Conn) -> Result<BTreeSet<(i64, i64)>, Failure> {
    conn.fetch_all("SELECT token, record_no FROM tokens", args![])
        .await?
        .iter()
        .map(|r| Ok((r.i64("token")?, r.i64("record_no")?)))
        .collect()
}
