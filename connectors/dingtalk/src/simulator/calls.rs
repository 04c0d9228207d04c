//! The HTTP calls that the simulator makes: encrypted events, in order or not, once or twice or
//! lost. The encryption is written here once more, from the vendor's description and not from the
//! connector's code.

use std::{io, time::Duration};

use aes::{
    Aes256,
    cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_sdk::testing::{FakeResponse, post};
use jinke_types::{Entropy, OsEntropy};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{APP_KEY, CALLBACK_KEY, CALLBACK_TOKEN, Event, Simulator, World};

/// DingTalk waits so long for an answer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How the events that happened are delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    /// Each `n`th is sent twice: the first answer was lost; 0 for none.
    pub doubled: usize,
    /// Each `n`th is never sent; 0 for none.
    pub lost: usize,
    /// In which order.
    pub order: Order,
}

/// The order in which events are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they happened.
    #[default]
    AsTheyHappened,
    /// The last one first.
    Backwards,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// An encrypted and signed `success`, in time.
    Success,
    /// Another status or body.
    Otherwise(u16),
    /// Not within 1.5 s.
    TooLate,
}

impl Simulator {
    /// Asks an address whether it is ours, as DingTalk does when it is registered.
    pub async fn verify(&self, url: &str) -> io::Result<Answered> {
        let message = json!({"EventType": "check_url"}).to_string();
        send(url, &message, World::now().0 / 1_000).await
    }

    /// Sends the events that happened since the last time, and tells what became of them.
    pub async fn deliver(&self, url: &str, how: Delivery) -> io::Result<Vec<Answered>> {
        let mut events: Vec<Event> = std::mem::take(&mut self.world().events).into();
        if how.order == Order::Backwards {
            events.reverse();
        }
        let every = |n: usize, i: usize| n > 0 && i.is_multiple_of(n);
        let mut answers = Vec::new();
        for (i, event) in events.iter().enumerate() {
            if every(how.lost, i + 1) {
                continue;
            }
            let message = over_http(event);
            for _ in 0..1 + usize::from(every(how.doubled, i + 1)) {
                answers.push(send(url, &message, World::now().0 / 1_000).await?);
            }
        }
        Ok(answers)
    }
}

/// The message of an event: over HTTP its names begin with capitals.
fn over_http(event: &Event) -> String {
    let mut message = json!({"EventType": event.kind});
    for (key, value) in &event.data {
        let key = match key.as_str() {
            "userId" => "UserId",
            "deptId" => "DeptId",
            "corpId" => "CorpId",
            "timeStamp" => "TimeStamp",
            other => other,
        };
        message[key] = value.clone();
    }
    message.to_string()
}

async fn send(url: &str, message: &str, millis: i64) -> io::Result<Answered> {
    let encrypted = seal(message.as_bytes());
    let (time, nonce) = (millis.to_string(), World::random("")[..8].to_owned());
    let signature = sign(&time, &nonce, &encrypted);
    let mark = if url.contains('?') { '&' } else { '?' };
    let url = format!(
        "{url}{mark}signature={signature}&msg_signature={signature}&timestamp={time}&nonce={nonce}"
    );
    let body = json!({"encrypt": encrypted}).to_string();
    let call = post("POST", &url, "application/json", body.as_bytes());
    match tokio::time::timeout(PATIENCE, call).await {
        Err(_) => Ok(Answered::TooLate),
        Ok(answer) => {
            let answer = answer?;
            let success = answer.status == 200 && is_success(&answer);
            Ok(if success {
                Answered::Success
            } else {
                Answered::Otherwise(answer.status)
            })
        }
    }
}

fn is_success(answer: &FakeResponse) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let encrypted = text("encrypt");
    text("msg_signature") == sign(text("timeStamp"), text("nonce"), encrypted)
        && unseal(encrypted).as_deref() == Some(b"success")
}

fn sign(time: &str, nonce: &str, encrypted: &str) -> String {
    let mut parts = [CALLBACK_TOKEN, time, nonce, encrypted];
    parts.sort_unstable();
    hex::encode(Sha1::digest(parts.concat()))
}

fn key() -> Vec<u8> {
    STANDARD
        .decode(format!("{CALLBACK_KEY}="))
        .unwrap_or_default()
}

fn seal(message: &[u8]) -> String {
    let key = key();
    let mut plain = vec![0; 16];
    OsEntropy.fill(&mut plain);
    plain.extend((message.len() as u32).to_be_bytes());
    plain.extend(message);
    plain.extend(APP_KEY.bytes());
    let pad = 32 - plain.len() % 32;
    plain.extend(std::iter::repeat_n(pad as u8, pad));
    let mut sealed = Vec::with_capacity(plain.len());
    if let Ok(cipher) = Aes256::new_from_slice(&key) {
        let mut chain = key[..16].to_vec();
        for block in plain.chunks(16) {
            let mixed: Vec<u8> = block.iter().zip(&chain).map(|(a, b)| a ^ b).collect();
            let mut out = aes::Block::clone_from_slice(&mixed);
            cipher.encrypt_block(&mut out);
            chain = out.to_vec();
            sealed.extend(&chain);
        }
    }
    STANDARD.encode(sealed)
}

fn unseal(encrypted: &str) -> Option<Vec<u8>> {
    let (key, sealed) = (key(), STANDARD.decode(encrypted).ok()?);
    let cipher = Aes256::new_from_slice(&key).ok()?;
    let mut chain = key[..16].to_vec();
    let mut plain = Vec::new();
    for block in sealed.chunks_exact(16) {
        let mut out = aes::Block::clone_from_slice(block);
        cipher.decrypt_block(&mut out);
        plain.extend(out.iter().zip(&chain).map(|(a, b)| a ^ b));
        chain = block.to_vec();
    }
    let pad = usize::from(*plain.last()?);
    plain.truncate(plain.len().checked_sub(pad)?);
    let length = u32::from_be_bytes(plain.get(16..20)?.try_into().ok()?) as usize;
    (plain.get(20 + length..)? == APP_KEY.as_bytes()).then(|| plain[20..20 + length].to_vec())
}
