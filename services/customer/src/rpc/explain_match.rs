//! `ExplainMatch`.

use jinke_types::{Code, Failure};

use super::Api;
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, value::record_key},
    error,
};

/// The waterfall of two records that the caller sees.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ExplainMatchRequest,
) -> Result<pb::MatchExplanation, Failure> {
    let mut check = Check::new();
    let left = record_key(&mut check, "left", request.left);
    let right = record_key(&mut check, "right", request.right);
    if left.is_some() && left == right {
        check.wrong::<()>("right", "must be another record");
    }
    let (left, right) = check.finish(left.zip(right))?;
    match api.engine.explain(&left, &right, &viewer.scope).await {
        Ok(explained) => {
            let rules = api.engine.rules().await?;
            Ok(answer::explanation(&explained, &rules))
        }
        Err(failure) if failure.code == Code::NotFound => {
            Err(error::record_not_found(&left.source)
                .with("other_source", format!("sources/{}", right.source)))
        }
        Err(failure) => Err(failure),
    }
}
