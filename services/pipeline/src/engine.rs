//! What all operations share: the database, keys, time, and the services outside.

pub mod activities;
pub mod assign;
pub mod convert;
pub mod erase;
pub mod follow;
pub mod ingest;
pub mod leads;
pub mod migrate;
pub mod opportunities;
pub mod pipelines;
pub mod tasks;
pub mod timers;

use std::sync::Arc;

use jinke_store::{
    Database, Tx,
    changelog::{self, Entry},
    keys::{DataKey, KeyRing},
    request::{self, Claim, Outcome, Request},
};
use jinke_types::{Clock, Entropy, Failure, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    config::{DeliverySection, FollowSection, TimersSection},
    domain::{FEED, RequestId, damaged},
    outside::{Customers, Messenger},
};

/// What all operations share.
pub struct Core {
    /// The database.
    pub db: Database,
    /// Keys.
    pub ring: Arc<KeyRing>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The customer service.
    pub customers: Arc<dyn Customers>,
    /// The connector runner.
    pub messenger: Arc<dyn Messenger>,
    /// Timers.
    pub timers: TimersSection,
    /// Delivery.
    pub delivery: DeliverySection,
    /// Following.
    pub follow: FollowSection,
    /// Stages in memory.
    pub processes: pipelines::Processes,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

/// Who does something and what he may see: what an operation needs of a caller.
#[derive(Clone, Debug)]
pub struct By<'a> {
    /// Who.
    pub viewer: &'a crate::access::Viewer,
    /// With this request id.
    pub request: Option<&'a RequestId>,
}

impl Core {
    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Claims a request id; the number of what the first call made, when this is a replay.
    pub(crate) async fn claim(
        &self,
        tx: &mut Tx,
        id: Option<&RequestId>,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let Some(id) = id else { return Ok(None) };
        match request::claim(tx, &self.ring, &as_request(id), now).await? {
            Claim::New => Ok(None),
            Claim::Replay(outcomes) => outcomes
                .into_iter()
                .next()
                .and_then(|o| Some(o.name.rsplit_once('/')?.1.to_owned()))
                .map(Some)
                .ok_or_else(|| damaged("request")),
        }
    }

    /// Notes what a request made, as `<collection>/<id>`.
    pub(crate) async fn complete(
        &self,
        tx: &mut Tx,
        id: Option<&RequestId>,
        name: String,
        revision: i64,
    ) -> Result<(), Failure> {
        let Some(id) = id else { return Ok(()) };
        request::complete(tx, &as_request(id), &[Outcome { name, revision }]).await
    }

    /// A new data key and how it is kept.
    pub(crate) fn fresh_key(&self) -> (DataKey, Vec<u8>) {
        let key = DataKey::generate(&*self.entropy);
        let wrapped = self.ring.wrap(&key, &*self.entropy);
        (key, wrapped)
    }

    /// Seals a value in its place, e.g. `leads/7`.
    pub(crate) fn seal<T: Serialize>(
        &self,
        key: &DataKey,
        place: &str,
        value: &T,
    ) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(value).map_err(Failure::internal)?;
        Ok(key.seal(place.as_bytes(), &plain, &*self.entropy))
    }

    /// Seals with a key that is kept already.
    pub(crate) fn seal_again<T: Serialize>(
        &self,
        wrapped: &[u8],
        place: &str,
        value: &T,
    ) -> Result<Vec<u8>, Failure> {
        self.seal(&self.ring.unwrap(wrapped)?, place, value)
    }
}

/// Opens a sealed value with the key beside it.
pub(crate) fn open<T: DeserializeOwned>(
    ring: &KeyRing,
    wrapped: &[u8],
    place: &str,
    sealed: &[u8],
) -> Result<T, Failure> {
    let plain = ring.unwrap(wrapped)?.open(place.as_bytes(), sealed)?;
    serde_json::from_slice(&plain).map_err(|_| damaged("sealed value"))
}

const fn as_request(id: &RequestId) -> Request<'_> {
    Request {
        caller: id.caller.as_str(),
        method: id.method,
        id: id.id.as_str(),
        body: id.body.as_slice(),
    }
}

/// Logs a change of a resource; written when the transaction commits. `body` is the number of a
/// transition, or empty.
pub(crate) fn log(
    tx: &mut Tx,
    subject: String,
    kind: &'static str,
    revision: i64,
    now: Timestamp,
    transition: Option<i64>,
) {
    let body = transition.map(|no| no.to_string().into_bytes());
    changelog::append(
        tx,
        Entry {
            feed: FEED,
            subject,
            kind,
            revision,
            time: now,
            body: body.unwrap_or_default(),
        },
    );
}

/// A number that was noted for a request.
pub(crate) fn number(id: &str) -> Result<i64, Failure> {
    id.parse().map_err(|_| damaged("request"))
}
