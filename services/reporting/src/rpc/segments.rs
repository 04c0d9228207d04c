//! `CreateSegment`, `GetSegment`, `ListSegments`, `UpdateSegment`, `DeleteSegment`,
//! `ListSegmentVariables`.

use jinke_store::counter;
use jinke_types::{Code, Failure};
use prost::Message as _;

use super::{Api, request_id};
use crate::{
    access::Viewer,
    convert::{Check, check::time_out, parameters, pb},
    core::{check_etag, etag},
    segment::{Rule, VARIABLES},
    store::segments::{self, SegmentRow},
};

const METHOD: &str = "ListSegments";

/// A segment as the contract states it.
pub(super) fn out(row: &SegmentRow) -> Result<pb::Segment, Failure> {
    Ok(pb::Segment {
        name: format!("segments/{}", row.id),
        uid: row.uid.to_string(),
        display_name: row.display_name.clone(),
        description: row.description.clone(),
        conditions: row.conditions.clone(),
        parameters: Some(stated(row)?),
        revision: row.revision,
        creator: row.creator.clone(),
        create_time: Some(time_out(row.create_time)),
        update_time: Some(time_out(row.update_time)),
        etag: etag(row.revision),
    })
}

/// The parameters a segment was stored with.
pub(super) fn stated(row: &SegmentRow) -> Result<pb::MeasureParameters, Failure> {
    pb::MeasureParameters::decode(row.parameters.as_slice()).map_err(Failure::internal)
}

pub(super) fn not_found(id: &str) -> Failure {
    Failure::not_found(format!("segments/{id}"))
}

/// The id in `segments/{id}`.
pub(super) fn id_of(check: &mut Check, field: &str, name: &str) -> String {
    check.id(field, name.strip_prefix("segments/").unwrap_or_default())
}

/// The rule of conditions.
pub(super) fn rule(check: &mut Check, field: &str, conditions: &[String]) -> Option<Rule> {
    Rule::parse(conditions)
        .map_err(|(n, why)| check.wrong(format!("{field}[{n}]"), why))
        .ok()
}

fn content(api: &Api, check: &mut Check, viewer: &Viewer, s: &pb::Segment) -> Result<(), Failure> {
    check.text("segment.display_name", &s.display_name, 1, 200);
    check.text("segment.description", &s.description, 0, 2_000);
    parameters::parse(
        check,
        "segment.parameters",
        s.parameters.as_ref(),
        &api.core.defaults,
    );
    if let Some(rule) = rule(check, "segment.conditions", &s.conditions)
        && rule.financial()
    {
        viewer.needs_financial("a condition")?;
    }
    Ok(())
}

/// A new one.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateSegmentRequest,
) -> Result<pb::Segment, Failure> {
    let mut check = Check::new();
    let id = check.id("segment_id", &request.segment_id);
    let given = check.request_id(&request.request_id);
    let stated = request.segment.clone().unwrap_or_default();
    content(&api, &mut check, &viewer, &stated)?;
    check.done()?;
    let request_id = request_id(given, &viewer, "CreateSegment", &request);
    let (core, now, request_id) = (&api.core, api.core.clock.now(), request_id.as_ref());
    let mut row = SegmentRow {
        id,
        uid: 0,
        display_name: stated.display_name,
        description: stated.description,
        conditions: stated.conditions,
        parameters: stated.parameters.unwrap_or_default().encode_to_vec(),
        revision: 1,
        creator: viewer.caller.name,
        create_time: now,
        update_time: now,
    };
    if request.validate_only {
        if segments::get(&mut *core.db.read().await?, &row.id)
            .await?
            .is_some()
        {
            return Err(exists(&row.id));
        }
        return out(&row);
    }
    let new = &row;
    row = core
        .db
        .write(async |mut tx| {
            let tx = &mut tx;
            let stored = segments::get(tx, &new.id).await?;
            if core.claim(tx, request_id, now).await?.is_some() {
                return stored.ok_or_else(|| not_found(&new.id));
            }
            if stored.is_some() {
                return Err(exists(&new.id));
            }
            let made = SegmentRow {
                uid: counter::take(tx, "segments", 1).await?,
                ..new.clone()
            };
            segments::put(tx, &made).await?;
            core.complete(tx, request_id, &format!("segments/{}", made.id), 1)
                .await?;
            Ok(made)
        })
        .await?;
    out(&row)
}

fn exists(id: &str) -> Failure {
    Failure::new(
        Code::AlreadyExists,
        "SEGMENT_EXISTS",
        "there is a segment with this id",
    )
    .with("segment", format!("segments/{id}"))
}

/// One by name.
pub async fn get(
    api: Api,
    _viewer: Viewer,
    request: pb::GetSegmentRequest,
) -> Result<pb::Segment, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, "name", &request.name);
    check.done()?;
    let row = segments::get(&mut *api.core.db.read().await?, &id).await?;
    out(&row.ok_or_else(|| not_found(&id))?)
}

/// In order of id.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListSegmentsRequest,
) -> Result<pb::ListSegmentsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 1_000);
    check.done()?;
    let fingerprint = viewer.fingerprint();
    let parts = [METHOD, viewer.caller.name.as_str(), &fingerprint];
    let after: String = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or_default();
    let mut rows = segments::list(&mut *api.core.db.read().await?, &after, size + 1).await?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next_page_token = match rows.last() {
        Some(last) if more => api.core.pages.token(&parts, &last.id)?,
        _ => String::new(),
    };
    Ok(pb::ListSegmentsResponse {
        segments: rows.iter().map(out).collect::<Result<_, _>>()?,
        next_page_token,
    })
}

/// Changes the named fields.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateSegmentRequest,
) -> Result<pb::Segment, Failure> {
    let mut check = Check::new();
    let stated = request.segment.clone().unwrap_or_default();
    let id = id_of(&mut check, "segment.name", &stated.name);
    let given = check.request_id(&request.request_id);
    const FIELDS: [&str; 4] = ["display_name", "description", "conditions", "parameters"];
    let paths = request
        .update_mask
        .as_ref()
        .map(|m| m.paths.clone())
        .unwrap_or_default();
    for path in &paths {
        if !FIELDS.contains(&path.as_str()) {
            check.wrong("update_mask", format!("{path} cannot be updated"));
        }
    }
    check.done()?;
    let named = |field: &str| paths.is_empty() || paths.iter().any(|p| p == field);
    let request_id = request_id(given, &viewer, "UpdateSegment", &request);
    let (core, now, request_id) = (&api.core, api.core.clock.now(), request_id.as_ref());
    let (api, viewer, stated, named) = (&api, &viewer, &stated, &named);
    let row = core
        .db
        .write(async |mut tx| {
            let tx = &mut tx;
            tx.lock("segments").await?;
            let mut row = segments::get(tx, &id)
                .await?
                .ok_or_else(|| not_found(&id))?;
            if core.claim(tx, request_id, now).await?.is_some() {
                return Ok(row);
            }
            check_etag(&stated.etag, row.revision)?;
            if named("display_name") {
                row.display_name.clone_from(&stated.display_name);
            }
            if named("description") {
                row.description.clone_from(&stated.description);
            }
            if named("conditions") {
                row.conditions.clone_from(&stated.conditions);
            }
            if named("parameters") {
                row.parameters = stated
                    .parameters
                    .clone()
                    .unwrap_or_default()
                    .encode_to_vec();
            }
            let mut check = Check::new();
            content(api, &mut check, viewer, &out(&row)?)?;
            check.done()?;
            row.revision += 1;
            row.update_time = now;
            segments::put(tx, &row).await?;
            core.complete(tx, request_id, &format!("segments/{id}"), row.revision)
                .await?;
            Ok(row)
        })
        .await?;
    out(&row)
}

/// Removes one.
pub async fn delete(
    api: Api,
    viewer: Viewer,
    request: pb::DeleteSegmentRequest,
) -> Result<pb::DeleteSegmentResponse, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, "name", &request.name);
    let given = check.request_id(&request.request_id);
    check.done()?;
    let request_id = request_id(given, &viewer, "DeleteSegment", &request);
    let (core, now, request_id) = (&api.core, api.core.clock.now(), request_id.as_ref());
    let request = &request;
    core.db
        .write(async |mut tx| {
            let tx = &mut tx;
            tx.lock("segments").await?;
            if core.claim(tx, request_id, now).await?.is_some() {
                return Ok(());
            }
            let row = segments::get(tx, &id)
                .await?
                .ok_or_else(|| not_found(&id))?;
            check_etag(&request.etag, row.revision)?;
            segments::remove(tx, &id).await?;
            core.complete(tx, request_id, &format!("segments/{id}"), row.revision)
                .await
        })
        .await?;
    Ok(pb::DeleteSegmentResponse {})
}

/// What conditions may name.
pub async fn variables(
    _api: Api,
    _viewer: Viewer,
    _request: pb::ListSegmentVariablesRequest,
) -> Result<pb::ListSegmentVariablesResponse, Failure> {
    Ok(pb::ListSegmentVariablesResponse {
        variables: VARIABLES
            .iter()
            .map(|v| pb::list_segment_variables_response::Variable {
                name: v.name.to_owned(),
                r#type: v.kind.to_owned(),
                description: v.text.to_owned(),
                description_zh: v.zh.to_owned(),
                financial: v.financial,
            })
            .collect(),
    })
}
