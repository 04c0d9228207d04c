//! `ListRuleSets`.

use jinke_types::Failure;

use super::{Api, rule_set};
use crate::{access::Viewer, convert::pb};

/// Every version kept, those in force first, organizations before persons.
pub async fn run(
    api: Api,
    _: Viewer,
    _: pb::ListRuleSetsRequest,
) -> Result<pb::ListRuleSetsResponse, Failure> {
    let kept = api.engine.rule_sets().await?;
    let rule_sets = kept
        .iter()
        .map(|set| {
            let text = set.1;
            rule_set::out(set, text)
        })
        .collect();
    Ok(pb::ListRuleSetsResponse { rule_sets })
}
