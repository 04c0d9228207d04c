//! Where a follower stands in a feed, saved in the follower's own transaction: the effect of a
//! change and the cursor beyond it become durable together, so the effect happens once.

use jinke_types::{Failure, Timestamp};

use crate::{args, sql::Conn, tx::Tx};

/// A saved cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The feed's page token: for feeds of this kit a position in decimal.
    pub token: String,
    /// When it was saved.
    pub time: Timestamp,
}

impl Cursor {
    /// The token as a position; `INTERNAL` when the feed uses other tokens.
    pub fn position(&self) -> Result<i64, Failure> {
        self.token
            .parse()
            .map_err(|_| Failure::internal("the cursor is not a position"))
    }
}

/// The cursor of `follower` in `feed`; none before the first save.
pub async fn load(conn: &mut Conn, follower: &str, feed: &str) -> Result<Option<Cursor>, Failure> {
    conn.fetch_optional(
        "SELECT token, time FROM jinke_cursors WHERE follower = $1 AND feed = $2",
        args![follower, feed],
    )
    .await?
    .map(|row| {
        Ok(Cursor {
            token: row.text("token")?,
            time: row.time("time")?,
        })
    })
    .transpose()
}

/// Saves the cursor together with whatever else `tx` writes.
pub async fn save(
    tx: &mut Tx,
    follower: &str,
    feed: &str,
    token: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO jinke_cursors (follower, feed, token, time) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (follower, feed) DO UPDATE SET token = excluded.token, time = excluded.time",
        args![follower, feed, token, now],
    )
    .await?;
    Ok(())
}

/// Moves the cursor from one token to another, or fails with `CURSOR_MOVED` when another
/// replica of the follower has moved it meanwhile. `from` is none for the first move.
pub async fn advance(
    tx: &mut Tx,
    follower: &str,
    feed: &str,
    from: Option<&str>,
    to: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let moved = match from {
        Some(from) => {
            tx.execute(
                "UPDATE jinke_cursors SET token = $1, time = $2 \
                 WHERE follower = $3 AND feed = $4 AND token = $5",
                args![to, now, follower, feed, from],
            )
            .await?
        }
        None => {
            tx.execute(
                "INSERT INTO jinke_cursors (follower, feed, token, time) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (follower, feed) DO NOTHING",
                args![follower, feed, to, now],
            )
            .await?
        }
    };
    if moved == 1 {
        return Ok(());
    }
    Err(Failure::new(
        jinke_types::Code::FailedPrecondition,
        "CURSOR_MOVED",
        "another replica of the follower has moved the cursor",
    ))
}

/// Takes the cursor back to the start, for a rebuild.
pub async fn reset(tx: &mut Tx, follower: &str, feed: &str) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM jinke_cursors WHERE follower = $1 AND feed = $2",
        args![follower, feed],
    )
    .await?;
    Ok(())
}
