//! The connector: rounds over CRM rows and members, single rows, sweeps.

mod gone;
mod members;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use jinke_sdk::{
    Callback, Column, Connector, Cursor, KnownRecords, Listener, MAX_PAGE_ERRORS, Outbound, Page,
    Progress, PullError, PullErrorKind, Settings, Spec, StreamSchema, SweepLimit, Walk,
    directory::DIRECTORY,
    http::unreadable,
    incremental::{Incremental, MAX_WALK_ID, hash},
    sweep,
    walk::pages,
};
use jinke_types::{Failure, PartyKind, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    api::{self, Api},
    callback::Calls,
    channel::Channel,
    config::{self, DingtalkConfig, MAX_PAGE_ROWS},
    crm::{self, Reader},
    directory::is_id,
    fields::Form,
    message::Messages,
};

type Pages = BoxStream<'static, Result<Page, PullError>>;

/// A list of CRM rows.
#[derive(Debug)]
struct Stream {
    name: &'static str,
    object: &'static str,
    kind: PartyKind,
}

const STREAMS: [Stream; 3] = [
    Stream {
        name: "customers",
        object: "crm_customer",
        kind: PartyKind::Organization,
    },
    Stream {
        name: "personal_customers",
        object: "crm_customer_personal",
        kind: PartyKind::Person,
    },
    Stream {
        name: "contacts",
        object: "crm_contact",
        kind: PartyKind::Person,
    },
];

/// Reads an organization's DingTalk.
#[derive(Clone)]
pub struct DingtalkConnector {
    config: Arc<DingtalkConfig>,
    api: Api,
    calls: Option<Calls>,
    channel: Option<Channel>,
    messages: Option<Messages>,
}

impl std::fmt::Debug for DingtalkConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("DingtalkConnector");
        shown
            .field("source", &self.config.source)
            .finish_non_exhaustive()
    }
}

/// A page of rows as DingTalk gave it.
struct Rows {
    rows: Vec<Value>,
    next: Option<String>,
    total: Option<u64>,
}

impl DingtalkConnector {
    /// A connector; does no I/O.
    pub fn new(config: DingtalkConfig) -> Result<Self, Failure> {
        let config = Arc::new(DingtalkConfig {
            page_rows: config.page_rows.clamp(1, MAX_PAGE_ROWS),
            ..config
        });
        let api = Api::new(&config)?;
        Ok(Self {
            calls: Calls::new(&config),
            channel: Channel::new(&config),
            messages: Messages::new(&api, &config),
            api,
            config,
        })
    }

    fn stream(&self, name: &str) -> Result<&'static Stream, PullError> {
        let found = STREAMS.iter().find(|s| s.name == name);
        found
            .filter(|_| !self.config.operator.is_empty())
            .ok_or_else(PullError::unknown_stream)
    }

    /// The fields of a form.
    async fn form(&self, stream: &Stream) -> Result<Form, PullError> {
        let query = [("relationType", stream.object)];
        let answer = match self
            .api
            .get("/crm/personalCustomers/objectMeta", &query)
            .await
        {
            // Not every organization has every form; ids are guessed from then.
            Err(e) if e.failure.reason == "FOREIGN_REFUSED" => Map::new(),
            answer => answer?,
        };
        let fields = answer.get("fields").and_then(Value::as_array);
        let fields = fields.map(Vec::as_slice).unwrap_or_default();
        Ok(Form::new(stream.object, fields, &self.config.fields))
    }

    async fn rows(
        &self,
        stream: &Stream,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Rows, PullError> {
        let most = limit.to_string();
        let answer = if stream.name == "contacts" {
            let mut body = json!({
                "currentOperatorUserId": self.config.operator,
                "objectType": stream.object,
                "maxResults": limit,
            });
            if let Some(token) = token {
                body["nextToken"] = json!(token);
            }
            let answer = self
                .api
                .post("/crm/customObjects/contacts/datas/query", &body)
                .await?;
            api::result(&answer)?.clone()
        } else {
            let mut query = vec![
                ("currentOperatorUserId", self.config.operator.as_str()),
                ("relationType", stream.object),
                ("maxResults", &most),
            ];
            query.extend(token.map(|t| ("nextToken", t)));
            self.api.get("/crm/personalCustomers", &query).await?
        };
        let more = answer
            .get("hasMore")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let next = answer.get("nextToken").and_then(Value::as_str);
        let next = next.filter(|n| more && !n.is_empty()).map(str::to_owned);
        if more && next.is_none() {
            return Err(unreadable("there is more, and no token to ask for it"));
        }
        if next
            .as_ref()
            .is_some_and(|n| n.len() > MAX_WALK_ID || token == Some(n.as_str()))
        {
            return Err(unreadable("the token of the next page cannot be used"));
        }
        Ok(Rows {
            rows: api::list(&answer, "values")?.to_vec(),
            total: answer.get("totalCount").and_then(Value::as_u64),
            next,
        })
    }

    /// The next page of a round.
    async fn page(&self, pull: &mut Pull) -> Result<Option<Page>, PullError> {
        let stream = pull.stream;
        if pull.form.is_none() {
            pull.form = Some(self.form(stream).await?);
        }
        let token = pull.place.after().map(str::to_owned);
        let rows = self.config.page_rows;
        let got = match self.rows(stream, token.as_deref(), rows).await {
            // A saved token may be over its time; the round is then walked from its start.
            Err(e) if pull.first && token.is_some() && api::refusal(&e).is_some() => {
                self.rows(stream, None, rows).await?
            }
            got => got?,
        };
        // Tokens are theirs; a ring of them would be walked for ever.
        if let Some(next) = &got.next
            && !pull.tokens.insert(hash(&[next.as_bytes()]))
        {
            return Err(unreadable("the pages lead back to an earlier one"));
        }
        let drift = crm::drift(&got.rows);
        if !drift.readable("instanceId") {
            return Err(unreadable("CRM rows have no ids that can be read"));
        }
        let mut rows = Vec::new();
        for row in &got.rows {
            let row = row
                .as_object()
                .ok_or_else(|| unreadable("a CRM row is no object"))?;
            let id = row
                .get("instanceId")
                .and_then(Value::as_str)
                .filter(|id| is_id(id));
            rows.push((id.ok_or_else(|| unreadable("a CRM row has no id"))?, row));
        }
        // The newest time that the first page shows is no later than any change from here on.
        let newest = rows
            .iter()
            .filter_map(|(_, row)| Reader::changed(row))
            .max();
        if !pull.place.under_way() {
            pull.place.begin(newest.unwrap_or(Timestamp(0)));
        }
        let mut page = Page::default();
        if pull.first {
            page.notes = drift.notes(stream.object);
        }
        pull.first = false;
        let since = pull.place.since();
        let form = pull.form.as_ref().ok_or_else(|| unreadable("no form"))?;
        let reader = Reader {
            source: &self.config.source,
            list: stream.object,
            kind: stream.kind,
            form,
            drift: &drift,
        };
        for (id, row) in rows {
            pull.number += 1;
            // A row without any time is always looked at.
            let time = Reader::changed(row).unwrap_or(Timestamp(i64::MAX));
            if since.is_some_and(|since| time < since) {
                continue;
            }
            let read = reader.read(id, row, pull.number);
            let version = serde_json::to_vec(&read.records)
                .map_err(|e| PullError::new(PullErrorKind::Unreadable, Failure::internal(e)))?;
            if pull.place.admit(id, time, &version) {
                page.records.extend(read.records);
                page.row_errors.extend(read.errors);
            }
        }
        page.row_errors.truncate(MAX_PAGE_ERRORS);
        let moved = match &got.next {
            Some(next) => {
                pull.place.walk_to(next);
                true
            }
            None => pull.place.finish(),
        };
        pull.ended = got.next.is_none();
        let silent = page.records.is_empty() && page.row_errors.is_empty();
        // A round that found nothing new and starts where it started is not told.
        if silent && pull.ended && !moved && page.notes.is_empty() {
            return Ok(None);
        }
        let done = pull.place.done();
        page.progress = Progress {
            done,
            total: got.total.map(|t| t.max(done)),
        };
        let cursor = pull.place.cursor();
        page.cursor = Some(cursor.map_err(|f| PullError::new(PullErrorKind::Unreadable, f))?);
        Ok(Some(page))
    }

    async fn crm_schema(&self, stream: &'static Stream) -> Result<StreamSchema, PullError> {
        let form = self.form(stream).await?;
        let got = self
            .rows(stream, None, self.config.page_rows.min(10))
            .await?;
        let drift = crm::drift(&got.rows);
        let mut notes = drift.notes(stream.object);
        notes.extend(drift.unknown_note(stream.object));
        let mut columns: BTreeMap<String, bool> = crm::shape(&got.rows)
            .into_keys()
            .map(|name| {
                let mapped = drift.readable(&name) && !drift.unknown.contains(&name);
                (name, mapped)
            })
            .collect();
        columns.extend(
            form.columns()
                .map(|(id, known)| (format!("data.{id}"), known)),
        );
        if columns.is_empty() {
            columns.extend(crm::COLUMNS.iter().map(|c| (c.name.to_owned(), true)));
        }
        Ok(StreamSchema {
            stream: stream.name.to_owned(),
            kind: match stream.kind {
                PartyKind::Organization => "organization",
                PartyKind::Person => "person",
            }
            .to_owned(),
            columns: columns
                .into_iter()
                .map(|(name, mapped)| Column { name, mapped })
                .collect(),
            notes,
        })
    }
}

/// A pull under way.
struct Pull {
    stream: &'static Stream,
    place: Incremental,
    form: Option<Form>,
    number: u64,
    /// Hashes of the tokens that led to a next page.
    tokens: BTreeSet<u64>,
    first: bool,
    ended: bool,
}

/// A pull and who makes it.
struct Walking {
    connector: DingtalkConnector,
    pull: Pull,
}

#[async_trait]
impl Walk for Walking {
    async fn next(&mut self) -> Result<Option<Page>, PullError> {
        if self.pull.ended {
            return Ok(None);
        }
        self.connector.page(&mut self.pull).await
    }
}

#[async_trait]
impl Connector for DingtalkConnector {
    fn spec() -> Spec {
        config::spec()
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::new(config::read(settings)?)
    }

    async fn check(&self) -> Result<(), Failure> {
        let told = if self.config.operator.is_empty() {
            let body = json!({"dept_id": 1});
            self.api
                .old("/topapi/v2/department/get", &body)
                .await
                .map(drop)
        } else {
            self.rows(&STREAMS[0], None, 1).await.map(drop)
        };
        told.map_err(|e| e.failure)
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let names = ["userid", "name", "dept_id_list", "mobile", "org_email"];
        let column = |name: &str| Column {
            name: name.to_owned(),
            mapped: true,
        };
        let mut list = vec![StreamSchema {
            stream: DIRECTORY.to_owned(),
            kind: DIRECTORY.to_owned(),
            columns: names.map(column).into(),
            notes: Vec::new(),
        }];
        if self.config.operator.is_empty() {
            list[0]
                .notes
                .push("no operator_user_id is set: there are no CRM streams".to_owned());
            return Ok(list);
        }
        for stream in &STREAMS {
            match self.crm_schema(stream).await {
                Ok(schema) => list.push(schema),
                // A form the organization does not have, or the app may not read.
                Err(e) if matches!(e.failure.reason, "FOREIGN_REFUSED" | "FOREIGN_FORBIDDEN") => {
                    let note = format!("{}: not there, or not allowed", stream.object);
                    list[0].notes.push(note);
                }
                Err(e) => return Err(e.failure),
            }
        }
        Ok(list)
    }

    async fn pull(&self, stream: &str, cursor: Option<Cursor>) -> Pages {
        let connector = self.clone();
        if stream == DIRECTORY || stream.starts_with("directory/") {
            let name = stream.to_owned();
            return stream::once(async move { connector.directory(&name, cursor).await })
                .flat_map(|begun| begun.unwrap_or_else(|e| stream::iter([Err(e)]).boxed()))
                .boxed();
        }
        let begun = self.stream(stream).and_then(|stream| {
            // The same list of another app or operator is another list.
            let config = &self.config;
            let list = [&config.url, &config.app_key, &config.operator, stream.name].join("\n");
            let place = Incremental::resume(&list, cursor.as_ref(), config.overlap)?;
            Ok(Pull {
                stream,
                place,
                form: None,
                number: 0,
                tokens: BTreeSet::new(),
                first: true,
                ended: false,
            })
        });
        let connector = self.clone();
        pages(begun.map(|pull| Walking { connector, pull }))
    }

    async fn sweep(&self, stream: &str, known: Arc<dyn KnownRecords>, limit: SweepLimit) -> Pages {
        let swept = match self.stream(stream) {
            Ok(stream) => self.gone(stream, &*known, limit).await,
            Err(error) => Err(error),
        };
        sweep::pages(swept)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        self.messages.as_ref().map(|m| m as &dyn Outbound)
    }

    fn callback(&self) -> Option<&dyn Callback> {
        self.calls.as_ref().map(|c| c as &dyn Callback)
    }

    fn listener(&self) -> Option<&dyn Listener> {
        self.channel.as_ref().map(|c| c as &dyn Listener)
    }
}
