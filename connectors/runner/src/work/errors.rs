//! Sending refused records and leads again.

use jinke_store::lease;
use jinke_types::{Failure, SourceRecord, Timestamp};
use tonic::Status;

use super::{
    keep::Led,
    taken::{count, taken, was_taken},
};
use crate::{
    batch::{Batch, Origin},
    convert,
    deliver::{Delivered, deliver},
    domain::{DeadLetter, LetterKind, RecordError, Refused},
    leads::deliver_leads,
    report::Rejected,
    store::{errors, known, letters},
};

/// Records sent at a time. Each may be as large as the service takes.
const BATCH: u32 = 15;

/// Sends what is due. When the service is away, all of it waits for the first wait again.
pub(super) async fn next(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    let connection = core.connection(&led.id).await?;
    let sealer = core.sealer(&connection)?;
    loop {
        let now = core.clock.now();
        // What is read now is not taken by a pull, in a later version, before it is sent.
        let _order = led.versions.lock().await;
        let found = errors::due(&mut *core.db.read().await?, &led.id, now, BATCH).await?;
        let Some(first) = found.first() else {
            return Ok(());
        };
        // One stream at a time, because what becomes of the records is kept by stream; and either
        // records or leads, which go to different services.
        let stream = first.stream.clone();
        let (mut list, mut records, mut leads) = (Vec::new(), Vec::new(), Vec::new());
        for error in found.into_iter().filter(|e| e.stream == stream) {
            let payload = error.payload.as_deref().unwrap_or_default();
            match sealer.open_refused(&stream, &error.external_id, payload)? {
                Refused::Record(record) if leads.is_empty() => records.push(*record),
                Refused::Lead(lead) if records.is_empty() => leads.push(*lead),
                // Its turn is the next one.
                _ => continue,
            }
            list.push(error);
        }
        let origin = Origin {
            source: connection.source.id.clone(),
            digest: format!("{}/{}/errors/{}", led.id, connection.uid, now.0),
            run: 0,
            stream: stream.clone(),
        };
        let sent = if leads.is_empty() {
            send(led, &origin, &records).await?
        } else {
            let (backoff, unit) = (core.limits.delivery, &connection.org_unit);
            let (door, how) = (&*core.leads, (backoff, &*core.entropy));
            deliver_leads(door, how, &origin, None, unit, &leads, &mut |_, _| {}).await
        };
        let done = match sent {
            Ok(done) => done,
            Err(status) => {
                tracing::info!(connection = led.id, code = ?status.code(), "refused records wait");
                let later = now.plus(core.limits.error_wait);
                return wait(led, &list, later).await;
            }
        };
        count(&core.numbers, &done.counts);
        // Leads are in nobody's sweep.
        let taken = taken(&sealer, &stream, &records, &done.outcomes)?;
        let resolved: Vec<String> = list
            .iter()
            .zip(&done.outcomes)
            .filter(|(_, o)| was_taken(**o))
            .map(|(e, _)| e.external_id.clone())
            .collect();
        core.db
            .write(async |mut tx| {
                lease::guard(&mut tx, &led.lease).await?;
                known::put(&mut tx, &led.id, &stream, taken.known.clone()).await?;
                known::forget(&mut tx, &led.id, &stream, &taken.deleted).await?;
                errors::resolve(&mut tx, &led.id, &stream, &resolved).await?;
                for (place, refusal) in &done.rejected {
                    refused(led, &mut tx, &list[*place], refusal, now).await?;
                }
                Ok(())
            })
            .await?;
    }
}

/// Sends records; the inner error is the customer service's.
async fn send(
    led: &Led,
    origin: &Origin,
    records: &[SourceRecord],
) -> Result<Result<Delivered, Status>, Failure> {
    let core = &led.core;
    let messages = records.iter().map(convert::source_record);
    let batch = Batch {
        records: messages.collect::<Result<_, _>>()?,
        cursor: None,
        later: false,
    };
    let (door, backoff, entropy) = (&*core.door, core.limits.delivery, &*core.entropy);
    Ok(deliver(door, backoff, entropy, origin, None, &batch, &mut |_, _| {}).await)
}

async fn wait(led: &Led, list: &[RecordError], later: Timestamp) -> Result<(), Failure> {
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            for error in list {
                errors::later(&mut tx, error, later).await?;
            }
            Ok(())
        })
        .await
}

/// Another wait, four times as long, or a dead letter.
async fn refused(
    led: &Led,
    tx: &mut jinke_store::Tx,
    error: &RecordError,
    refusal: &Rejected,
    now: Timestamp,
) -> Result<(), Failure> {
    let limits = &led.core.limits;
    let attempts = error.attempts + 1;
    if attempts < i64::from(limits.error_attempts) {
        let power = u32::try_from(error.attempts).unwrap_or(0).min(8);
        let again = now.plus(limits.error_wait.saturating_mul(4_u32.pow(power)));
        let (reason, message) = (&refusal.reason, &refusal.message);
        return errors::refused(tx, error, reason, message, Some(again), now).await;
    }
    let letter = DeadLetter {
        connection: led.id.clone(),
        number: 0,
        kind: LetterKind::Record,
        stream: error.stream.clone(),
        external_id: error.external_id.clone(),
        subject: 0,
        reason: refusal.reason.clone(),
        message: refusal.message.clone(),
        attempts,
        payload: error.payload.clone(),
        create_time: error.create_time,
        update_time: now,
    };
    letters::put(tx, &letter).await?;
    errors::remove(tx, &led.id, error.number).await
}
