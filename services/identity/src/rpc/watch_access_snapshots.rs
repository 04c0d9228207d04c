//! `WatchAccessSnapshots`: the present snapshot and every later one.
//!
//! Several changes that follow each other quickly may arrive as one snapshot: each is whole, so
//! none is needed but the last. The stream ends when the caller may not follow any more and when
//! the service stops.

use std::{pin::Pin, sync::Arc};

use jinke_kit::{Grant, Shutdown};
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};

use crate::{access, convert, core::Core};

/// A stream of snapshots, or of the failure that ends it.
pub(crate) type Snapshots =
    Pin<Box<dyn Stream<Item = Result<pb::WatchAccessSnapshotsResponse, Failure>> + Send>>;

pub(crate) fn run(
    core: &Arc<Core>,
    grant: Arc<Grant>,
    shutdown: Shutdown,
    request: &pb::WatchAccessSnapshotsRequest,
) -> Result<Snapshots, Failure> {
    access::whole_enterprise(&grant.scope, "the access snapshot")?;
    if request.after_version < 0 {
        return Err(Failure::field("after_version", "must not be negative"));
    }
    let core = Arc::clone(core);
    let mut sent = request.after_version;
    let mut over = false;
    let snapshots = WatchStream::new(core.publisher.watch())
        .filter(move |state| {
            let newer = state.version > sent;
            sent = sent.max(state.version);
            newer
        })
        .map(move |state| {
            // What the new snapshot takes away holds for its followers, too.
            core.publisher
                .access()
                .authorize(&grant.caller, &grant.permission)?;
            let snapshot = Some(convert::snapshot(&state));
            Ok(pb::WatchAccessSnapshotsResponse { snapshot })
        })
        .take_while(move |item| {
            let go_on = !over;
            over = item.is_err();
            go_on
        });
    // A stream without news would hold up draining.
    let stop = async move { shutdown.wait().await };
    Ok(Box::pin(futures::StreamExt::take_until(
        snapshots,
        Box::pin(stop),
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        rpc::{delete_role_binding, revoke_token},
        testing::{House, on_sqlite},
    };

    #[tokio::test]
    async fn a_follower_hears_of_a_revocation_and_of_nothing_twice() {
        on_sqlite(async |house: &House| {
            house.user("li.lei", "").await;
            let tokens = house.login("li.lei").await.unwrap();
            let (_, claims) = house.access().authenticate(&tokens.access_token).unwrap();
            let known = house.core.publisher.state().version;
            let request = pb::WatchAccessSnapshotsRequest {
                after_version: known,
            };
            let grant = Arc::new(house.follower());
            let mut stream = run(&house.core, grant, Shutdown::new(), &request).unwrap();
            let nothing = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
            assert!(
                nothing.is_err(),
                "nothing is sent before there is something newer"
            );
            revoke_token::run(&house.core, &claims.sid).await.unwrap();
            let next = stream.next().await.unwrap().unwrap().snapshot.unwrap();
            assert!(next.version > known);
            assert_eq!(next.revoked_sessions, [claims.sid.as_str()]);

            let behind = pb::WatchAccessSnapshotsRequest { after_version: 0 };
            let grant = Arc::new(house.follower());
            let mut late = run(&house.core, grant, Shutdown::new(), &behind).unwrap();
            assert_eq!(late.next().await.unwrap().unwrap().snapshot.unwrap(), next);
        })
        .await;
    }

    #[tokio::test]
    async fn who_may_not_follow_any_more_is_cut_off() {
        on_sqlite(async |house: &House| {
            let binding = house.binding_of("serviceAccounts/service-customer").await;
            let request = pb::WatchAccessSnapshotsRequest::default();
            let grant = Arc::new(house.follower());
            let mut stream = run(&house.core, grant, Shutdown::new(), &request).unwrap();
            assert!(stream.next().await.unwrap().is_ok());
            let delete = pb::DeleteRoleBindingRequest { name: binding };
            delete_role_binding::run(&house.core, &house.admin(), delete)
                .await
                .unwrap();
            let end = stream.next().await.unwrap().unwrap_err();
            assert_eq!(end.reason, "PERMISSION_DENIED");
            house.user("li.lei", "").await;
            house.bind("users/li.lei", "roles/reader", "").await;
            assert!(stream.next().await.is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn stopping_ends_a_stream_without_news() {
        on_sqlite(async |house: &House| {
            let shutdown = Shutdown::new();
            let request = pb::WatchAccessSnapshotsRequest {
                after_version: house.core.publisher.state().version,
            };
            let grant = Arc::new(house.follower());
            let mut stream = run(&house.core, grant, shutdown.clone(), &request).unwrap();
            shutdown.trigger();
            assert!(stream.next().await.is_none());
        })
        .await;
    }
}
