//! Sending what goes out.
//!
//! Before an attempt it is noted that one is under way. A process that dies in it leaves the note,
//! and the next one knows that nobody knows: it sends again only where the foreign system tells a
//! repeated message by its key, and else makes a dead letter of it, for a person to decide.

use std::sync::Arc;

use jinke_sdk::{
    Connector, PushState, PushStep, SendError, SendErrorKind, Sent,
    outbound::{MAX_PUSH_STATE_BYTES, MAX_PUSH_STEPS, not_offered},
};
use jinke_store::lease;
use jinke_types::{Code, Failure};

use super::{keep::Led, recipient};
use crate::{
    core::Sealer,
    domain::{Connection, DeadLetter, DeliveryState, LetterKind, Payload},
    problem::Problem,
    store::{connections, deliveries, letters},
};

/// The reason that stands with a delivery while it is sent.
const UNDER_WAY: &str = "SENDING";

/// Sends what is due, the oldest first.
pub(super) async fn next(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    loop {
        let now = core.clock.now();
        let found = deliveries::due(&mut *core.db.read().await?, &led.id, now).await?;
        let Some(delivery) = found else {
            return Ok(());
        };
        // Read anew each time: somebody may have paused it or changed its settings.
        let connection = core.connection(&led.id).await?;
        if connection.paused {
            return Ok(());
        }
        let sealer = core.sealer(&connection)?;
        let connector = core.open(&connection);
        attempt(led, &sealer, connector, (delivery, &connection)).await?;
    }
}

async fn attempt(
    led: &Led,
    sealer: &Sealer,
    connector: Result<Arc<dyn Connector>, Failure>,
    (mut delivery, connection): (deliveries::Stored, &Connection),
) -> Result<(), Failure> {
    let revision = connection.revision;
    let cut = delivery
        .error
        .as_ref()
        .is_some_and(|e| e.reason == UNDER_WAY);
    let connector = match connector {
        Ok(connector) => connector,
        Err(failure) => {
            let error = SendError::new(SendErrorKind::Unauthorized, failure);
            return ended(led, (delivery, revision), Err(error)).await;
        }
    };
    let Some(outbound) = connector.outbound() else {
        let error = not_offered("this connector sends nothing");
        return ended(led, (delivery, revision), Err(error)).await;
    };
    let mut opened = sealer.open_delivery(delivery.clone())?;
    let message = matches!(opened.payload, Payload::Message(_));
    if cut && message && !outbound.repeats_by_key() {
        let failure = Failure::new(
            Code::FailedPrecondition,
            "DELIVERY_UNCERTAIN",
            "the process stopped while it was sent; whether it arrived is not known",
        );
        let error = SendError::new(SendErrorKind::Uncertain, failure);
        return ended(led, (delivery, revision), Err(error)).await;
    }
    delivery.attempts += 1;
    // Nothing has left yet: a process that dies in the asking has sent nothing.
    if let Payload::Message(message) = &mut opened.payload
        && let Err(error) = recipient::resolve(&led.core, connection, message).await
    {
        return ended(led, (delivery, revision), Err(error)).await;
    }
    delivery.error = Some(Problem {
        code: tonic::Code::Unknown.into(),
        reason: UNDER_WAY.to_owned(),
        message: "being sent".to_owned(),
        ..Problem::default()
    });
    save(led, &delivery).await?;
    let done = match &opened.payload {
        Payload::Message(message) => outbound.send(message).await,
        Payload::Push(push) => {
            let mut state = opened.push;
            let mut steps = 0;
            loop {
                steps += 1;
                if steps > MAX_PUSH_STEPS {
                    break Err(endless());
                }
                let (next, sent) = match outbound.push(push, &state).await {
                    Ok(PushStep::Next(next)) => (next, None),
                    Ok(PushStep::Done(next, sent)) => (next, Some(sent)),
                    Err(error) => break Err(error),
                };
                if next.memory.to_string().len() > MAX_PUSH_STATE_BYTES {
                    break Err(endless());
                }
                note_step(led, sealer, &mut delivery, &next).await?;
                state = next;
                if let Some(sent) = sent {
                    break Ok(sent);
                }
            }
        }
    };
    ended(led, (delivery, revision), done).await
}

fn endless() -> SendError {
    SendError::new(
        SendErrorKind::Refused,
        Failure::internal("a push takes more steps or remembers more than it may"),
    )
}

async fn save(led: &Led, delivery: &deliveries::Stored) -> Result<(), Failure> {
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            deliveries::save(&mut tx, delivery).await
        })
        .await
}

async fn note_step(
    led: &Led,
    sealer: &Sealer,
    delivery: &mut deliveries::Stored,
    state: &PushState,
) -> Result<(), Failure> {
    let memory = sealer.seal_memory(delivery.number, &state.memory)?;
    delivery.memory = Some(memory.clone());
    delivery.done_steps.clone_from(&state.done);
    let delivery = &*delivery;
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            deliveries::save_step(&mut tx, delivery, state, memory.clone()).await
        })
        .await
}

async fn ended(
    led: &Led,
    (mut delivery, revision): (deliveries::Stored, i64),
    done: Result<Sent, SendError>,
) -> Result<(), Failure> {
    let core = &led.core;
    let now = core.clock.now();
    let mut problem = None;
    let label = match done {
        Ok(sent) => {
            delivery.state = DeliveryState::Delivered;
            delivery.foreign_id = sent.foreign_id.unwrap_or_default();
            delivery.error = None;
            delivery.retry_time = None;
            delivery.end_time = Some(now);
            "delivered"
        }
        Err(error) => {
            let told = Problem::from(&error.failure);
            let attempt = u32::try_from(delivery.attempts.max(1)).unwrap_or(u32::MAX);
            let wait = match error.kind {
                SendErrorKind::Refused | SendErrorKind::Uncertain => None,
                SendErrorKind::Unauthorized | SendErrorKind::Unavailable => {
                    core.limits.outbound.wait(attempt, &*core.entropy)
                }
            };
            if error.kind == SendErrorKind::Unauthorized {
                problem = Some(told.clone());
            }
            delivery.error = Some(told);
            match wait {
                Some(wait) => {
                    let asked = error.retry_after.unwrap_or_default();
                    let wait = wait.max(asked.min(core.limits.outbound.longest));
                    delivery.retry_time = Some(now.plus(wait));
                    "again"
                }
                None => {
                    delivery.state = DeliveryState::Failed;
                    delivery.retry_time = None;
                    delivery.end_time = Some(now);
                    "failed"
                }
            }
        }
    };
    core.numbers.deliveries.with_label_values(&[label]).inc();
    let letter = (delivery.state == DeliveryState::Failed).then(|| {
        let error = delivery.error.clone().unwrap_or_default();
        DeadLetter {
            connection: led.id.clone(),
            number: 0,
            kind: LetterKind::Delivery,
            stream: String::new(),
            external_id: String::new(),
            subject: delivery.number,
            reason: error.reason,
            message: error.message,
            attempts: delivery.attempts,
            payload: None,
            create_time: delivery.create_time,
            update_time: now,
        }
    });
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            deliveries::save(&mut tx, &delivery).await?;
            if let Some(letter) = &letter {
                letters::put(&mut tx, letter).await?;
            }
            if problem.is_some() {
                let of = (led.id.as_str(), revision);
                connections::set_problem(&mut tx, of, problem.as_ref()).await?;
            }
            Ok(())
        })
        .await
}
