//! The far end of Stream mode: a websocket that sends each event until it is acknowledged.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request, Response},
    http::StatusCode,
};

use super::{Event, World};

/// How often the simulator looks for events to send.
const TICK: Duration = Duration::from_millis(20);
/// An event that is not acknowledged is sent again after so many ticks.
const AGAIN: u64 = 25;

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens on a port of its own and tells the address.
pub(super) async fn listen(world: Shared, tasks: &mut JoinSet<()>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("ws://{}/connect", listener.local_addr()?);
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            open.spawn(channel(socket, world.clone()));
            while open.try_join_next().is_some() {}
        }
    });
    Ok(endpoint)
}

/// Counts a channel as open until it is dropped, however it ends.
struct Open(Shared);

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0).open -= 1;
    }
}

async fn channel(socket: TcpStream, world: Shared) {
    let gate = world.clone();
    #[expect(clippy::result_large_err, reason = "the signature is the library's")]
    let check = move |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let query = request.uri().query().unwrap_or_default();
        let ticket = query.split('&').find_map(|p| p.strip_prefix("ticket="));
        let ticket = percent_decode_str(ticket.unwrap_or_default()).decode_utf8_lossy();
        // A ticket opens one channel.
        if lock(&gate).tickets.remove(ticket.as_ref()) {
            return Ok(response);
        }
        let mut refused = ErrorResponse::new(None);
        *refused.status_mut() = StatusCode::UNAUTHORIZED;
        Err(refused)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(socket, check).await else {
        return;
    };
    let before = {
        let mut world = lock(&world);
        world.open += 1;
        world.disconnects
    };
    let _open = Open(world.clone());
    let ping = frame("SYSTEM", "ping", "ping-1", None, r#"{"opaque":"x"}"#);
    if socket.send(Message::text(ping)).await.is_err() {
        return;
    }
    let mut tick = tokio::time::interval(TICK);
    let mut under_way: Option<(Event, u64)> = None;
    let mut ticks = 0_u64;
    loop {
        tokio::select! {
            next = socket.next() => match next {
                Some(Ok(Message::Text(text))) => {
                    if let Some(taken) = acknowledged(&world, &text, &under_way) {
                        if let (false, Some((event, _))) = (taken, under_way.take()) {
                            lock(&world).events.push_back(event);
                        }
                        under_way = None;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
            _ = tick.tick() => {
                ticks += 1;
                if lock(&world).disconnects > before {
                    let bye = frame("SYSTEM", "disconnect", "bye-1", None, "{}");
                    let _ = socket.send(Message::text(bye)).await;
                    break;
                }
                let due = match &under_way {
                    None => lock(&world).events.pop_front(),
                    Some((event, since)) if ticks - since >= AGAIN => Some(event.clone()),
                    Some(_) => None,
                };
                if let Some(event) = due {
                    let data = Value::Object(event.data.clone()).to_string();
                    let text = frame("EVENT", "*", &format!("m-{ticks}"), Some(&event), &data);
                    under_way = Some((event, ticks));
                    if socket.send(Message::text(text)).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
    // What was not acknowledged is sent over the next channel.
    if let Some((event, _)) = under_way {
        lock(&world).events.push_front(event);
    }
}

/// Whether the event under way was taken; `None` for an answer to something else.
fn acknowledged(world: &Shared, text: &str, under_way: &Option<(Event, u64)>) -> Option<bool> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let id = answer["headers"]["messageId"].as_str()?;
    let (event, _) = under_way.as_ref().filter(|_| id.starts_with("m-"))?;
    let data = answer["data"].as_str().unwrap_or_default();
    let taken = answer["code"].as_i64() == Some(200) && !data.contains("LATER");
    lock(world).acknowledged.push((event.id.clone(), taken));
    Some(taken)
}

fn frame(kind: &str, topic: &str, id: &str, event: Option<&Event>, data: &str) -> String {
    let mut headers = json!({
        "topic": topic, "messageId": id, "contentType": "application/json",
        "time": World::now().0 / 1_000,
    });
    if let Some(event) = event {
        headers["eventId"] = json!(event.id);
        headers["eventType"] = json!(event.kind);
        headers["eventBornTime"] = json!(event.millis.to_string());
        headers["eventCorpId"] = json!("dingcorp1");
    }
    json!({"specVersion": "1.0", "type": kind, "headers": headers, "data": data}).to_string()
}
