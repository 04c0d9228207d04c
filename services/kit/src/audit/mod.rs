//! The audit trail of a service: what is recorded of a call, and when its answer may go out.
//!
//! Recorded are calls of known callers that ask for a change, with their outcome; that are refused;
//! and whose answer shows a value of a guarded class (`audit.field_classes`). The answer of such a
//! call leaves only when its event is durable in the service's own database; without it the caller
//! gets `UNAVAILABLE`, reason `AUDIT_UNAVAILABLE`, or `RESOURCE_EXHAUSTED`, `AUDIT_BACKLOG_FULL`.
//! A call that is killed between its change and its event is recorded too: its change has an intent
//! beside it, see [`AuditIntent`].
//!
//! An event names callers, methods and resources and holds no value.
//!
//! Reads of the suite's own services are not recorded: what they show to people is, where they
//! show it. A service that reads for somebody is, in his name.
//!
//! | module | what it holds |
//! |---|---|
//! | `scan` | which names and classes are in a message on the wire |
//! | `body` | holds an answer back until its event is durable |
//! | `ship` | delivers events to identity |

mod body;
mod scan;
mod ship;

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use jinke_proto::jinke::identity::v1::{AuditEvent, audit_event::Kind};
use jinke_types::{AuditIntent, AuditLog, Caller, Clock, Code, Failure, FieldClass, Timestamp};
use lru::LruCache;
use prost::Message as _;
use serde::Deserialize;
use tonic::body::Body;

use crate::{Metrics, access::class_out, deadline::Call, methods};
pub(crate) use body::{HeldBody, Tap, reason};
use scan::{Found, Scanner};
pub(crate) use ship::ship;
pub use ship::ship_by;

/// Header in which a caller says what he needs the answer for: up to [`MAX_PURPOSE`] bytes of
/// UTF-8, percent-encoded where they are not printable ASCII.
pub const PURPOSE: &str = "x-jinke-purpose";
/// Longest purpose kept, in bytes.
pub const MAX_PURPOSE: usize = 200;
/// Most names of a disclosure, which is at most a page of resources.
const MAX_SHOWN: usize = 1_000;
/// Most names of any other event.
const MAX_NAMES: usize = 100;
/// A caller who is refused the same again within this time is counted, not recorded anew.
const MERGED: Duration = Duration::from_secs(10);
/// How many different refusals are known at a time.
const REFUSALS: usize = 10_000;
/// Reason of an event of a call that changed something and of which nobody knows how it ended.
const UNANSWERED: &str = "UNANSWERED";

/// The section `audit`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditConfig {
    field_classes: BTreeSet<FieldClass>,
}

/// Says who a public method found its caller to be, so that the audit trail names him: for methods
/// that prove a caller, such as a login. Without effect where there is no call, or where the
/// caller is known already.
pub fn name_caller(name: &str) {
    if let Some(call) = Call::current() {
        let _ = call.proven.set(name.to_owned());
    }
}

/// What a refusal is known by: caller, method, reason.
type Refused = (String, String, String);

/// Where the calls of one service are recorded.
pub(crate) struct Desk {
    service: &'static str,
    log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    guarded: BTreeSet<FieldClass>,
    scanner: &'static Scanner,
    refusals: Mutex<LruCache<Refused, (Timestamp, i32)>>,
}

impl Desk {
    pub(crate) fn new(
        service: &'static str,
        log: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        config: &AuditConfig,
    ) -> Result<Self, Failure> {
        let kept = NonZeroUsize::new(REFUSALS).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            service,
            log,
            clock,
            metrics,
            guarded: config.field_classes.clone(),
            scanner: Scanner::contract()?,
            refusals: Mutex::new(LruCache::new(kept)),
        })
    }

    async fn record(&self, event: AuditEvent, ended: Option<&AuditIntent>) -> Result<(), Failure> {
        let kind = match event.kind() {
            Kind::Mutation => "mutation",
            Kind::Refusal => "refusal",
            Kind::Disclosure => "disclosure",
            Kind::Unspecified => "none",
        };
        let recorded = self.log.record(event.encode_to_vec(), ended).await;
        let outcome = if recorded.is_ok() { kind } else { "failed" };
        self.metrics
            .audit_events
            .with_label_values(&[self.service, outcome])
            .inc();
        recorded.map_err(unanswerable)
    }

    /// Whether this refusal is to be recorded, with how many like it were not.
    fn refusal(&self, refused: Refused, now: Timestamp) -> Option<i32> {
        let mut known = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = match known.get_mut(&refused) {
            Some((since, merged)) if now < since.plus(MERGED) && *since <= now => {
                *merged = merged.saturating_add(1);
                return None;
            }
            Some((_, merged)) => *merged,
            None => 0,
        };
        known.put(refused, (now, 0));
        Some(merged)
    }
}

/// What the caller is told when the trail cannot be written.
fn unanswerable(failure: Failure) -> Failure {
    if failure.reason == "AUDIT_BACKLOG_FULL" {
        return failure;
    }
    tracing::error!(
        reason = failure.reason,
        "the audit trail is not written: {failure}"
    );
    Failure::new(
        Code::Unavailable,
        "AUDIT_UNAVAILABLE",
        "the call cannot be recorded in the audit trail, so it is not answered",
    )
}

/// A call about to be answered, as the trail sees it.
pub(crate) struct Subject {
    desk: Arc<Desk>,
    call: Arc<Call>,
    caller: Option<Caller>,
    path: String,
    purpose: String,
    mutates: bool,
    /// The begin of the request, for the names in it.
    tap: Tap,
    /// It asks or answers with a stream, so that it has changes after its first event.
    streams: AtomicBool,
    /// It went to its handler, and what came of it is not recorded yet.
    open: AtomicBool,
}

impl Subject {
    pub(crate) fn new(
        desk: &Arc<Desk>,
        call: &Arc<Call>,
        caller: Option<Caller>,
        path: &str,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            desk: Arc::clone(desk),
            call: Arc::clone(call),
            caller,
            path: path.to_owned(),
            purpose: purpose(headers),
            mutates: methods::mutates(path),
            tap: Tap::default(),
            streams: AtomicBool::new(false),
            open: AtomicBool::new(false),
        }
    }

    /// The body of the request on its way to the handler.
    pub(crate) fn opened(self: &Arc<Self>, body: Body, streams: bool) -> Body {
        self.open.store(self.mutates, Ordering::Relaxed);
        self.streams.store(streams, Ordering::Relaxed);
        if self.mutates {
            // Weak, because the call holds its intent and the subject the call.
            let subject = Arc::downgrade(self);
            let event = Box::new(move || Some(subject.upgrade()?.unanswered()?.encode_to_vec()));
            let _ = self.call.intent.set(self.desk.log.intent(event));
        }
        self.tap.on(body)
    }

    /// What is recorded when nobody can say how the call ended.
    fn unanswered(&self) -> Option<AuditEvent> {
        self.caller()?;
        Some(self.event(
            Kind::Mutation,
            tonic::Code::Unknown,
            UNANSWERED,
            self.asked(MAX_NAMES),
        ))
    }

    fn intent(&self) -> Option<&AuditIntent> {
        self.call.intent.get().map(AsRef::as_ref)
    }

    /// Records what an answer shows or says before it leaves.
    async fn record_answer(&self, event: AuditEvent) -> Result<(), Failure> {
        let streams = self.streams.load(Ordering::Relaxed);
        let ended = self.intent().filter(|_| !streams);
        self.desk.record(event, ended).await
    }

    /// Records the end of a stream, if there is anything to record of it.
    async fn record_end(&self, event: Option<AuditEvent>) -> Result<(), Failure> {
        match (event, self.intent()) {
            (Some(event), ended) => self.desk.record(event, ended).await,
            (None, Some(ended)) => self.desk.log.close(ended).await.map_err(unanswerable),
            (None, None) => Ok(()),
        }
    }

    /// Who calls: by his token, or as a public method found out.
    fn caller(&self) -> Option<(&str, &str)> {
        match &self.caller {
            Some(c) => Some((&c.name, c.actor.as_deref().unwrap_or_default())),
            None => self.call.proven.get().map(|name| (name.as_str(), "")),
        }
    }

    fn event(&self, kind: Kind, outcome: tonic::Code, reason: &str, found: Found) -> AuditEvent {
        let (caller, actor) = self.caller().unwrap_or_default();
        let now = self.desk.clock.now();
        AuditEvent {
            name: String::new(),
            kind: kind.into(),
            time: Some(prost_types::Timestamp {
                seconds: now.secs(),
                nanos: now.subsec_nanos(),
            }),
            caller: caller.to_owned(),
            actor: actor.to_owned(),
            method: self.path.trim_start_matches('/').to_owned(),
            outcome: crate::edge::code_name(outcome).to_owned(),
            reason: reason.to_owned(),
            request_id: self.call.id.clone(),
            resource_count: i32::try_from(found.count).unwrap_or(i32::MAX),
            resources: found.names,
            field_classes: found
                .classes
                .iter()
                .filter(|c| self.desk.guarded.contains(c))
                .map(|c| class_out(*c).into())
                .collect(),
            purpose: self.purpose.clone(),
            repeats: 0,
        }
    }

    fn asked(&self, most: usize) -> Found {
        let begin = self.tap.taken();
        self.desk.scanner.request(&self.path, &begin, most)
    }

    /// The call ends with an error: recorded when it was refused, or asked for a change.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub(crate) async fn failed(&self, code: tonic::Code, reason: &str) -> Result<(), Failure> {
        self.ended(code, reason, false).await
    }

    /// The same; `within` the answer, of which parts may have left and been recorded.
    async fn ended(&self, code: tonic::Code, reason: &str, within: bool) -> Result<(), Failure> {
        let opened = self.open.swap(false, Ordering::Relaxed) || (within && self.mutates);
        let Some((caller, _)) = self.caller() else {
            return self.record_end(None).await;
        };
        let refused = matches!(
            code,
            tonic::Code::PermissionDenied | tonic::Code::Unauthenticated
        );
        let kind = match (refused, opened) {
            (true, _) => Kind::Refusal,
            (false, true) => Kind::Mutation,
            (false, false) => return self.record_end(None).await,
        };
        let mut repeats = 0;
        if refused {
            let this = (caller.to_owned(), self.path.clone(), reason.to_owned());
            match self.desk.refusal(this, self.desk.clock.now()) {
                Some(merged) => repeats = merged,
                None => return self.record_end(None).await,
            }
        }
        let mut event = self.event(kind, code, reason, self.asked(MAX_NAMES));
        event.repeats = repeats;
        self.record_end(Some(event)).await
    }

    /// What must be recorded at the end of a stream that answered nothing.
    fn ended_well(&self) -> Option<AuditEvent> {
        self.caller()?;
        let open = self.open.swap(false, Ordering::Relaxed);
        open.then(|| self.event(Kind::Mutation, tonic::Code::Ok, "", self.asked(MAX_NAMES)))
    }

    /// What must be recorded of these bytes of an answer before they leave; none for most reads.
    fn answered(&self, bytes: &[u8]) -> Option<AuditEvent> {
        let (caller, actor) = self.caller()?;
        let open = self.open.swap(false, Ordering::Relaxed) || self.mutates;
        let house = caller.starts_with("serviceAccounts/service-") && actor.is_empty();
        if house && !open {
            return None;
        }
        let most = if open { MAX_NAMES } else { MAX_SHOWN };
        let mut found = self.desk.scanner.answer(&self.path, bytes, most);
        let shows = found.classes.iter().any(|c| self.desk.guarded.contains(c));
        let kind = match (open, shows && !house) {
            (true, _) => Kind::Mutation,
            (false, true) => Kind::Disclosure,
            (false, false) => return None,
        };
        for name in self.asked(MAX_NAMES).names {
            if !found.names.contains(&name) {
                found.count += 1;
                found.names.insert(0, name);
            }
        }
        Some(self.event(kind, tonic::Code::Ok, "", found))
    }
}

impl Drop for Subject {
    /// A caller who goes away before the answer may still have changed something.
    fn drop(&mut self) {
        let open = self.open.swap(false, Ordering::Relaxed);
        let event = if open && self.caller().is_some() {
            Some(self.event(
                Kind::Mutation,
                tonic::Code::Cancelled,
                "",
                self.asked(MAX_NAMES),
            ))
        } else if self.intent().is_some_and(AuditIntent::is_owed) {
            self.unanswered()
        } else {
            None
        };
        let Some(event) = event else { return };
        let (desk, call) = (Arc::clone(&self.desk), Arc::clone(&self.call));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Nobody waits for an answer; the log says when it fails.
                let ended = call.intent.get().map(AsRef::as_ref);
                let _ = desk.record(event, ended).await;
            });
        }
    }
}

/// What the call is for, as its caller says; empty when he does not, or in no way we read.
fn purpose(headers: &HeaderMap) -> String {
    let stated = headers.get(PURPOSE).and_then(|v| v.to_str().ok());
    let Some(stated) = stated.filter(|s| s.len() <= 3 * MAX_PURPOSE) else {
        return String::new();
    };
    let mut bytes = Vec::with_capacity(stated.len());
    let mut rest = stated.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (hex(rest.next()), hex(rest.next())) else {
            return String::new();
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_PURPOSE && !text.chars().any(char::is_control) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_text_of_limited_length() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PURPOSE, value.parse().unwrap());
            purpose(&headers)
        };
        assert_eq!(read("after-sale call"), "after-sale call");
        assert_eq!(read("%E5%94%AE%E5%90%8E"), "售后");
        assert_eq!(read(&"x".repeat(200)), "x".repeat(200));
        for wrong in [
            "x".repeat(201),
            "%".into(),
            "%e5".into(),
            "%zz".into(),
            "a%0Ab".into(),
        ] {
            assert_eq!(read(&wrong), "", "{wrong}");
        }
    }
}
