//! Sessions and refresh tokens.

use jinke_store::{Conn, Row, Sql, Tx, args};
use jinke_types::{Failure, Timestamp};

use crate::domain::{Member, Session};

const COLUMNS: &str =
    "id, member, key_id, audiences, create_time, expire_time, token_expire_time, end_time";

/// Most refreshes of one session: each leaves a row until the session is forgotten, to know a
/// token that comes again. Thirty days of refreshing every ten minutes are 4,320.
const MAX_REFRESHES: i64 = 20_000;

fn session(row: &Row) -> Result<Session, Failure> {
    let audiences = row.text("audiences")?;
    Ok(Session {
        id: row.text("id")?,
        member: Member::parse(&row.text("member")?)
            .ok_or_else(|| Failure::internal("a session has no member"))?,
        key_id: row.text("key_id")?,
        audiences: audiences
            .split(' ')
            .filter(|a| !a.is_empty())
            .map(str::to_owned)
            .collect(),
        create_time: row.time("create_time")?,
        expire_time: row.time("expire_time")?,
        token_expire_time: row.time("token_expire_time")?,
        end_time: row.opt_time("end_time")?,
    })
}

/// Begins a session.
pub(crate) async fn insert(tx: &mut Tx, session: &Session) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO sessions (id, member, key_id, audiences, create_time, expire_time, \
         token_expire_time, refreshes, end_time, end_reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '')",
        args![
            &session.id,
            session.member.to_string(),
            &session.key_id,
            session.audiences.join(" "),
            session.create_time,
            session.expire_time,
            session.token_expire_time,
            session.end_time
        ],
    )
    .await
    .map(drop)
}

/// Holds a session that has neither ended nor expired until the transaction ends, and notes
/// until when its newest access token lives. None when it is over, or was refreshed
/// [`MAX_REFRESHES`] times.
pub(crate) async fn prolong(
    tx: &mut Tx,
    id: &str,
    token_expire_time: Timestamp,
    now: Timestamp,
) -> Result<Option<Session>, Failure> {
    let sql = Sql::assembled(format!(
        "UPDATE sessions SET refreshes = refreshes + 1, token_expire_time = \
         CASE WHEN token_expire_time > $1 THEN token_expire_time ELSE $1 END \
         WHERE id = $2 AND end_time IS NULL AND expire_time > $3 AND refreshes < $4 \
         RETURNING {COLUMNS}"
    ));
    tx.fetch_optional(sql, args![token_expire_time, id, now, MAX_REFRESHES])
        .await?
        .map(|row| session(&row))
        .transpose()
}

/// How many sessions of a member are going on.
pub(crate) async fn live(conn: &mut Conn, member: &Member, now: Timestamp) -> Result<i64, Failure> {
    conn.fetch_one(
        "SELECT COUNT(*) AS n FROM sessions \
         WHERE member = $1 AND expire_time > $2 AND end_time IS NULL",
        args![member.to_string(), now],
    )
    .await?
    .i64("n")
}

/// Ends one session; whether it was going on.
pub(crate) async fn end(
    tx: &mut Tx,
    id: &str,
    reason: &'static str,
    now: Timestamp,
) -> Result<bool, Failure> {
    let ended = tx
        .execute(
            "UPDATE sessions SET end_time = $1, end_reason = $2 \
             WHERE id = $3 AND end_time IS NULL",
            args![now, reason, id],
        )
        .await?;
    Ok(ended == 1)
}

/// Ends every session of a member; how many.
pub(crate) async fn end_of_member(
    tx: &mut Tx,
    member: &Member,
    reason: &'static str,
    now: Timestamp,
) -> Result<u64, Failure> {
    tx.execute(
        "UPDATE sessions SET end_time = $1, end_reason = $2 \
         WHERE member = $3 AND end_time IS NULL",
        args![now, reason, member.to_string()],
    )
    .await
}

/// Ends every session that began with a key; how many.
pub(crate) async fn end_of_key(
    tx: &mut Tx,
    key_id: &str,
    reason: &'static str,
    now: Timestamp,
) -> Result<u64, Failure> {
    tx.execute(
        "UPDATE sessions SET end_time = $1, end_reason = $2 WHERE key_id = $3 AND end_time IS NULL",
        args![now, reason, key_id],
    )
    .await
}

/// Sessions that were ended while a token of theirs is still alive at `alive_after`, by id.
pub(crate) async fn revoked(
    conn: &mut Conn,
    alive_after: Timestamp,
) -> Result<Vec<String>, Failure> {
    let rows = conn
        .fetch_all(
            "SELECT id FROM sessions WHERE end_time IS NOT NULL AND token_expire_time > $1 \
             ORDER BY id",
            args![alive_after],
        )
        .await?;
    rows.iter().map(|row| row.text("id")).collect()
}

/// Adds a refresh token; `mac` is its keyed hash.
pub(crate) async fn insert_refresh(
    tx: &mut Tx,
    id: &str,
    session: &str,
    mac: Vec<u8>,
    now: Timestamp,
    expire_time: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO refresh_tokens (id, session, mac, create_time, expire_time) \
         VALUES ($1, $2, $3, $4, $5)",
        args![id, session, mac, now, expire_time],
    )
    .await
    .map(drop)
}

/// A refresh token as it is kept.
pub(crate) struct Refresh {
    pub(crate) session: String,
    pub(crate) mac: Vec<u8>,
    pub(crate) expire_time: Timestamp,
}

/// The refresh token with this id.
pub(crate) async fn refresh(conn: &mut Conn, id: &str) -> Result<Option<Refresh>, Failure> {
    conn.fetch_optional(
        "SELECT session, mac, expire_time FROM refresh_tokens WHERE id = $1",
        args![id],
    )
    .await?
    .map(|row| {
        Ok(Refresh {
            session: row.text("session")?,
            mac: row.bytes("mac")?,
            expire_time: row.time("expire_time")?,
        })
    })
    .transpose()
}

/// Uses up a refresh token; whether it was unused.
pub(crate) async fn use_refresh(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, Failure> {
    let used = tx
        .execute(
            "UPDATE refresh_tokens SET use_time = $1 WHERE id = $2 AND use_time IS NULL",
            args![now, id],
        )
        .await?;
    Ok(used == 1)
}

/// Forgets sessions, and their refresh tokens, that ended or expired before `before` and whose
/// access tokens are dead by then too; how many sessions, at most `limit`.
pub(crate) async fn purge(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions \
         WHERE (expire_time < $1 OR end_time < $1) AND token_expire_time < $1 \
         ORDER BY id LIMIT $2)",
        args![before, limit],
    )
    .await
}
