//! Leases: one holder at a time across replicas, for a while.
//!
//! A lease does not stop a holder that was paused longer than its term; the fence does. It
//! grows with every change of holder, and a write that must come from the present holder calls
//! [`guard`] in its transaction. Time is passed in: replicas' clocks should agree to well
//! within the term.

use std::time::Duration;

use jinke_types::{Code, Failure, Timestamp};

use crate::{args, tx::Tx};

/// A lease that was acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased, e.g. `sweep`.
    pub name: String,
    /// Who holds it: unique for the process and its start, not only for the host.
    pub holder: String,
    /// Grows each time the lease is acquired.
    pub fence: i64,
    /// Until when it holds.
    pub end: Timestamp,
}

/// Acquires the lease for `term`, or none while another (or this) holder has it.
pub async fn acquire(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    term: Duration,
    now: Timestamp,
) -> Result<Option<Lease>, Failure> {
    let end = now.plus(term);
    let row = tx
        .fetch_optional(
            "INSERT INTO jinke_leases (name, holder, fence, lease_end) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
             fence = jinke_leases.fence + 1, lease_end = excluded.lease_end \
             WHERE jinke_leases.lease_end <= $4 RETURNING fence",
            args![name, holder, end, now],
        )
        .await?;
    row.map(|row| {
        Ok(Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            fence: row.i64("fence")?,
            end,
        })
    })
    .transpose()
}

/// Prolongs the lease to `now + term`; `LEASE_LOST` when it ended or was taken over.
pub async fn renew(
    tx: &mut Tx,
    lease: &Lease,
    term: Duration,
    now: Timestamp,
) -> Result<Lease, Failure> {
    let end = now.plus(term);
    let held = tx
        .execute(
            "UPDATE jinke_leases SET lease_end = $1 \
             WHERE name = $2 AND holder = $3 AND fence = $4 AND lease_end > $5",
            args![end, &lease.name, &lease.holder, lease.fence, now],
        )
        .await?;
    if held == 1 {
        Ok(Lease {
            end,
            ..lease.clone()
        })
    } else {
        Err(lost(lease))
    }
}

/// Gives the lease free at once. Without effect when it was taken over.
pub async fn release(tx: &mut Tx, lease: &Lease) -> Result<(), Failure> {
    tx.execute(
        "UPDATE jinke_leases SET lease_end = $1 \
         WHERE name = $2 AND holder = $3 AND fence = $4",
        args![i64::MIN, &lease.name, &lease.holder, lease.fence],
    )
    .await?;
    Ok(())
}

/// Lets the transaction go on only if nobody has acquired the lease since; nobody can until it
/// ends. Also right after the term ended, as long as nobody took over. Else `LEASE_LOST`.
pub async fn guard(tx: &mut Tx, lease: &Lease) -> Result<(), Failure> {
    // An update that changes nothing locks the row on both engines with one text.
    let held = tx
        .execute(
            "UPDATE jinke_leases SET fence = fence WHERE name = $1 AND holder = $2 AND fence = $3",
            args![&lease.name, &lease.holder, lease.fence],
        )
        .await?;
    if held == 1 { Ok(()) } else { Err(lost(lease)) }
}

fn lost(lease: &Lease) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "LEASE_LOST",
        "the lease has another holder now",
    )
    .with("lease", &lease.name)
}
