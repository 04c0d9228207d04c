//! What went wrong and where pulls stand: record errors, dead letters, cursors.

use jinke_types::Failure;

use super::{
    Api, Once, Viewer, answer,
    check::{self, Check},
    claim, complete, pb,
};
use crate::{
    convert::timestamp,
    domain::{DeadLetter, LetterKind, Refused},
    store::{connections, deliveries, errors, events, letters},
};

fn checked(request_id: &str) -> Result<(), Failure> {
    let mut check = Check::default();
    check.request_id(request_id, false);
    check.done()
}

/// Record errors, the oldest first.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListRecordErrorsRequest,
) -> Result<pb::ListRecordErrorsResponse, Failure> {
    const METHOD: &str = "ListRecordErrors";
    let id = check::connection_id("parent", &request.parent)?;
    let size = check::page_size(request.page_size)?;
    api.visible(&viewer, id).await?;
    let bound = format!("{id}\n{}", request.stream);
    let after = api
        .pages
        .number(METHOD, &bound, &viewer, &request.page_token, 0)?;
    let mut reader = api.core.db.read().await?;
    let mut found = errors::list(&mut reader, id, &request.stream, after, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api
            .pages
            .token(METHOD, &bound, &viewer, &last.number.to_string()),
        _ => String::new(),
    };
    Ok(pb::ListRecordErrorsResponse {
        record_errors: found.iter().map(answer::record_error).collect(),
        next_page_token,
    })
}

/// Sends the kept records again now.
pub async fn retry(
    api: Api,
    viewer: Viewer,
    request: pb::RetryErrorsRequest,
) -> Result<pb::RetryErrorsResponse, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/RetryErrors";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    checked(&request.request_id)?;
    let id = check::connection_id("name", &request.name)?;
    api.visible(&viewer, id).await?;
    let now = api.core.clock.now();
    let count = api
        .core
        .db
        .write(async |mut tx| {
            if let Some(count) = claim(&api, &mut tx, once.as_ref()).await? {
                return Ok(count.parse().unwrap_or(0));
            }
            let count = errors::retry(&mut tx, id, &request.stream, now).await?;
            complete(&mut tx, once.as_ref(), &count.to_string()).await?;
            Ok(count)
        })
        .await?;
    api.core.wake();
    Ok(pb::RetryErrorsResponse {
        record_count: i64::try_from(count).unwrap_or(i64::MAX),
    })
}

/// Dead letters, the oldest first.
pub async fn list_letters(
    api: Api,
    viewer: Viewer,
    request: pb::ListDeadLettersRequest,
) -> Result<pb::ListDeadLettersResponse, Failure> {
    const METHOD: &str = "ListDeadLetters";
    let id = check::connection_id("parent", &request.parent)?;
    let size = check::page_size(request.page_size)?;
    api.visible(&viewer, id).await?;
    let after = api
        .pages
        .number(METHOD, id, &viewer, &request.page_token, 0)?;
    let mut reader = api.core.db.read().await?;
    let mut found = letters::list(&mut reader, id, after, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api
            .pages
            .token(METHOD, id, &viewer, &last.number.to_string()),
        _ => String::new(),
    };
    Ok(pb::ListDeadLettersResponse {
        dead_letters: found.iter().map(answer::dead_letter).collect(),
        next_page_token,
    })
}

async fn find(api: &Api, viewer: &Viewer, id: &str, number: i64) -> Result<DeadLetter, Failure> {
    api.visible(viewer, id).await?;
    let found = letters::get(&mut *api.core.db.read().await?, id, number).await?;
    found.ok_or_else(|| Failure::not_found(format!("connections/{id}/deadLetters/{number}")))
}

/// One dead letter with what it holds, as far as the viewer may see it.
pub async fn get_letter(
    api: Api,
    viewer: Viewer,
    request: pb::GetDeadLetterRequest,
) -> Result<pb::DeadLetter, Failure> {
    let (id, number) = check::child(&request.name, "deadLetters")?;
    let letter = find(&api, &viewer, id, number).await?;
    let mut shown = answer::dead_letter(&letter);
    if let (LetterKind::Record, Some(payload)) = (letter.kind, &letter.payload) {
        let sealer = api.core.sealer(&api.core.connection(id).await?)?;
        let refused = sealer.open_refused(&letter.stream, &letter.external_id, payload)?;
        shown.record = Some(match &refused {
            Refused::Record(record) => answer::record(record, &viewer.mask),
            Refused::Lead(lead) => answer::lead(lead, &viewer.mask),
        });
    }
    Ok(shown)
}

/// Gives it all its attempts again.
pub async fn retry_letter(
    api: Api,
    viewer: Viewer,
    request: pb::RetryDeadLetterRequest,
) -> Result<pb::RetryDeadLetterResponse, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/RetryDeadLetter";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    checked(&request.request_id)?;
    decide(&api, &viewer, &request.name, once, true).await?;
    Ok(pb::RetryDeadLetterResponse {})
}

/// Forgets it.
pub async fn discard_letter(
    api: Api,
    viewer: Viewer,
    request: pb::DiscardDeadLetterRequest,
) -> Result<pb::DiscardDeadLetterResponse, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/DiscardDeadLetter";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    checked(&request.request_id)?;
    decide(&api, &viewer, &request.name, once, false).await?;
    Ok(pb::DiscardDeadLetterResponse {})
}

async fn decide(
    api: &Api,
    viewer: &Viewer,
    name: &str,
    once: Option<Once>,
    again: bool,
) -> Result<(), Failure> {
    let (id, number) = check::child(name, "deadLetters")?;
    // A replay finds the letter gone, which is what it wanted.
    let found = find(api, viewer, id, number).await;
    let now = api.core.clock.now();
    api.core
        .db
        .write(async |mut tx| {
            if claim(api, &mut tx, once.as_ref()).await?.is_some() {
                return Ok(());
            }
            let letter = found.as_ref().map_err(Clone::clone)?;
            if !letters::remove(&mut tx, id, number).await? {
                return Err(Failure::not_found(name));
            }
            match letter.kind {
                LetterKind::Record if again => errors::revive(&mut tx, letter, now).await?,
                LetterKind::Record => {}
                LetterKind::Delivery => {
                    deliveries::decide(&mut tx, id, letter.subject, again, now).await?;
                }
                LetterKind::Event => {
                    events::decide(&mut tx, id, letter.subject, again, now).await?;
                }
            }
            complete(&mut tx, once.as_ref(), name).await
        })
        .await?;
    api.core.wake();
    Ok(())
}

/// Where the streams of a connection stand.
pub async fn list_cursors(
    api: Api,
    viewer: Viewer,
    request: pb::ListCursorsRequest,
) -> Result<pb::ListCursorsResponse, Failure> {
    let id = check::connection_id("parent", &request.parent)?;
    let connection = api.visible(&viewer, id).await?;
    let found = connections::cursors(&mut *api.core.db.read().await?, id).await?;
    let cursors = found.into_iter().map(|c| pb::Cursor {
        connection: connection.name(),
        stream: c.stream,
        cursor: c.cursor,
        known_records: c.known,
        update_time: c.time.map(timestamp),
    });
    Ok(pb::ListCursorsResponse {
        cursors: cursors.collect(),
    })
}

/// Lets the next run pull from the start.
pub async fn reset_cursor(
    api: Api,
    viewer: Viewer,
    request: pb::ResetCursorRequest,
) -> Result<pb::ResetCursorResponse, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/ResetCursor";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    checked(&request.request_id)?;
    let id = check::connection_id("name", &request.name)?;
    api.visible(&viewer, id).await?;
    let count = api
        .core
        .db
        .write(async |mut tx| {
            if let Some(count) = claim(&api, &mut tx, once.as_ref()).await? {
                return Ok(count.parse().unwrap_or(0));
            }
            let count = connections::reset_cursor(&mut tx, id, &request.stream).await?;
            complete(&mut tx, once.as_ref(), &count.to_string()).await?;
            Ok(count)
        })
        .await?;
    Ok(pb::ResetCursorResponse {
        cursor_count: i32::try_from(count).unwrap_or(i32::MAX),
    })
}
