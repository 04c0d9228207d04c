//! `jinke pipeline …`: the funnel, the forecast, opportunities and their moves.

pub mod board;
pub mod leads;
pub mod tasks;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jinke_kit::Peer;
use jinke_proto::{
    google::r#type::{Date, Money},
    jinke::pipeline::v1::{
        self as pb, opportunity_service_client::OpportunityServiceClient,
        pipeline_service_client::PipelineServiceClient,
    },
};
use jinke_types::Failure;

use super::{
    Global, Outcome,
    page::{Limit, collect, customer_name, more, named, request_id, user_name},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on pipelines and opportunities.
#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// Show the funnel: how many opportunities stand in each stage, and what they are worth
    Board {
        /// Pipeline
        #[arg(long, default_value = "default", value_parser = pipeline_name)]
        pipeline: String,
        /// Only those of this user
        #[arg(long, value_parser = user_name)]
        owner: Option<String>,
    },
    /// Amount times probability by month of the expected close
    Forecast {
        /// Only this pipeline
        #[arg(long, value_parser = pipeline_name)]
        pipeline: Option<String>,
        /// Only those of this user
        #[arg(long, value_parser = user_name)]
        owner: Option<String>,
    },
    /// The stages of a pipeline, with what a move into them needs
    Stages {
        /// Pipeline
        #[arg(default_value = "default", value_parser = pipeline_name)]
        pipeline: String,
    },
    /// List opportunities
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
        /// E.g. 'stage = "negotiation" AND stale = true'
        #[arg(long, default_value = "")]
        filter: String,
        /// name, create_time, update_time, close_date, stage_time, each with " desc" or not
        #[arg(long, default_value = "")]
        order_by: String,
    },
    /// Show one opportunity with its history
    Show {
        /// Opportunity
        #[arg(value_parser = opportunity_name)]
        opportunity: String,
    },
    /// Begin an opportunity
    Create(CreateArgs),
    /// Tick an item of the present stage's checklist
    Check {
        /// Opportunity
        #[arg(value_parser = opportunity_name)]
        opportunity: String,
        /// Item, as `pipeline stages` lists it
        item: String,
    },
    /// Move an opportunity to a stage, or to the next one
    Advance {
        /// Opportunity
        #[arg(value_parser = opportunity_name)]
        opportunity: String,
        /// Id of the stage [default: the next one]
        #[arg(default_value = "")]
        stage: String,
        /// Why
        #[arg(long, default_value = "")]
        cause: String,
    },
    /// Win an opportunity
    Win {
        /// Opportunity
        #[arg(value_parser = opportunity_name)]
        opportunity: String,
        /// price, product, service, relationship, brand, delivery…
        #[arg(long, default_value = "")]
        reason: String,
        /// In words
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Lose an opportunity
    Lose {
        /// Opportunity
        #[arg(value_parser = opportunity_name)]
        opportunity: String,
        /// price, product, service, competitor, no_budget, no_decision, timing, other…
        #[arg(long)]
        reason: String,
        /// In words
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Title
    title: String,
    /// Customer
    #[arg(long, value_parser = customer_name)]
    customer: String,
    /// Amount, e.g. 120000.50
    #[arg(long)]
    amount: Option<String>,
    /// Currency of the amount
    #[arg(long, default_value = "CNY")]
    currency: String,
    /// Expected close, YYYY-MM-DD
    #[arg(long, value_parser = date)]
    close: Option<Date>,
    /// Owner [default: you]
    #[arg(long, value_parser = user_name)]
    owner: Option<String>,
}

fn pipeline_name(text: &str) -> Result<String, String> {
    named("pipelines", text)
}

fn opportunity_name(text: &str) -> Result<String, String> {
    named("opportunities", text)
}

/// `2026-03-31`. For clap.
///
/// # Errors
/// Says how a date looks.
pub fn date(text: &str) -> Result<Date, String> {
    let parsed = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_err(|_| "a date is written YYYY-MM-DD".to_owned())?;
    use chrono::Datelike as _;
    Ok(Date {
        year: parsed.year(),
        month: i32::try_from(parsed.month()).unwrap_or_default(),
        day: i32::try_from(parsed.day()).unwrap_or_default(),
    })
}

/// An amount in plain digits with a point, at most nine decimals.
///
/// # Errors
/// `INVALID_FIELD`, field `amount`.
pub fn amount(text: &str, currency: &str) -> Result<Money, Failure> {
    let wrong = || Failure::field("amount", "is no number with at most nine decimals");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    Ok(Money {
        currency_code: currency.to_owned(),
        units: whole.parse().map_err(|_| wrong())?,
        nanos: format!("{fraction:0<9}").parse().map_err(|_| wrong())?,
    })
}

/// Runs a command on pipelines and opportunities.
///
/// # Errors
/// What the server answered.
pub async fn pipeline(
    global: &Global,
    command: PipelineCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let peer = connect(global)?;
    let mut client = OpportunityServiceClient::new(peer.clone());
    match command {
        PipelineCommand::Board { pipeline, owner } => {
            board::board(peer, pipeline, owner.unwrap_or_default(), printer).await?;
        }
        PipelineCommand::Forecast { pipeline, owner } => {
            board::forecast(
                peer,
                pipeline.unwrap_or_default(),
                owner.unwrap_or_default(),
                printer,
            )
            .await?;
        }
        PipelineCommand::Stages { pipeline } => stages(peer, pipeline, printer).await?,
        PipelineCommand::List {
            limit,
            filter,
            order_by,
        } => {
            let (opportunities, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListOpportunitiesRequest {
                        page_size,
                        page_token,
                        filter: filter.clone(),
                        order_by: order_by.clone(),
                    };
                    let answer = client.list_opportunities(request).await.answer()?;
                    Ok((answer.opportunities, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListOpportunitiesResponse {
                opportunities,
                next_page_token,
            };
            printer.message("jinke.pipeline.v1.ListOpportunitiesResponse", &answer)?;
            printer.table(&board::rows(&answer.opportunities))?;
            if let Some(line) = more(&answer.next_page_token) {
                printer.line(line)?;
            }
        }
        PipelineCommand::Show { opportunity } => show(&mut client, opportunity, printer).await?,
        PipelineCommand::Create(args) => {
            let amount = args
                .amount
                .as_deref()
                .map(|text| amount(text, &args.currency))
                .transpose()?;
            let request = pb::CreateOpportunityRequest {
                opportunity: Some(pb::Opportunity {
                    display_name: args.title,
                    customer: args.customer,
                    amount,
                    close_date: args.close,
                    owner: args.owner.unwrap_or_default(),
                    ..pb::Opportunity::default()
                }),
                request_id: request_id(),
                ..pb::CreateOpportunityRequest::default()
            };
            let made = client.create_opportunity(request).await.answer()?;
            one(&made, printer)?;
        }
        PipelineCommand::Check { opportunity, item } => {
            let request = pb::CheckOpportunityItemRequest {
                name: opportunity,
                item,
                request_id: request_id(),
                ..pb::CheckOpportunityItemRequest::default()
            };
            one(
                &client.check_opportunity_item(request).await.answer()?,
                printer,
            )?;
        }
        PipelineCommand::Advance {
            opportunity,
            stage,
            cause,
        } => {
            let request = pb::AdvanceOpportunityRequest {
                name: opportunity,
                stage,
                cause,
                request_id: request_id(),
                ..pb::AdvanceOpportunityRequest::default()
            };
            one(
                &client.advance_opportunity(request).await.answer()?,
                printer,
            )?;
        }
        PipelineCommand::Win {
            opportunity,
            reason,
            comment,
        } => {
            let request = pb::WinOpportunityRequest {
                name: opportunity,
                reason,
                comment,
                request_id: request_id(),
                ..pb::WinOpportunityRequest::default()
            };
            one(&client.win_opportunity(request).await.answer()?, printer)?;
        }
        PipelineCommand::Lose {
            opportunity,
            reason,
            comment,
        } => {
            let request = pb::LoseOpportunityRequest {
                name: opportunity,
                reason,
                comment,
                request_id: request_id(),
                ..pb::LoseOpportunityRequest::default()
            };
            one(&client.lose_opportunity(request).await.answer()?, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn one(o: &pb::Opportunity, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.message("jinke.pipeline.v1.Opportunity", o)?;
    printer.table(&board::rows(std::slice::from_ref(o)))
}

async fn stages(peer: Peer, name: String, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let request = pb::GetPipelineRequest { name, version: 0 };
    let answer = PipelineServiceClient::new(peer)
        .get_pipeline(request)
        .await
        .answer()?;
    printer.message("jinke.pipeline.v1.Pipeline", &answer)?;
    printer.line(format!(
        "{}  第 {} 版 version {}",
        text::clean(&answer.display_name),
        answer.version,
        answer.version
    ))?;
    let mut table = Table::new([
        "阶段 stage",
        "名称 name",
        ">概率 probability",
        "进入需填 required",
        "离开前完成 checklist",
        ">时限(天) limit",
    ]);
    for s in &answer.stages {
        let items: Vec<_> = s
            .checklist
            .iter()
            .map(|i| format!("{} {}", i.item, i.text))
            .collect();
        let days = s
            .time_limit
            .as_ref()
            .map(|d| (d.seconds / 86_400).to_string());
        table.row([
            s.stage.as_str(),
            &s.display_name,
            &format!("{}%", s.probability),
            &s.required_fields.join(", "),
            &items.join("; "),
            &days.unwrap_or_default(),
        ]);
    }
    printer.table(&table)
}

async fn show(
    client: &mut OpportunityServiceClient<Peer>,
    name: String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::GetOpportunityRequest { name: name.clone() };
    let o = client.get_opportunity(request).await.answer()?;
    one(&o, printer)?;
    if printer.is_json() {
        return Ok(());
    }
    let request = pb::ListTransitionsRequest {
        parent: name,
        page_size: 1_000,
        page_token: String::new(),
    };
    let answer = client.list_transitions(request).await.answer()?;
    printer.line("")?;
    let mut table = Table::new([
        "时间 time",
        "变化 move",
        "从 from",
        "到 to",
        "谁 actor",
        "原因 cause",
    ]);
    for t in &answer.transitions {
        use pb::transition::Kind;
        let kind = match t.kind() {
            Kind::Created => "创建",
            Kind::Moved => "推进",
            Kind::Won => "赢单",
            Kind::Lost => "输单",
            Kind::Reopened => "重开",
            Kind::Migrated => "换版本",
            Kind::Unspecified => "",
        };
        let cause = if t.reason.is_empty() {
            t.cause.clone()
        } else {
            format!("{} {}", t.reason, t.cause)
        };
        table.row([
            text::time(t.transition_time.as_ref()).as_str(),
            kind,
            &t.from_stage,
            &t.to_stage,
            &t.actor,
            &cause,
        ]);
    }
    printer.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        let m = |text| amount(text, "CNY").map(|m| (m.units, m.nanos)).ok();
        assert_eq!(m("120000.5"), Some((120_000, 500_000_000)));
        assert_eq!(m("3"), Some((3, 0)));
        for bad in ["", "-1", "1,000", "1.", ".5", "1.0000000001", "1e3", "九"] {
            assert_eq!(m(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_read() {
        assert_eq!(date("2026-03-31").unwrap().day, 31);
        assert!(date("2026-02-30").is_err() && date("31.3.2026").is_err());
    }
}
