//! `jinke leads …`

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use jinke_kit::Peer;
use jinke_proto::jinke::pipeline::v1::{self as pb, lead_service_client::LeadServiceClient};
use jinke_types::{Code, Failure};

use super::{amount, board, date};
use crate::{
    cli::{
        Global, Outcome,
        page::{Limit, collect, customer_name, more, named, request_id, user_name},
    },
    connect::{Answer, connect},
    print::{Printer, Table, error::EXIT_PARTIAL, text},
};

/// Rows of one call.
const BATCH: usize = 100;
/// A file that is larger is not a list of leads.
const MAX_FILE: u64 = 64 << 20;

/// The commands on leads.
#[derive(Debug, Subcommand)]
pub enum LeadsCommand {
    /// List leads
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
        /// E.g. 'state = NEW AND owner = "users/ana"'
        #[arg(long, default_value = "")]
        filter: String,
    },
    /// Show one lead
    Get {
        /// Lead
        #[arg(value_parser = lead_name)]
        lead: String,
    },
    /// Take a lead in; a known customer's goes to his owner
    Add(AddArgs),
    /// Take in a CSV file (UTF-8) with the columns company, person_name, phone, email, uscc, region,
    /// title, interest, remark, channel, campaign, external_id, amount; Chinese headers 公司 姓名
    /// 电话 邮箱 统一社会信用代码 地区 职务 需求 备注 渠道 活动 编号 金额 do, too
    Import {
        /// The file
        file: PathBuf,
        /// Source the external ids belong to: the same row twice is one lead
        #[arg(long, default_value = "leads-file")]
        source: String,
    },
    /// Give a lead to somebody, or to whom the rules choose
    Assign {
        /// Lead
        #[arg(value_parser = lead_name)]
        lead: String,
        /// User
        #[arg(value_parser = user_name)]
        owner: Option<String>,
    },
    /// It is worth an opportunity
    Qualify {
        /// Lead
        #[arg(value_parser = lead_name)]
        lead: String,
    },
    /// Make an opportunity of it
    Convert {
        /// Lead
        #[arg(value_parser = lead_name)]
        lead: String,
        /// The customer it is, or `new`
        #[arg(long)]
        customer: Option<String>,
        /// Title
        #[arg(long, default_value = "")]
        title: String,
        /// Expected close, YYYY-MM-DD
        #[arg(long, value_parser = date)]
        close: Option<jinke_proto::google::r#type::Date>,
    },
    /// Give it up
    Disqualify {
        /// Lead
        #[arg(value_parser = lead_name)]
        lead: String,
        /// no_budget, no_need, wrong_contact, competitor, duplicate, spam, unreachable, other
        #[arg(long)]
        reason: String,
        /// In words
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// Arguments of `add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Company
    #[arg(default_value = "")]
    company: String,
    /// Name of the person
    #[arg(long, default_value = "")]
    person: String,
    /// Phone; may be given several times
    #[arg(long)]
    phone: Vec<String>,
    /// Email; may be given several times
    #[arg(long)]
    email: Vec<String>,
    /// Region, e.g. 浙江省杭州市
    #[arg(long, default_value = "")]
    region: String,
    /// Where it came from: web, expo, referral…
    #[arg(long, default_value = "")]
    channel: String,
    /// What they want
    #[arg(long, default_value = "")]
    interest: String,
    /// Show whom it matches and take nothing in
    #[arg(long)]
    dry_run: bool,
}

fn lead_name(text: &str) -> Result<String, String> {
    named("leads", text)
}

/// Runs a command on leads.
///
/// # Errors
/// What the server answered.
pub async fn leads(global: &Global, command: LeadsCommand, printer: &mut Printer<'_>) -> Outcome {
    let mut client = LeadServiceClient::new(connect(global)?);
    match command {
        LeadsCommand::List { limit, filter } => list(&mut client, limit, filter, printer).await?,
        LeadsCommand::Get { lead } => {
            let request = pb::GetLeadRequest { name: lead };
            one(&client.get_lead(request).await.answer()?, printer)?;
        }
        LeadsCommand::Add(args) => {
            let request = pb::CreateLeadRequest {
                lead: Some(pb::Lead {
                    company: args.company,
                    person_name: args.person,
                    phones: args.phone,
                    emails: args.email,
                    region: args.region,
                    interest: args.interest,
                    first_touch: Some(pb::FirstTouch {
                        channel: args.channel,
                        ..pb::FirstTouch::default()
                    }),
                    ..pb::Lead::default()
                }),
                validate_only: args.dry_run,
                request_id: request_id(),
            };
            one(&client.create_lead(request).await.answer()?, printer)?;
        }
        LeadsCommand::Import { file, source } => {
            return import(&mut client, &file, &source, printer).await;
        }
        LeadsCommand::Assign { lead, owner } => {
            let request = pb::AssignLeadRequest {
                name: lead,
                owner: owner.unwrap_or_default(),
                request_id: request_id(),
                ..pb::AssignLeadRequest::default()
            };
            one(&client.assign_lead(request).await.answer()?, printer)?;
        }
        LeadsCommand::Qualify { lead } => {
            let request = pb::QualifyLeadRequest {
                name: lead,
                request_id: request_id(),
                ..pb::QualifyLeadRequest::default()
            };
            one(&client.qualify_lead(request).await.answer()?, printer)?;
        }
        LeadsCommand::Convert {
            lead,
            customer,
            title,
            close,
        } => {
            let customer = match customer.as_deref() {
                None => String::new(),
                Some("new") => "new".to_owned(),
                Some(name) => customer_name(name).map_err(|why| Failure::field("customer", why))?,
            };
            let request = pb::ConvertLeadRequest {
                name: lead,
                customer,
                display_name: title,
                close_date: close,
                request_id: request_id(),
                ..pb::ConvertLeadRequest::default()
            };
            let answer = client.convert_lead(request).await.answer()?;
            printer.message("jinke.pipeline.v1.ConvertLeadResponse", &answer)?;
            let made: Vec<_> = answer.opportunity.into_iter().collect();
            printer.table(&board::rows(&made))?;
        }
        LeadsCommand::Disqualify {
            lead,
            reason,
            comment,
        } => {
            let request = pb::DisqualifyLeadRequest {
                name: lead,
                reason,
                comment,
                request_id: request_id(),
                ..pb::DisqualifyLeadRequest::default()
            };
            one(&client.disqualify_lead(request).await.answer()?, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    client: &mut LeadServiceClient<Peer>,
    limit: Limit,
    filter: String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (leads, next_page_token) = collect(limit.limit, 1_000, async |page_size, page_token| {
        let request = pb::ListLeadsRequest {
            page_size,
            page_token,
            filter: filter.clone(),
            order_by: String::new(),
        };
        let answer = client.list_leads(request).await.answer()?;
        Ok((answer.leads, answer.next_page_token))
    })
    .await?;
    let answer = pb::ListLeadsResponse {
        leads,
        next_page_token,
    };
    printer.message("jinke.pipeline.v1.ListLeadsResponse", &answer)?;
    printer.table(&rows(&answer.leads))?;
    match more(&answer.next_page_token) {
        Some(line) => printer.line(line),
        None => Ok(()),
    }
}

fn one(lead: &pb::Lead, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.message("jinke.pipeline.v1.Lead", lead)?;
    printer.table(&rows(std::slice::from_ref(lead)))
}

fn rows(leads: &[pb::Lead]) -> Table {
    use pb::lead::{MatchResult, State};
    let mut table = Table::new([
        "线索 lead",
        "公司 company",
        "联系人 person",
        "电话 phone",
        "地区 region",
        "状态 state",
        "匹配 match",
        "客户 customer",
        "负责人 owner",
    ]);
    for l in leads {
        let state = match l.state() {
            State::New => "新 new",
            State::Qualified => "有效 qualified",
            State::Converted => "已转化 converted",
            State::Disqualified => "放弃 disqualified",
            State::Unspecified => "",
        };
        let matched = match l.match_result() {
            MatchResult::Known => "老客户 known",
            MatchResult::Unsure => "待定 unsure",
            MatchResult::New => "新客户 new",
            MatchResult::Given => "指定 given",
            MatchResult::Unspecified => "",
        };
        let customer = if l.candidates.is_empty() {
            l.current_customer.clone()
        } else {
            let all: Vec<_> = l.candidates.iter().map(|c| c.customer.as_str()).collect();
            format!("? {}", all.join(" "))
        };
        table.row([
            l.name.as_str(),
            &l.company,
            &l.person_name,
            &l.phones.join(" "),
            &l.region,
            state,
            matched,
            &customer,
            if l.owner.is_empty() {
                "公海 pool"
            } else {
                &l.owner
            },
        ]);
    }
    table
}

/// Reads a file and takes its rows in, batch by batch. A row without an id of its own is known by
/// its content, so that the same file twice makes each lead once.
async fn import(
    client: &mut LeadServiceClient<Peer>,
    file: &std::path::Path,
    source: &str,
    printer: &mut Printer<'_>,
) -> Outcome {
    let cannot = |e: &dyn std::fmt::Display| {
        let message = format!("{}: {e}", file.display());
        Failure::new(Code::FailedPrecondition, "FILE_NOT_READ", message)
    };
    let size = std::fs::metadata(file)
        .map_err(|e| cannot(&e.kind()))?
        .len();
    if size > MAX_FILE {
        return Err(cannot(&"is larger than 64 MiB"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| cannot(&e.kind()))?;
    let read = parse(text.trim_start_matches('\u{feff}'), source)?;
    let (mut taken, mut known, mut refused) = (0, 0, 0);
    for (n, batch) in read.chunks(BATCH).enumerate() {
        let request = pb::BatchCreateLeadsRequest {
            leads: batch.to_vec(),
            request_id: String::new(),
        };
        let answer = client.batch_create_leads(request).await.answer()?;
        printer.message_line("jinke.pipeline.v1.BatchCreateLeadsResponse", &answer)?;
        for (i, result) in answer.results.iter().enumerate() {
            match &result.error {
                Some(error) => {
                    refused += 1;
                    let row = n * BATCH + i + 2;
                    printer.line(format!(
                        "第 {row} 行 row {row}: {}",
                        text::clean(&error.message)
                    ))?;
                }
                None if result.existing => known += 1,
                None => taken += 1,
            }
        }
    }
    printer.line(format!(
        "收进 taken {taken}，已有 known {known}，拒绝 refused {refused}"
    ))?;
    Ok(if refused > 0 {
        ExitCode::from(EXIT_PARTIAL)
    } else {
        ExitCode::SUCCESS
    })
}

/// Columns by their headers, in either language.
const COLUMNS: [(&str, &str); 13] = [
    ("company", "公司"),
    ("person_name", "姓名"),
    ("phone", "电话"),
    ("email", "邮箱"),
    ("uscc", "统一社会信用代码"),
    ("region", "地区"),
    ("title", "职务"),
    ("interest", "需求"),
    ("remark", "备注"),
    ("channel", "渠道"),
    ("campaign", "活动"),
    ("external_id", "编号"),
    ("amount", "金额"),
];

fn parse(content: &str, source: &str) -> Result<Vec<pb::Lead>, Failure> {
    let wrong = |why: String| Failure::new(Code::InvalidArgument, "FILE_NOT_READ", why);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(content.as_bytes());
    let headers = reader.headers().map_err(|e| wrong(e.to_string()))?.clone();
    let at = |name: &str| {
        let (_, chinese) = COLUMNS.iter().find(|(n, _)| *n == name)?;
        headers.iter().position(|h| h == name || h == *chinese)
    };
    if at("company").is_none() && at("person_name").is_none() {
        return Err(wrong(
            "the file has neither a column company (公司) nor person_name (姓名)".to_owned(),
        ));
    }
    let mut out = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| wrong(e.to_string()))?;
        let cell = |name: &str| at(name).and_then(|i| row.get(i)).unwrap_or("").to_owned();
        let several = |name: &str| -> Vec<String> {
            cell(name)
                .split(['/', ';', '；', '、'])
                .map(|s| s.trim().to_owned())
                .filter(|s| !s.is_empty())
                .collect()
        };
        let id = cell("external_id");
        let estimate = match cell("amount").replace(',', "") {
            text if text.is_empty() => None,
            text => Some(amount(&text, "CNY")?),
        };
        let id = if id.is_empty() {
            format!("row-{:016x}", digest(&row))
        } else {
            id
        };
        out.push(pb::Lead {
            company: cell("company"),
            person_name: cell("person_name"),
            phones: several("phone"),
            emails: several("email"),
            uscc: cell("uscc"),
            region: cell("region"),
            title: cell("title"),
            interest: cell("interest"),
            remark: cell("remark"),
            estimate,
            first_touch: Some(pb::FirstTouch {
                channel: cell("channel"),
                campaign: cell("campaign"),
                touch_time: None,
            }),
            source: format!("sources/{source}"),
            external_id: id,
            ..pb::Lead::default()
        });
    }
    Ok(out)
}

/// FNV-1a over the cells of a row: tells rows of one file apart, and says nothing of their content
/// that could be read.
fn digest(row: &csv::StringRecord) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in row.iter().flat_map(|cell| cell.bytes().chain([0x1f])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_with_headers_of_either_language() {
        let chinese =
            "公司,姓名,电话,渠道,金额\n甲公司,张伟,13812345678/0571-88888888,展会,\"12,000.5\"\n";
        let leads = parse(chinese, "web").unwrap();
        assert_eq!(
            (leads[0].company.as_str(), leads[0].phones.len()),
            ("甲公司", 2)
        );
        assert_eq!(leads[0].estimate.as_ref().unwrap().units, 12_000);
        assert_eq!(leads[0].source, "sources/web");
        let again = parse(chinese, "web").unwrap();
        assert_eq!(again[0].external_id, leads[0].external_id);
        let english = parse("company,external_id\nA,7\n", "web").unwrap();
        assert_eq!(english[0].external_id, "7");
        assert!(parse("phone\n1\n", "web").is_err());
        assert!(parse("company,amount\nA,viel\n", "web").is_err());
    }
}
