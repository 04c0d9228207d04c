//! `ListRuleSets`.

use jinke_types::Failure;

use super::Api;
use crate::{
    access::Viewer,
    convert::{pb, record::party_kind_out},
};

/// The rule sets in force, organizations first, as their readable files.
pub async fn run(
    api: Api,
    _: Viewer,
    _: pb::ListRuleSetsRequest,
) -> Result<pb::ListRuleSetsResponse, Failure> {
    let rules = api.engine.rules();
    let rule_sets = [&rules.organization, &rules.person]
        .into_iter()
        .map(|set| pb::RuleSet {
            kind: party_kind_out(set.kind).into(),
            version: set.version.clone(),
            text: set.to_toml().to_owned(),
        })
        .collect();
    Ok(pb::ListRuleSetsResponse { rule_sets })
}
