//! A foreign system that does what a test says, and the connector to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use jinke_sdk::{
    Callback, CallbackAnswer, CallbackEvent, CallbackOutcome, CallbackRequest, ConfigKey,
    Connector, Cursor, KnownRecords, Message, Outbound, Page, Part, PartKind, Progress, PullError,
    PullErrorKind, Push, PushState, PushStep, SendError, SendErrorKind, Sent, Settings, Spec,
    StreamSchema, SweepLimit, ValueType, Verification, sweep,
};
use jinke_types::{
    Body, Code, Completeness, Failure, PartyKind, RecordKey, SourceRecord, Timestamp, Value,
};

/// What a foreign system has and does.
#[derive(Default)]
pub struct State {
    /// Rows in the order of their changes: external id, name, second of the change.
    pub rows: Vec<(String, String, i64)>,
    /// Pulls under way now, and the most there were at a time.
    pub pulling: usize,
    pub most_pulling: usize,
    /// Pages given out.
    pub pages: usize,
    /// Rows of a page, [`PAGE`] when 0.
    pub page: usize,
    /// Waits before each page.
    pub slow: Duration,
    /// So many pulls fail at their second page.
    pub away: usize,
    pub unauthorized: bool,
    /// What the next sends end with; then they are taken.
    pub sends: Vec<SendErrorKind>,
    /// Sends hang instead of ending.
    pub hang: bool,
    pub messages: Vec<Message>,
    /// Names of the steps done there, of all pushes.
    pub steps: Vec<String>,
    /// The push dies after its step was done there, before it is told.
    pub die_after: Option<String>,
}

static SYSTEMS: LazyLock<Mutex<BTreeMap<String, Arc<Mutex<State>>>>> =
    LazyLock::new(Mutex::default);

/// The system of this name.
pub fn system(name: &str) -> Arc<Mutex<State>> {
    let mut all = SYSTEMS.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(name.to_owned()).or_default().clone()
}

pub const TOKEN: &str = "a-token-nobody-may-find-in-the-database";
const PAGE: usize = 10;

/// The connector to it.
pub struct Demo {
    system: Arc<Mutex<State>>,
    token: String,
    source: String,
}

impl Demo {
    fn state(&self) -> MutexGuard<'_, State> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn record(source: &str, id: &str, name: &str, second: i64) -> SourceRecord {
    SourceRecord {
        key: RecordKey::new(source, id),
        source_revision: None,
        update_time: Some(Timestamp::from_secs(second)),
        completeness: Completeness::Full,
        deleted: false,
        body: Body::Party {
            kind: PartyKind::Person,
            values: vec![Value::text("name", name)],
        },
    }
}

#[async_trait]
impl Connector for Demo {
    fn spec() -> Spec {
        let key = |name, secret| ConfigKey {
            name,
            about: "for tests",
            value: ValueType::Text,
            required: name != "source",
            secret,
            default: None,
        };
        let part = |name, kind| Part {
            name,
            kind,
            about: "for tests",
            verification: Verification::Unverified,
            evidence: "none",
        };
        Spec {
            kind: "demo",
            display_name: "演示",
            about: "A system of the tests.",
            keys: vec![
                key("system", false),
                key("token", true),
                key("source", false),
            ],
            parts: vec![
                part("people", PartKind::Stream),
                part("sweep", PartKind::Sweep),
                part("message", PartKind::Message),
                part("push", PartKind::Push),
                part("callback", PartKind::Callback),
            ],
        }
    }
    fn open(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            system: system(settings.text("system").unwrap_or_default()),
            token: settings.text("token").unwrap_or_default().to_owned(),
            source: settings.text("source").unwrap_or_default().to_owned(),
        })
    }
    async fn check(&self) -> Result<(), Failure> {
        if self.state().unauthorized || self.token != TOKEN {
            return Err(Failure::new(
                Code::Unauthenticated,
                "FOREIGN_UNAUTHORIZED",
                "the credentials are wrong",
            ));
        }
        Ok(())
    }
    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        self.check().await?;
        Ok(vec![StreamSchema {
            stream: "people".to_owned(),
            kind: "person".to_owned(),
            columns: vec![],
            notes: vec![],
        }])
    }
    async fn pull(
        &self,
        _: &str,
        cursor: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let from = cursor.map_or(0, |c| c.0.parse::<usize>().unwrap());
        let fails = {
            let mut state = self.state();
            let fails = state.away > 0;
            state.away = state.away.saturating_sub(1);
            state.pulling += 1;
            state.most_pulling = state.most_pulling.max(state.pulling);
            fails
        };
        let under_way = UnderWay(self.system.clone());
        let (system, source) = (self.system.clone(), self.source.clone());
        let begun = (from, 0_usize, under_way, system, source);
        futures::stream::unfold(Some(begun), move |begun| async move {
            let (from, nth, under_way, system, source) = begun?;
            let slow = system.lock().unwrap_or_else(PoisonError::into_inner).slow;
            tokio::time::sleep(slow).await;
            if fails && nth == 1 {
                let failure = Failure::new(Code::Unavailable, "FOREIGN_UNAVAILABLE", "away");
                return Some((
                    Err(PullError::new(PullErrorKind::Unavailable, failure)),
                    None,
                ));
            }
            let page = {
                let mut state = system.lock().unwrap_or_else(PoisonError::into_inner);
                let page = if state.page == 0 { PAGE } else { state.page };
                let rows: Vec<_> = state.rows.iter().skip(from).take(page).cloned().collect();
                if rows.is_empty() {
                    return None;
                }
                state.pages += 1;
                let done = from + rows.len();
                Page {
                    records: rows
                        .iter()
                        .map(|(id, n, t)| record(&source, id, n, *t))
                        .collect(),
                    cursor: Some(Cursor(done.to_string())),
                    progress: Progress {
                        done: done as u64,
                        total: Some(state.rows.len() as u64),
                    },
                    ..Page::default()
                }
            };
            let next = from + page.records.len();
            Some((Ok(page), Some((next, nth + 1, under_way, system, source))))
        })
        .boxed()
    }
    async fn sweep(
        &self,
        _: &str,
        known: Arc<dyn KnownRecords>,
        limit: SweepLimit,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let present = self
            .state()
            .rows
            .iter()
            .map(|(id, _, _)| id.clone())
            .collect();
        let recheck = |_| async { Ok(std::collections::BTreeSet::new()) };
        let swept = sweep::compare(&self.source, &present, &*known, limit, recheck).await;
        let pages = match swept {
            Ok(swept) => vec![Ok(Page {
                records: swept.deletions,
                ..Page::default()
            })],
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(pages).boxed()
    }
    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }
    fn callback(&self) -> Option<&dyn Callback> {
        Some(self)
    }
}

/// Counts a pull that was dropped, too.
struct UnderWay(Arc<Mutex<State>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.pulling -= 1;
    }
}

#[async_trait]
impl Outbound for Demo {
    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        let hang = {
            let mut state = self.state();
            state.messages.push(message.clone());
            if !state.sends.is_empty() {
                let failure = Failure::new(Code::Unavailable, "FOREIGN_REFUSED", "not now");
                return Err(SendError::new(state.sends.remove(0), failure));
            }
            state.hang
        };
        if hang {
            std::future::pending::<()>().await;
        }
        Ok(Sent {
            foreign_id: Some(format!("m-{}", message.key)),
        })
    }
    async fn push(&self, push: &Push, state: &PushState) -> Result<PushStep, SendError> {
        let steps = ["save", "submit", "audit"];
        let step = steps[state.done.len()];
        let dies = {
            let mut there = self.state();
            // A step looks first whether it was done already, as a connector must.
            let mark = format!("{step} {}", push.kind);
            if !there.steps.contains(&mark) {
                there.steps.push(mark);
            }
            there.die_after.as_deref() == Some(step)
        };
        if dies {
            std::future::pending::<()>().await;
        }
        let mut next = state.clone();
        next.done.push(step.to_owned());
        next.memory = serde_json::json!({"id": 7});
        Ok(if next.done.len() == steps.len() {
            let sent = Sent {
                foreign_id: Some("7".to_owned()),
            };
            PushStep::Done(next, sent)
        } else {
            PushStep::Next(next)
        })
    }
}

impl Callback for Demo {
    fn receive(&self, request: &CallbackRequest) -> CallbackOutcome {
        if request.header("x-token") != Some(self.token.as_str()) {
            return CallbackOutcome::refused("SIGNATURE");
        }
        let events: Vec<CallbackEvent> = match request.body.is_empty() {
            true => vec![],
            false => match serde_json::from_slice(&request.body) {
                Ok(events) => events,
                Err(_) => return CallbackOutcome::refused("BODY"),
            },
        };
        CallbackOutcome::Verified {
            answer: CallbackAnswer::text(request.query("echo").unwrap_or("success")),
            events,
        }
    }
}
