//! Assignment rules: create, list, update, delete.

use jinke_types::Failure;

use super::{Api, page::Binding, request_id};
use crate::{
    access::Viewer,
    convert::{
        Check, pb,
        pipeline::{rule, rule_out},
    },
    domain::assign::{Rule, RuleBody},
    engine::By,
    store::rules,
};

const FIELDS: &[&str] = &[
    "display_name",
    "priority",
    "regions",
    "channels",
    "strategy",
    "owners",
    "org_unit",
    "disabled",
];

async fn shown(api: &Api, id: &str) -> Result<pb::AssignmentRule, Failure> {
    let mut reader = api.core.db.read().await?;
    let rule = rules::get(&mut reader, id)
        .await?
        .ok_or_else(|| Failure::not_found(format!("assignmentRules/{id}")))?;
    Ok(rule_out(&rule))
}

/// `CreateAssignmentRule`.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateAssignmentRuleRequest,
) -> Result<pb::AssignmentRule, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CreateAssignmentRule", &request));
    let id = check.id("assignment_rule_id", &request.assignment_rule_id);
    let r = request.assignment_rule.unwrap_or_default();
    let priority = i64::from(r.priority);
    let body = rule(&mut check, r);
    let (id, body) = check.finish(id.zip(body))?;
    viewer.org_unit(&body.org_unit)?;
    let new = Rule {
        id,
        priority,
        body,
        ..Rule::default()
    };
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let made = api.core.create_rule(&by, new).await?;
    shown(&api, &made).await
}

/// `ListAssignmentRules`.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListAssignmentRulesRequest,
) -> Result<pb::ListAssignmentRulesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 200);
    let size = check.finish(size)?;
    let binding = Binding::of("ListAssignmentRules", &viewer, &[]);
    let after: Option<(i64, String)> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let after = after.as_ref().map(|(p, id)| (*p, id.as_str()));
    let mut rows = rules::list(&mut reader, after, size + 1).await?;
    let more = rows.len() > size as usize;
    rows.truncate(size as usize);
    let next_page_token = match rows.last() {
        Some(last) if more => api.pages.token(&binding, &(last.priority, &last.id))?,
        _ => String::new(),
    };
    Ok(pb::ListAssignmentRulesResponse {
        assignment_rules: rows.iter().map(rule_out).collect(),
        next_page_token,
    })
}

/// `UpdateAssignmentRule`. What the mask does not name is taken from the rule as it is.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateAssignmentRuleRequest,
) -> Result<pb::AssignmentRule, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "UpdateAssignmentRule", &request));
    let mut r = request.assignment_rule.unwrap_or_default();
    let id = check.named("assignment_rule.name", &r.name, "assignmentRules");
    let paths = check.paths(request.update_mask, FIELDS, FIELDS);
    if !paths.has("owners") {
        // Not looked at, but a rule without owners would be refused.
        r.owners = vec!["users/unnamed".to_owned()];
    }
    let (etag, priority) = (r.etag.clone(), i64::from(r.priority));
    let body = rule(&mut check, r);
    let (id, body) = check.finish(id.zip(body))?;
    if paths.has("org_unit") {
        viewer.org_unit(&body.org_unit)?;
    }
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let named = |field: &str| paths.has(field);
    api.core
        .update_rule(&by, &id, &etag, |rule| {
            if named("priority") {
                rule.priority = priority;
            }
            merge(&mut rule.body, &body, &named);
        })
        .await?;
    shown(&api, &id).await
}

fn merge(to: &mut RuleBody, from: &RuleBody, named: &impl Fn(&str) -> bool) {
    let from = from.clone();
    if named("display_name") {
        to.display_name = from.display_name;
    }
    if named("regions") {
        to.regions = from.regions;
    }
    if named("channels") {
        to.channels = from.channels;
    }
    if named("strategy") {
        to.strategy = from.strategy;
    }
    if named("owners") {
        to.owners = from.owners;
    }
    if named("org_unit") {
        to.org_unit = from.org_unit;
    }
    if named("disabled") {
        to.disabled = from.disabled;
    }
}

/// `DeleteAssignmentRule`.
pub async fn delete(
    api: Api,
    viewer: Viewer,
    request: pb::DeleteAssignmentRuleRequest,
) -> Result<pb::DeleteAssignmentRuleResponse, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "DeleteAssignmentRule", &request));
    let id = check.named("name", &request.name, "assignmentRules");
    let id = check.finish(id)?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core.delete_rule(&by, &id, &request.etag).await?;
    Ok(pb::DeleteAssignmentRuleResponse {})
}
