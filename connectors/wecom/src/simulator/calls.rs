//! The calls that the simulator makes: encrypted events, in order or not, once or twice or lost.
//!
//! The encryption is written here once more, from the vendor's description and not from the
//! connector's code.

use std::{collections::VecDeque, io, time::Duration};

use aes::{
    Aes256,
    cipher::{BlockEncrypt as _, KeyInit as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jinke_sdk::testing::{FakeResponse, post};
use jinke_types::{Entropy, OsEntropy};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::{Digest as _, Sha1};

use super::{CALLBACK_KEY, CALLBACK_TOKEN, CORP_ID, Event, Simulator, World};

/// WeCom waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// An encrypted call, as it would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub encrypted: String,
    pub timestamp: String,
    pub nonce: String,
    pub signature: String,
}

impl Simulator {
    /// Asks an address whether it is ours, as WeCom does when it is entered: `true` when it
    /// answers with the text that was encrypted.
    pub async fn verify(&self, url: &str) -> io::Result<bool> {
        let text = World::random("").chars().take(18).collect::<String>();
        let call = seal(text.as_bytes(), World::now());
        let echo = utf8_percent_encode(&call.encrypted, NON_ALPHANUMERIC);
        let url = format!("{}&echostr={echo}", address(url, &call));
        let answer = post("GET", &url, "text/plain", b"").await?;
        Ok(answer.status == 200 && answer.body == text.as_bytes())
    }

    /// Sends the events that happened since the last time, and tells the answers.
    pub async fn deliver(&self, url: &str, how: Delivery) -> io::Result<Vec<FakeResponse>> {
        let mut events: VecDeque<Event> = std::mem::take(&mut self.world().events);
        if how.order == Order::Backwards {
            events = events.into_iter().rev().collect();
        }
        let every = |n: usize, i: usize| n > 0 && i.is_multiple_of(n);
        let mut answers = Vec::new();
        for (i, event) in events.iter().enumerate() {
            if every(how.lost, i + 1) {
                continue;
            }
            // A call whose answer was lost is made again as it was.
            let call = seal(event.message.as_bytes(), World::now());
            for _ in 0..1 + usize::from(every(how.doubled, i + 1)) {
                answers.push(send(url, &call).await?);
            }
        }
        Ok(answers)
    }

    /// Events that wait to be delivered: the seconds in which they happened.
    pub fn waiting(&self) -> Vec<i64> {
        self.world().events.iter().map(|e| e.second).collect()
    }

    /// Forgets the events that wait.
    pub fn drop_events(&self) {
        self.world().events.clear();
    }
}

async fn send(url: &str, call: &Sealed) -> io::Result<FakeResponse> {
    let body = format!(
        "<xml><ToUserName><![CDATA[{CORP_ID}]]></ToUserName><AgentID><![CDATA[{}]]></AgentID>\
         <Encrypt><![CDATA[{}]]></Encrypt></xml>",
        super::AGENT_ID,
        call.encrypted
    );
    let url = address(url, call);
    let call = post("POST", &url, "text/xml", body.as_bytes());
    tokio::time::timeout(PATIENCE, call).await?
}

fn address(url: &str, call: &Sealed) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!(
        "{url}{sign}msg_signature={}&timestamp={}&nonce={}",
        call.signature, call.timestamp, call.nonce
    )
}

/// Encrypts a message as of a second.
pub(super) fn seal(message: &[u8], second: i64) -> Sealed {
    let key = STANDARD
        .decode(format!("{CALLBACK_KEY}="))
        .unwrap_or_default();
    let mut plain = [0; 16].to_vec();
    OsEntropy.fill(&mut plain);
    plain.extend((message.len() as u32).to_be_bytes());
    plain.extend(message);
    plain.extend(CORP_ID.bytes());
    let pad = 32 - plain.len() % 32;
    plain.extend(std::iter::repeat_n(pad as u8, pad));
    let mut sealed: Vec<u8> = Vec::with_capacity(plain.len());
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
    let encrypted = STANDARD.encode(sealed);
    let (timestamp, nonce) = (second.to_string(), World::random("")[..10].to_owned());
    let mut parts = [CALLBACK_TOKEN, &timestamp, &nonce, &encrypted];
    parts.sort_unstable();
    let signature = hex::encode(Sha1::digest(parts.concat()));
    Sealed {
        encrypted,
        timestamp,
        nonce,
        signature,
    }
}
