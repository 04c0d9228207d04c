//! What runs beside the calls: following the change log, replacing old signing keys, forgetting.

use std::{sync::Arc, time::Duration};

use jinke_kit::{Metrics, Shutdown, audit::ship_by, token::LEEWAY_SECS};
use jinke_store::{Tx, changelog, request};
use jinke_types::{AuditLog, Failure, Timestamp};

use crate::{
    convert,
    core::Core,
    rpc::deliver_audit_events,
    signing,
    store::{self, audit, lock, sessions, signing_keys, state},
};

/// How often old keys are looked for and old rows forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// How long rows without use are kept, to look into what happened.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Pause after an error.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of the audit trail dropped in one transaction.
const TRIM_BATCH: usize = 500;
/// Sessions forgotten in one transaction.
const PURGE_BATCH: u32 = 1_000;

/// Publishes every change of the log, other replicas' too, until stopping begins.
pub(crate) async fn follow(core: Arc<Core>, shutdown: Shutdown) -> Result<(), Failure> {
    let work = async {
        loop {
            let known = core.publisher.state().version;
            let step = async {
                let head = changelog::wait(&core.db, known, core.config.poll()).await?;
                core.publisher
                    .refresh(&core.db, &core.vault, core.clock.as_ref(), Some(head))
                    .await
            };
            if let Err(failure) = step.await {
                tracing::warn!(
                    reason = failure.reason,
                    "cannot follow the change log: {failure}"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    shutdown.unless::<()>(work).await;
    Ok(())
}

/// Chains identity's own events to its trail until stopping begins.
pub(crate) async fn chain(
    core: Arc<Core>,
    log: Arc<dyn AuditLog>,
    metrics: Metrics,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let clock = Arc::clone(&core.clock);
    let deliver = move |deliveries| {
        let core = Arc::clone(&core);
        async move {
            let events = convert::audit::deliveries(deliveries);
            deliver_audit_events::take(&core, "identity", events).await
        }
    };
    let work = ship_by("identity", log, metrics, clock, deliver);
    shutdown.unless(work).await;
    Ok(())
}

/// Does the housekeeping until stopping begins.
pub(crate) async fn keep_house(core: Arc<Core>, shutdown: Shutdown) -> Result<(), Failure> {
    let work = async {
        loop {
            if let Err(failure) = housekeeping(&core).await {
                tracing::warn!(reason = failure.reason, "housekeeping failed: {failure}");
            }
            tokio::time::sleep(HOUSEKEEPING).await;
        }
    };
    shutdown.unless::<()>(work).await;
    Ok(())
}

/// One round.
pub(crate) async fn housekeeping(core: &Core) -> Result<(), Failure> {
    let now = core.now();
    let due = now.minus(core.config.rotate_after());
    let newest = signing_keys::newest(&mut *core.db.read().await?).await?;
    if newest.is_none_or(|made| made <= due) {
        let rotated = core
            .db
            .write(async |mut tx: Tx| {
                let tx = &mut tx;
                tx.lock(lock::SIGNING_KEYS).await?;
                // Another replica may have been quicker.
                if signing_keys::newest(tx)
                    .await?
                    .is_some_and(|made| made > due)
                {
                    return Ok(false);
                }
                rotate(core, tx, false, now).await?;
                Ok(true)
            })
            .await?;
        if rotated {
            core.published().await;
        }
    }
    let before = now.minus(KEPT);
    loop {
        let purged = core
            .db
            .write(async |mut tx: Tx| sessions::purge(&mut tx, before, PURGE_BATCH).await)
            .await?;
        if purged < u64::from(PURGE_BATCH) {
            break;
        }
    }
    trim(core, now).await?;
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            signing_keys::purge(tx, before).await?;
            state::purge_counts(tx, before, now).await?;
            request::purge(tx, now).await
        })
        .await
        .map(drop)
}

/// Drops events of the audit trails whose time is over, or of which there are too many.
async fn trim(core: &Core, now: Timestamp) -> Result<(), Failure> {
    let before = now.minus(core.config.audit_kept());
    let most = core.config.audit.most_events;
    let ring = &core.vault.ring;
    for trail in audit::trails(&mut *core.db.read().await?).await? {
        loop {
            let dropped = core
                .db
                .write(async |mut tx: Tx| {
                    let tx = &mut tx;
                    let trail = audit::hold(tx, ring, &trail.service).await?;
                    audit::trim(tx, ring, trail, before, most, TRIM_BATCH).await
                })
                .await?;
            if dropped < TRIM_BATCH {
                break;
            }
        }
    }
    Ok(())
}

/// Makes a new signing key in a transaction that holds [`lock::SIGNING_KEYS`]; its id.
///
/// Without `revoke_old` the new key is published first and signs a little later, and the old
/// ones are accepted as long as a token of theirs can live. With it, it signs at once and every
/// token signed before is refused.
pub(crate) async fn rotate(
    core: &Core,
    tx: &mut Tx,
    revoke_old: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    let (active_time, old_end) = if revoke_old {
        (now, now)
    } else {
        let active = now.plus(core.config.activation());
        let leeway = Duration::from_secs(LEEWAY_SECS.unsigned_abs());
        (active, active.plus(core.config.access_life()).plus(leeway))
    };
    let (key, private) = signing::generate(core.entropy(), active_time)?;
    signing_keys::insert(tx, &core.vault, &key, &private, now).await?;
    signing_keys::expire_others(tx, &key.kid, old_end).await?;
    let revision = store::new_revision(tx).await?;
    store::log(
        tx,
        format!("signingKeys/{}", key.kid),
        "rotated",
        revision,
        now,
    );
    Ok(key.kid)
}
