//! Pulling one stream: pages read ahead, batches delivered one at a time, and what became of each
//! saved with the cursor behind it.

use std::collections::{BTreeMap, VecDeque};

use jinke_sdk::{Lead, PullErrorKind, StreamSchema, sweep::later};
use jinke_store::lease;
use jinke_types::{Failure, SourceRecord};
use prost::Message as _;

use super::{
    Trouble,
    run::Work,
    taken::{add, count, rejection, taken, was_taken},
};
use crate::{
    ahead::PageReader,
    batch::{Batch, Batcher, MAX_RECORD_BYTES, Origin},
    convert,
    deliver::{Delivered, deliver},
    domain::{Counted, NewError, Refused},
    leads::deliver_leads,
    problem::Problem,
    store::{connections, errors, known, letters, runs},
};

/// So many row errors are saved at a time.
const MAX_ERRORS: usize = 500;
/// So many leads are sent at a time.
const MAX_LEADS: usize = 200;
/// How often a stream whose data moved away under the pull is begun anew in one attempt.
const MAX_RESTARTS: u32 = 3;

/// Pulls a stream to its end, from its cursor on.
pub(super) async fn stream(work: &mut Work, schema: &StreamSchema) -> Result<(), Trouble> {
    let mut restarts = 0;
    loop {
        let core = work.led.core.clone();
        let cursor = {
            let mut reader = core.db.read().await?;
            connections::cursor(&mut reader, &work.led.id, &schema.stream).await?
        };
        let whole = cursor.is_none();
        let error = match Pulling::begin(work, schema, cursor).await?.pages().await {
            Ok(()) => {
                if whole {
                    all_rows_seen(work, schema).await?;
                }
                return Ok(());
            }
            Err(Ended::Trouble(trouble)) => return Err(trouble),
            Err(Ended::Pull(error)) => error,
            Err(Ended::Moved) => {
                let note = "the cursor was reset under the pull; pulled from the start";
                work.run.stream(&schema.stream).note([note.to_owned()]);
                continue;
            }
        };
        match error.kind {
            PullErrorKind::CursorUnknown if !whole && !work.run.stream(&schema.stream).reset => {
                let progress = work.run.stream(&schema.stream);
                progress.reset = true;
                progress.note(["the cursor is not known any more; pulled from the start".into()]);
                reset(work, schema).await?;
            }
            PullErrorKind::Changed if restarts < MAX_RESTARTS => {
                restarts += 1;
                reset(work, schema).await?;
            }
            _ => return Err(Trouble::of_pull(&error)),
        }
    }
}

async fn reset(work: &Work, schema: &StreamSchema) -> Result<(), Failure> {
    let led = &work.led;
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            connections::reset_cursor(&mut tx, &led.id, &schema.stream).await?;
            Ok(())
        })
        .await
}

/// After a pull of everything, rows that were not wrong again are right.
async fn all_rows_seen(work: &Work, schema: &StreamSchema) -> Result<(), Failure> {
    let led = &work.led;
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            errors::resolve_rows(&mut tx, &led.id, &schema.stream, work.run.number).await
        })
        .await
}

enum Ended {
    Pull(jinke_sdk::PullError),
    Trouble(Trouble),
    /// Somebody has reset the cursor meanwhile.
    Moved,
}

impl<T: Into<Trouble>> From<T> for Ended {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

struct Pulling<'a> {
    work: &'a mut Work,
    stream: &'a str,
    origin: Origin,
    /// The cursor that is saved.
    cursor: Option<String>,
    pages: PageReader,
    batcher: Batcher,
    /// The records in the batcher, in its order.
    pending: VecDeque<SourceRecord>,
    /// Leads that wait to be sent.
    leads: Vec<Lead>,
    errors: Vec<NewError>,
    /// What was counted of the pages whose cursor no batch has yet, beside their records.
    open: Counted,
    done_units: u64,
    /// The stream has records that a sweep found gone.
    has_gone: bool,
    /// The connection has errors or dead letters that a delivered record may resolve.
    has_errors: bool,
    room: i64,
}

impl<'a> Pulling<'a> {
    async fn begin(
        work: &'a mut Work,
        schema: &'a StreamSchema,
        cursor: Option<String>,
    ) -> Result<Self, Failure> {
        let core = work.led.core.clone();
        let (id, stream) = (work.led.id.clone(), schema.stream.as_str());
        let mut reader = core.db.read().await?;
        let gone = known::page(&mut reader, &id, stream, true, None, 1).await?;
        let known_errors = errors::count(&mut reader, &id).await?;
        let dead = letters::count(&mut reader, &id).await?;
        let origin = Origin {
            source: work.connection.source.id.clone(),
            digest: format!("{id}/{}", work.connection.uid),
            run: u64::try_from(work.run.number).unwrap_or(0),
            stream: stream.to_owned(),
        };
        Ok(Self {
            pages: PageReader::pull(&work.connector, stream, cursor.clone()),
            batcher: Batcher::of_first_load(cursor.is_none()),
            done_units: {
                let progress = work.run.stream(stream);
                progress.take_back();
                progress.done_units
            },
            work,
            stream,
            origin,
            cursor,
            pending: VecDeque::new(),
            leads: Vec::new(),
            errors: Vec::new(),
            open: Counted::default(),
            has_gone: !gone.is_empty(),
            has_errors: known_errors + dead > 0,
            room: i64::from(core.limits.errors_kept) - known_errors - dead,
        })
    }

    async fn pages(mut self) -> Result<(), Ended> {
        loop {
            let page = match self.pages.ready() {
                Some(page) => page,
                None => {
                    // The foreign system is the slower one: what is there need not wait for more.
                    if !self.batcher.is_empty() || !self.leads.is_empty() {
                        let early = self.batcher.take();
                        self.send(early).await?;
                    }
                    match self.pages.next().await {
                        Some(page) => page,
                        None => break,
                    }
                }
            };
            let mut page = match page {
                Ok(page) => page,
                Err(error) => {
                    // What was read before the cut is good; keeping it makes the repeat shorter.
                    let last = self.batcher.take();
                    self.send(last).await?;
                    return Err(Ended::Pull(error));
                }
            };
            let progress = self.work.run.stream(self.stream);
            progress.note(page.notes);
            if let Some(total) = page.progress.total {
                progress.total_units = total;
            }
            self.count(Counted {
                row_errors: page.row_errors.len() as u64,
                ..Counted::default()
            });
            self.errors
                .extend(page.row_errors.into_iter().map(NewError::row));
            self.directory(&page.directory).await?;
            self.leads.extend(page.leads);
            self.revive(&mut page.records).await?;
            for record in page.records {
                let Some(message) = self.message(&record) else {
                    continue;
                };
                let full = self.batcher.push(message);
                self.send(full).await?;
                self.pending.push_back(record);
            }
            self.done_units = page.progress.done;
            if page.cursor.is_some() {
                self.open = Counted::default();
            }
            self.batcher.end_page(page.cursor.map(|c| c.0));
            if self.errors.len() >= MAX_ERRORS || self.leads.len() >= MAX_LEADS {
                let early = self.batcher.take();
                self.send(Some(early.unwrap_or_default())).await?;
            }
        }
        self.pages.join().await.map_err(Ended::Pull)?;
        let last = self.batcher.take();
        if last.is_some() || !self.errors.is_empty() {
            self.send(Some(last.unwrap_or_default())).await?;
        }
        Ok(())
    }

    async fn directory(&mut self, entries: &[jinke_sdk::DirectoryEntry]) -> Result<(), Ended> {
        if entries.is_empty() {
            return Ok(());
        }
        let taken = super::events::directory(&self.work.led.core, &self.origin.source, entries);
        let directory_entries = taken.await?;
        self.count(Counted {
            directory_entries,
            ..Counted::default()
        });
        Ok(())
    }

    /// Counts something of the page that is read now.
    fn count(&mut self, more: Counted) {
        self.open = self.open.and(more);
        self.work.run.stream(self.stream).count(more);
    }

    /// A record that a sweep found gone and that is there again, unchanged, is ordered behind its
    /// deletion; otherwise it would lose to it for ever.
    async fn revive(&self, records: &mut [SourceRecord]) -> Result<(), Failure> {
        if !self.has_gone || records.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = records.iter().map(|r| r.key.external_id.clone()).collect();
        let mut reader = self.work.led.core.db.read().await?;
        let gone = known::gone_among(&mut reader, &self.work.led.id, self.stream, &ids).await?;
        let gone: BTreeMap<_, _> = gone
            .iter()
            .map(|row| (row.external_id.as_str(), row))
            .collect();
        for record in records.iter_mut().filter(|r| !r.deleted) {
            let Some(row) = gone.get(record.key.external_id.as_str()) else {
                continue;
            };
            let deletion = (row.source_revision, row.source_time);
            if (record.source_revision, record.update_time) <= deletion {
                record.source_revision = deletion.0;
                record.update_time = later(deletion.0, deletion.1);
            }
        }
        Ok(())
    }

    /// The record as a message, or nothing when it cannot be sent; then it is an error.
    fn message(
        &mut self,
        record: &SourceRecord,
    ) -> Option<jinke_proto::jinke::customer::v1::SourceRecord> {
        let failure = match convert::source_record(record) {
            Ok(message) if message.encoded_len() <= MAX_RECORD_BYTES => return Some(message),
            Ok(_) => Failure::new(
                jinke_types::Code::InvalidArgument,
                "RECORD_TOO_LARGE",
                "the record is over 256 KiB",
            ),
            Err(failure) => failure,
        };
        self.count(Counted {
            rejected: 1,
            ..Counted::default()
        });
        let problem = Problem::from(&failure);
        // Sending it again would not help before its system changes it, so it is not kept.
        self.errors.push(NewError {
            effect: crate::domain::ErrorEffect::Rejected,
            external_id: record.key.external_id.clone(),
            location: jinke_sdk::Location::default(),
            column: String::new(),
            reason: problem.reason,
            message: problem.message,
        });
        None
    }

    /// Delivers a batch, then saves its cursor and what became of its records, as one.
    async fn send(&mut self, batch: Option<Batch>) -> Result<(), Ended> {
        let waits = !self.leads.is_empty();
        let Some(batch) = batch.or_else(|| waits.then(Batch::default)) else {
            return Ok(());
        };
        let core = self.work.led.core.clone();
        let versions = self.work.led.versions.clone();
        // Until what became of it is saved: a refused version of a record must not follow it.
        let order = versions.lock().await;
        let delivered = deliver(
            &*core.door,
            core.limits.delivery,
            &*core.entropy,
            &self.origin,
            self.cursor.as_deref(),
            &batch,
            &mut |_, _| {},
        )
        .await
        .map_err(|status| Trouble::of_status(&status))?;
        let told = self.send_leads().await?;
        count(&core.numbers, &delivered.counts);
        count(&core.numbers, &told.counts);
        let records: Vec<_> = self.pending.drain(..batch.records.len()).collect();
        let progress = self.work.run.stream(self.stream);
        progress.done_units = self.done_units;
        add(progress, &delivered.counts);
        add(progress, &told.counts);
        if batch.cursor.is_some() {
            progress.since_cursor = self.open;
        }
        let run = &mut self.work.run;
        run.retries += i64::try_from(delivered.retries + told.retries).unwrap_or(0);
        // It moves, so what failed before does not count any more.
        run.failures = 0;
        run.update_time = core.clock.now();
        let stood = self.save(&batch, (delivered, records), told).await?;
        drop(order);
        if !stood {
            return Err(Ended::Moved);
        }
        if batch.cursor.is_some() {
            self.cursor = batch.cursor;
        }
        Ok(())
    }

    /// Sends the leads that wait. They stay in their place until what became of them is saved.
    async fn send_leads(&self) -> Result<Delivered, Trouble> {
        let core = &self.work.led.core;
        deliver_leads(
            &*core.leads,
            (core.limits.delivery, &*core.entropy),
            &self.origin,
            self.cursor.as_deref(),
            &self.work.connection.org_unit,
            &self.leads,
            &mut |_, _| {},
        )
        .await
        .map_err(|status| Trouble::of_leads(&status))
    }

    /// Saves it, unless the cursor was reset meanwhile; whether it was not. `told` is what became of
    /// the leads that waited.
    async fn save(
        &mut self,
        batch: &Batch,
        (delivered, records): (Delivered, Vec<SourceRecord>),
        told: Delivered,
    ) -> Result<bool, Failure> {
        let core = self.work.led.core.clone();
        let leads = std::mem::take(&mut self.leads);
        let (led, sealer, run) = (&self.work.led, &self.work.sealer, &self.work.run);
        let now = core.clock.now();
        let mut noted: Vec<_> = std::mem::take(&mut self.errors)
            .into_iter()
            .map(|e| (e, None))
            .collect();
        for (place, rejected) in delivered.rejected {
            let refused = Refused::Record(Box::new(records[place].clone()));
            let sealed = sealer.seal_refused(self.stream, &refused)?;
            noted.push((rejection(rejected), Some(sealed)));
        }
        for (place, rejected) in told.rejected {
            let refused = Refused::Lead(Box::new(leads[place].clone()));
            let sealed = sealer.seal_refused(self.stream, &refused)?;
            noted.push((rejection(rejected), Some(sealed)));
        }
        let leads = leads.iter().zip(&told.outcomes);
        let leads = leads
            .filter(|(_, outcome)| was_taken(**outcome))
            .map(|(lead, _)| lead.key.external_id.clone());
        let taken = taken(sealer, self.stream, &records, &delivered.outcomes)?;
        let resolved: Vec<String> = if self.has_errors {
            taken
                .known
                .iter()
                .map(|k| k.external_id.clone())
                .chain(taken.deleted.clone())
                .chain(leads)
                .collect()
        } else {
            Vec::new()
        };
        self.has_errors |= !noted.is_empty();
        let seen = errors::Seen {
            connection: &led.id,
            stream: self.stream,
            run: run.number,
            now,
        };
        let (room, cursor, stream) = (self.room, self.cursor.as_deref(), self.stream);
        let left = core
            .db
            .write(async |mut tx| {
                lease::guard(&mut tx, &led.lease).await?;
                if let Some(to) = &batch.cursor {
                    let way = (cursor, to.as_str());
                    if !connections::move_cursor(&mut tx, &led.id, stream, way, now).await? {
                        return Ok(None);
                    }
                }
                let mut room = room;
                known::put(&mut tx, &led.id, self.stream, taken.known.clone()).await?;
                known::forget(&mut tx, &led.id, self.stream, &taken.deleted).await?;
                errors::resolve(&mut tx, &led.id, self.stream, &resolved).await?;
                for (error, payload) in &noted {
                    let again = payload.as_ref().map(|_| now.plus(core.limits.error_wait));
                    let payload = payload.clone();
                    errors::note_within(&mut tx, &mut room, seen, error, payload, again).await?;
                }
                runs::save(&mut tx, run).await?;
                Ok(Some(room))
            })
            .await?;
        if let Some(left) = left {
            self.room = left;
        }
        Ok(left.is_some())
    }
}
