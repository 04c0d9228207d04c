//! The connector: rounds over changed rows, and sweeps over all ids.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use jinke_sdk::{
    Column, Connector, Cursor, KnownRecords, MAX_PAGE_ERRORS, Page, Progress, PullError,
    PullErrorKind, Settings, Spec, StreamSchema, SweepLimit, Walk, drift::Drift, http::unreadable,
    incremental::Incremental, sweep, walk::pages,
};
use jinke_types::{Failure, SourceRecord, Timestamp};
use serde_json::{Value, json};

use crate::{
    cells::{Cells, Faults},
    config::{self, MAX_PAGE_ROWS, TrytonConfig},
    documents::{Place, document},
    party::party,
    rpc::Rpc,
    streams::{self, Kind, NEEDED, Stream},
    wire,
};

/// So many ids are asked for at a time in a sweep.
const SWEEP_PAGE: usize = 1_000;

/// Reads a Tryton server.
#[derive(Clone)]
pub struct TrytonConnector {
    config: Arc<TrytonConfig>,
    rpc: Rpc,
}

impl std::fmt::Debug for TrytonConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TrytonConnector");
        shown
            .field("source", &self.config.source)
            .finish_non_exhaustive()
    }
}

impl TrytonConnector {
    /// A connector; does no I/O.
    pub fn new(config: TrytonConfig) -> Result<Self, Failure> {
        Ok(Self {
            rpc: Rpc::new(&config)?,
            config: Arc::new(TrytonConfig {
                page_rows: config.page_rows.clamp(1, MAX_PAGE_ROWS),
                ..config
            }),
        })
    }

    fn stream(&self, name: &str) -> Result<&'static Stream, PullError> {
        let streams = streams::all(self.config.payments_from);
        let found = streams.into_iter().find(|s| s.name == name);
        found.ok_or_else(PullError::unknown_stream)
    }

    /// The columns of a model with their types.
    async fn fields(&self, model: &str) -> Result<BTreeMap<String, String>, PullError> {
        let told = self.rpc.read(model, "fields_get", vec![json!([])]).await?;
        let told = told
            .as_object()
            .filter(|fields| !fields.is_empty())
            .ok_or_else(|| unreadable(format!("the columns of {model} are no object")))?;
        let kind = |field: &Value| field.get("type").and_then(Value::as_str).map(str::to_owned);
        Ok(told
            .iter()
            .map(|(name, field)| (name.clone(), kind(field).unwrap_or_default()))
            .collect())
    }

    /// What of a stream can be read now.
    async fn shape(&self, stream: &'static Stream) -> Result<Shape, PullError> {
        let present = self.fields(stream.model).await?;
        let drift = Drift::of(stream.columns, &[], &present);
        if let Some(name) = NEEDED.iter().find(|name| !drift.readable(name)) {
            return Err(unreadable(format!(
                "{} has no column {name} that can be read",
                stream.model
            )));
        }
        let mut notes = drift.notes(stream.model);
        let mut fields: Vec<String> = Vec::new();
        let whole = stream.columns.iter().map(|c| c.name);
        for name in whole.filter(|n| drift.readable(n)) {
            if !stream.links.iter().any(|l| l.field == name && l.part) {
                fields.push(name.to_owned());
            }
        }
        for link in stream.links.iter().filter(|l| drift.readable(l.field)) {
            let there = if link.model.is_empty() {
                None
            } else {
                Some(self.fields(link.model).await?)
            };
            let times = if link.part { &NEEDED[1..] } else { &[] };
            for column in link.columns.iter().chain(times) {
                let head = column.split('.').next().unwrap_or_default();
                if there.as_ref().is_some_and(|t| !t.contains_key(head)) {
                    notes.push(format!("{}: the column {head} is missing", link.model));
                } else {
                    fields.push(format!("{}.{column}", link.field));
                }
            }
        }
        Ok(Shape {
            fields,
            notes,
            drift,
            present,
        })
    }

    /// The newest time that the rows of the stream or their parts carry now; `None` without rows.
    async fn newest(&self, stream: &Stream, shape: &Shape) -> Result<Option<Timestamp>, PullError> {
        let parts = stream
            .links
            .iter()
            .filter(|l| l.part && shape.drift.readable(l.field));
        let mut newest = None;
        for model in std::iter::once(stream.model).chain(parts.map(|l| l.model)) {
            for column in ["write_date", "create_date"] {
                let params = vec![
                    json!([[column, "!=", null]]),
                    json!(0),
                    json!(1),
                    json!([[column, "DESC"]]),
                    json!([column]),
                ];
                let rows = rows(self.rpc.read(model, "search_read", params).await?)?;
                for (_, row) in rows {
                    let value = row.get(column).unwrap_or(&Value::Null);
                    let time = wire::datetime(value)
                        .map_err(|w| unreadable(format!("{model}.{column} {}", w.0)))?;
                    newest = newest.max(Some(time));
                }
            }
        }
        Ok(newest)
    }

    /// The next page of a round. Its rows are in the order of their ids.
    async fn page(&self, pull: &mut Pull) -> Result<Option<Page>, PullError> {
        let stream = pull.stream;
        if pull.shape.is_none() {
            pull.shape = Some(self.shape(stream).await?);
        }
        let Some(shape) = &mut pull.shape else {
            return Ok(None);
        };
        if !pull.place.under_way() {
            let Some(top) = self.newest(stream, shape).await? else {
                return Ok(None);
            };
            pull.place.begin(top);
        }
        let after = pull
            .place
            .after()
            .and_then(|a| a.parse().ok())
            .unwrap_or(0_i64);
        let mut domain = stream.base();
        domain.push(json!(["id", ">", after]));
        if let Some(since) = pull.place.since() {
            domain.push(stream.changed_since(since, |name| shape.drift.readable(name)));
        }
        let params = vec![
            Value::Array(domain),
            json!(0),
            json!(self.config.page_rows),
            json!([["id", "ASC"]]),
            json!(shape.fields),
        ];
        let rows = rows(self.rpc.read(stream.model, "search_read", params).await?)?;
        let last = rows.len() < self.config.page_rows;
        let mut page = Page::default();
        let mut before = after;
        for (id, row) in &rows {
            // Rows out of order, or some we did not ask for, would make the walk go round.
            if *id <= before {
                return Err(unreadable(
                    "the rows of a page are not in the order of their ids",
                ));
            }
            before = *id;
            let mut faults = Faults::new(stream.model, *id);
            let record = self.record(stream, row, *id, &mut faults);
            let time = record.as_ref().and_then(|r| r.update_time);
            let time = time.or_else(|| Faults::new(stream.model, *id).changed(row));
            let version = serde_json::to_vec(&record)
                .map_err(|e| PullError::new(PullErrorKind::Unreadable, Failure::internal(e)))?;
            // A row without any time is always within the overlap.
            let time = time.unwrap_or(Timestamp(i64::MAX));
            if pull.place.admit(&id.to_string(), time, &version) {
                page.records.extend(record);
                page.row_errors.extend(faults.errors);
            }
        }
        page.row_errors.truncate(MAX_PAGE_ERRORS);
        let moved = last && pull.place.finish();
        pull.ended = last;
        page.notes = std::mem::take(&mut shape.notes);
        let silent = page.records.is_empty() && page.row_errors.is_empty();
        // A round that found nothing new and starts where it started is not told.
        if silent && last && !moved && page.notes.is_empty() {
            return Ok(None);
        }
        page.progress = Progress {
            done: pull.place.done(),
            total: None,
        };
        let cursor = pull.place.cursor();
        page.cursor = Some(cursor.map_err(|f| PullError::new(PullErrorKind::Unreadable, f))?);
        Ok(Some(page))
    }

    fn record(
        &self,
        stream: &Stream,
        row: &Cells,
        id: i64,
        faults: &mut Faults,
    ) -> Option<SourceRecord> {
        let source = &self.config.source;
        if stream.kind == Kind::Parties {
            return Some(party(
                source,
                &self.config.person_categories,
                row,
                id,
                faults,
            ));
        }
        let place = Place {
            source,
            stream,
            utc_offset_minutes: self.config.utc_offset_minutes,
        };
        document(&place, row, id, faults)
    }

    /// Ids of the stream's rows that meet `more`, in their order.
    async fn ids(&self, stream: &Stream, more: Value, limit: usize) -> Result<Vec<i64>, PullError> {
        let mut domain = stream.base();
        domain.push(more);
        let params = vec![
            Value::Array(domain),
            json!(0),
            json!(limit),
            json!([["id", "ASC"]]),
        ];
        let told = self.rpc.read(stream.model, "search", params).await?;
        let list = told
            .as_array()
            .ok_or_else(|| unreadable("the ids are no list"))?;
        let ids: Option<Vec<i64>> = list.iter().map(Value::as_i64).collect();
        ids.ok_or_else(|| unreadable("an id is no number"))
    }

    async fn gone(
        &self,
        stream: &'static Stream,
        known: &dyn KnownRecords,
        limit: SweepLimit,
    ) -> Result<sweep::Swept, PullError> {
        let mut present = BTreeSet::new();
        let mut after = 0;
        loop {
            let ids = self
                .ids(stream, json!(["id", ">", after]), SWEEP_PAGE)
                .await?;
            for id in &ids {
                if *id <= after {
                    return Err(unreadable("the ids are not in their order"));
                }
                after = *id;
                present.insert(stream.external_id(*id));
            }
            sweep::bounded(&present)?;
            if ids.len() < SWEEP_PAGE {
                break;
            }
        }
        let recheck = |some: Vec<String>| async move {
            let ids: Vec<i64> = some.iter().filter_map(|id| stream.id_of(id)).collect();
            let there = self
                .ids(stream, json!(["id", "in", ids]), SWEEP_PAGE)
                .await?;
            Ok(there.into_iter().map(|id| stream.external_id(id)).collect())
        };
        sweep::compare(&self.config.source, &present, known, limit, recheck).await
    }
}

/// A pull under way.
struct Pull {
    stream: &'static Stream,
    place: Incremental,
    shape: Option<Shape>,
    ended: bool,
}

struct Shape {
    fields: Vec<String>,
    notes: Vec<String>,
    drift: Drift,
    present: BTreeMap<String, String>,
}

/// The rows of an answer, each with its id.
fn rows(told: Value) -> Result<Vec<(i64, Cells)>, PullError> {
    let Value::Array(list) = told else {
        return Err(unreadable("the rows are no list"));
    };
    let row = |value| match value {
        Value::Object(row) => match row.get("id").and_then(Value::as_i64) {
            Some(id) => Ok((id, row)),
            None => Err(unreadable("a row has no id")),
        },
        _ => Err(unreadable("a row is no object")),
    };
    list.into_iter().map(row).collect()
}

/// A pull and who makes it.
struct Walking {
    connector: TrytonConnector,
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
impl Connector for TrytonConnector {
    fn spec() -> Spec {
        config::spec()
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::new(config::read(settings)?)
    }

    async fn check(&self) -> Result<(), Failure> {
        let params = vec![json!([]), json!(0), json!(1), json!(null)];
        let told = self.rpc.read("party.party", "search", params).await;
        told.map(|_| ()).map_err(|e| e.failure)
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let mut list = Vec::new();
        let mut absent = Vec::new();
        for stream in streams::all(self.config.payments_from) {
            let shape = match self.shape(stream).await {
                Ok(shape) => shape,
                // A module that is not installed, or a model this user may not read.
                Err(e) if matches!(e.failure.reason, "FOREIGN_REFUSED" | "FOREIGN_FORBIDDEN") => {
                    absent.push(format!("{}: not installed, or not allowed", stream.model));
                    continue;
                }
                Err(e) => return Err(e.failure),
            };
            let mut notes = shape.notes;
            notes.extend(shape.drift.unknown_note(stream.model));
            let columns = shape.present.into_keys().map(|name| Column {
                mapped: stream.columns.iter().any(|c| c.name == name)
                    && shape.drift.readable(&name),
                name,
            });
            list.push(StreamSchema {
                stream: stream.name.to_owned(),
                kind: stream.row_kind().to_owned(),
                columns: columns.collect(),
                notes,
            });
        }
        if let Some(first) = list.first_mut() {
            first.notes.extend(absent);
        }
        Ok(list)
    }

    async fn pull(
        &self,
        stream: &str,
        cursor: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let config = &self.config;
        let begun = self.stream(stream).and_then(|stream| {
            // The same list of another database is another list.
            let list = [
                config.url.as_str(),
                config.database.as_str(),
                stream.name,
                stream.model,
            ];
            let place = Incremental::resume(&list.join("\n"), cursor.as_ref(), config.overlap)?;
            Ok(Pull {
                stream,
                place,
                shape: None,
                ended: false,
            })
        });
        let connector = self.clone();
        pages(begun.map(|pull| Walking { connector, pull }))
    }

    async fn sweep(
        &self,
        stream: &str,
        known: Arc<dyn KnownRecords>,
        limit: SweepLimit,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let swept = match self.stream(stream) {
            Ok(stream) => self.gone(stream, &*known, limit).await,
            Err(error) => Err(error),
        };
        sweep::pages(swept)
    }
}
