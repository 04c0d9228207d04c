//! Sending refused records again.

use jinke_proto::jinke::customer::v1::ingest_result::Outcome;
use jinke_store::lease;
use jinke_types::{Failure, Timestamp};

use super::{
    keep::Led,
    taken::{count, taken},
};
use crate::{
    batch::{Batch, Origin},
    convert,
    deliver::deliver,
    domain::{DeadLetter, LetterKind, RecordError},
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
        // One stream at a time, because what becomes of the records is kept by stream.
        let stream = first.stream.clone();
        let list: Vec<_> = found.into_iter().filter(|e| e.stream == stream).collect();
        let mut records = Vec::new();
        for error in &list {
            let payload = error.payload.as_deref().unwrap_or_default();
            records.push(sealer.open_record(&stream, &error.external_id, payload)?);
        }
        let messages = records.iter().map(convert::source_record);
        let batch = Batch {
            records: messages.collect::<Result<_, _>>()?,
            cursor: None,
            later: false,
        };
        let origin = Origin {
            source: connection.source.id.clone(),
            digest: format!("{}/{}/errors/{}", led.id, connection.uid, now.0),
            run: 0,
            stream: stream.clone(),
        };
        let (door, backoff, entropy) = (&*core.door, core.limits.delivery, &*core.entropy);
        let sent = deliver(
            door,
            backoff,
            entropy,
            &origin,
            None,
            &batch,
            &mut |_, _| {},
        )
        .await;
        let done = match sent {
            Ok(done) => done,
            Err(status) => {
                tracing::info!(connection = led.id, code = ?status.code(), "refused records wait");
                let later = now.plus(core.limits.error_wait);
                return wait(led, &list, later).await;
            }
        };
        count(&core.numbers, &done.counts);
        let taken = taken(&sealer, &stream, &records, &done.outcomes)?;
        let resolved: Vec<String> = list
            .iter()
            .zip(&done.outcomes)
            .filter(|(_, o)| !matches!(o, Outcome::Rejected | Outcome::Unspecified))
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
