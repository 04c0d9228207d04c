//! `ListMatchReviews`.

use jinke_types::Failure;

use super::{Api, page::Binding};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
};

const METHOD: &str = "ListMatchReviews";

/// Open reviews of which the caller sees both records, highest score first.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListMatchReviewsRequest,
) -> Result<pb::ListMatchReviewsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 200);
    let size = check.finish(size)?;
    let binding = Binding::of(METHOD, &viewer, &[]);
    let after: Option<(i32, i64, i64)> = api.pages.cursor(&binding, &request.page_token)?;
    let mut found = api
        .engine
        .list_reviews(after, size + 1, &viewer.scope)
        .await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api
            .pages
            .token(&binding, &(last.score, last.left_no, last.right_no))?,
        _ => String::new(),
    };
    let match_reviews = found.iter().map(answer::review).collect();
    Ok(pb::ListMatchReviewsResponse {
        match_reviews,
        next_page_token,
    })
}
