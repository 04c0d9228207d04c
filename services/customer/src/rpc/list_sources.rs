//! `ListSources`.

use jinke_types::Failure;

use super::{Api, page::Binding};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
};

const METHOD: &str = "ListSources";

/// The sources the caller sees, by id; up to 1,000 a page, 100 when 0.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListSourcesRequest,
) -> Result<pb::ListSourcesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 100, 1_000);
    let size = check.finish(size)? as usize;
    let binding = Binding::of(METHOD, &viewer, &[]);
    let mut after: String = api
        .pages
        .cursor(&binding, &request.page_token)?
        .unwrap_or_default();
    let mut sources = Vec::new();
    // Walled sources are skipped, so more than one read may be needed; there are few sources.
    loop {
        let found = api.engine.list_sources(&after, 1_000).await?;
        let Some(last) = found.last().map(|s| s.id.clone()) else {
            break;
        };
        let more = found.len() == 1_000;
        for source in found {
            if !viewer.scope.sees(&source.org_unit, source.shared) {
                continue;
            }
            if sources.len() == size {
                let token = api.pages.token(&binding, &after)?;
                return Ok(pb::ListSourcesResponse {
                    sources,
                    next_page_token: token,
                });
            }
            after.clone_from(&source.id);
            sources.push(answer::source(&source));
        }
        if !more {
            break;
        }
        after = last;
    }
    Ok(pb::ListSourcesResponse {
        sources,
        next_page_token: String::new(),
    })
}
