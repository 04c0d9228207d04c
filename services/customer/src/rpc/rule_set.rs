//! `GetRuleSet`, `CreateRuleSet`, `TrainRuleSet`, `EvaluateRuleSet`, `ActivateRuleSet`: what people
//! do with versions of rule sets.

use std::sync::Arc;

use jinke_proto::google::longrunning;
use jinke_resolution::RuleSet;
use jinke_store::operation::{Ended, Job};
use jinke_types::Failure;
use prost::Message;

use super::{Api, operations};
use crate::{
    access::{Viewer, shows_comparison},
    convert::{
        Check,
        number::time_out,
        pb,
        record::{party_kind, party_kind_out},
        value::record_key_out,
    },
    engine::{
        Engine,
        evaluate::{Decisive, Evaluation, MistakeKind, Share},
        rule_sets::KeptRuleSet,
        train::Learned,
    },
};

/// Longest rule file in bytes.
const MAX_TEXT: usize = 1 << 20;

/// A version on its way out; with its text or without.
pub(super) fn out((row, active): &KeptRuleSet, text: bool) -> pb::RuleSet {
    use pb::rule_set::State;
    let state = if *active {
        State::Active
    } else {
        State::Inactive
    };
    pb::RuleSet {
        kind: party_kind_out(row.kind).into(),
        version: row.version.clone(),
        text: if text {
            row.text.clone()
        } else {
            String::new()
        },
        name: if row.id == 0 {
            String::new()
        } else {
            format!("ruleSets/{}", row.id)
        },
        state: state.into(),
        origin: row.origin.clone(),
        creator: row.creator.clone(),
        create_time: Some(time_out(row.create_time)),
        activate_time: row.activate_time.map(time_out),
        // A file that a person wrote may have kept the line of the one it was made from.
        training: (row.origin == "trained")
            .then(|| Learned::read(&row.text))
            .flatten()
            .map(|l| pb::rule_set::Training {
                records: l.records,
                candidate_pairs: l.candidate_pairs,
                judged_pairs: l.judged_pairs,
                judged_pairs_left_out: l.judged_pairs_left_out,
            }),
    }
}

/// The number in a name such as `ruleSets/3`.
pub(super) fn number(
    check: &mut Check,
    field: &'static str,
    collection: &'static str,
    name: &str,
) -> Option<i64> {
    let found = name
        .strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|id| id.starts_with(|c: char| ('1'..='9').contains(&c)))
        .and_then(|id| id.parse().ok());
    if found.is_none() {
        check.wrong::<()>(field, format!("must be written {collection}/{{number}}"));
    }
    found
}

fn rule_set_number(name: &str) -> Result<i64, Failure> {
    let mut check = Check::new();
    let id = number(&mut check, "name", "ruleSets", name);
    check.finish(id)
}

/// `GetRuleSet`.
pub async fn get(
    api: Api,
    _: Viewer,
    request: pb::GetRuleSetRequest,
) -> Result<pb::RuleSet, Failure> {
    let id = rule_set_number(&request.name)?;
    Ok(out(&api.engine.rule_set(id).await?, true))
}

/// `CreateRuleSet`.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateRuleSetRequest,
) -> Result<pb::RuleSet, Failure> {
    operations::sees_all(&viewer)?;
    if request.text.len() > MAX_TEXT {
        let most = format!("must have at most {MAX_TEXT} bytes");
        return Err(Failure::field("text", most));
    }
    let creator = &viewer.caller.name;
    let kept = api
        .engine
        .keep_rule_set(&request.text, creator, request.validate_only)
        .await?;
    Ok(out(&kept, true))
}

/// `TrainRuleSet`.
pub async fn train(
    api: Api,
    viewer: Viewer,
    request: pb::TrainRuleSetRequest,
) -> Result<longrunning::Operation, Failure> {
    operations::sees_all(&viewer)?;
    let mut check = Check::new();
    let kind = pb::PartyKind::try_from(request.kind)
        .ok()
        .and_then(party_kind);
    if kind.is_none() {
        check.wrong::<()>("kind", "must be ORGANIZATION or PERSON");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if request.version.len() > 64 || !request.version.chars().all(plain) {
        let what = "must be at most 64 letters, digits, '-', '_' or '.'";
        check.wrong::<()>("version", what);
    }
    check.finish(kind)?;
    let background = &api.background;
    background.start(&viewer, operations::TRAIN, &request).await
}

/// Does the training. One that was interrupted begins anew.
pub(super) async fn work_train(
    engine: &Engine,
    request: &pb::TrainRuleSetRequest,
    job: &Arc<Job>,
) -> Result<pb::RuleSet, Failure> {
    let kind = pb::PartyKind::try_from(request.kind)
        .ok()
        .and_then(party_kind);
    let kind = kind.ok_or_else(|| crate::domain::damaged("operation"))?;
    let creator = job.operation().caller.as_str();
    let row = engine
        .train(
            kind,
            (&request.version, creator),
            request.use_judgements,
            operations::progress(job),
        )
        .await?;
    Ok(out(&(row, false), true))
}

/// `EvaluateRuleSet`.
pub async fn evaluate(
    api: Api,
    viewer: Viewer,
    request: pb::EvaluateRuleSetRequest,
) -> Result<longrunning::Operation, Failure> {
    operations::sees_all(&viewer)?;
    let (row, _) = api.engine.rule_set(rule_set_number(&request.name)?).await?;
    let set = RuleSet::parse(&row.text).map_err(|_| crate::domain::damaged("rule set"))?;
    let names = set.comparisons.into_iter().map(|c| c.name);
    let job = EvaluateJob {
        name: request.name,
        hidden: names
            .filter(|name| !shows_comparison(&viewer.mask, name, row.kind))
            .collect(),
    };
    let background = &api.background;
    background.start(&viewer, operations::EVALUATE, &job).await
}

/// `EvaluateRuleSetRequest` as it is kept with the operation.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EvaluateJob {
    #[prost(string, tag = "1")]
    name: String,
    /// Comparisons whose values the caller may not see. A level tells whether two values are
    /// equal, so these are left out where the answer says which level decided.
    #[prost(string, repeated, tag = "2")]
    hidden: Vec<String>,
}

/// Does the evaluation.
pub(super) async fn work_evaluate(
    engine: &Engine,
    request: &EvaluateJob,
    job: &Arc<Job>,
) -> Result<pb::RuleSetEvaluation, Failure> {
    let id = rule_set_number(&request.name)?;
    let progress = operations::progress(job);
    let found = engine.evaluate(id, &request.hidden, progress).await?;
    Ok(evaluation(&request.name, found))
}

fn evaluation(rule_set: &str, found: Evaluation) -> pb::RuleSetEvaluation {
    let share = |s: Share| {
        let (millionths, low_millionths, high_millionths) = s.millionths();
        Some(pb::Share {
            hits: s.hits,
            of: s.of,
            millionths,
            low_millionths,
            high_millionths,
        })
    };
    let kind = |kind: MistakeKind| -> i32 {
        use pb::rule_set_evaluation::MistakeKind as K;
        match kind {
            MistakeKind::WronglyMerged => K::WronglyMerged,
            MistakeKind::Missed => K::Missed,
            MistakeKind::LeftToReview => K::LeftToReview,
        }
        .into()
    };
    let decisive = |of: Decisive| {
        of.map(|(comparison, level)| pb::rule_set_evaluation::Decisive { comparison, level })
    };
    let mut counts: Vec<_> = found.kinds.into_iter().collect();
    counts.sort_by_key(|((kind, _), count)| (*kind, std::cmp::Reverse(*count)));
    let mistakes = found.mistakes.into_iter();
    pb::RuleSetEvaluation {
        rule_set: rule_set.to_owned(),
        precision: share(found.precision),
        recall: share(found.recall),
        review_recall: share(found.review_recall),
        judged: found.judged,
        present: found.present,
        mistakes: mistakes
            .map(|m| pb::rule_set_evaluation::Mistake {
                left: Some(record_key_out(&m.left)),
                right: Some(record_key_out(&m.right)),
                score: m.score,
                same: m.same,
                kind: kind(m.kind),
                decisive: decisive(m.decisive),
            })
            .collect(),
        mistake_counts: counts
            .into_iter()
            .map(|((k, by), count)| pb::rule_set_evaluation::MistakeCount {
                kind: kind(k),
                decisive: decisive(by),
                count,
            })
            .collect(),
    }
}

/// `ActivateRuleSet`.
pub async fn activate(
    api: Api,
    viewer: Viewer,
    request: pb::ActivateRuleSetRequest,
) -> Result<longrunning::Operation, Failure> {
    operations::sees_all(&viewer)?;
    let mut check = Check::new();
    let id = number(&mut check, "name", "ruleSets", &request.name);
    let run = number(&mut check, "dry_run", "dryRuns", &request.dry_run);
    let (id, run) = check.finish(id.zip(run))?;
    api.engine.rule_set(id).await?;
    api.engine.dry_run_view(run).await?;
    let background = &api.background;
    background
        .start(&viewer, operations::ACTIVATE, &request)
        .await
}

/// Does it; the result is stored with the switch.
pub(super) async fn work_activate(
    engine: &Engine,
    request: &pb::ActivateRuleSetRequest,
    job: &Arc<Job>,
) -> Result<Ended, Failure> {
    let mut check = Check::new();
    let id = number(&mut check, "name", "ruleSets", &request.name);
    let run = number(&mut check, "dry_run", "dryRuns", &request.dry_run);
    let (id, run) = check.finish(id.zip(run))?;
    let (row, _) = engine.rule_set(id).await?;
    let result = jinke_kit::operations::pack(&out(&(row, true), false)).encode_to_vec();
    engine
        .activate(id, (run, request.dry_run_revision), Some((job, &result)))
        .await?;
    Ok(Ended::Already)
}
