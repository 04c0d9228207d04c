//! Assignment rules.

use jinke_store::{Conn, Row, Tx, args};
use jinke_types::Failure;

use crate::domain::{assign::Rule, damaged};

fn rule(row: &Row) -> Result<Rule, Failure> {
    Ok(Rule {
        id: row.text("id")?,
        priority: row.i64("priority")?,
        body: serde_json::from_str(&row.text("rule")?).map_err(|_| damaged("assignment rule"))?,
        turn: row.i64("turn")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// Rules in the order in which they are asked, after `(priority, id)`.
///
/// # Errors
/// Those of the store.
pub async fn list(
    conn: &mut Conn,
    after: Option<(i64, &str)>,
    limit: u32,
) -> Result<Vec<Rule>, Failure> {
    let (priority, id) = after.unwrap_or((i64::MIN, ""));
    conn.fetch_all(
        "SELECT * FROM assignment_rules WHERE priority > $1 OR (priority = $1 AND id > $2) \
         ORDER BY priority, id LIMIT $3",
        args![priority, id, limit],
    )
    .await?
    .iter()
    .map(rule)
    .collect()
}

/// One rule.
///
/// # Errors
/// Those of the store.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Rule>, Failure> {
    conn.fetch_optional("SELECT * FROM assignment_rules WHERE id = $1", args![id])
        .await?
        .map(|row| rule(&row))
        .transpose()
}

/// Takes hold of a rule until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn lock(tx: &mut Tx, id: &str) -> Result<Option<Rule>, Failure> {
    tx.execute(
        "UPDATE assignment_rules SET revision = revision WHERE id = $1",
        args![id],
    )
    .await?;
    get(tx, id).await
}

/// How many rules there are.
///
/// # Errors
/// Those of the store.
pub async fn count(conn: &mut Conn) -> Result<i64, Failure> {
    conn.fetch_one("SELECT COUNT(*) AS n FROM assignment_rules", args![])
        .await?
        .i64("n")
}

/// Writes a rule.
///
/// # Errors
/// Those of the store.
pub async fn save(tx: &mut Tx, r: &Rule) -> Result<(), Failure> {
    let body = serde_json::to_string(&r.body).map_err(Failure::internal)?;
    tx.execute(
        "INSERT INTO assignment_rules (id, priority, rule, turn, revision, create_time, \
         update_time) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET priority = excluded.priority, rule = excluded.rule, \
         turn = excluded.turn, revision = excluded.revision, update_time = excluded.update_time",
        args![
            &r.id,
            r.priority,
            body,
            r.turn,
            r.revision,
            r.create_time,
            r.update_time
        ],
    )
    .await?;
    Ok(())
}

/// Takes the next turn of a rule: the number before it. Holds the rule until the transaction ends.
///
/// # Errors
/// Those of the store.
pub async fn turn(tx: &mut Tx, id: &str) -> Result<i64, Failure> {
    Ok(tx
        .fetch_one(
            "UPDATE assignment_rules SET turn = turn + 1 WHERE id = $1 RETURNING turn",
            args![id],
        )
        .await?
        .i64("turn")?
        - 1)
}

/// Deletes a rule.
///
/// # Errors
/// Those of the store.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Failure> {
    tx.execute("DELETE FROM assignment_rules WHERE id = $1", args![id])
        .await?;
    Ok(())
}
