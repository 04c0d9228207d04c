//! `jinke customers rebuild` and `erase`, tags, totals and relationships.

use std::process::ExitCode;

use clap::Args;
use jinke_proto::jinke::customer::v1::{
    self as pb, match_service_client::MatchServiceClient, transaction::Kind,
};
use jinke_types::Failure;

use super::Client;
use crate::{
    cli::{
        Global, Outcome, operations,
        page::{customer_name, request_id},
    },
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// Arguments of `rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Store what is right where something differs
    #[arg(long)]
    repair: bool,
    /// Only start it, and print the name of the operation
    #[arg(long)]
    no_wait: bool,
}

/// Arguments of `erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The customer
    #[arg(value_parser = customer_name)]
    customer: String,
    /// Erase; without it the command only says what it would
    #[arg(long)]
    yes: bool,
}

/// Erases a customer, or says how much would be erased.
pub(super) async fn erase(
    client: &mut Client,
    args: EraseArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::EraseCustomerRequest {
        name: args.customer,
        etag: String::new(),
        validate_only: !args.yes,
        request_id: if args.yes {
            request_id()
        } else {
            String::new()
        },
    };
    let erased = client.erase_customer(request).await.answer()?;
    printer.message("jinke.customer.v1.EraseCustomerResponse", &erased)?;
    let (records, activities) = (erased.records, erased.activities);
    printer.line(if args.yes {
        format!(
            "已销毁 {records} 条记录、{activities} 条往来 erased {records} records, {activities} activities"
        )
    } else {
        format!(
            "将销毁 {records} 条记录、{activities} 条往来，加 --yes 执行 would erase {records} records, \
             {activities} activities; --yes does it"
        )
    })
}

/// Ends with code 1 when something differs and was not repaired.
pub(super) async fn rebuild(
    global: &Global,
    args: RebuildArgs,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = MatchServiceClient::new(connect(global)?);
    let request = pb::RebuildCustomersRequest {
        repair: args.repair,
    };
    let started = client.rebuild_customers(request).await.answer()?;
    if args.no_wait {
        printer.line(&started.name)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report: pb::RebuildReport = operations::result(global, started, printer).await?;
    printer.message("jinke.customer.v1.RebuildReport", &report)?;
    printer.line(format!(
        "重算 {} 条记录、{} 个客户，差异 {} 处 recomputed {} records, {} customers: {} differences",
        report.records,
        report.customers,
        report.difference_count,
        report.records,
        report.customers,
        report.difference_count,
    ))?;
    if report.difference_count == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["类别 about", "对象 subject", "已存 stored", "应为 right"]);
    for d in &report.differences {
        table.row([&d.about, &d.subject, &d.stored, &d.right]);
    }
    printer.table(&table)?;
    if report.repaired {
        printer.line("已修复，复查无差异 repaired; a second look found none")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

pub(super) async fn tag(
    client: &mut Client,
    (name, tag, remove): (String, String, bool),
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request_id = request_id();
    let customer = if remove {
        let request = pb::RemoveCustomerTagRequest {
            name,
            tag,
            request_id,
        };
        client.remove_customer_tag(request).await.answer()?
    } else {
        let request = pb::AddCustomerTagRequest {
            name,
            tag,
            request_id,
        };
        client.add_customer_tag(request).await.answer()?
    };
    printer.message("jinke.customer.v1.Customer", &customer)?;
    let tags: Vec<String> = customer.tags.iter().map(|t| text::clean(&t.tag)).collect();
    printer.line(format!("{}  标签 tags: {}", customer.name, tags.join("、")))
}

pub(super) async fn totals(
    client: &mut Client,
    name: String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::GetCustomerTotalsRequest { name };
    let answer = client.get_customer_totals(request).await.answer()?;
    printer.message("jinke.customer.v1.GetCustomerTotalsResponse", &answer)?;
    let mut table = Table::new(["种类 kind", "笔数 count", "金额 amount"]);
    for t in &answer.totals {
        table.row([
            kind(t.kind()).to_owned(),
            t.count.to_string(),
            t.amount.as_ref().map(text::money).unwrap_or_default(),
        ]);
    }
    printer.table(&table)
}

fn kind(kind: Kind) -> &'static str {
    kind.as_str_name().trim_start_matches("KIND_")
}

pub(super) async fn relationships(
    client: &mut Client,
    parent: String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::ListRelationshipsRequest { parent };
    let answer = client.list_relationships(request).await.answer()?;
    printer.message("jinke.customer.v1.ListRelationshipsResponse", &answer)?;
    let mut table = Table::new(["关系 relationship", "自 from", "至 to", "记录 record"]);
    for e in &answer.relationships {
        let what = e.relationship.as_ref().map_or("", |r| r.kind.as_str());
        table.row([
            text::clean(what),
            e.from_customer.clone(),
            e.to_customer.clone(),
            text::key(e.key.as_ref()),
        ]);
    }
    printer.table(&table)
}
