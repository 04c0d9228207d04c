//! Working off what callbacks told.

use jinke_sdk::DirectoryEntry;
use jinke_store::lease;
use jinke_types::Failure;

use super::{
    Trouble,
    keep::Led,
    taken::{count, rejection},
};
use crate::{
    batch::{Batch, MAX_RECORDS, Origin},
    convert,
    core::{Core, Sealer},
    deliver::{Delivered, deliver, ensure_source},
    domain::{
        Connection, DeadLetter, EventState, LetterKind, Refused, RunKind, RunState, StoredEvent,
        Trigger,
    },
    import::SourceSpec,
    leads::deliver_leads,
    problem::Problem,
    store::{errors, events, letters, runs},
};

/// Works off the events of a connection that are due, the oldest first.
pub(super) async fn next(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    let connection = core.connection(&led.id).await?;
    let sealer = core.sealer(&connection)?;
    loop {
        let now = core.clock.now();
        let Some(found) = events::due(&mut *core.db.read().await?, &led.id, now).await? else {
            return Ok(());
        };
        let event = found.event;
        let done = one(led, &connection, &sealer, &event, found.payload).await;
        ended(led, &event, done).await?;
    }
}

async fn one(
    led: &Led,
    connection: &Connection,
    sealer: &Sealer,
    stored: &StoredEvent,
    payload: Option<Vec<u8>>,
) -> Result<(), Trouble> {
    let core = &led.core;
    let Some(payload) = payload else {
        return Ok(());
    };
    let mut event = sealer.open_event(stored.number, &payload)?;
    // Single rows are asked for here and now; whole streams get a run.
    super::rows::fetch(core, connection, &mut event).await?;
    let origin = Origin {
        source: connection.source.id.clone(),
        digest: format!("{}/{}/event", led.id, connection.uid),
        run: u64::try_from(stored.number).unwrap_or(0),
        stream: stored.topic.clone(),
    };
    if !event.records.is_empty() || !event.leads.is_empty() {
        let spec = SourceSpec {
            id: connection.source.id.clone(),
            display_name: connection.display_name.clone(),
            trust: connection.source.trust,
            org_unit: connection.org_unit.clone(),
            walled: connection.source.walled,
        };
        ensure_source(&*core.door, core.limits.delivery, &*core.entropy, &spec)
            .await
            .map_err(|status| Trouble::of_status(&status))?;
    }
    for records in event.records.chunks(MAX_RECORDS) {
        let batch = Batch {
            records: records
                .iter()
                .map(convert::source_record)
                .collect::<Result<_, _>>()
                .map_err(|f| Trouble::Here(Problem::from(&f)))?,
            cursor: None,
            later: false,
        };
        let (door, backoff, entropy) = (&*core.door, core.limits.delivery, &*core.entropy);
        let _order = led.versions.lock().await;
        let done = deliver(
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
        let refused = |place: usize| Refused::Record(Box::new(records[place].clone()));
        note(led, sealer, stored, done, refused).await?;
    }
    for leads in event.leads.chunks(MAX_RECORDS) {
        let (door, how) = (&*core.leads, (core.limits.delivery, &*core.entropy));
        let unit = &connection.org_unit;
        let _order = led.versions.lock().await;
        let done = deliver_leads(door, how, &origin, None, unit, leads, &mut |_, _| {})
            .await
            .map_err(|status| Trouble::of_leads(&status))?;
        let refused = |place: usize| Refused::Lead(Box::new(leads[place].clone()));
        note(led, sealer, stored, done, refused).await?;
    }
    if !event.directory.is_empty() {
        directory(core, &origin.source, &event.directory).await?;
    }
    if !event.pull.is_empty() {
        let now = core.clock.now();
        core.db
            .write(async |mut tx| {
                lease::guard(&mut tx, &led.lease).await?;
                // A run that has begun may have passed the stream already; one that waits has not.
                let open = runs::open(&mut tx, &led.id, RunKind::Pull, &event.pull).await?;
                if open.is_none_or(|run| run.state != RunState::Queued) {
                    let (kind, by) = (RunKind::Pull, Trigger::Callback);
                    runs::create(&mut tx, &led.id, kind, by, &event.pull, "", now).await?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// Counts what was delivered of an event, and keeps what was refused of it.
async fn note(
    led: &Led,
    sealer: &Sealer,
    stored: &StoredEvent,
    done: Delivered,
    refused: impl Fn(usize) -> Refused,
) -> Result<(), Failure> {
    let core = &led.core;
    count(&core.numbers, &done.counts);
    let now = core.clock.now();
    let seen = errors::Seen {
        connection: &led.id,
        stream: &stored.topic,
        run: 0,
        now,
    };
    let mut noted = Vec::new();
    for (place, why) in done.rejected {
        let sealed = sealer.seal_refused(&stored.topic, &refused(place))?;
        noted.push((rejection(why), sealed));
    }
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            if noted.is_empty() {
                return Ok(());
            }
            let kept = i64::from(core.limits.errors_kept);
            let mut room = kept - errors::count(&mut tx, &led.id).await?;
            room -= letters::count(&mut tx, &led.id).await?;
            for (error, payload) in &noted {
                let again = Some(now.plus(core.limits.error_wait));
                let payload = Some(payload.clone());
                errors::note_within(&mut tx, &mut room, seen, error, payload, again).await?;
            }
            Ok(())
        })
        .await
}

/// Delivers departments and members; how many were taken.
pub(super) async fn directory(
    core: &Core,
    source: &str,
    entries: &[DirectoryEntry],
) -> Result<u64, Trouble> {
    let Some(door) = &core.directory else {
        let failure = Failure::new(
            jinke_types::Code::Unimplemented,
            "DIRECTORY_NOT_OFFERED",
            "departments and members have nowhere to go here",
        );
        return Err(Trouble::Here(Problem::from(&failure)));
    };
    door.deliver(source, entries).await.map_err(|refused| {
        if refused.later {
            Trouble::Later(refused.problem)
        } else {
            Trouble::Here(refused.problem)
        }
    })
}

async fn ended(led: &Led, event: &StoredEvent, done: Result<(), Trouble>) -> Result<(), Failure> {
    let core = &led.core;
    let now = core.clock.now();
    let attempt = u32::try_from(event.attempts + 1).unwrap_or(u32::MAX);
    let (problem, again) = match done {
        Ok(()) => (None, None),
        Err(Trouble::Keeper(failure)) => return Err(failure),
        Err(Trouble::Later(problem)) => {
            let wait = core.limits.outbound.wait(attempt, &*core.entropy);
            (Some(problem), wait)
        }
        Err(Trouble::Here(problem) | Trouble::All(problem)) => (Some(problem), None),
    };
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            match (&problem, again) {
                (None, _) => events::end(&mut tx, event, EventState::Done, None, now).await,
                (Some(problem), Some(wait)) => {
                    events::again(&mut tx, event, problem, now.plus(wait)).await
                }
                (Some(problem), None) => {
                    let failed = EventState::Failed;
                    events::end(&mut tx, event, failed, Some(problem), now).await?;
                    let letter = DeadLetter {
                        connection: led.id.clone(),
                        number: 0,
                        kind: LetterKind::Event,
                        stream: event.topic.clone(),
                        external_id: event.key.clone(),
                        subject: event.number,
                        reason: problem.reason.clone(),
                        message: problem.message.clone(),
                        attempts: i64::from(attempt),
                        payload: None,
                        create_time: event.create_time,
                        update_time: now,
                    };
                    letters::put(&mut tx, &letter).await
                }
            }
        })
        .await
}
