//! Service accounts and their keys.

use jinke_store::{Conn, Row, Sql, Tx, args};
use jinke_types::{Failure, RowScope};

use super::taken;
use crate::{
    access,
    domain::{ServiceAccount, ServiceAccountKey},
};

const COLUMNS: &str =
    "id, uid, display_name, org_unit, disabled, revision, create_time, update_time";
const KEY_COLUMNS: &str = "id, service_account, display_name, create_time, expire_time";

fn account(row: &Row) -> Result<ServiceAccount, Failure> {
    Ok(ServiceAccount {
        id: row.text("id")?,
        uid: row.text("uid")?,
        display_name: row.text("display_name")?,
        org_unit: row.text("org_unit")?,
        disabled: row.bool("disabled")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

fn key(row: &Row) -> Result<ServiceAccountKey, Failure> {
    Ok(ServiceAccountKey {
        id: row.text("id")?,
        account: row.text("service_account")?,
        display_name: row.text("display_name")?,
        create_time: row.time("create_time")?,
        expire_time: row.opt_time("expire_time")?,
    })
}

/// The account with this id, if the scope sees it.
pub(crate) async fn get(
    conn: &mut Conn,
    scope: &RowScope,
    id: &str,
) -> Result<Option<ServiceAccount>, Failure> {
    let sql = Sql::assembled(format!(
        "SELECT {COLUMNS} FROM service_accounts WHERE id = $1"
    ));
    let Some(row) = conn.fetch_optional(sql, args![id]).await? else {
        return Ok(None);
    };
    let account = account(&row)?;
    Ok(access::sees(scope, &account.org_unit).then_some(account))
}

/// Up to `limit` accounts of the scope after `after`, by id.
pub(crate) async fn list(
    conn: &mut Conn,
    scope: &RowScope,
    after: &str,
    limit: usize,
) -> Result<Vec<ServiceAccount>, Failure> {
    let (narrow, args) = super::org_units::narrow(scope, args![after, limit as i64]);
    let sql = Sql::assembled(format!(
        "SELECT {COLUMNS} FROM service_accounts WHERE id > $1{narrow} ORDER BY id LIMIT $2"
    ));
    conn.fetch_all(sql, args)
        .await?
        .iter()
        .map(account)
        .collect()
}

/// Adds an account.
pub(crate) async fn insert(tx: &mut Tx, account: &ServiceAccount) -> Result<(), Failure> {
    let inserted = tx
        .execute(
            "INSERT INTO service_accounts (id, uid, display_name, org_unit, disabled, revision, \
             create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                &account.id,
                &account.uid,
                &account.display_name,
                &account.org_unit,
                account.disabled,
                account.revision,
                account.create_time,
                account.update_time
            ],
        )
        .await;
    taken(inserted, &format!("serviceAccounts/{}", account.id)).map(drop)
}

/// Writes an account that still has the revision `was`; whether it had.
pub(crate) async fn update(
    tx: &mut Tx,
    account: &ServiceAccount,
    was: i64,
) -> Result<bool, Failure> {
    let touched = tx
        .execute(
            "UPDATE service_accounts SET display_name = $1, org_unit = $2, disabled = $3, \
             revision = $4, update_time = $5 WHERE id = $6 AND revision = $7",
            args![
                &account.display_name,
                &account.org_unit,
                account.disabled,
                account.revision,
                account.update_time,
                &account.id,
                was
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// Holds an enabled account's row until the transaction ends; whether it is enabled.
pub(crate) async fn hold(tx: &mut Tx, id: &str) -> Result<bool, Failure> {
    let held = tx
        .execute(
            "UPDATE service_accounts SET revision = revision WHERE id = $1 AND disabled = 0",
            args![id],
        )
        .await?;
    Ok(held == 1)
}

/// Adds a key; `mac` is the keyed hash of its secret.
pub(crate) async fn insert_key(
    tx: &mut Tx,
    key: &ServiceAccountKey,
    mac: Vec<u8>,
) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO service_account_keys (id, service_account, display_name, mac, create_time, \
         expire_time) VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            &key.id,
            &key.account,
            &key.display_name,
            mac,
            key.create_time,
            key.expire_time
        ],
    )
    .await
    .map(drop)
}

/// A key and the keyed hash of its secret.
pub(crate) async fn get_key(
    conn: &mut Conn,
    id: &str,
) -> Result<Option<(ServiceAccountKey, Vec<u8>)>, Failure> {
    let sql = Sql::assembled(format!(
        "SELECT {KEY_COLUMNS}, mac FROM service_account_keys WHERE id = $1"
    ));
    conn.fetch_optional(sql, args![id])
        .await?
        .map(|row| Ok((key(&row)?, row.bytes("mac")?)))
        .transpose()
}

/// Holds a key's row until the transaction ends; whether it is still there.
pub(crate) async fn hold_key(tx: &mut Tx, id: &str) -> Result<bool, Failure> {
    let held = tx
        .execute(
            "UPDATE service_account_keys SET mac = mac WHERE id = $1",
            args![id],
        )
        .await?;
    Ok(held == 1)
}

/// The keys of an account, by id; at most [`crate::domain::MAX_KEYS`].
pub(crate) async fn keys(
    conn: &mut Conn,
    account: &str,
) -> Result<Vec<ServiceAccountKey>, Failure> {
    let sql = Sql::assembled(format!(
        "SELECT {KEY_COLUMNS} FROM service_account_keys WHERE service_account = $1 ORDER BY id"
    ));
    conn.fetch_all(sql, args![account])
        .await?
        .iter()
        .map(key)
        .collect()
}

/// Removes a key of an account; whether there was one.
pub(crate) async fn delete_key(tx: &mut Tx, account: &str, id: &str) -> Result<bool, Failure> {
    let gone = tx
        .execute(
            "DELETE FROM service_account_keys WHERE id = $1 AND service_account = $2",
            args![id, account],
        )
        .await?;
    Ok(gone == 1)
}
