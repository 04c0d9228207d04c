//! The state of access as it is just now: read from the database, put into this process's own
//! [`Access`], and handed to whoever watches.
//!
//! The version is the position of the change log, read in the same moment as the rows. A change
//! of this process is published before its caller gets the answer; other replicas' changes are
//! looked for, and so arrive a little later.

use std::sync::{Arc, PoisonError, RwLock};

use jinke_kit::Access;
use jinke_store::Database;
use jinke_types::{Clock, Code, Failure};
use tokio::sync::{Mutex, watch};

use crate::{
    convert,
    domain::AccessState,
    signing::Signer,
    store::{self, Vault},
};

/// Reads, publishes and hands out the state of access.
pub(crate) struct Publisher {
    access: Access,
    state: watch::Sender<Arc<AccessState>>,
    signers: RwLock<Arc<Vec<Signer>>>,
    /// One reads at a time, so that an older state never follows a newer one.
    gate: Mutex<()>,
}

impl Publisher {
    pub(crate) fn new(access: Access) -> Self {
        Self {
            access,
            state: watch::Sender::new(Arc::default()),
            signers: RwLock::default(),
            gate: Mutex::default(),
        }
    }

    /// Reads the state and publishes it, unless one as new as `position` was read meanwhile:
    /// changes that are committed together are published together.
    ///
    /// # Errors
    /// Those of the database, and of a policy that does not compile; the former state then stays.
    pub(crate) async fn refresh(
        &self,
        db: &Database,
        vault: &Vault,
        clock: &dyn Clock,
        position: Option<i64>,
    ) -> Result<(), Failure> {
        let _gate = self.gate.lock().await;
        if position.is_some_and(|position| self.state.borrow().version >= position) {
            return Ok(());
        }
        let now = clock.now();
        let (state, signers) = {
            let mut reader = db.snapshot().await?;
            (
                store::state::access(&mut reader, now).await?,
                store::signing_keys::signers(&mut reader, vault, now).await?,
            )
        };
        // Compiling many policies takes a while that other calls should not wait for.
        let (access, snapshot) = (self.access.clone(), convert::snapshot(&state));
        tokio::task::spawn_blocking(move || access.publish(&snapshot))
            .await
            .map_err(Failure::internal)??;
        *self.signers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signers);
        self.state.send_if_modified(|present| {
            let newer = state.version > present.version;
            *present = Arc::new(state);
            newer
        });
        Ok(())
    }

    /// The state as it was last read.
    pub(crate) fn state(&self) -> Arc<AccessState> {
        self.state.borrow().clone()
    }

    /// Tells of every state with a new version.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<AccessState>> {
        self.state.subscribe()
    }

    /// Decides in this process.
    pub(crate) const fn access(&self) -> &Access {
        &self.access
    }

    /// The keys that may sign.
    pub(crate) fn signers(&self) -> Result<Arc<Vec<Signer>>, Failure> {
        let signers = self
            .signers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if signers.is_empty() {
            return Err(Failure::new(
                Code::Unavailable,
                "NO_SIGNING_KEY",
                "no key to sign tokens with yet",
            ));
        }
        Ok(signers)
    }
}
