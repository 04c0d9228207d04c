//! Callbacks over real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jinke_proto::jinke::connector::v1 as pb;
use jinke_runner::{callbacks, rpc::outbound};
use jinke_sdk::CallbackEvent;
use jinke_store::counter;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use crate::world::{TOKEN, World, on_each, record, until, viewer};

async fn listen(world: &World) -> SocketAddr {
    // A busy machine may take its time.
    listen_within(world, Duration::from_secs(60)).await
}

async fn listen_within(world: &World, answer: Duration) -> SocketAddr {
    let (listener, address) = callbacks::bind("127.0.0.1:0").await.unwrap();
    let bounds = callbacks::Bounds {
        body_bytes: 10_000,
        concurrent: 2,
        read: Duration::from_secs(2),
        answer,
    };
    tokio::spawn(callbacks::serve(world.api.core.clone(), listener, bounds));
    address
}

/// Status and body of an answer to raw bytes.
async fn ask(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, b)| b.to_owned());
    (status, body.unwrap_or_default())
}

fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nx-token: {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_stored_once_and_worked_off() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.rows(0, 12);
        world.connect().await;
        let address = listen(&world).await;
        let event = |key: &str| CallbackEvent {
            key: key.to_owned(),
            topic: "changed".to_owned(),
            records: vec![record("demo", &format!("e-{key}"), "李四", 5)],
            pull: vec!["people".to_owned()],
            ..CallbackEvent::default()
        };
        let body = serde_json::to_string(&[event("1"), event("2")]).unwrap();
        let path = "/callbacks/demo?echo=%E5%A5%BD";
        for _ in 0..3 {
            assert_eq!(
                ask(address, &post(path, TOKEN, &body)).await,
                (200, "好".into())
            );
        }
        let request = pb::ListCallbackEventsRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListCallbackEventsRequest::default()
        };
        let list = || outbound::list_events(world.api.clone(), viewer(), request.clone());
        assert_eq!(
            list().await.unwrap().callback_events.len(),
            2,
            "repeated ones are dropped"
        );
        world.start();
        until(async || (world.door.lock().records.len() == 14).then_some(())).await;
        let list = || outbound::list_events(world.api.clone(), viewer(), request.clone());
        until(async || {
            let events = list().await.unwrap().callback_events;
            let done = pb::callback_event::State::Done;
            events.iter().all(|e| e.state() == done).then_some(())
        })
        .await;
        assert_eq!(ask(address, &post(path, TOKEN, &body)).await.0, 200);
        assert_eq!(
            list().await.unwrap().callback_events.len(),
            2,
            "also afterwards"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing_and_hold_up_nobody() {
    on_each(async |db| {
        let world = World::over(&db);
        world.connect().await;
        let address = listen(&world).await;
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
        let path = "/callbacks/demo";
        let cases: Vec<(Vec<u8>, u16)> = vec![
            (get("/"), 404),
            (get("/callbacks/none"), 404),
            (get("/callbacks/../demo"), 404),
            (get("/callbacks/demo%00"), 404),
            (get(path), 403),
            (post(path, "wrong", "[]"), 403),
            (post(path, TOKEN, "no json"), 403),
            (post(path, TOKEN, &"x".repeat(10_001)), 413),
            (get(&format!("{path}?{}", "a=b&".repeat(4_000))), 414),
            (
                b"DELETE /callbacks/demo HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
                405,
            ),
            (
                b"POST /callbacks/demo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
               fffff\r\n"
                    .iter()
                    .copied()
                    .chain(vec![b'x'; 20_000])
                    .collect(),
                413,
            ),
            // A body that never comes.
            (
                b"POST /callbacks/demo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nx".to_vec(),
                408,
            ),
            (b"\0\0\0 garbage\r\n\r\n".to_vec(), 400),
        ];
        for (request, want) in cases {
            let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
            assert_eq!(ask(address, &request).await.0, want, "{shown}");
        }
        // Calls that say nothing take the places; a third one is told so, and they end.
        let silent: Vec<_> = futures::future::join_all((0..2).map(|_| async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"POST /callb").await.unwrap();
            stream
        }))
        .await;
        for want in [503, 200] {
            let third = post(path, TOKEN, "[]");
            until(async || (ask(address, &third).await.0 == want).then_some(())).await;
        }
        drop(silent);
    })
    .await;
}

/// A database that hangs may not make the platform wait: it hears in time that its event was not
/// taken, and repeats it.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_answered_while_the_database_hangs() {
    on_each(async |db| {
        let world = World::over(&db);
        world.connect().await;
        let address = listen_within(&world, Duration::from_millis(300)).await;
        let event = CallbackEvent {
            key: "1".to_owned(),
            topic: "changed".to_owned(),
            ..CallbackEvent::default()
        };
        let body = serde_json::to_string(&[event]).unwrap();
        let call = post("/callbacks/demo", TOKEN, &body);
        // Somebody holds what an event needs: the writer of SQLite, a row of PostgreSQL.
        let (held, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let holder = tokio::spawn({
            let (db, held, release) = (db.clone(), held.clone(), release.clone());
            async move {
                db.write(async |mut tx| {
                    counter::take(&mut tx, "events/demo", 1).await?;
                    held.notify_one();
                    release.notified().await;
                    Ok(())
                })
                .await
                .unwrap();
            }
        });
        held.notified().await;
        assert_eq!(ask(address, &call).await.0, 503);
        assert!(!holder.is_finished(), "the database hangs still");
        release.notify_one();
        holder.await.unwrap();
        // Repeated, it is taken, once.
        let patient = listen(&world).await;
        for _ in 0..2 {
            assert_eq!(ask(patient, &call).await.0, 200);
        }
        let request = pb::ListCallbackEventsRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListCallbackEventsRequest::default()
        };
        let found = outbound::list_events(world.api.clone(), viewer(), request).await;
        assert_eq!(found.unwrap().callback_events.len(), 1);
    })
    .await;
}
