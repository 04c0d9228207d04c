//! `GetSource`.

use jinke_types::{Code, Failure};

use super::Api;
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::Source,
    error,
};

/// One source that the caller sees.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::GetSourceRequest,
) -> Result<pb::Source, Failure> {
    let mut check = Check::new();
    let id = check.source_name("name", &request.name);
    let id = check.finish(id)?;
    Ok(answer::source(&visible(&api, &viewer, &id).await?))
}

/// A source, or NOT_FOUND alike for one that does not exist and one that is walled off.
pub(super) async fn visible(api: &Api, viewer: &Viewer, id: &str) -> Result<Source, Failure> {
    match api.engine.get_source(id).await {
        Ok(source) if viewer.scope.sees(&source.org_unit, source.shared) => Ok(source),
        Ok(_) => Err(error::source_not_found(id)),
        Err(failure) if failure.code == Code::NotFound => Err(error::source_not_found(id)),
        Err(failure) => Err(failure),
    }
}
