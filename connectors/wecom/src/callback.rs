//! The calls that WeCom makes to us.
//!
//! A `GET` asks whether the address is ours: the decrypted `echostr` is the answer. A `POST`
//! brings one event. It holds ids only, so an event names the row to be pulled; what a leaver or
//! a removed department is, the event says itself.
//!
//! **The same event again.** WeCom repeats a call that was not answered within five seconds, with
//! the same message. The key of an event is a hash of its whole message, and not, as WeCom
//! suggests, of sender and time: two members may add two contacts in one second. Two changes of one
//! row in one second give messages that are equal in every field, and the row may have been pulled
//! between them. So the key of an event that only names rows covers the encrypted text too, which
//! begins with random bytes: what comes anew is pulled anew, at worst once more than needed, and
//! the same bytes are still known. An event that says itself who left is taken once per message: a
//! repetition that comes late must not remove somebody who is back.
//!
//! **Age.** A call whose timestamp is further from our clock than `callback_window_seconds` is
//! refused: whoever recorded a call cannot play it later. Within that time the key of the event
//! catches it.

use std::{sync::Arc, time::Duration};

use jinke_sdk::{
    Callback, CallbackAnswer, CallbackEvent, CallbackOutcome, CallbackRequest, Department,
    DirectoryEntry, Member, directory::DIRECTORY, envelope::Envelope,
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::WecomConfig,
    directory::{PARTY, USER},
    round::is_id,
    xml,
};

/// What a callback of this connection is checked by.
#[derive(Clone)]
pub struct Calls {
    envelope: Arc<Envelope>,
    corp_id: Arc<str>,
    window: Duration,
}

impl Calls {
    /// For a connection whose callback is set up.
    pub fn new(config: &WecomConfig) -> Option<Self> {
        Some(Self {
            envelope: Arc::new(config.callback.clone()?),
            corp_id: config.corp_id.as_str().into(),
            window: config.callback_window,
        })
    }

    /// Whether the time of a call is near enough to when it came.
    fn is_fresh(&self, timestamp: &str, request: &CallbackRequest) -> bool {
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds = timestamp.parse::<i64>().ok().filter(|_| digits);
        let age = seconds.map(|s| request.time.secs().abs_diff(s));
        age.is_some_and(|age| age <= self.window.as_secs())
    }

    /// The event of a message that came as this encrypted text.
    fn event(&self, message: &[u8], encrypted: &str) -> Option<CallbackEvent> {
        let fields = xml::fields(message)?;
        let field = |name: &str| fields.get(name).map_or("", |v| v.trim());
        if field("ToUserName") != &*self.corp_id {
            return None;
        }
        let what = match field("MsgType") {
            "event" => field("Event"),
            other => other,
        };
        let change = field("ChangeType");
        let mut event = CallbackEvent {
            topic: topic(what, change),
            ..CallbackEvent::default()
        };
        let usable = |name: &str| Some(field(name)).filter(|id| is_id(id));
        match what {
            "change_external_contact" => {
                let id = usable("ExternalUserID");
                event.pull.extend(id.map(|id| format!("contacts/{id}")));
            }
            "change_contact" => match change {
                "delete_user" => event.directory.extend(usable("UserID").map(leaver)),
                "create_user" | "update_user" => {
                    // A member may be given another id; the old one is then nobody.
                    let renamed = usable("NewUserID");
                    if renamed.is_some() {
                        event.directory.extend(usable("UserID").map(leaver));
                    }
                    let id = renamed.or_else(|| usable("UserID"));
                    event
                        .pull
                        .extend(id.map(|id| format!("{DIRECTORY}/{USER}{id}")));
                }
                "delete_party" => event.directory.extend(usable("Id").map(|id| {
                    DirectoryEntry::Department(Department {
                        external_id: id.to_owned(),
                        ..Department::default()
                    })
                })),
                "create_party" | "update_party" => {
                    let id = usable("Id");
                    event
                        .pull
                        .extend(id.map(|id| format!("{DIRECTORY}/{PARTY}{id}")));
                }
                _ => {}
            },
            _ => {}
        }
        let mut hash = Sha256::new_with_prefix(message);
        if event.directory.is_empty() && !event.pull.is_empty() {
            hash.update(encrypted);
        }
        event.key = format!("wecom:{}", hex::encode(hash.finalize()));
        Some(event)
    }
}

fn leaver(id: &str) -> DirectoryEntry {
    DirectoryEntry::Member(Member {
        external_id: id.to_owned(),
        ..Member::default()
    })
}

/// Event and change as one word; whatever is no plain word is left out.
fn topic(what: &str, change: &str) -> String {
    let plain = |text: &str| {
        let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits {
            text.to_owned()
        } else {
            "unknown".to_owned()
        }
    };
    match (what, change) {
        ("", _) => "unknown".to_owned(),
        (what, "") => plain(what),
        (what, change) => format!("{}/{}", plain(what), plain(change)),
    }
}

impl Callback for Calls {
    fn receive(&self, request: &CallbackRequest) -> CallbackOutcome {
        let query = |key: &str| request.query(key).unwrap_or_default();
        let (timestamp, nonce) = (query("timestamp"), query("nonce"));
        let signature = query("msg_signature");
        let post = request.method == "POST";
        let encrypted = if post {
            let outer = xml::fields(&request.body);
            outer.and_then(|mut f| f.remove("Encrypt"))
        } else {
            request.query("echostr").map(str::to_owned)
        };
        let Some(encrypted) = encrypted else {
            return CallbackOutcome::refused("UNREADABLE");
        };
        let encrypted = encrypted.trim();
        // The signature covers the time, so a time is looked at only once it is known to be
        // WeCom's; the reason tells nothing to the caller either way.
        let Ok(message) = self.envelope.open(signature, timestamp, nonce, encrypted) else {
            return CallbackOutcome::refused("SIGNATURE");
        };
        if !self.is_fresh(timestamp, request) {
            return CallbackOutcome::refused("STALE");
        }
        if !post {
            return CallbackOutcome::Verified {
                answer: CallbackAnswer::text(message),
                events: Vec::new(),
            };
        }
        match self.event(&message, encrypted) {
            Some(event) => CallbackOutcome::Verified {
                answer: CallbackAnswer::text("success"),
                events: vec![event],
            },
            None => CallbackOutcome::refused("UNREADABLE"),
        }
    }
}
