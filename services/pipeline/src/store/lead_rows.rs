//! What connectors said of leads last, and which leads they must not bring back.

use jinke_store::{Conn, Tx, args, keys::KeyRing};
use jinke_types::{Failure, Timestamp};

use super::leads;
use crate::{domain::LeadRow, engine::open};

/// Where a row is sealed, under the key of its lead.
pub fn place(lead: i64) -> String {
    format!("{}/row", leads::place(lead))
}

/// The row that was taken last of a lead that is not erased.
///
/// # Errors
/// `DATA_LOSS` when it is damaged.
pub async fn get(conn: &mut Conn, ring: &KeyRing, lead: i64) -> Result<Option<LeadRow>, Failure> {
    let Some(row) = conn
        .fetch_optional(
            "SELECT r.*, t.data_key FROM lead_rows r JOIN leads t ON t.id = r.lead \
             WHERE r.lead = $1",
            args![lead],
        )
        .await?
    else {
        return Ok(None);
    };
    let Some(key) = row.opt_bytes("data_key")? else {
        return Ok(None);
    };
    Ok(Some(LeadRow {
        revision: row.opt_i64("source_revision")?,
        time: row.opt_time("source_time")?,
        stated: open(ring, &key, &place(lead), &row.bytes("sealed")?)?,
    }))
}

/// Writes it.
///
/// # Errors
/// Those of the store.
pub async fn save(tx: &mut Tx, lead: i64, row: &LeadRow, sealed: Vec<u8>) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO lead_rows (lead, source_revision, source_time, sealed) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (lead) DO UPDATE SET \
         source_revision = excluded.source_revision, source_time = excluded.source_time, \
         sealed = excluded.sealed",
        args![lead, row.revision, row.time, sealed],
    )
    .await?;
    Ok(())
}

/// Forgets it.
///
/// # Errors
/// Those of the store.
pub async fn remove(tx: &mut Tx, lead: i64) -> Result<(), Failure> {
    tx.execute("DELETE FROM lead_rows WHERE lead = $1", args![lead])
        .await?;
    Ok(())
}

const TOKEN: &str = "erased lead";

fn text((source, external_id): (&str, &str)) -> String {
    format!("{source}\n{external_id}")
}

/// Notes that the lead of a foreign key was erased with its customer.
///
/// # Errors
/// Those of the store.
pub async fn bar(
    tx: &mut Tx,
    ring: &KeyRing,
    foreign: (&str, &str),
    now: Timestamp,
) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO erased_leads (token, erase_time) VALUES ($1, $2) \
         ON CONFLICT (token) DO NOTHING",
        args![ring.token(TOKEN, &text(foreign)), now],
    )
    .await?;
    Ok(())
}

/// Whether it was. By chance another key has the same token once in 2^56.
///
/// # Errors
/// Those of the store.
pub async fn barred(
    conn: &mut Conn,
    ring: &KeyRing,
    foreign: (&str, &str),
) -> Result<bool, Failure> {
    let found = conn
        .fetch_optional(
            "SELECT token FROM erased_leads WHERE token IN LIST($1)",
            args![ring.tokens_for_lookup(TOKEN, &text(foreign))],
        )
        .await?;
    Ok(found.is_some())
}
