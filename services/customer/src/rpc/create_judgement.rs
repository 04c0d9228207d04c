//! `CreateJudgement`.

use std::collections::BTreeSet;

use jinke_types::{Failure, RecordKey};

use super::{Api, conflict, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, value::record_key},
    domain::{Decision, MAX_COMMENT, MAX_JUDGED, NewJudgement},
    error,
};

const METHOD: &str = "jinke.customer.v1.StewardshipService/CreateJudgement";

/// Stores what a person decided on records of sources that he sees.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::CreateJudgementRequest,
) -> Result<pb::Judgement, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    let judgement = match request.judgement {
        Some(judgement) => read(&mut check, judgement, &viewer),
        None => check.wrong("judgement", "is required"),
    };
    let judgement = check.finish(judgement)?;
    let (reader, rows) = api.read(&viewer).await?;
    drop(reader);
    if let Some(key) = judgement
        .left
        .iter()
        .chain(&judgement.right)
        .find(|k| !rows.sees(&k.source))
    {
        return Err(error::source_not_found(&key.source));
    }
    match api
        .engine
        .create_judgement(judgement, request.validate_only, id.as_ref())
        .await
    {
        Ok(stored) => Ok(answer::judgement(&stored, |key| rows.sees(&key.source))),
        Err(failure) => Err(conflict::told(&api, &viewer, failure).await),
    }
}

fn read(check: &mut Check, j: pb::Judgement, viewer: &Viewer) -> Option<NewJudgement> {
    use pb::judgement::Decision as D;
    let decision = check
        .required_enum("judgement.decision", "Judgement.Decision", j.decision)
        .and_then(|decision| match decision {
            D::Unspecified => None,
            D::Positive => Some(Decision::Positive),
            D::Negative => Some(Decision::Negative),
            D::Unsure => Some(Decision::Unsure),
        });
    if j.overrides_exclusivity && decision.is_some_and(|d| d != Decision::Positive) {
        check.wrong::<()>(
            "judgement.overrides_exclusivity",
            "only a positive judgement holds against exclusive identifiers",
        );
    }
    let left = side(check, "judgement.left", j.left);
    let right = side(check, "judgement.right", j.right);
    if let (Some(left), Some(right)) = (&left, &right)
        && !left
            .iter()
            .collect::<BTreeSet<_>>()
            .is_disjoint(&right.iter().collect())
    {
        check.wrong::<()>("judgement.right", "names a record that is on the left too");
    }
    let comment = check.text("judgement.comment", j.comment, MAX_COMMENT);
    Some(NewJudgement {
        decision: decision?,
        left: left?,
        right: right?,
        overrides_exclusivity: j.overrides_exclusivity,
        comment: comment?,
        creator: viewer.caller.name.clone(),
    })
}

fn side(check: &mut Check, path: &str, keys: Vec<pb::RecordKey>) -> Option<Vec<RecordKey>> {
    if keys.is_empty() || keys.len() > MAX_JUDGED {
        return check.wrong(path, format!("must hold 1 to {MAX_JUDGED} records"));
    }
    let parsed: Vec<_> = keys
        .into_iter()
        .enumerate()
        .map(|(i, key)| record_key(check, &format!("{path}[{i}]"), Some(key)))
        .collect();
    parsed.into_iter().collect()
}
