//! Signing keys. The private halves are sealed.

use jinke_store::{Conn, Row, Sql, Tx, args};
use jinke_types::{Failure, Timestamp};

use super::Vault;
use crate::{domain::PublicKey, signing::Signer};

const COLUMNS: &str = "kid, public_key, active_time, expire_time";

fn place(kid: &str) -> String {
    format!("signing_keys/{kid}/private_key")
}

fn public(row: &Row) -> Result<PublicKey, Failure> {
    Ok(PublicKey {
        kid: row.text("kid")?,
        public_key: row.bytes("public_key")?,
        active_time: row.time("active_time")?,
        expire_time: row.opt_time("expire_time")?,
    })
}

/// The keys whose tokens are not refused at `now`, the newest last.
pub(crate) async fn valid(conn: &mut Conn, now: Timestamp) -> Result<Vec<PublicKey>, Failure> {
    let sql = Sql::assembled(format!(
        "SELECT {COLUMNS} FROM signing_keys WHERE expire_time IS NULL OR expire_time > $1 \
         ORDER BY active_time, kid"
    ));
    conn.fetch_all(sql, args![now])
        .await?
        .iter()
        .map(public)
        .collect()
}

/// The same keys with their private halves.
pub(crate) async fn signers(
    conn: &mut Conn,
    vault: &Vault,
    now: Timestamp,
) -> Result<Vec<Signer>, Failure> {
    let sql = Sql::assembled(format!(
        "SELECT {COLUMNS}, data_key, private_key FROM signing_keys \
         WHERE expire_time IS NULL OR expire_time > $1 ORDER BY active_time, kid"
    ));
    let rows = conn.fetch_all(sql, args![now]).await?;
    rows.iter()
        .map(|row| {
            let key = public(row)?;
            let private = vault.open(
                &place(&key.kid),
                &row.bytes("data_key")?,
                &row.bytes("private_key")?,
            )?;
            Ok(Signer::new(key, private))
        })
        .collect()
}

/// When the newest key was made; none before the first.
pub(crate) async fn newest(conn: &mut Conn) -> Result<Option<Timestamp>, Failure> {
    conn.fetch_one("SELECT MAX(create_time) AS t FROM signing_keys", args![])
        .await?
        .opt_time("t")
}

/// Adds a key; `private` is its PKCS#8 DER.
pub(crate) async fn insert(
    tx: &mut Tx,
    vault: &Vault,
    key: &PublicKey,
    private: &[u8],
    now: Timestamp,
) -> Result<(), Failure> {
    let (data_key, sealed) = vault.seal_new(&place(&key.kid), private);
    tx.execute(
        "INSERT INTO signing_keys (kid, public_key, data_key, private_key, create_time, \
         active_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            &key.kid,
            &key.public_key,
            data_key,
            sealed,
            now,
            key.active_time,
            key.expire_time
        ],
    )
    .await
    .map(drop)
}

/// Lets every older key than `kid` expire at `at`, if it would not do so before.
pub(crate) async fn expire_others(tx: &mut Tx, kid: &str, at: Timestamp) -> Result<(), Failure> {
    tx.execute(
        "UPDATE signing_keys SET expire_time = $1 \
         WHERE kid <> $2 AND (expire_time IS NULL OR expire_time > $1)",
        args![at, kid],
    )
    .await
    .map(drop)
}

/// Removes keys that expired before `before`, private halves included; how many.
pub(crate) async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM signing_keys WHERE expire_time < $1",
        args![before],
    )
    .await
}
