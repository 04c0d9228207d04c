//! What all small mutations share: the lock, request ids, resolving what they touch.

use std::collections::BTreeMap;

use jinke_store::{
    Tx,
    request::{self, Claim, Outcome},
};
use jinke_types::{Code, Failure, Timestamp};

use super::{
    Core,
    apply::as_request,
    resolve::{self, Input, Resolved},
};
use crate::{
    domain::{RequestId, Source, etag},
    store::sources,
};

impl Core {
    /// Claims a request id; the names of what the first call made, when this is a replay.
    pub(crate) async fn claim(
        &self,
        tx: &mut Tx,
        id: Option<&RequestId>,
        now: Timestamp,
    ) -> Result<Option<Vec<Outcome>>, Failure> {
        let Some(id) = id else { return Ok(None) };
        Ok(
            match request::claim(tx, &self.ring, &as_request(id), now).await? {
                Claim::New => None,
                Claim::Replay(outcomes) => Some(outcomes),
            },
        )
    }

    /// Notes what a request made, as `<collection>/<id>`.
    pub(crate) async fn complete(
        &self,
        tx: &mut Tx,
        id: Option<&RequestId>,
        names: &[(String, i64)],
    ) -> Result<(), Failure> {
        let Some(id) = id else { return Ok(()) };
        let outcomes: Vec<Outcome> = names
            .iter()
            .map(|(name, revision)| Outcome {
                name: name.clone(),
                revision: *revision,
            })
            .collect();
        request::complete(tx, &as_request(id), &outcomes).await
    }

    /// Resolves what a mutation touched.
    pub(crate) async fn resolve(
        &self,
        tx: &mut Tx,
        input: Input,
        now: Timestamp,
    ) -> Result<Resolved, Failure> {
        let known: BTreeMap<String, Source> = sources::all(tx).await?;
        resolve::run(self, tx, input, &known, now).await
    }
}

/// The number at the end of a stored name such as `customers/42`.
pub(crate) fn number(outcomes: &[Outcome]) -> Result<i64, Failure> {
    outcomes
        .first()
        .and_then(|o| o.name.rsplit_once('/')?.1.parse().ok())
        .ok_or_else(|| crate::domain::damaged("request"))
}

/// Refuses a stale etag.
pub(crate) fn check_etag(given: Option<&str>, revision: i64) -> Result<(), Failure> {
    match given {
        Some(given) if given != etag(revision) => Err(Failure::new(
            Code::Aborted,
            "ETAG_MISMATCH",
            "it was changed meanwhile; read it again",
        )),
        _ => Ok(()),
    }
}
