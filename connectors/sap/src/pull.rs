//! The connector: rounds over changed rows. Its sweeps are in [`crate::gone`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use jinke_sdk::{
    Column, Connector, Cursor, KnownRecords, MAX_PAGE_ERRORS, MAX_PAGE_RECORDS, Outbound, Page,
    Progress, PullError, PullErrorKind, Settings, Spec, StreamSchema, SweepLimit, Walk,
    drift::Drift, http::unreadable, incremental::Incremental, sweep, walk::pages,
};
use jinke_types::{Failure, Timestamp};
use serde_json::Value;

use crate::{
    api::{Api, Entity, List},
    config::{self, MAX_QUERY_ROWS, SapConfig},
    records::{self, MAX_CONTACTS, Reader, time_of},
    streams::{self, ORDER, PARTNER, Stream},
    wire::{day_literal, moment_literal, padded, quoted, zone},
};

/// So many numbers are asked for in one filter.
pub(crate) const ASKED: usize = 25;
/// So many partners of customers are remembered during a pull.
const MAX_REMEMBERED: usize = 20_000;

/// Reads and writes an SAP system.
#[derive(Clone)]
pub struct SapConnector {
    pub(crate) config: Arc<SapConfig>,
    pub(crate) api: Api,
}

impl std::fmt::Debug for SapConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("SapConnector");
        shown
            .field("source", &self.config.source)
            .finish_non_exhaustive()
    }
}

/// What of a stream can be read now.
struct Shape {
    expand: String,
    notes: Vec<String>,
    drift: Drift,
    present: BTreeMap<String, String>,
}

/// A pull under way.
struct Pull {
    stream: &'static Stream,
    place: Incremental,
    shape: Option<Shape>,
    /// Rows that were read and are not walked over yet.
    rest: VecDeque<(String, Entity)>,
    /// The number of the last row that was read.
    read_to: String,
    /// The link to the next page of the present query, and the rows it gave so far.
    next: Option<String>,
    got: usize,
    /// Partners by the number of their customer.
    partners: BTreeMap<String, String>,
    all_read: bool,
    ended: bool,
}

/// The text that names a row.
pub(crate) fn key(stream: &Stream, row: &Entity) -> Result<String, PullError> {
    let key = row.get(stream.key).and_then(Value::as_str);
    let key = key.filter(|k| !k.is_empty() && k.len() <= 64);
    key.map(str::to_owned)
        .ok_or_else(|| unreadable("a row has no number"))
}

impl SapConnector {
    /// A connector; does no I/O.
    pub fn new(config: SapConfig) -> Result<Self, Failure> {
        Ok(Self {
            api: Api::new(&config)?,
            config: Arc::new(SapConfig {
                page_rows: config.page_rows.clamp(1, MAX_QUERY_ROWS),
                ..config
            }),
        })
    }

    fn stream(name: &str) -> Result<&'static Stream, PullError> {
        let found = streams::all().into_iter().find(|s| s.name == name);
        found.ok_or_else(PullError::unknown_stream)
    }

    /// Reads the service's description and decides what to ask for.
    async fn shape(&self, stream: &'static Stream) -> Result<Shape, PullError> {
        let set = self.api.describe(stream.service, stream.set).await?;
        let drift = Drift::of(stream.properties, &[], &set.properties);
        if !drift.readable(stream.key) {
            return Err(unreadable(format!("{} cannot be read", stream.key)));
        }
        let head = |link: &str| link.split('/').next().unwrap_or_default().to_owned();
        let there = |link: &&&str| set.links.contains(&head(link));
        let expand: Vec<&str> = stream.links.iter().filter(there).copied().collect();
        let mut notes = drift.notes(stream.set);
        for link in stream
            .links
            .iter()
            .filter(|l| !l.contains('/') && !there(l))
        {
            notes.push(format!("{}: the link {link} is missing", stream.set));
        }
        Ok(Shape {
            expand: expand.join(","),
            notes,
            drift,
            present: set.properties,
        })
    }

    /// The properties that tell when a row changed or came.
    fn times(stream: &Stream, shape: &Shape) -> Vec<&'static str> {
        let times: [&'static str; 3] = [stream.moment, "LastChangeDate", "CreationDate"];
        times
            .into_iter()
            .filter(|t| stream.properties.iter().any(|p| p.name == *t) && shape.drift.readable(t))
            .collect()
    }

    fn reader(&self, stream: &Stream, number: &str) -> Reader<'_> {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        Reader {
            source: &self.config.source,
            set: stream.set,
            zone: zone(self.config.utc_offset_minutes),
            row: digits.parse().unwrap_or(0),
            errors: Vec::new(),
        }
    }

    /// The newest time that rows of the stream carry now; `None` without rows.
    async fn newest(&self, stream: &Stream, shape: &Shape) -> Result<Option<Timestamp>, PullError> {
        let mut newest = None;
        for property in Self::times(stream, shape) {
            let order = match property {
                "LastChangeDate" => "LastChangeDate desc,LastChangeTime desc".to_owned(),
                "CreationDate" if stream.moment.is_empty() => {
                    "CreationDate desc,CreationTime desc".to_owned()
                }
                other => format!("{other} desc"),
            };
            let options = [
                // An absent value would come first on some databases.
                ("$filter", format!("{property} ne null")),
                ("$orderby", order),
                ("$top", "1".to_owned()),
            ];
            let list = self.api.list(stream.service, stream.set, &options).await?;
            for row in list.rows {
                let mut reader = self.reader(stream, "");
                newest = newest.max(time_of(&mut reader, &row));
            }
        }
        if newest.is_none() {
            let options = [("$top", "1".to_owned()), ("$select", stream.key.to_owned())];
            let list = self.api.list(stream.service, stream.set, &options).await?;
            newest = (!list.rows.is_empty()).then_some(Timestamp(0));
        }
        Ok(newest)
    }

    /// Reads the next rows of a round.
    async fn read(&self, pull: &mut Pull) -> Result<(), PullError> {
        let stream = pull.stream;
        let Some(shape) = &pull.shape else {
            return Ok(());
        };
        let list = match pull.next.take() {
            Some(link) => self.api.next(stream.service, &link).await?,
            None => {
                pull.got = 0;
                let mut filter = Vec::new();
                if !pull.read_to.is_empty() {
                    filter.push(format!("{} gt {}", stream.key, quoted(&pull.read_to)));
                }
                if let Some(since) = pull.place.since() {
                    let day = day_literal(since, zone(self.config.utc_offset_minutes));
                    let any = Self::times(stream, shape).into_iter().map(|property| {
                        if property == stream.moment {
                            format!("{property} ge {}", moment_literal(since))
                        } else {
                            format!("{property} ge {day}")
                        }
                    });
                    let any: Vec<String> = any.collect();
                    if !any.is_empty() {
                        filter.push(format!("({})", any.join(" or ")));
                    }
                }
                let mut options = vec![
                    ("$orderby", stream.key.to_owned()),
                    ("$top", self.config.page_rows.to_string()),
                    ("$expand", shape.expand.clone()),
                ];
                if !filter.is_empty() {
                    options.push(("$filter", filter.join(" and ")));
                }
                self.api.list(stream.service, stream.set, &options).await?
            }
        };
        let List { rows, next } = list;
        if rows.is_empty() && next.is_some() {
            return Err(unreadable("a page without rows leads to another one"));
        }
        pull.got += rows.len();
        for row in rows {
            let key = key(stream, &row)?;
            // Rows out of order, or a link that leads back, would make the walk go round.
            if key <= pull.read_to {
                return Err(unreadable("the rows are not in the order of their numbers"));
            }
            pull.read_to.clone_from(&key);
            pull.rest.push_back((key, row));
        }
        pull.all_read = next.is_none() && pull.got < self.config.page_rows;
        pull.next = next;
        Ok(())
    }

    /// Finds the partners who are the customers that orders name.
    async fn resolve(&self, pull: &mut Pull) -> Result<(), PullError> {
        if pull.partners.len() > MAX_REMEMBERED {
            pull.partners.clear();
        }
        let named = pull
            .rest
            .iter()
            .filter_map(|(_, row)| row.get("SoldToParty")?.as_str());
        let wanted: BTreeSet<String> = named
            .filter(|n| !n.is_empty() && n.len() <= 64)
            .map(padded)
            .filter(|n| !pull.partners.contains_key(n))
            .collect();
        for some in wanted.iter().collect::<Vec<_>>().chunks(ASKED) {
            let any: Vec<String> = some
                .iter()
                .map(|number| format!("Customer eq {}", quoted(number)))
                .collect();
            let options = [
                ("$filter", any.join(" or ")),
                ("$select", "BusinessPartner,Customer".to_owned()),
                ("$top", (2 * ASKED).to_string()),
            ];
            let list = self
                .api
                .list(PARTNER.service, PARTNER.set, &options)
                .await?;
            for number in some {
                // Where a customer has no partner it is named by its own number, so that the
                // order is not lost; most systems give both the same number anyway.
                pull.partners.insert((*number).clone(), (*number).clone());
            }
            for row in list.rows {
                let text = |name: &str| row.get(name).and_then(Value::as_str).map(padded);
                if let (Some(customer), Some(partner)) = (text("Customer"), text("BusinessPartner"))
                {
                    if !some.contains(&&customer) {
                        return Err(unreadable("a customer came that was not asked for"));
                    }
                    pull.partners.insert(customer, partner);
                }
            }
        }
        Ok(())
    }

    /// The next page of a round.
    async fn page(&self, pull: &mut Pull) -> Result<Option<Page>, PullError> {
        let stream = pull.stream;
        if pull.shape.is_none() {
            pull.shape = Some(self.shape(stream).await?);
        }
        let Some(shape) = &mut pull.shape else {
            return Ok(None);
        };
        let retyped: Vec<String> = shape.drift.retyped.keys().cloned().collect();
        let notes = std::mem::take(&mut shape.notes);
        if !pull.place.under_way() {
            let Some(top) = self.newest(stream, shape).await? else {
                return Ok(None);
            };
            pull.place.begin(top);
        }
        if pull.rest.is_empty() && !pull.all_read {
            self.read(pull).await?;
            if std::ptr::eq(stream, &ORDER) {
                self.resolve(pull).await?;
            }
        }
        let since = pull.place.since();
        let mut page = Page {
            notes,
            ..Page::default()
        };
        // A row yields at most one record and its contacts.
        while page.records.len() + 1 + MAX_CONTACTS <= MAX_PAGE_RECORDS {
            let Some((number, mut row)) = pull.rest.pop_front() else {
                break;
            };
            retyped.iter().for_each(|name| drop(row.remove(name)));
            let mut reader = self.reader(stream, &number);
            let time = time_of(&mut reader, &row);
            // A filter by day yields more than was asked for.
            if time.zip(since).is_some_and(|(time, since)| time < since) {
                continue;
            }
            let found = if std::ptr::eq(stream, &PARTNER) {
                records::partner(&mut reader, &row, &number)
            } else {
                let sold_to = row.get("SoldToParty").and_then(Value::as_str).map(padded);
                let partner = sold_to.and_then(|n| pull.partners.get(&n));
                let order = records::order(&mut reader, &row, &number, partner.map(|p| &**p));
                order.into_iter().collect()
            };
            let version = serde_json::to_vec(&(&found, &reader.errors))
                .map_err(|e| PullError::new(PullErrorKind::Unreadable, Failure::internal(e)))?;
            let time = time.unwrap_or(Timestamp(i64::MAX));
            if pull.place.admit(&number, time, &version) {
                page.records.extend(found);
                page.row_errors.extend(reader.errors);
            }
        }
        page.row_errors.truncate(MAX_PAGE_ERRORS);
        let last = pull.all_read && pull.rest.is_empty();
        let moved = last && pull.place.finish();
        pull.ended = last;
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
}

/// A pull and who makes it.
struct Walking {
    connector: SapConnector,
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
impl Connector for SapConnector {
    fn spec() -> Spec {
        config::spec()
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::new(config::read(settings)?)
    }

    async fn check(&self) -> Result<(), Failure> {
        let options = [
            ("$top", "1".to_owned()),
            ("$select", PARTNER.key.to_owned()),
        ];
        let told = self.api.list(PARTNER.service, PARTNER.set, &options).await;
        told.map(|_| ()).map_err(|e| e.failure)
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let mut list = Vec::new();
        let mut absent = Vec::new();
        for stream in streams::all() {
            let shape = match self.shape(stream).await {
                Ok(shape) => shape,
                // A service that is not activated, or one this user may not call.
                Err(e) if matches!(e.failure.reason, "FOREIGN_REFUSED" | "FOREIGN_FORBIDDEN") => {
                    absent.push(format!("{}: not activated, or not allowed", stream.service));
                    continue;
                }
                Err(e) => return Err(e.failure),
            };
            let mut notes = shape.notes;
            notes.extend(shape.drift.unknown_note(stream.set));
            let columns = shape.present.into_keys().map(|name| Column {
                mapped: stream.properties.iter().any(|p| p.name == name)
                    && shape.drift.readable(&name),
                name,
            });
            list.push(StreamSchema {
                stream: stream.name.to_owned(),
                kind: stream.row_kind.to_owned(),
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
            // The same list of another client is another list.
            let list = [&config.url, &config.client_number, stream.set];
            let place = Incremental::resume(&list.join("\n"), cursor.as_ref(), config.overlap)?;
            Ok(Pull {
                stream,
                read_to: place.after().unwrap_or_default().to_owned(),
                place,
                shape: None,
                rest: VecDeque::new(),
                next: None,
                got: 0,
                partners: BTreeMap::new(),
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
