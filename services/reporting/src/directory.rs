//! Users and org units, taken over from identity: what persons and units in answers are called, and
//! which unit a person belongs to.

use std::time::Duration;

use jinke_kit::Shutdown;
use jinke_types::Failure;

use crate::{core::Core, feed::Feeds, store::directory};

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// The same until it worked once: at the start of a suite identity comes up a moment later.
const AT_FIRST: Duration = Duration::from_secs(1);

/// Takes over what changed; whether anything did.
///
/// # Errors
/// Those of identity and of the store.
pub async fn refresh(core: &Core, feeds: &dyn Feeds) -> Result<bool, Failure> {
    let now = feeds.directory().await?;
    let now = &now;
    core.db
        .write(async |mut tx| directory::put(&mut tx, &core.ring, &*core.entropy, now).await)
        .await
}

/// Takes over what changes until `shutdown`. Questions are answered without, with fewer names.
pub async fn follow(core: Core, feeds: impl Feeds, shutdown: Shutdown) {
    let (mut pause, mut failures) = (AT_FIRST, 0_u32);
    loop {
        match shutdown.unless(refresh(&core, &feeds)).await {
            None => return,
            Some(Ok(_)) => (pause, failures) = (EVERY, 0),
            Some(Err(e)) => {
                failures = failures.saturating_add(1);
                if failures == 30 {
                    tracing::warn!(error = %e, "users and org units cannot be read");
                } else {
                    tracing::debug!(error = %e, "users and org units cannot be read yet");
                }
            }
        }
        if shutdown.unless(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}
