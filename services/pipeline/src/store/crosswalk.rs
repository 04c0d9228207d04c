//! Which customer holds a record number now: a projection of the customer feed.

use std::collections::BTreeMap;

use jinke_store::{Conn, Rows, Tx, args};
use jinke_types::Failure;

use crate::error;

/// The record is there.
const THERE: i64 = 0;
/// It was erased; its address passed to what remains of the customer.
const PASSED: i64 = 1;
/// Nothing remains of the customer.
const ERASED: i64 = 2;

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

/// Notes addresses the feed has not told of yet, each with who holds it; what the feed told stays.
/// Holds them until the transaction ends, so that an erasure that is followed at the same time
/// either comes first and is seen here, or comes later and finds what is being written.
///
/// # Errors
/// `CUSTOMER_ERASED` when nothing remains of one of them; those of the store.
pub async fn learn(tx: &mut Tx, known: &[(i64, i64)]) -> Result<(), Failure> {
    let mut all: BTreeMap<i64, i64> = known.iter().map(|(_, c)| (*c, *c)).collect();
    all.extend(known.iter().copied());
    // One at a time in order of the addresses, so that two that learn the same do not deadlock.
    for (address, current) in all {
        let row = tx
            .fetch_one(
                "INSERT INTO crosswalk (address, current, erased) VALUES ($1, $2, 0) \
                 ON CONFLICT (address) DO UPDATE SET current = crosswalk.current \
                 RETURNING erased",
                args![address, current],
            )
            .await?;
        if row.i64("erased")? == ERASED {
            return Err(error::customer_erased(address));
        }
    }
    Ok(())
}

/// Notes that `current` holds these addresses; those that were elsewhere before, or unknown.
///
/// # Errors
/// Those of the store.
pub async fn hold(tx: &mut Tx, current: i64, held: &[i64]) -> Result<Vec<i64>, Failure> {
    let moved = point(tx, current, held, THERE).await?;
    // An address that was unknown has answered as itself so far.
    Ok(moved
        .into_iter()
        .filter(|(a, before)| before.is_some() || *a != current)
        .map(|(a, _)| a)
        .collect())
}

/// Notes that records at these addresses were erased and the addresses passed to `current`: which
/// were there before, and which answer as another customer now.
///
/// # Errors
/// Those of the store.
pub async fn pass(
    tx: &mut Tx,
    current: i64,
    addresses: &[i64],
) -> Result<(Vec<i64>, Vec<i64>), Failure> {
    let changed = point(tx, current, addresses, PASSED).await?;
    let erased = changed
        .iter()
        .filter(|(_, before)| before.is_none_or(|(_, erased)| erased == THERE))
        .map(|(a, _)| *a)
        .collect();
    let moved = changed
        .iter()
        .filter(|(a, before)| before.map_or(*a, |(c, _)| c) != current)
        .map(|(a, _)| *a)
        .collect();
    Ok((erased, moved))
}

/// Notes that nothing remains of whoever was at these addresses; which had not been noted. Each
/// stands for itself from then on.
///
/// # Errors
/// Those of the store.
pub async fn erase(tx: &mut Tx, addresses: &[i64]) -> Result<Vec<i64>, Failure> {
    let mut fresh = Vec::new();
    for address in addresses {
        let known = states(tx, &[*address]).await?;
        if known
            .get(address)
            .is_none_or(|(_, erased)| *erased != ERASED)
        {
            put(tx, *address, &[*address], ERASED).await?;
            fresh.push(*address);
        }
    }
    Ok(fresh)
}

/// Known addresses of these customers, but for those of whom nothing remains.
///
/// # Errors
/// Those of the store.
pub async fn of(conn: &mut Conn, customers: &[i64]) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT address FROM crosswalk WHERE current IN LIST($1) AND erased <> $2 \
         ORDER BY address",
        args![customers, ERASED],
    )
    .await?
    .iter()
    .map(|row| row.i64("address"))
    .collect()
}

/// Who holds these addresses, and whether the records there were erased.
async fn states(conn: &mut Conn, addresses: &[i64]) -> Result<BTreeMap<i64, (i64, i64)>, Failure> {
    conn.fetch_all(
        "SELECT address, current, erased FROM crosswalk WHERE address IN LIST($1)",
        args![addresses],
    )
    .await?
    .iter()
    .map(|row| {
        let state = (row.i64("current")?, row.i64("erased")?);
        Ok((row.i64("address")?, state))
    })
    .collect()
}

/// Points addresses at a customer; those for which that is news, with how they were before.
async fn point(
    tx: &mut Tx,
    current: i64,
    addresses: &[i64],
    erased: i64,
) -> Result<Vec<(i64, Option<(i64, i64)>)>, Failure> {
    let before = states(tx, addresses).await?;
    let news: Vec<i64> = addresses
        .iter()
        .copied()
        .filter(|a| before.get(a) != Some(&(current, erased)))
        .collect();
    put(tx, current, &news, erased).await?;
    Ok(news
        .into_iter()
        .map(|a| (a, before.get(&a).copied()))
        .collect())
}

async fn put(tx: &mut Tx, current: i64, addresses: &[i64], erased: i64) -> Result<(), Failure> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&["address", "current", "erased"]);
    for address in addresses {
        rows.push(args![*address, current, erased]);
    }
    tx.insert_many(
        "crosswalk",
        rows,
        "ON CONFLICT (address) DO UPDATE SET current = excluded.current, \
         erased = excluded.erased",
    )
    .await?;
    Ok(())
}
