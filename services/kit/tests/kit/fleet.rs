//! Replicas of a peer: which takes a call, and what is sent twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jinke_kit::{
    Peer,
    client::{Credential, connect},
    failure,
};
use jinke_proto::jinke::identity::v1::{
    GetCallerRequest, token_service_client::TokenServiceClient,
};
use jinke_types::SystemClock;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::fakes::party;
use crate::support::{matcher, suite, user_token};

fn to(urls: &[String]) -> Peer {
    let token = Credential::Token(user_token("users/mei"));
    connect(&urls.join(","), token, None, Arc::new(SystemClock)).unwrap()
}

/// Takes connections, reads a request, and goes away without a word.
async fn faithless() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let (mut bytes, mut buffer) = (0, [0; 4096]);
                // The preface and settings are some 60 bytes; a request with its token is more.
                while bytes < 300 {
                    match stream.read(&mut buffer).await {
                        Ok(n @ 1..) => bytes += n,
                        _ => return,
                    }
                }
                count.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (addr, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_not_there_costs_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("fleet-gone", dir.path(), &[]).await;
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let peer = to(&[
        format!("http://{gone}"),
        format!("http://{}", running.addr()),
    ]);
    for _ in 0..10 {
        matcher(peer.clone()).match_party(party(0)).await.unwrap();
    }
    let alone = to(&[format!("http://{gone}")]);
    let refused = matcher(alone).match_party(party(0)).await.unwrap_err();
    assert_eq!(failure(&refused).reason, "PEER_UNREACHABLE");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_done_is_not_done_twice() {
    let dir = tempfile::tempdir().unwrap();
    let running = suite("fleet-twice", dir.path(), &[]).await;
    let (addr, heard) = faithless().await;
    let urls = [
        format!("http://{addr}"),
        format!("http://{}", running.addr()),
    ];
    // The first in the list takes the first call of a new peer.
    let failed = matcher(to(&urls)).match_party(party(0)).await.unwrap_err();
    assert_eq!(failure(&failed).reason, "PEER_UNREACHABLE");
    assert_eq!(heard.load(Ordering::SeqCst), 1);
    // What only reads is asked again, of the other.
    let mut tokens = TokenServiceClient::new(to(&urls));
    let caller = tokens.get_caller(GetCallerRequest {}).await;
    caller.unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 2);
    tokio::time::timeout(Duration::from_secs(20), running.stop())
        .await
        .unwrap()
        .unwrap();
}
