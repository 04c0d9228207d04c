//! Which customer holds a record number now: a projection of the customer feed.

use std::collections::BTreeMap;

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::Failure;

/// The present customers of these addresses; those not known yet are absent.
///
/// # Errors
/// Those of the store.
pub async fn current(conn: &mut Conn, addresses: &[i64]) -> Result<BTreeMap<i64, i64>, Failure> {
    if addresses.is_empty() {
        return Ok(BTreeMap::new());
    }
    conn.fetch_all(
        "SELECT address, current FROM crosswalk WHERE address IN LIST($1)",
        args![addresses],
    )
    .await?
    .iter()
    .map(|row| Ok((row.i64("address")?, row.i64("current")?)))
    .collect()
}

/// All addresses that the customer at this address holds now, the address itself included. The
/// feed may not have told of it yet.
///
/// # Errors
/// Those of the store.
pub async fn addresses(conn: &mut Conn, address: i64) -> Result<(i64, Vec<i64>), Failure> {
    let current = current(conn, &[address])
        .await?
        .get(&address)
        .copied()
        .unwrap_or(address);
    let mut all: Vec<i64> = conn
        .fetch_all(
            "SELECT address FROM crosswalk WHERE current = $1 ORDER BY address",
            args![current],
        )
        .await?
        .iter()
        .map(|row| row.i64("address"))
        .collect::<Result<_, _>>()?;
    if !all.contains(&address) {
        all.push(address);
    }
    Ok((current, all))
}

/// Notes an address the feed has not told of yet. What the feed told stays.
///
/// # Errors
/// Those of the store.
pub async fn learn(tx: &mut Tx, address: i64, current: i64) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO crosswalk (address, current) VALUES ($1, $2) \
         ON CONFLICT (address) DO NOTHING",
        args![address, current],
    )
    .await?;
    Ok(())
}

/// Notes that `current` holds these addresses; those that were elsewhere before, or unknown.
///
/// # Errors
/// Those of the store.
pub async fn hold(tx: &mut Tx, current: i64, held: &[i64]) -> Result<Vec<i64>, Failure> {
    let before = self::current(tx, held).await?;
    let moved: Vec<i64> = held
        .iter()
        .copied()
        .filter(|a| before.get(a) != Some(&current))
        .collect();
    let mut rows = Rows::new(&["address", "current"]);
    for address in &moved {
        rows.push(args![*address, current]);
    }
    if !rows.is_empty() {
        tx.insert_many(
            "crosswalk",
            rows,
            "ON CONFLICT (address) DO UPDATE SET current = excluded.current",
        )
        .await?;
    }
    // An address that was unknown has answered as itself so far.
    Ok(moved
        .into_iter()
        .filter(|a| before.contains_key(a) || *a != current)
        .collect())
}

/// What stands at these addresses: `(subject, revision)` of every resource, in order.
///
/// # Errors
/// Those of the store.
pub async fn attached(tx: &mut Tx, addresses: &[i64]) -> Result<Vec<(String, i64)>, Failure> {
    let mut out = Vec::new();
    for (collection, text) in [
        (
            "leads",
            "SELECT id, revision FROM leads WHERE customer IN LIST($1) ORDER BY id",
        ),
        (
            "opportunities",
            "SELECT id, revision FROM opportunities WHERE customer IN LIST($1) ORDER BY id",
        ),
        (
            "activities",
            "SELECT id, version AS revision FROM activities WHERE customer IN LIST($1) ORDER BY id",
        ),
        (
            "tasks",
            "SELECT id, revision FROM tasks WHERE customer IN LIST($1) ORDER BY id",
        ),
    ] {
        for row in tx.fetch_all(text, args![addresses]).await? {
            out.push((
                format!("{collection}/{}", row.i64("id")?),
                row.i64("revision")?,
            ));
        }
    }
    Ok(out)
}
