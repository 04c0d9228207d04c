//! The connector: rounds over contacts and members, single rows, sweeps.

mod members;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use jinke_sdk::{
    Callback, Column, Connector, Cursor, KnownRecords, MAX_PAGE_ERRORS, Outbound, Page, Progress,
    PullError, PullErrorKind, Settings, Spec, StreamSchema, SweepLimit, directory::DIRECTORY,
    drift::Drift, http::unreadable, incremental::hash, sweep,
};
use jinke_types::{
    Body, Clock, Code, Completeness, Failure, PartyKind, RecordKey, SourceRecord, SystemClock,
};
use serde::{Deserialize, Serialize};

use crate::{
    api::Api,
    callback::Calls,
    config::{self, MAX_PAGE_ROWS, WecomConfig},
    contacts::{CONTACT_OF, CORP},
    directory,
    message::Messages,
    round::{self, Gathered},
};

type Pages = BoxStream<'static, Result<Page, PullError>>;

/// Reads a corp's WeCom.
#[derive(Clone)]
pub struct WecomConnector {
    config: Arc<WecomConfig>,
    api: Api,
    calls: Option<Calls>,
    messages: Option<Messages>,
}

impl std::fmt::Debug for WecomConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("WecomConnector");
        shown
            .field("source", &self.config.source)
            .finish_non_exhaustive()
    }
}

/// Where a round stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// Which list, so that a cursor of another one is refused.
    list: String,
    /// The row behind which the round under way goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// When the last round ended, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<i64>,
    /// Rows of the round under way that are done.
    done: u64,
}

impl Place {
    fn cursor(&self) -> Result<Cursor, PullError> {
        Cursor::encode(self).map_err(|f| PullError::new(PullErrorKind::Unreadable, f))
    }
    /// The cursor behind the last row of a round.
    fn end(&self) -> Result<Cursor, PullError> {
        Self {
            after: None,
            ended: Some(SystemClock.now().secs()),
            done: 0,
            ..self.clone()
        }
        .cursor()
    }
}

impl WecomConnector {
    /// A connector; does no I/O.
    pub fn new(config: WecomConfig) -> Result<Self, Failure> {
        let config = WecomConfig {
            page_rows: config.page_rows.clamp(1, MAX_PAGE_ROWS),
            ..config
        };
        let api = Api::new(&config)?;
        Ok(Self {
            calls: Calls::new(&config),
            messages: config.agent_id.map(|id| Messages::new(api.clone(), id)),
            api,
            config: Arc::new(config),
        })
    }

    /// The place to go on from; nothing when a round ended a short time ago.
    fn place(&self, stream: &str, cursor: Option<Cursor>) -> Result<Option<Place>, PullError> {
        let parts = [&self.config.url, &self.config.corp_id, stream].map(str::as_bytes);
        let list = format!("{:016x}", hash(&parts));
        let Some(cursor) = cursor else {
            return Ok(Some(Place {
                list,
                after: None,
                ended: None,
                done: 0,
            }));
        };
        let place: Place = cursor.decode()?;
        if place.list != list {
            return Err(Cursor::unknown());
        }
        let round = match stream {
            "contacts" => self.config.round,
            _ => self.config.directory_round,
        };
        // A clock that was set back must not stop the rounds: a time yet to come counts as none.
        let since = place.ended.map(|ended| SystemClock.now().secs() - ended);
        let fresh = since.is_some_and(|s| s >= 0 && s.unsigned_abs() < round.as_secs());
        Ok((place.after.is_some() || !fresh).then_some(place))
    }

    async fn begin(&self, stream: &str, cursor: Option<Cursor>) -> Result<Pages, PullError> {
        match stream.split_once('/') {
            Some(("contacts", id)) if round::is_id(id) => return self.contact(id).await,
            Some((DIRECTORY, what)) => {
                let page = Page {
                    directory: vec![directory::one(&self.api, what).await?],
                    ..Page::default()
                };
                return Ok(stream::iter([Ok(page)]).boxed());
            }
            _ => {}
        }
        if !matches!(stream, "contacts" | DIRECTORY) {
            return Err(PullError::unknown_stream());
        }
        let Some(place) = self.place(stream, cursor)? else {
            return Ok(stream::empty().boxed());
        };
        if stream == DIRECTORY {
            return self.directory(place).await;
        }
        let gathered = round::gather(&self.api, self.config.page_rows, false).await?;
        let pages = self.pages(&gathered, place);
        Ok(stream::iter(pages).boxed())
    }

    /// The rest of a round over contacts, in the order of their ids.
    fn pages(&self, gathered: &Gathered, mut place: Place) -> Vec<Result<Page, PullError>> {
        let drifts = gathered.shape.drift();
        if let Err(error) = needed(&drifts) {
            return vec![Err(error)];
        }
        let mut notes = notes(&drifts);
        let after = place.after.take();
        let total = gathered.contacts.len() as u64;
        let rest: Vec<_> = gathered
            .contacts
            .iter()
            .filter(|(id, _)| after.as_ref().is_none_or(|a| *id > a))
            .collect();
        place.done = total - rest.len() as u64;
        let mut pages = Vec::new();
        let chunks = rest.chunks(self.config.page_rows);
        let last = chunks.len().max(1);
        let mut chunks: Vec<&[_]> = chunks.collect();
        if chunks.is_empty() {
            // A round without rows is remembered too.
            chunks.push(&[]);
        }
        for (i, chunk) in chunks.into_iter().enumerate() {
            let mut page = Page {
                notes: std::mem::take(&mut notes),
                ..Page::default()
            };
            for (id, contact) in chunk {
                place.done += 1;
                page.records
                    .extend(contact.records(&self.config.source, id));
                page.row_errors.extend(contact.errors(place.done, &drifts));
                place.after = Some((*id).clone());
            }
            page.row_errors.truncate(MAX_PAGE_ERRORS);
            page.progress = Progress {
                done: place.done,
                total: Some(total),
            };
            let cursor = if i + 1 == last {
                place.end()
            } else {
                place.cursor()
            };
            pages.push(cursor.map(|cursor| Page {
                cursor: Some(cursor),
                ..page
            }));
        }
        pages
    }

    /// One contact as it is now, or that it is gone.
    async fn contact(&self, id: &str) -> Result<Pages, PullError> {
        let mut page = Page::default();
        match round::one(&self.api, id).await? {
            Some((contact, shape)) => {
                page.records = contact.records(&self.config.source, id);
                page.row_errors = contact.errors(1, &shape.drift());
            }
            None => page.records.push(SourceRecord {
                key: RecordKey::new(&self.config.source, id),
                source_revision: None,
                update_time: None,
                // Partial, so that the values stay as match evidence.
                completeness: Completeness::Partial,
                deleted: true,
                body: Body::Party {
                    kind: PartyKind::Person,
                    values: Vec::new(),
                },
            }),
        }
        Ok(stream::iter([Ok(page)]).boxed())
    }

    async fn gone(
        &self,
        known: &dyn KnownRecords,
        limit: SweepLimit,
    ) -> Result<sweep::Swept, PullError> {
        let present = round::ids(&self.api).await?;
        let recheck = |some: Vec<String>| {
            let (api, present) = (&self.api, &present);
            async move {
                let mut there = BTreeSet::new();
                for id in some {
                    // What hangs on a contact is there as long as the contact.
                    let base = id
                        .strip_suffix(CORP)
                        .or_else(|| id.strip_suffix(CONTACT_OF));
                    let base = base.unwrap_or(&id);
                    if present.contains(base) || round::is_there(api, base).await? {
                        there.insert(id);
                    }
                }
                Ok(there)
            }
        };
        sweep::compare(&self.config.source, &present, known, limit, recheck).await
    }
}

/// Without ids nothing can be read.
fn needed(drifts: &(Drift, Drift)) -> Result<(), PullError> {
    let (contact, follow) = drifts;
    if contact.readable("external_userid") && follow.readable("userid") {
        return Ok(());
    }
    Err(unreadable("contacts have no ids that can be read"))
}

fn notes(drifts: &(Drift, Drift)) -> Vec<String> {
    let mut notes = drifts.0.notes("external_contact");
    notes.extend(drifts.1.notes("follow_info"));
    notes
}

#[async_trait]
impl Connector for WecomConnector {
    fn spec() -> Spec {
        config::spec()
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::new(config::read(settings)?)
    }

    async fn check(&self) -> Result<(), Failure> {
        let path = "externalcontact/get_follow_user_list";
        let told = self.api.get(path, &[]).await;
        told.map(|_| ()).map_err(|e| e.failure)
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let column = |name: &str, mapped| Column {
            name: name.to_owned(),
            mapped,
        };
        let names = [
            "userid",
            "name",
            "department",
            "status",
            "mobile",
            "biz_mail",
        ];
        let directory = StreamSchema {
            stream: DIRECTORY.to_owned(),
            kind: DIRECTORY.to_owned(),
            columns: names.map(|n| column(n, true)).into(),
            notes: Vec::new(),
        };
        let rows = self.config.page_rows.min(10);
        let gathered = round::gather(&self.api, rows, true).await;
        let gathered = gathered.map_err(|e| e.failure)?;
        let drifts = gathered.shape.drift();
        let mut told = notes(&drifts);
        told.extend(drifts.0.unknown_note("external_contact"));
        told.extend(drifts.1.unknown_note("follow_info"));
        let unread = &drifts.0.unknown;
        let mut columns: Vec<_> = gathered
            .shape
            .columns()
            .map(|n| column(n, drifts.0.readable(n) && !unread.contains(n)))
            .collect();
        if columns.is_empty() {
            let names = crate::contacts::CONTACT.iter().map(|c| c.name);
            columns = names.map(|n| column(n, true)).collect();
        }
        let contacts = StreamSchema {
            stream: "contacts".to_owned(),
            kind: "person".to_owned(),
            columns,
            notes: told,
        };
        Ok(vec![directory, contacts])
    }

    async fn pull(&self, stream: &str, cursor: Option<Cursor>) -> Pages {
        let (connector, stream) = (self.clone(), stream.to_owned());
        stream::once(async move { connector.begin(&stream, cursor).await })
            .flat_map(|begun| begun.unwrap_or_else(|e| stream::iter([Err(e)]).boxed()))
            .boxed()
    }

    async fn sweep(&self, stream: &str, known: Arc<dyn KnownRecords>, limit: SweepLimit) -> Pages {
        if stream != "contacts" {
            let failure = Failure::new(
                Code::Unimplemented,
                "SWEEP_NOT_OFFERED",
                "this stream has no deleted records to look for",
            );
            let error = PullError::new(PullErrorKind::Unreadable, failure);
            return stream::iter([Err(error)]).boxed();
        }
        sweep::pages(self.gone(&*known, limit).await)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        self.messages.as_ref().map(|m| m as &dyn Outbound)
    }

    fn callback(&self) -> Option<&dyn Callback> {
        self.calls.as_ref().map(|c| c as &dyn Callback)
    }
}
