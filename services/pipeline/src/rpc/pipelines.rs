//! Pipelines: create, get, list, update, versions.

use jinke_types::Failure;

use super::{Api, page::Binding, request_id};
use crate::{
    access::Viewer,
    convert::{
        Check,
        number::duration,
        pb,
        pipeline::{pipeline_out, process, version_out},
    },
    domain::pipelines::STALE_AFTER,
    engine::{By, pipelines::PipelineUpdate},
    store::pipelines::{self, PipelineRow},
};

const FIELDS: &[&str] = &["display_name", "stages", "archived", "stale_after"];

async fn shown(api: &Api, id: &str, version: i64) -> Result<pb::Pipeline, Failure> {
    let mut reader = api.core.db.read().await?;
    let row = pipelines::get(&mut reader, id)
        .await?
        .ok_or_else(|| Failure::not_found(format!("pipelines/{id}")))?;
    let number = if version == 0 { row.version } else { version };
    if number > row.version {
        let name = format!("pipelines/{id}/versions/{number}");
        return Err(Failure::not_found(name));
    }
    let process = api.core.processes.get(&mut reader, id, number).await?;
    Ok(pipeline_out(&row, number, &process))
}

/// `CreatePipeline`.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreatePipelineRequest,
) -> Result<pb::Pipeline, Failure> {
    let mut check = Check::new();
    let id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CreatePipeline", &request));
    let pipeline_id = check.id("pipeline_id", &request.pipeline_id);
    let p = request.pipeline.unwrap_or_default();
    let display_name = check.required("pipeline.display_name", p.display_name, 200);
    let stages = process(&mut check, p.stages);
    let stale_after = duration(&mut check, "pipeline.stale_after", p.stale_after);
    let parsed = pipeline_id.zip(display_name).zip(stages.zip(stale_after));
    let ((pipeline_id, display_name), (stages, stale_after)) = check.finish(parsed)?;
    let row = PipelineRow {
        id: pipeline_id,
        display_name,
        archived: p.archived,
        stale_after: stale_after.unwrap_or(STALE_AFTER),
        version: 1,
        ..PipelineRow::default()
    };
    if request.validate_only {
        return Ok(pipeline_out(&row, 1, &stages));
    }
    let by = By {
        viewer: &viewer,
        request: id.as_ref(),
    };
    let made = api.core.create_pipeline(&by, row, stages).await?;
    shown(&api, &made, 0).await
}

/// `GetPipeline`.
pub async fn get(
    api: Api,
    _: Viewer,
    request: pb::GetPipelineRequest,
) -> Result<pb::Pipeline, Failure> {
    let mut check = Check::new();
    let id = check.named("name", &request.name, "pipelines");
    if request.version < 0 {
        check.wrong::<()>("version", "is negative");
    }
    let id = check.finish(id)?;
    shown(&api, &id, request.version).await
}

/// `ListPipelines`.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListPipelinesRequest,
) -> Result<pb::ListPipelinesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 200);
    let size = check.finish(size)?;
    let archived = request.show_archived.to_string();
    let binding = Binding::of("ListPipelines", &viewer, &[&archived]);
    let after: Option<String> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let after = after.unwrap_or_default();
    let mut rows = pipelines::list(&mut reader, request.show_archived, &after, size + 1).await?;
    let more = rows.len() > size as usize;
    rows.truncate(size as usize);
    let next_page_token = match rows.last() {
        Some(last) if more => api.pages.token(&binding, &last.id)?,
        _ => String::new(),
    };
    let mut out = Vec::with_capacity(rows.len());
    for row in &rows {
        let process = api
            .core
            .processes
            .get(&mut reader, &row.id, row.version)
            .await?;
        out.push(pipeline_out(row, row.version, &process));
    }
    Ok(pb::ListPipelinesResponse {
        pipelines: out,
        next_page_token,
    })
}

/// `UpdatePipeline`.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdatePipelineRequest,
) -> Result<pb::Pipeline, Failure> {
    let mut check = Check::new();
    let id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "UpdatePipeline", &request));
    let p = request.pipeline.unwrap_or_default();
    let name = check.named("pipeline.name", &p.name, "pipelines");
    let paths = check.paths(request.update_mask, FIELDS, FIELDS);
    let update = (|| {
        Some(PipelineUpdate {
            display_name: paths.when("display_name", || {
                check.required("pipeline.display_name", p.display_name, 200)
            })?,
            process: paths.when("stages", || process(&mut check, p.stages))?,
            archived: paths.has("archived").then_some(p.archived),
            stale_after: paths.when("stale_after", || {
                let after = duration(&mut check, "pipeline.stale_after", p.stale_after)?;
                Some(after.unwrap_or(STALE_AFTER))
            })?,
        })
    })();
    let (name, update) = check.finish(name.zip(update))?;
    if request.validate_only {
        return shown(&api, &name, 0).await;
    }
    let by = By {
        viewer: &viewer,
        request: id.as_ref(),
    };
    api.core
        .update_pipeline(&by, &name, &p.etag, &update)
        .await?;
    shown(&api, &name, 0).await
}

/// `ListPipelineVersions`.
pub async fn versions(
    api: Api,
    viewer: Viewer,
    request: pb::ListPipelineVersionsRequest,
) -> Result<pb::ListPipelineVersionsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 20, 100);
    let id = check.named("parent", &request.parent, "pipelines");
    let (size, id) = check.finish(size.zip(id))?;
    let binding = Binding::of("ListPipelineVersions", &viewer, &[&id]);
    let before: Option<i64> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    if pipelines::get(&mut reader, &id).await?.is_none() {
        return Err(Failure::not_found(format!("pipelines/{id}")));
    }
    let before = before.unwrap_or_default();
    let mut rows = pipelines::versions(&mut reader, &id, before, size + 1).await?;
    let more = rows.len() > size as usize;
    rows.truncate(size as usize);
    let next_page_token = match rows.last() {
        Some(last) if more => api.pages.token(&binding, &last.version)?,
        _ => String::new(),
    };
    let running = pipelines::running(&mut reader, &id, &viewer.sight()).await?;
    let count = |version: i64| running.get(&version).copied().unwrap_or_default();
    Ok(pb::ListPipelineVersionsResponse {
        pipeline_versions: rows
            .iter()
            .map(|v| version_out(&id, v, count(v.version)))
            .collect(),
        next_page_token,
    })
}
