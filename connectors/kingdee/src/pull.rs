//! The connector: rounds over changed rows, and sweeps over all ids.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use jinke_sdk::{
    Column, Connector, Cursor, Effect, KnownRecords, MAX_PAGE_ERRORS, MAX_PAGE_RECORDS, Outbound,
    Page, Progress, PullError, PullErrorKind, Settings, Spec, StreamSchema, SweepLimit, Walk,
    http::unreadable, incremental::Incremental, mapping::MAX_LINES, sweep, walk::pages,
};
use jinke_types::{Failure, Timestamp};
use serde_json::Value;

use crate::{
    api::{Api, Query, is_unknown_form, whole},
    cells::{Cells, Faults, literal, zone},
    config::{self, KingdeeConfig, MAX_QUERY_ROWS},
    forms::{self, Stream},
    records::{self, cells, group, records, time_of},
    shape::{ENTRY, Shape},
};

/// So many missing ids are asked for at a time in a sweep.
const RECHECK: usize = 200;

/// Reads and writes a Kingdee server.
#[derive(Clone)]
pub struct KingdeeConnector {
    pub(crate) config: Arc<KingdeeConfig>,
    pub(crate) api: Api,
}

impl std::fmt::Debug for KingdeeConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("KingdeeConnector");
        shown
            .field("source", &self.config.source)
            .finish_non_exhaustive()
    }
}

/// Rows that shifted while they were read would give a bill the same entry twice.
fn distinct(groups: &[(i64, Vec<Cells>)]) -> Result<(), PullError> {
    for (_, rows) in groups {
        let mut seen = BTreeSet::new();
        let mut entries = rows.iter().filter_map(|row| whole(row.get(ENTRY)?));
        if !entries.all(|entry| seen.insert(entry)) {
            return Err(unreadable("a bill has the same entry twice"));
        }
    }
    Ok(())
}

/// A pull under way.
struct Pull {
    stream: &'static Stream,
    place: Incremental,
    shape: Option<Shape>,
    /// Rows that were read and are not walked over yet.
    rest: VecDeque<(i64, Vec<Cells>)>,
    /// The last row of the round was read.
    all_read: bool,
    ended: bool,
}

impl KingdeeConnector {
    /// A connector; does no I/O.
    pub fn new(config: KingdeeConfig) -> Result<Self, Failure> {
        Ok(Self {
            api: Api::new(&config)?,
            config: Arc::new(KingdeeConfig {
                page_rows: config.page_rows.clamp(1, MAX_QUERY_ROWS),
                ..config
            }),
        })
    }

    fn stream(name: &str) -> Result<&'static Stream, PullError> {
        forms::all()
            .into_iter()
            .find(|s| s.name == name)
            .ok_or_else(PullError::unknown_stream)
    }

    /// The newest time that rows of the stream carry now; `None` without rows.
    async fn newest(&self, stream: &Stream, shape: &Shape) -> Result<Option<Timestamp>, PullError> {
        if shape.times.is_empty() {
            let ids = self.ids(stream, shape, None, 1).await?;
            return Ok((!ids.is_empty()).then_some(Timestamp(0)));
        }
        let mut newest = None;
        for field in &shape.times {
            let rows = self
                .api
                .rows(Query {
                    form: stream.form,
                    fields: std::slice::from_ref(field),
                    filter: shape.condition([]),
                    order: format!("{field} DESC"),
                    start: 0,
                    limit: 1,
                })
                .await?;
            for row in rows {
                let mut faults = Faults::new(stream.form, 0, self.config.utc_offset_minutes);
                let cell = cells(std::slice::from_ref(field), row);
                newest = newest.max(faults.time(&cell, field));
                if !faults.errors.is_empty() {
                    return Err(unreadable(format!("{}.{field} is no time", stream.form)));
                }
            }
        }
        Ok(newest)
    }

    /// Reads rows behind `after`; the entries of each bill are whole. Also tells whether these
    /// were the last.
    async fn read(
        &self,
        stream: &'static Stream,
        shape: &Shape,
        after: i64,
        since: Option<Timestamp>,
    ) -> Result<(Vec<(i64, Vec<Cells>)>, bool), PullError> {
        let mut more = vec![format!("{} > {after}", shape.id)];
        if let Some(since) = since
            && !shape.times.is_empty()
        {
            let at = literal(since, zone(self.config.utc_offset_minutes));
            let any: Vec<String> = shape.times.iter().map(|t| format!("{t} >= {at}")).collect();
            more.push(format!("({})", any.join(" or ")));
        }
        let filter = shape.condition(more);
        let limit = self.config.page_rows;
        let rows = self.query(stream, shape, filter, 0).await?;
        let last = rows.len() < limit;
        let mut groups = group(rows);
        let mut before = after;
        for (id, _) in &groups {
            // Rows out of order would make the walk go round.
            if *id <= before {
                return Err(unreadable("the rows are not in the order of their ids"));
            }
            before = *id;
        }
        if last {
            distinct(&groups)?;
            return Ok((groups, true));
        }
        // The last bill may go on behind the limit. Another round reads it from its beginning,
        // unless it fills the whole answer by itself.
        if stream.entries.is_none() {
            return Ok((groups, false));
        }
        if groups.len() > 1 {
            groups.pop();
        } else if let Some((id, rows)) = groups.last_mut() {
            let filter = shape.condition([format!("{} = {id}", shape.id)]);
            while rows.len() <= MAX_LINES {
                let next = self
                    .query(stream, shape, filter.clone(), rows.len())
                    .await?;
                let short = next.len() < limit;
                if next.iter().any(|(other, _)| other != id) {
                    return Err(unreadable("a query for one bill yields another"));
                }
                rows.extend(next.into_iter().map(|(_, row)| row));
                if short {
                    break;
                }
            }
        }
        distinct(&groups)?;
        Ok((groups, false))
    }

    async fn query(
        &self,
        stream: &Stream,
        shape: &Shape,
        filter: String,
        start: usize,
    ) -> Result<Vec<(i64, Cells)>, PullError> {
        let rows = self
            .api
            .rows(Query {
                form: stream.form,
                fields: &shape.fields,
                filter,
                order: shape.order.clone(),
                start,
                limit: self.config.page_rows,
            })
            .await?;
        let at = shape.labels.iter().position(|l| l == stream.id);
        let at = at.ok_or_else(|| unreadable("the id of a row cannot be read"))?;
        let row = |row: Vec<Value>| match whole(&row[at]) {
            Some(id) if id > 0 => Ok((id, cells(&shape.labels, row))),
            _ => Err(unreadable("a row has no id")),
        };
        rows.into_iter().map(row).collect()
    }

    /// The next page of a round. Its rows are in the order of their ids.
    async fn page(&self, pull: &mut Pull) -> Result<Option<Page>, PullError> {
        let stream = pull.stream;
        if pull.shape.is_none() {
            pull.shape = Some(Shape::of(&self.api, stream).await?);
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
        if pull.rest.is_empty() && !pull.all_read {
            let after = pull.place.after().and_then(|a| a.parse().ok());
            let (rows, last) = self
                .read(stream, shape, after.unwrap_or(0), pull.place.since())
                .await?;
            pull.rest.extend(rows);
            pull.all_read = last;
        }
        let mut page = Page::default();
        // A row yields two records at most.
        while page.records.len() + 2 <= MAX_PAGE_RECORDS {
            let Some((id, rows)) = pull.rest.pop_front() else {
                break;
            };
            let mut faults = Faults::new(stream.form, id, self.config.utc_offset_minutes);
            let found = if rows.len() > MAX_LINES {
                let why = "has more lines than the limit";
                faults.add("FSaleOrderEntry", why, Effect::RowSkipped);
                Vec::new()
            } else {
                records(&self.config, stream, id, &rows, &mut faults)
            };
            let errors = std::mem::take(&mut faults.errors);
            let version = serde_json::to_vec(&(&found, &errors))
                .map_err(|e| PullError::new(PullErrorKind::Unreadable, Failure::internal(e)))?;
            let time = time_of(&rows, &mut faults);
            if pull.place.admit(&id.to_string(), time, &version) {
                page.records.extend(found);
                page.row_errors.extend(errors);
            }
        }
        page.row_errors.truncate(MAX_PAGE_ERRORS);
        let last = pull.all_read && pull.rest.is_empty();
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

    /// Ids of the stream's rows that meet `more`, in their order, with whether a contact belongs
    /// to a customer.
    async fn ids(
        &self,
        stream: &Stream,
        shape: &Shape,
        more: Option<String>,
        limit: usize,
    ) -> Result<Vec<(i64, bool)>, PullError> {
        let mut fields = vec![shape.id.clone()];
        fields.extend(shape.company.iter().cloned());
        let rows = self
            .api
            .rows(Query {
                form: stream.form,
                fields: &fields,
                filter: shape.condition(more),
                order: shape.id.clone(),
                start: 0,
                limit,
            })
            .await?;
        let labels = [stream.id, "FCompanyType", "FCompany"].map(str::to_owned);
        let read = |row: Vec<Value>| {
            let number = whole(&row[0]).ok_or_else(|| unreadable("an id is no number"))?;
            let row = cells(&labels, row);
            let mut faults = Faults::new(stream.form, number, 0);
            let linked = shape.company.len() == 2 && records::company(&row, &mut faults).is_some();
            Ok((number, linked))
        };
        rows.into_iter().map(read).collect()
    }

    async fn gone(
        &self,
        stream: &'static Stream,
        known: &dyn KnownRecords,
        limit: SweepLimit,
    ) -> Result<sweep::Swept, PullError> {
        let shape = &Shape::of(&self.api, stream).await?;
        let id = shape.id.as_str();
        let external = |(number, linked): (i64, bool)| {
            let own = stream.external_id(number);
            let link = linked.then(|| forms::contact_link(&own));
            std::iter::once(own).chain(link)
        };
        let mut present = BTreeSet::new();
        let mut after = 0;
        loop {
            let ids = self
                .ids(
                    stream,
                    shape,
                    Some(format!("{id} > {after}")),
                    MAX_QUERY_ROWS,
                )
                .await?;
            let full = ids.len() >= MAX_QUERY_ROWS;
            for found in ids {
                if found.0 <= after {
                    return Err(unreadable("the ids are not in their order"));
                }
                after = found.0;
                present.extend(external(found));
            }
            sweep::bounded(&present)?;
            if !full {
                break;
            }
        }
        let recheck = |some: Vec<String>| async move {
            let mut there = BTreeSet::new();
            let ids: BTreeSet<i64> = some.iter().filter_map(|id| stream.id_of(id)).collect();
            let ids: Vec<String> = ids.into_iter().map(|n| n.to_string()).collect();
            for some in ids.chunks(RECHECK) {
                let among = format!("{id} in ({})", some.join(","));
                let found = self.ids(stream, shape, Some(among), MAX_QUERY_ROWS).await?;
                there.extend(found.into_iter().flat_map(external));
            }
            Ok(there)
        };
        sweep::compare(&self.config.source, &present, known, limit, recheck).await
    }
}

/// A pull and who makes it.
struct Walking {
    connector: KingdeeConnector,
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
impl Connector for KingdeeConnector {
    fn spec() -> Spec {
        config::spec()
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::new(config::read(settings)?)
    }

    async fn check(&self) -> Result<(), Failure> {
        let stream = Self::stream("customers").map_err(|e| e.failure)?;
        let form = self.api.form(stream.form).await.map_err(|e| e.failure)?;
        let number = form.spelled(stream.number);
        let query = Query {
            form: stream.form,
            fields: std::slice::from_ref(&number),
            filter: String::new(),
            order: number.clone(),
            start: 0,
            limit: 1,
        };
        let told = self.api.objects(query).await;
        told.map(|_| ()).map_err(|e| e.failure)
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let mut list = Vec::new();
        let mut absent = Vec::new();
        for stream in forms::all() {
            let shape = match Shape::of(&self.api, stream).await {
                Ok(shape) => shape,
                // A module that is not installed.
                Err(e) if is_unknown_form(&e.failure) => {
                    absent.push(format!("{}: the tenant has no such form", stream.form));
                    continue;
                }
                Err(e) => return Err(e.failure),
            };
            let mut notes = shape.notes;
            notes.extend(shape.drift.unknown_note(stream.form));
            let columns = shape.present.into_keys().map(|name| Column {
                mapped: stream.fields.iter().any(|f| f.name == name) && shape.drift.readable(&name),
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
        let begun = Self::stream(stream).and_then(|stream| {
            // The same list of another data centre is another list.
            let list = [
                &config.url,
                &config.account,
                &config.organization,
                stream.name,
            ];
            let place = Incremental::resume(&list.join("\n"), cursor.as_ref(), config.overlap)?;
            Ok(Pull {
                stream,
                place,
                shape: None,
                rest: VecDeque::new(),
                all_read: false,
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
        let swept = match Self::stream(stream) {
            Ok(stream) => self.gone(stream, &*known, limit).await,
            Err(error) => Err(error),
        };
        sweep::pages(swept)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }
}
