//! Comparing all ids of one stream with those that were delivered.
//!
//! What vanished is deleted; a record that an earlier sweep found gone and that is there again
//! has the stream pulled from the start, which orders it behind its deletion (see `pull`). So a
//! vanished record that returns unchanged stays deleted until the next sweep or the next full
//! pull, and no longer.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use jinke_sdk::{Known, KnownRecords, StreamSchema, SweepLimit};
use jinke_store::lease;
use jinke_types::{Failure, SourceRecord};

use super::{
    Trouble,
    run::Work,
    taken::{add, count, known_of, rejection, taken},
};
use crate::{
    ahead::PageReader,
    batch::{Batch, MAX_BYTES, Origin},
    convert,
    core::{Core, Sealer},
    deliver::deliver,
    domain::{Finding, RunKind, Trigger},
    store::{connections, errors, known, runs},
};

/// Gone records looked at a time.
const GONE_PAGE: usize = 1_000;

/// What was delivered, for the connector to compare with.
struct Delivered {
    core: Core,
    sealer: Sealer,
    connection: String,
    stream: String,
    returned: AtomicBool,
}

#[async_trait]
impl KnownRecords for Delivered {
    async fn count(&self) -> Result<u64, Failure> {
        known::count(
            &mut *self.core.db.read().await?,
            &self.connection,
            &self.stream,
        )
        .await
    }

    async fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Known>, Failure> {
        let mut reader = self.core.db.read().await?;
        let (id, stream) = (&self.connection, &self.stream);
        let rows = known::page(&mut reader, id, stream, false, after, limit).await?;
        rows.into_iter()
            .map(|row| {
                let record = self.sealer.open_known(stream, row)?;
                Ok(Known {
                    external_id: record.external_id,
                    source_revision: record.source_revision,
                    update_time: record.update_time,
                    body: record.body,
                })
            })
            .collect()
    }

    async fn present(&self, ids: &BTreeSet<String>) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let mut reader = self.core.db.read().await?;
            let (id, stream, at) = (&self.connection, &self.stream, after.as_deref());
            let rows = known::page(&mut reader, id, stream, true, at, GONE_PAGE).await?;
            if rows.iter().any(|row| ids.contains(&row.external_id)) {
                self.returned.store(true, Ordering::SeqCst);
                return Ok(());
            }
            match rows.last() {
                Some(last) => after = Some(last.external_id.clone()),
                None => return Ok(()),
            }
        }
    }
}

/// Sweeps a stream.
pub(super) async fn stream(work: &mut Work, schema: &StreamSchema) -> Result<(), Trouble> {
    let core = work.led.core.clone();
    let sweep = &work.connection.sweep;
    let number = |n: Option<i32>, default| n.map_or(default, |n| u64::try_from(n).unwrap_or(0));
    let usual = SweepLimit::default();
    // A consent is for the streams that asked for it.
    let asked = work.run.findings.iter().any(|f| f.stream == schema.stream);
    let limit = if work.run.approved && asked {
        SweepLimit::none()
    } else {
        SweepLimit {
            percent: number(sweep.limit_percent, usual.percent),
            at_least: number(sweep.limit_at_least, usual.at_least),
        }
    };
    let delivered = Arc::new(Delivered {
        core: core.clone(),
        sealer: work.sealer.clone(),
        connection: work.led.id.clone(),
        stream: schema.stream.clone(),
        returned: AtomicBool::new(false),
    });
    let mut pages = PageReader::sweep(&work.connector, &schema.stream, delivered.clone(), limit);
    while let Some(page) = pages.next().await {
        let page = match page {
            Ok(page) => page,
            Err(error) if error.failure.reason == "SWEEP_TOO_MANY_GONE" => {
                let fact = |name: &str| {
                    let text = error.failure.metadata.get(name);
                    text.and_then(|t| t.parse().ok()).unwrap_or(0)
                };
                work.run.findings.retain(|f| f.stream != schema.stream);
                work.run.findings.push(Finding {
                    stream: schema.stream.clone(),
                    gone_at_least: fact("gone_at_least"),
                    known: fact("known"),
                    may_vanish: fact("most"),
                });
                // Pending again: with consent the stream is swept anew.
                return Ok(());
            }
            Err(error) if error.failure.reason == "SWEEP_NOT_OFFERED" => {
                let note = "its deletions cannot be found by comparing ids".to_owned();
                work.run.stream(&schema.stream).note([note]);
                return Ok(());
            }
            Err(error) => return Err(Trouble::of_pull(&error)),
        };
        work.run.stream(&schema.stream).note(page.notes);
        for records in by_size(page.records) {
            delete(work, &schema.stream, records).await?;
        }
    }
    pages.join().await.map_err(|e| Trouble::of_pull(&e))?;
    if delivered.returned.load(Ordering::SeqCst) {
        pull_anew(work, &schema.stream).await?;
    }
    Ok(())
}

/// Deletions are small, but their ids are not ours: no batch is larger than the service takes.
fn by_size(records: Vec<SourceRecord>) -> Vec<Vec<SourceRecord>> {
    let mut out: Vec<Vec<SourceRecord>> = Vec::new();
    let mut bytes = MAX_BYTES;
    for record in records {
        // A skeleton holds little beside its ids; a kilobyte is more than all of them.
        let size = 1_024 + record.key.external_id.len();
        if bytes + size > MAX_BYTES {
            out.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(batch) = out.last_mut() {
            batch.push(record);
        }
    }
    out
}

/// Delivers deletions and notes that their records are gone.
async fn delete(work: &mut Work, stream: &str, records: Vec<SourceRecord>) -> Result<(), Trouble> {
    let core = work.led.core.clone();
    let messages = records.iter().map(convert::source_record);
    let batch = Batch {
        records: messages.collect::<Result<_, _>>()?,
        cursor: None,
        later: false,
    };
    let origin = Origin {
        source: work.connection.source.id.clone(),
        digest: format!("{}/{}", work.led.id, work.connection.uid),
        run: u64::try_from(work.run.number).unwrap_or(0),
        stream: stream.to_owned(),
    };
    let (door, backoff, entropy) = (&*core.door, core.limits.delivery, &*core.entropy);
    let delivered = deliver(
        door,
        backoff,
        entropy,
        &origin,
        None,
        &batch,
        &mut |_, _| {},
    )
    .await
    .map_err(|status| Trouble::of_status(&status))?;
    count(&core.numbers, &delivered.counts);
    let now = core.clock.now();
    let gone = taken(&work.sealer, stream, &records, &delivered.outcomes)?.deleted;
    let rows: Vec<_> = records
        .iter()
        .filter(|record| gone.contains(&record.key.external_id))
        .map(|record| work.sealer.seal_known(stream, &known_of(record, true)))
        .collect::<Result<_, _>>()?;
    let progress = work.run.stream(stream);
    add(progress, &delivered.counts);
    progress.deleted += rows.len() as u64;
    work.run.retries += i64::try_from(delivered.retries).unwrap_or(0);
    work.run.failures = 0;
    work.run.update_time = now;
    let refused: Vec<_> = delivered
        .rejected
        .into_iter()
        .map(|(_, rejected)| rejection(rejected))
        .collect();
    let (led, run) = (&work.led, &work.run);
    let seen = errors::Seen {
        connection: &led.id,
        stream,
        run: run.number,
        now,
    };
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            known::put(&mut tx, &led.id, stream, rows.clone()).await?;
            // The next sweep finds it gone again, so the deletion itself is not kept.
            for error in &refused {
                errors::note(&mut tx, seen, error, None, None).await?;
            }
            runs::save(&mut tx, run).await
        })
        .await?;
    Ok(())
}

/// Has a stream pulled from the start, because something came back that no pull would tell of.
async fn pull_anew(work: &Work, stream: &str) -> Result<(), Failure> {
    let (led, streams) = (&work.led, [stream.to_owned()]);
    let now = led.core.clock.now();
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            connections::reset_cursor(&mut tx, &led.id, stream).await?;
            let (kind, by) = (RunKind::Pull, Trigger::Schedule);
            runs::create(&mut tx, &led.id, kind, by, &streams, "", now).await?;
            Ok(())
        })
        .await
}
