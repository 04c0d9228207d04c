//! Compared pairs at or above the review threshold, and what stewards should look at.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, Engine, Rows, Tx, args};
use jinke_types::Failure;

use super::shadow::Lane;
use crate::domain::{ReviewReason, ReviewView, key_from_text};

/// Pairs from these records to any: (a, b, score), both directions where both were asked for.
pub async fn from(conn: &mut Conn, nos: &[i64]) -> Result<Vec<(i64, i64, i32)>, Failure> {
    from_some(conn, Lane::Active, nos, usize::MAX).await
}

/// Like [`from`], at most `most` of them.
pub async fn from_some(
    conn: &mut Conn,
    lane: Lane,
    nos: &[i64],
    most: usize,
) -> Result<Vec<(i64, i64, i32)>, Failure> {
    if nos.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT a, b, score FROM {} WHERE a IN LIST($1) LIMIT $2",
        lane.pairs()
    );
    conn.fetch_all(
        jinke_store::Sql::assembled(text),
        args![nos, i64::try_from(most).unwrap_or(i64::MAX)],
    )
    .await?
    .iter()
    .map(|r| Ok((r.i64("a")?, r.i64("b")?, score(r.i64("score")?))))
    .collect()
}

/// Every pair with a < b, for checking.
pub async fn all(conn: &mut Conn) -> Result<BTreeMap<(i64, i64), i32>, Failure> {
    conn.fetch_all("SELECT a, b, score FROM pairs", args![])
        .await?
        .iter()
        .map(|r| Ok(((r.i64("a")?, r.i64("b")?), score(r.i64("score")?))))
        .collect()
}

fn score(stored: i64) -> i32 {
    i32::try_from(stored).unwrap_or(if stored < 0 { i32::MIN } else { i32::MAX })
}

/// Stores changed scores; none takes the pair away. Keys have a < b.
pub async fn write(
    tx: &mut Tx,
    lane: Lane,
    changed: &BTreeMap<(i64, i64), Option<i32>>,
) -> Result<(), Failure> {
    let gone: Vec<(i64, i64)> = changed
        .iter()
        .filter(|(_, score)| score.is_none())
        .flat_map(|(&(a, b), _)| [(a, b), (b, a)])
        .collect();
    if !gone.is_empty() {
        match tx.engine() {
            Engine::Postgres => {
                let (a, b): (Vec<i64>, Vec<i64>) = gone.into_iter().unzip();
                let text = format!(
                    "DELETE FROM {} AS p USING UNNEST($1::int8[], $2::int8[]) AS u(a, b) \
                     WHERE p.a = u.a AND p.b = u.b",
                    lane.pairs()
                );
                tx.execute(jinke_store::Sql::assembled(text), args![a, b])
                    .await?;
            }
            Engine::Sqlite => {
                let list = serde_json::to_string(&gone).map_err(Failure::internal)?;
                let text = format!(
                    "DELETE FROM {} WHERE (a, b) IN (SELECT json_extract(value, '$[0]'), \
                     json_extract(value, '$[1]') FROM json_each($1))",
                    lane.pairs()
                );
                tx.execute(jinke_store::Sql::assembled(text), args![list])
                    .await?;
            }
        }
    }
    let mut put: BTreeMap<(i64, i64), i32> = BTreeMap::new();
    for (&(a, b), score) in changed {
        if let Some(score) = score {
            put.insert((a, b), *score);
            put.insert((b, a), *score);
        }
    }
    if !put.is_empty() {
        let mut rows = Rows::new(&["a", "b", "score"]);
        for ((a, b), score) in put {
            rows.push(args![a, b, score]);
        }
        tx.insert_many(
            lane.pairs(),
            rows,
            "ON CONFLICT (a, b) DO UPDATE SET score = excluded.score",
        )
        .await?;
    }
    Ok(())
}

/// A pair a steward should look at: `reason` as in [`crate::domain::ReviewReason`], 1 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReviewRow {
    /// The smaller record number.
    pub a: i64,
    /// The greater one.
    pub b: i64,
    /// In milli-bits.
    pub score: i32,
    /// Why.
    pub reason: i64,
}

/// Replaces the reviews of these records.
pub async fn replace_reviews(
    tx: &mut Tx,
    lane: Lane,
    known: &[i64],
    reviews: &BTreeSet<ReviewRow>,
) -> Result<(), Failure> {
    if !known.is_empty() {
        for column in ["a", "b"] {
            let text = format!("DELETE FROM {} WHERE {column} IN LIST($1)", lane.reviews());
            tx.execute(jinke_store::Sql::assembled(text), args![known])
                .await?;
        }
    }
    if !reviews.is_empty() {
        let mut rows = Rows::new(&["a", "b", "score", "reason"]);
        for r in reviews {
            rows.push(args![r.a, r.b, r.score, r.reason]);
        }
        tx.insert_many(
            lane.reviews(),
            rows,
            "ON CONFLICT (a, b) DO UPDATE SET score = excluded.score, reason = excluded.reason",
        )
        .await?;
    }
    Ok(())
}

/// Every review, for checking.
pub async fn all_reviews(conn: &mut Conn) -> Result<BTreeSet<ReviewRow>, Failure> {
    conn.fetch_all("SELECT a, b, score, reason FROM reviews", args![])
        .await?
        .iter()
        .map(|r| {
            Ok(ReviewRow {
                a: r.i64("a")?,
                b: r.i64("b")?,
                score: score(r.i64("score")?),
                reason: r.i64("reason")?,
            })
        })
        .collect()
}

/// Reviews with both records of these sources, highest score first, after (score, a, b).
pub async fn reviews(
    conn: &mut Conn,
    after: Option<(i32, i64, i64)>,
    limit: i64,
    sources: &[String],
) -> Result<Vec<ReviewView>, Failure> {
    let (s, a, b) = after.map_or((i64::MAX, 0, 0), |(s, a, b)| (i64::from(s), a, b));
    conn.fetch_all(
        "SELECT v.a, v.b, v.score, v.reason, ra.key AS a_key, ra.customer AS a_customer, \
         rb.key AS b_key, rb.customer AS b_customer FROM reviews v \
         JOIN records ra ON ra.record_no = v.a JOIN records rb ON rb.record_no = v.b \
         WHERE (v.score < $1 OR (v.score = $1 AND (v.a > $2 OR (v.a = $2 AND v.b > $3)))) \
         AND ra.source IN LIST($4) AND rb.source IN LIST($4) \
         ORDER BY v.score DESC, v.a, v.b LIMIT $5",
        args![s, a, b, sources, limit],
    )
    .await?
    .iter()
    .map(|r| {
        Ok(ReviewView {
            left_no: r.i64("a")?,
            right_no: r.i64("b")?,
            left: key_from_text(&r.text("a_key")?),
            right: key_from_text(&r.text("b_key")?),
            left_customer: r.i64("a_customer")?,
            right_customer: r.i64("b_customer")?,
            score: score(r.i64("score")?),
            reason: match r.i64("reason")? {
                1 => ReviewReason::Unsure,
                2 => ReviewReason::Conflict,
                _ => ReviewReason::Suspended,
            },
        })
    })
    .collect()
}
