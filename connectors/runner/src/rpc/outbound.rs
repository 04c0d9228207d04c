//! What goes out and what was told: messages, pushes, deliveries, events of callbacks.

use jinke_sdk::{
    Message, PartKind, Push, TextFormat,
    outbound::{MAX_MESSAGE_CHARS, MAX_RECIPIENT_CHARS, MAX_TITLE_CHARS},
};
use jinke_types::{Code, Failure};
use sha2::{Digest as _, Sha256};

use super::{
    Api, Once, Viewer, answer,
    check::{self, Check},
    claim, complete, pb,
};
use crate::{
    domain::{Connection, Delivery, Payload},
    store::{deliveries, events},
};

/// The key under which a delivery is told to the foreign system: the same for the same request of
/// the same caller, and nobody can guess another's from it.
fn key(connection: &Connection, viewer: &Viewer, request_id: &str) -> String {
    let text = format!(
        "{}/{}\n{}\n{request_id}",
        connection.id, connection.uid, viewer.caller.name
    );
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}

/// Takes a message.
pub async fn send(
    api: Api,
    viewer: Viewer,
    request: pb::SendMessageRequest,
) -> Result<pb::Delivery, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/SendMessage";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    if request.recipient.is_empty() {
        check.wrong("recipient", "is required");
    }
    if request.text.is_empty() {
        check.wrong("text", "is required");
    }
    check.text("recipient", &request.recipient, MAX_RECIPIENT_CHARS, false);
    check.text("title", &request.title, MAX_TITLE_CHARS, false);
    check.text("text", &request.text, MAX_MESSAGE_CHARS, true);
    check.done()?;
    let id = check::connection_id("name", &request.name)?;
    let connection = able(&api, &viewer, id, PartKind::Message).await?;
    let message = Message {
        key: key(&connection, &viewer, &request.request_id),
        recipient: request.recipient,
        title: request.title,
        text: request.text,
        format: if request.markdown {
            TextFormat::Markdown
        } else {
            TextFormat::Text
        },
    };
    take(&api, &viewer, &connection, Payload::Message(message), once).await
}

/// Takes a record to be written.
pub async fn push(
    api: Api,
    viewer: Viewer,
    request: pb::PushRecordRequest,
) -> Result<pb::Delivery, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/PushRecord";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    if request.record_kind.is_empty() {
        check.wrong("record_kind", "is required");
    }
    check.text("record_kind", &request.record_kind, 64, false);
    check.done()?;
    let fields = check::object("fields", request.fields)?;
    let id = check::connection_id("name", &request.name)?;
    let connection = able(&api, &viewer, id, PartKind::Push).await?;
    let push = Push {
        key: key(&connection, &viewer, &request.request_id),
        kind: request.record_kind,
        fields,
    };
    take(&api, &viewer, &connection, Payload::Push(push), once).await
}

/// A connection whose connector does what is asked.
async fn able(api: &Api, viewer: &Viewer, id: &str, part: PartKind) -> Result<Connection, Failure> {
    let connection = api.visible(viewer, id).await?;
    let spec = &api.core.registry.get(&connection.connector)?.spec;
    if spec.parts.iter().any(|p| p.kind == part) {
        return Ok(connection);
    }
    Err(Failure::new(
        Code::FailedPrecondition,
        "OUTBOUND_NOT_OFFERED",
        "this connector does not send or write what is asked",
    )
    .with("connector", format!("connectors/{}", connection.connector)))
}

async fn take(
    api: &Api,
    viewer: &Viewer,
    connection: &Connection,
    payload: Payload,
    once: Option<Once>,
) -> Result<pb::Delivery, Failure> {
    let sealer = api.core.sealer(connection)?;
    let now = api.core.clock.now();
    let stored = api
        .core
        .db
        .write(async |mut tx| {
            let number = match claim(api, &mut tx, once.as_ref()).await? {
                Some(name) => check::child(&name, "deliveries")?.1,
                None => {
                    let number = deliveries::number(&mut tx, &connection.id).await?;
                    let sealed = sealer.seal_payload(number, &payload)?;
                    let who = viewer.caller.name.as_str();
                    let id = connection.id.as_str();
                    deliveries::insert(&mut tx, id, number, &payload, sealed, who, now).await?;
                    let name = format!("connections/{id}/deliveries/{number}");
                    complete(&mut tx, once.as_ref(), &name).await?;
                    number
                }
            };
            let found = deliveries::get(&mut tx, &connection.id, number).await?;
            found.ok_or_else(|| {
                Failure::not_found(format!("connections/{}/deliveries/{number}", connection.id))
            })
        })
        .await?;
    api.core.wake();
    Ok(answer::delivery(
        &sealer.open_delivery(stored)?,
        &viewer.mask,
    ))
}

/// One delivery.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetDeliveryRequest,
) -> Result<pb::Delivery, Failure> {
    let (id, number) = check::child(&request.name, "deliveries")?;
    let connection = api.visible(&viewer, id).await?;
    let found = deliveries::get(&mut *api.core.db.read().await?, id, number).await?;
    let found = found.ok_or_else(|| Failure::not_found(&request.name))?;
    let delivery: Delivery = api.core.sealer(&connection)?.open_delivery(found)?;
    Ok(answer::delivery(&delivery, &viewer.mask))
}

/// Deliveries, the newest first.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListDeliveriesRequest,
) -> Result<pb::ListDeliveriesResponse, Failure> {
    const METHOD: &str = "ListDeliveries";
    let id = check::connection_id("parent", &request.parent)?;
    let size = check::page_size(request.page_size)?;
    let connection = api.visible(&viewer, id).await?;
    let before = api
        .pages
        .number(METHOD, id, &viewer, &request.page_token, i64::MAX)?;
    let mut reader = api.core.db.read().await?;
    let mut found = deliveries::list(&mut reader, id, before, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api
            .pages
            .token(METHOD, id, &viewer, &last.number.to_string()),
        _ => String::new(),
    };
    let sealer = api.core.sealer(&connection)?;
    let mut out = pb::ListDeliveriesResponse {
        deliveries: Vec::new(),
        next_page_token,
    };
    for stored in found {
        let opened = sealer.open_delivery(stored)?;
        out.deliveries.push(answer::delivery(&opened, &viewer.mask));
    }
    Ok(out)
}

/// Events of callbacks, the newest first.
pub async fn list_events(
    api: Api,
    viewer: Viewer,
    request: pb::ListCallbackEventsRequest,
) -> Result<pb::ListCallbackEventsResponse, Failure> {
    const METHOD: &str = "ListCallbackEvents";
    let id = check::connection_id("parent", &request.parent)?;
    let size = check::page_size(request.page_size)?;
    api.visible(&viewer, id).await?;
    let before = api
        .pages
        .number(METHOD, id, &viewer, &request.page_token, i64::MAX)?;
    let mut reader = api.core.db.read().await?;
    let mut found = events::list(&mut reader, id, before, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api
            .pages
            .token(METHOD, id, &viewer, &last.number.to_string()),
        _ => String::new(),
    };
    Ok(pb::ListCallbackEventsResponse {
        callback_events: found.iter().map(answer::event).collect(),
        next_page_token,
    })
}
