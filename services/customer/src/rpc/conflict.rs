//! Why a judgement cannot hold, as far as its caller may know.

use jinke_types::Failure;

use super::Api;
use crate::{access::Viewer, store::query::Rows};

/// Takes records of sources that the caller does not see out of a refused judgement's metadata.
/// The path through them goes as a whole: its length alone would tell how many there are.
pub(super) async fn told(api: &Api, viewer: &Viewer, mut failure: Failure) -> Failure {
    if failure.reason != "MERGE_CONFLICT" {
        return failure;
    }
    // Which scheme differs tells that there are two values of it.
    let person = failure
        .metadata
        .get("party_kind")
        .is_none_or(|k| k == "person");
    let hidden = failure.metadata.get("conflict").map(String::as_str)
        == Some("exclusive_identifier")
        && failure.metadata.get("detail").is_some_and(|scheme| {
            !viewer
                .mask
                .allows(jinke_types::class_of("identifier", scheme, person))
        });
    if hidden {
        failure.metadata.remove("detail");
    }
    let rows = match api.read(viewer).await {
        Ok((_, rows)) => rows,
        Err(failure) => return failure,
    };
    if rows == Rows::All {
        return failure;
    }
    for end in ["left", "right"] {
        let seen = failure
            .metadata
            .get(end)
            .and_then(|key| {
                key.strip_prefix("sources/")
                    .unwrap_or(key)
                    .split('/')
                    .next()
            })
            .is_some_and(|source| rows.sees(source));
        if !seen {
            failure.metadata.remove(end);
        }
    }
    failure.metadata.remove("path");
    failure
}
