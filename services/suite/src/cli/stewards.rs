//! `jinke reviews`, `jinke judge`, `jinke judgements`

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jinke_proto::jinke::customer::v1::{
    self as pb, judgement::Decision, match_review::Reason,
    stewardship_service_client::StewardshipServiceClient,
};
use jinke_types::Failure;

use super::{
    Global, Outcome,
    page::{Limit, collect, more, named, record_key, request_id},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on reviews.
#[derive(Debug, Subcommand)]
pub enum ReviewsCommand {
    /// List open reviews, highest score first
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
}

/// Arguments of `judge`.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// What you hold of the two records
    decision: Verdict,
    /// One record: SOURCE/EXTERNAL_ID
    #[arg(value_parser = record_key)]
    left: pb::RecordKey,
    /// The other record
    #[arg(value_parser = record_key)]
    right: pb::RecordKey,
    /// `same` holds although exclusive identifiers differ
    #[arg(long)]
    override_exclusivity: bool,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    /// Only check
    #[arg(long)]
    dry_run: bool,
}

/// What a person holds of two records.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Verdict {
    /// They are one party
    Same,
    /// They are two parties
    Different,
    /// Looked at, cannot be told
    Unsure,
}

/// The commands on judgements.
#[derive(Debug, Subcommand)]
pub enum JudgementsCommand {
    /// List judgements
    List {
        /// Only those that name this record: SOURCE/EXTERNAL_ID
        #[arg(long, value_parser = record_key, value_name = "KEY")]
        record: Option<pb::RecordKey>,
        /// Also those taken back
        #[arg(long)]
        retracted: bool,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Take a judgement back, as if it had never been made
    Retract {
        /// The judgement
        judgement: String,
    },
}

/// Runs a command on reviews.
///
/// # Errors
/// What the server answered.
pub async fn reviews(
    global: &Global,
    command: ReviewsCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let ReviewsCommand::List { limit } = command;
    let mut client = StewardshipServiceClient::new(connect(global)?);
    let (match_reviews, next_page_token) =
        collect(limit.limit, 200, async |page_size, page_token| {
            let request = pb::ListMatchReviewsRequest {
                page_size,
                page_token,
            };
            let answer = client.list_match_reviews(request).await.answer()?;
            Ok((answer.match_reviews, answer.next_page_token))
        })
        .await?;
    let answer = pb::ListMatchReviewsResponse {
        match_reviews,
        next_page_token,
    };
    printer.message("jinke.customer.v1.ListMatchReviewsResponse", &answer)?;
    if answer.match_reviews.is_empty() {
        printer.line("没有待复核 nothing waits for review")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        ">得分 score",
        "原因 reason",
        "左 left",
        "客户 customer",
        "右 right",
        "客户 customer",
    ]);
    for review in &answer.match_reviews {
        let reason = match review.reason() {
            Reason::Unsure => "不确定 unsure",
            Reason::Conflict => "冲突 conflict",
            Reason::SuspendedJudgement => "判定失效 suspended",
            Reason::Unspecified => "",
        };
        table.row([
            text::score(review.score).as_str(),
            reason,
            &text::key(review.left.as_ref()),
            &review.left_customer,
            &text::key(review.right.as_ref()),
            &review.right_customer,
        ]);
    }
    printer.table(&table)?;
    if let Some(line) = more(&answer.next_page_token) {
        printer.line(line)?;
    }
    printer.line("")?;
    printer.line("比较 compare: jinke customers explain --records LEFT RIGHT")?;
    printer.line("判定 decide:  jinke judge same|different|unsure LEFT RIGHT")?;
    Ok(ExitCode::SUCCESS)
}

/// Stores a judgement.
///
/// # Errors
/// What the server answered.
pub async fn judge(global: &Global, args: JudgeArgs, printer: &mut Printer<'_>) -> Outcome {
    let decision = match args.decision {
        Verdict::Same => Decision::Positive,
        Verdict::Different => Decision::Negative,
        Verdict::Unsure => Decision::Unsure,
    };
    let request = pb::CreateJudgementRequest {
        judgement: Some(pb::Judgement {
            decision: decision.into(),
            left: vec![args.left],
            right: vec![args.right],
            overrides_exclusivity: args.override_exclusivity,
            comment: args.comment,
            ..pb::Judgement::default()
        }),
        validate_only: args.dry_run,
        request_id: if args.dry_run {
            String::new()
        } else {
            request_id()
        },
    };
    let mut client = StewardshipServiceClient::new(connect(global)?);
    let judgement = client.create_judgement(request).await.answer()?;
    printer.message("jinke.customer.v1.Judgement", &judgement)?;
    if args.dry_run {
        printer.line("试算，未保存 a trial, nothing was stored:")?;
    }
    rows(&[judgement], printer)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on judgements.
///
/// # Errors
/// What the server answered.
pub async fn judgements(
    global: &Global,
    command: JudgementsCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = StewardshipServiceClient::new(connect(global)?);
    match command {
        JudgementsCommand::List {
            record,
            retracted,
            limit,
        } => {
            let (judgements, next_page_token) =
                collect(limit.limit, 200, async |page_size, page_token| {
                    let request = pb::ListJudgementsRequest {
                        page_size,
                        page_token,
                        record: record.clone(),
                        show_retracted: retracted,
                    };
                    let answer = client.list_judgements(request).await.answer()?;
                    Ok((answer.judgements, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListJudgementsResponse {
                judgements,
                next_page_token,
            };
            printer.message("jinke.customer.v1.ListJudgementsResponse", &answer)?;
            rows(&answer.judgements, printer)?;
            if let Some(line) = more(&answer.next_page_token) {
                printer.line(line)?;
            }
        }
        JudgementsCommand::Retract { judgement } => {
            let name =
                named("judgements", &judgement).map_err(|why| Failure::field("judgement", why))?;
            let request = pb::RetractJudgementRequest {
                name,
                request_id: request_id(),
            };
            let judgement = client.retract_judgement(request).await.answer()?;
            printer.message("jinke.customer.v1.Judgement", &judgement)?;
            rows(&[judgement], printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(judgements: &[pb::Judgement], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "判定 judgement",
        "结论 decision",
        "左 left",
        "右 right",
        "谁 by",
        "时间 time",
        "状态 state",
        "说明 comment",
    ]);
    for j in judgements {
        let decision = match j.decision() {
            Decision::Positive => "相同 same",
            Decision::Negative => "不同 different",
            Decision::Unsure => "不确定 unsure",
            Decision::Unspecified => "",
        };
        let state = match (&j.retract_time, j.suspended) {
            (Some(_), _) => "已撤回 retracted",
            (None, true) => "失效 suspended",
            (None, false) => "",
        };
        let keys = |keys: &[pb::RecordKey]| {
            keys.iter()
                .map(|k| text::key(Some(k)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        table.row([
            j.name.as_str(),
            decision,
            &keys(&j.left),
            &keys(&j.right),
            &j.creator,
            &text::time(j.create_time.as_ref()),
            state,
            &j.comment,
        ]);
    }
    printer.table(&table)
}
