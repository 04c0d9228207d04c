//! What identity keeps, and every statement it runs. One text serves both engines.
//!
//! | module | tables |
//! |---|---|
//! | [`users`] | `users` |
//! | [`accounts`] | `service_accounts`, `service_account_keys` |
//! | [`audit`] | `audit_trails`, `audit_events`, `audit_resources` |
//! | [`org_units`] | `org_units` |
//! | [`grants`] | `role_bindings`, `policies` |
//! | [`directories`] | `directories`, `directory_links` |
//! | [`sessions`] | `sessions`, `refresh_tokens` |
//! | [`signing_keys`] | `signing_keys` |
//! | [`state`] | `login_throttle`, `identity_state`, and the whole state of access |
//!
//! Reads that answer a caller take a `RowScope` (decision D9). Reads without one serve the
//! service itself: a login, the snapshot, checks of a change.

pub(crate) mod accounts;
pub(crate) mod audit;
#[cfg(test)]
mod conformance;
pub(crate) mod directories;
pub(crate) mod grants;
pub(crate) mod org_units;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod state;
pub(crate) mod users;

use std::sync::Arc;

use jinke_store::{
    Migrations, Tx,
    changelog::{self, Entry},
    counter,
    keys::{DataKey, KeyRing},
};
use jinke_types::{Code, Entropy, Failure, Timestamp};

/// Identity's migrations.
pub static MIGRATIONS: Migrations = Migrations {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};

/// The feed of everything that changes who may do what. Its positions are the versions of the
/// access snapshot.
pub(crate) const FEED: &str = "access";

/// Seals and opens, with a data key per row.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// Seals under a new data key: the wrapped key and the sealed text. `place` says what and
    /// where it is.
    pub(crate) fn seal_new(&self, place: &str, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let key = DataKey::generate(self.entropy.as_ref());
        let sealed = key.seal(place.as_bytes(), plain, self.entropy.as_ref());
        (self.ring.wrap(&key, self.entropy.as_ref()), sealed)
    }
    /// Opens what was sealed at this place.
    pub(crate) fn open(&self, place: &str, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        self.ring.unwrap(key)?.open(place.as_bytes(), sealed)
    }
}

/// A revision that no resource had before, so that an etag never fits a successor of the same
/// name.
pub(crate) async fn new_revision(tx: &mut Tx) -> Result<i64, Failure> {
    counter::take(tx, "revision", 1).await
}

/// Logs that something changed who may do what; followers get a new snapshot.
pub(crate) fn log(tx: &mut Tx, subject: String, kind: &'static str, revision: i64, now: Timestamp) {
    let entry = Entry {
        feed: FEED,
        subject,
        kind,
        revision,
        time: now,
        body: Vec::new(),
    };
    changelog::append(tx, entry);
}

/// Turns a broken uniqueness into the failure a caller understands.
pub(crate) fn taken<T>(result: Result<T, Failure>, name: &str) -> Result<T, Failure> {
    result.map_err(|failure| {
        if failure.code == Code::AlreadyExists {
            crate::error::already_exists(name)
        } else {
            failure
        }
    })
}

/// Locks that order changes which a single row cannot guard.
pub(crate) mod lock {
    /// First start, and what is made when missing.
    pub(crate) const BOOTSTRAP: &str = "bootstrap";
    /// Role bindings and who is disabled: at least one administrator must be left.
    pub(crate) const MEMBERS: &str = "members";
    /// The tree of org units.
    pub(crate) const ORG_UNITS: &str = "org units";
    /// Which signing key is the newest.
    pub(crate) const SIGNING_KEYS: &str = "signing keys";
    /// How many policies there are.
    pub(crate) const POLICIES: &str = "policies";
}
