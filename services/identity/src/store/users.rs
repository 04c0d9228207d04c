//! Users and their passwords.

use jinke_store::{Arg, Conn, Row, Sql, Tx, args};
use jinke_types::{Failure, RowScope, Timestamp};

use super::{Vault, taken};
use crate::{
    access,
    domain::{Credential, User},
};

const COLUMNS: &str = "id, uid, data_key, display_name, org_unit, disabled, password_change, \
                       revision, create_time, update_time";

fn place(uid: &str) -> String {
    format!("users/{uid}/display_name")
}

fn user(row: &Row, vault: &Vault) -> Result<User, Failure> {
    let uid = row.text("uid")?;
    let name = vault.open(
        &place(&uid),
        &row.bytes("data_key")?,
        &row.bytes("display_name")?,
    )?;
    Ok(User {
        id: row.text("id")?,
        display_name: String::from_utf8(name).map_err(|_| Failure::internal("not UTF-8"))?,
        uid,
        org_unit: row.text("org_unit")?,
        disabled: row.bool("disabled")?,
        password_change: row.bool("password_change")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// The user with this id, if the scope sees him.
pub(crate) async fn get(
    conn: &mut Conn,
    vault: &Vault,
    scope: &RowScope,
    id: &str,
) -> Result<Option<User>, Failure> {
    let sql = Sql::assembled(format!("SELECT {COLUMNS} FROM users WHERE id = $1"));
    let Some(row) = conn.fetch_optional(sql, args![id]).await? else {
        return Ok(None);
    };
    let user = user(&row, vault)?;
    Ok(access::sees(scope, &user.org_unit).then_some(user))
}

/// Up to `limit` users of the scope after `after`, by id.
pub(crate) async fn list(
    conn: &mut Conn,
    vault: &Vault,
    scope: &RowScope,
    after: &str,
    limit: usize,
) -> Result<Vec<User>, Failure> {
    let (narrow, mut args) = super::org_units::narrow(scope, args![after, limit as i64]);
    let sql = Sql::assembled(format!(
        "SELECT {COLUMNS} FROM users WHERE id > $1{narrow} ORDER BY id LIMIT $2"
    ));
    let rows = conn.fetch_all(sql, std::mem::take(&mut args)).await?;
    rows.iter().map(|row| user(row, vault)).collect()
}

/// Adds a user with the hash of his password; empty when he has none.
pub(crate) async fn insert(
    tx: &mut Tx,
    vault: &Vault,
    user: &User,
    hash: &str,
) -> Result<(), Failure> {
    let (key, name) = vault.seal_new(&place(&user.uid), user.display_name.as_bytes());
    let inserted = tx
        .execute(
            "INSERT INTO users (id, uid, data_key, display_name, org_unit, disabled, \
             password_hash, password_change, revision, create_time, update_time) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            args![
                &user.id,
                &user.uid,
                key,
                name,
                &user.org_unit,
                user.disabled,
                hash,
                user.password_change,
                user.revision,
                user.create_time,
                user.update_time
            ],
        )
        .await;
    taken(inserted, &format!("users/{}", user.id)).map(drop)
}

/// Writes display name, org unit, disabled, revision and update time of a user who still has
/// the revision `was`; whether he had.
pub(crate) async fn update(
    tx: &mut Tx,
    vault: &Vault,
    user: &User,
    was: i64,
) -> Result<bool, Failure> {
    // A new data key with every change: the old one opens nothing any more.
    let (key, name) = vault.seal_new(&place(&user.uid), user.display_name.as_bytes());
    let touched = tx
        .execute(
            "UPDATE users SET data_key = $1, display_name = $2, org_unit = $3, disabled = $4, \
             revision = $5, update_time = $6 WHERE id = $7 AND revision = $8",
            args![
                key,
                name,
                &user.org_unit,
                user.disabled,
                user.revision,
                user.update_time,
                &user.id,
                was
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// What a login of this user is checked against.
pub(crate) async fn credential(conn: &mut Conn, id: &str) -> Result<Option<Credential>, Failure> {
    conn.fetch_optional(
        "SELECT password_hash, disabled, password_change FROM users WHERE id = $1",
        args![id],
    )
    .await?
    .map(|row| {
        Ok(Credential {
            hash: row.text("password_hash")?,
            disabled: row.bool("disabled")?,
            password_change: row.bool("password_change")?,
        })
    })
    .transpose()
}

/// Holds the user's row until the transaction ends, if he is enabled and his password is still
/// the one of `hash`; whether it is so. A login that overlaps with a disabling or a reset is
/// then either before it, and its session is ended by it, or refused.
pub(crate) async fn hold(tx: &mut Tx, id: &str, hash: &str) -> Result<bool, Failure> {
    let held = tx
        .execute(
            "UPDATE users SET revision = revision \
             WHERE id = $1 AND password_hash = $2 AND disabled = 0",
            args![id, hash],
        )
        .await?;
    Ok(held == 1)
}

/// Sets the password.
pub(crate) async fn set_password(
    tx: &mut Tx,
    id: &str,
    hash: &str,
    one_time: bool,
    revision: i64,
    now: Timestamp,
) -> Result<(), Failure> {
    let args: Vec<Arg> = args![hash, one_time, revision, now, id];
    tx.execute(
        "UPDATE users SET password_hash = $1, password_change = $2, revision = $3, \
         update_time = $4 WHERE id = $5",
        args,
    )
    .await
    .map(drop)
}

/// Writes the same password under other parameters, if it is still the one of `was`.
pub(crate) async fn rehash(tx: &mut Tx, id: &str, was: &str, hash: &str) -> Result<(), Failure> {
    tx.execute(
        "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
        args![hash, id, was],
    )
    .await
    .map(drop)
}

/// Whether there is any user.
pub(crate) async fn any(conn: &mut Conn) -> Result<bool, Failure> {
    Ok(conn
        .fetch_optional("SELECT id FROM users LIMIT 1", args![])
        .await?
        .is_some())
}
