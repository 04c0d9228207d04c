//! Keeps the access snapshot of a service fresh: watches identity, asks again when it is silent,
//! comes back with backoff and jitter when the stream breaks. [`Access`] itself refuses calls once
//! there was no contact for `access.max_staleness_seconds`.

use std::{sync::Arc, time::Duration};

use jinke_proto::jinke::identity::v1::{
    GetAccessSnapshotRequest, WatchAccessSnapshotsRequest,
    access_service_client::AccessServiceClient,
};
use jinke_types::{Entropy, Failure};

use crate::{Access, Peer, Shutdown, status::failure};

/// First pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A snapshot of 10,000 members and bindings is about 3 MiB.
const MAX_SNAPSHOT_BYTES: usize = 256 * 1024 * 1024;

/// Follows until `shutdown`. `silence` is how long the stream may say nothing before identity is
/// asked whether it is still there.
pub async fn follow_access(
    access: Access,
    identity: Peer,
    entropy: Arc<dyn Entropy>,
    silence: Duration,
    shutdown: Shutdown,
) {
    let mut pause = FIRST_PAUSE;
    let mut quiet = false;
    while !shutdown.is_triggered() {
        let before = access.snapshot().map(|s| s.version());
        let began = tokio::time::Instant::now();
        match shutdown.unless(watch(&access, &identity, silence)).await {
            None => return,
            Some(Ok(())) => tracing::debug!(service = access.area(), "the access stream ended"),
            // A stream lasts no longer than the token it was opened with; the next call brings
            // another.
            Some(Err(e)) if e.reason == "TOKEN_EXPIRED" && began.elapsed() > LONGEST_PAUSE => {
                tracing::debug!(service = access.area(), "the access stream's token expired");
            }
            // In a suite the first tries come before identity answers; that is no news.
            Some(Err(e)) if !quiet && pause < Duration::from_secs(1) => {
                tracing::debug!(service = access.area(), error = %e, "the access stream failed");
            }
            Some(Err(e)) => {
                tracing::warn!(service = access.area(), error = %e, "identity does not answer");
                quiet = true;
            }
        }
        let lasted = began.elapsed() > LONGEST_PAUSE;
        if lasted || access.snapshot().map(|s| s.version()) > before {
            pause = FIRST_PAUSE;
            quiet = false;
        }
        let _ = shutdown
            .unless(tokio::time::sleep(jittered(pause, &*entropy)))
            .await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One stream, until it ends.
async fn watch(access: &Access, identity: &Peer, silence: Duration) -> Result<(), Failure> {
    let mut client =
        AccessServiceClient::new(identity.clone()).max_decoding_message_size(MAX_SNAPSHOT_BYTES);
    // A service that has none asks for the present one: it may be of the version a watch would
    // start after.
    if access.snapshot().is_none() {
        ask(access, &mut client).await?;
    }
    let after_version = access.snapshot().map_or(0, |s| s.version());
    let request = WatchAccessSnapshotsRequest { after_version };
    let mut stream = client
        .watch_access_snapshots(request)
        .await
        .map_err(|s| failure(&s))?
        .into_inner();
    access.contact();
    loop {
        match tokio::time::timeout(silence, stream.message()).await {
            Ok(Ok(Some(message))) => {
                if let Some(snapshot) = message.snapshot {
                    access.publish(&snapshot)?;
                    tracing::info!(
                        service = access.area(),
                        version = snapshot.version,
                        "access"
                    );
                }
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(failure(&status)),
            Err(_silent) => ask(access, &mut client).await?,
        }
    }
}

/// Asks for the present snapshot. One that is in use already counts as a sign of life.
async fn ask(access: &Access, client: &mut AccessServiceClient<Peer>) -> Result<(), Failure> {
    let mut request = tonic::Request::new(GetAccessSnapshotRequest {});
    request.set_timeout(Duration::from_secs(10));
    let answer = client
        .get_access_snapshot(request)
        .await
        .map_err(|s| failure(&s))?;
    access.publish(answer.get_ref())?;
    tracing::debug!(
        service = access.area(),
        version = answer.get_ref().version,
        "access"
    );
    Ok(())
}

/// From half of `pause` to the whole of it, so that many services do not come back at once.
pub(crate) fn jittered(pause: Duration, entropy: &dyn Entropy) -> Duration {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    let part = u64::from(u32::from_le_bytes(random));
    let half = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
    Duration::from_micros(half + half.saturating_mul(part >> 12) / (1 << 20))
}
