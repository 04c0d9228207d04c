//! Request ids (decision D10): a mutation sent twice happens once.
//!
//! [`claim`] and [`complete`] belong in the transaction of the mutation. What is kept is who
//! called what with which id, a keyed hash of the request, and the names and revisions that
//! came out; never the response. A replay reads these names again, under the rights the
//! caller has then.

use std::time::Duration;

use jinke_types::{Code, Failure, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{args, keys::KeyRing, tx::Tx};

/// How long a request id is remembered.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest request id in bytes; a UUID has 36.
pub const MAX_ID: usize = 128;

/// A request that carries an id.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The caller's resource name. Two callers may use the same id.
    pub caller: &'a str,
    /// The full method, e.g. `jinke.customer.v1.CustomerService/MergeCustomers`.
    pub method: &'a str,
    /// The id, 1 to [`MAX_ID`] bytes.
    pub id: &'a str,
    /// The request in canonical bytes (its encoded message). Only a keyed hash is kept.
    pub body: &'a [u8],
}

/// A resource that a mutation made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its resource name.
    pub name: String,
    /// Its revision after the mutation.
    pub revision: i64,
}

/// What [`claim`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The request is new: do the work, then [`complete`] it in the same transaction.
    New,
    /// It was done: read these again and answer with them.
    Replay(Vec<Outcome>),
}

/// Claims the id for this request.
///
/// Errors: `REQUEST_ID_REUSED` when the id came with another request within [`KEPT`];
/// `INVALID_FIELD` when it is empty or too long. A concurrent request with the same id waits
/// for the first one's transaction, then sees its outcome.
pub async fn claim(
    tx: &mut Tx,
    ring: &KeyRing,
    request: &Request<'_>,
    now: Timestamp,
) -> Result<Claim, Failure> {
    if request.id.is_empty() || request.id.len() > MAX_ID {
        return Err(Failure::field(
            "request_id",
            format!("must have 1 to {MAX_ID} bytes"),
        ));
    }
    let digest = ring.hmac("request", request.body);
    let claimed = tx
        .execute(
            "INSERT INTO jinke_requests (caller, method, request_id, digest, outcome, time) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (caller, method, request_id) DO UPDATE SET digest = excluded.digest, \
             outcome = excluded.outcome, time = excluded.time WHERE jinke_requests.time <= $7",
            args![
                request.caller,
                request.method,
                request.id,
                digest,
                None::<&str>,
                now,
                now.minus(KEPT)
            ],
        )
        .await?;
    if claimed == 1 {
        return Ok(Claim::New);
    }
    let row = tx
        .fetch_one(
            "SELECT digest, outcome FROM jinke_requests \
             WHERE caller = $1 AND method = $2 AND request_id = $3",
            args![request.caller, request.method, request.id],
        )
        .await?;
    if !ring.verify("request", request.body, &row.bytes("digest")?) {
        return Err(Failure::new(
            Code::InvalidArgument,
            "REQUEST_ID_REUSED",
            "this request id was used with another request; take a new one",
        ));
    }
    let Some(outcome) = row.opt_text("outcome")? else {
        return Err(Failure::new(
            Code::Aborted,
            "REQUEST_IN_PROGRESS",
            "a request with this id is still at work; ask again",
        ));
    };
    serde_json::from_str(&outcome)
        .map(Claim::Replay)
        .map_err(|_| {
            Failure::new(
                Code::DataLoss,
                "REQUEST_DAMAGED",
                "the stored outcome cannot be read",
            )
        })
}

/// Notes what came out, in the transaction that claimed the id.
pub async fn complete(
    tx: &mut Tx,
    request: &Request<'_>,
    outcomes: &[Outcome],
) -> Result<(), Failure> {
    let text = serde_json::to_string(outcomes).map_err(Failure::internal)?;
    let noted = tx
        .execute(
            "UPDATE jinke_requests SET outcome = $1 \
             WHERE caller = $2 AND method = $3 AND request_id = $4",
            args![text, request.caller, request.method, request.id],
        )
        .await?;
    if noted == 1 {
        Ok(())
    } else {
        Err(Failure::internal("the request was not claimed"))
    }
}

/// Forgets ids older than [`KEPT`]; how many. Call it now and then.
pub async fn purge(tx: &mut Tx, now: Timestamp) -> Result<u64, Failure> {
    tx.execute(
        "DELETE FROM jinke_requests WHERE time <= $1",
        args![now.minus(KEPT)],
    )
    .await
}
