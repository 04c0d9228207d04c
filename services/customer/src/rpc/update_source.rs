//! `UpdateSource`.

use jinke_types::Failure;

use super::{Api, create_source, get_source, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::SourceUpdate,
};

const METHOD: &str = "jinke.customer.v1.SourceService/UpdateSource";
const FIELDS: [&str; 4] = ["display_name", "trust", "org_unit", "sharing"];

/// Changes the named fields; all of them when the mask is absent or empty.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateSourceRequest,
) -> Result<pb::Source, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    let source = request.source.unwrap_or_default();
    let name = check.source_name("source.name", &source.name);
    let mut paths = request
        .update_mask
        .map(|mask| mask.paths)
        .unwrap_or_default();
    for path in &paths {
        if !FIELDS.contains(&path.as_str()) {
            check.wrong::<()>(
                "update_mask",
                "its paths are display_name, trust, org_unit, sharing",
            );
        }
    }
    if paths.is_empty() {
        paths = FIELDS.map(str::to_owned).to_vec();
    }
    let named = |field: &str| paths.iter().any(|path| path == field);
    let mut update = SourceUpdate::default();
    if named("display_name") {
        let max = create_source::MAX_NAME;
        update.display_name = check.line("source.display_name", source.display_name, max);
    }
    if named("trust") {
        update.trust = create_source::trust(&mut check, source.trust);
    }
    if named("org_unit") {
        update.org_unit = create_source::org_unit(&mut check, source.org_unit);
    }
    if named("sharing") {
        update.shared = create_source::sharing(&mut check, source.sharing);
    }
    let name = check.finish(name)?;
    let present = get_source::visible(&api, &viewer, &name).await?;
    create_source::owns(&viewer.scope, &present.org_unit)?;
    if let Some(org_unit) = &update.org_unit {
        create_source::owns(&viewer.scope, org_unit)?;
    }
    let etag = Some(source.etag.as_str()).filter(|etag| !etag.is_empty());
    let updated = api
        .engine
        .update_source(&name, update, etag, id.as_ref())
        .await?;
    Ok(answer::source(&updated))
}
