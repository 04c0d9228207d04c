//! `jinke customers …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jinke_kit::Peer;
use jinke_proto::jinke::customer::v1::{
    self as pb, customer_service_client::CustomerServiceClient,
};
use jinke_types::Failure;

use super::{
    Global, Outcome, explain,
    page::{Limit, collect, customer_name, more, record_key, request_id},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on customers.
#[derive(Debug, Subcommand)]
pub enum CustomersCommand {
    /// List customers
    List(ListArgs),
    /// Show one customer with the origin of every value
    Get {
        /// The customer, by its id or that of any of its records: 12 or customers/12
        #[arg(value_parser = customer_name)]
        customer: String,
    },
    /// Search by a part of a name (two characters and more) or by pinyin initials
    Search {
        /// What to look for
        query: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Look up by record, identifier, phone or email
    Lookup(LookupArgs),
    /// Explain the values of a customer and the links between its records, or one pair of records
    Explain(explain::ExplainArgs),
    /// Merge two customers: judge that they are one
    Merge(MergeArgs),
    /// Take records out of a customer: judge that they are another party
    Unmerge(UnmergeArgs),
    /// The revisions of a customer, newest first
    History {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Orders, invoices, payments, messages and visits of a customer, newest first
    Timeline {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// The change feed
    Changes(ChangesArgs),
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Terms joined with AND, e.g. 'kind = ORGANIZATION AND source = "sources/erp"'
    #[arg(long, default_value = "")]
    filter: String,
    /// `name`, `create_time`, `update_time` or `display_name`, each with ` desc`
    #[arg(long, default_value = "", value_name = "FIELD")]
    order_by: String,
    #[command(flatten)]
    limit: Limit,
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct LookupArgs {
    /// A source record: SOURCE/EXTERNAL_ID
    #[arg(long, value_parser = record_key, value_name = "KEY")]
    record: Option<pb::RecordKey>,
    /// An identifier: SCHEME:VALUE, e.g. uscc:91330100MA27XL3K5N
    #[arg(long, value_parser = identifier, value_name = "SCHEME:VALUE")]
    identifier: Option<pb::lookup_customers_request::Identifier>,
    /// A phone in any format
    #[arg(long)]
    phone: Option<String>,
    /// An email address
    #[arg(long)]
    email: Option<String>,
}

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// One customer
    #[arg(value_parser = customer_name)]
    customer: String,
    /// The other customer
    #[arg(value_parser = customer_name)]
    other: String,
    /// Merge although exclusive identifiers differ
    #[arg(long)]
    override_exclusivity: bool,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    /// Only say whether it can be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `unmerge`.
#[derive(Debug, Args)]
pub struct UnmergeArgs {
    /// The customer
    #[arg(value_parser = customer_name)]
    customer: String,
    /// A record that leaves: SOURCE/EXTERNAL_ID; may be given several times
    #[arg(long = "record", required = true, value_parser = record_key, value_name = "KEY")]
    records: Vec<pb::RecordKey>,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    /// Only say whether it can be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `changes`.
#[derive(Debug, Args)]
pub struct ChangesArgs {
    /// Go on from this position, as an earlier call printed it
    #[arg(long, default_value = "", value_name = "TOKEN")]
    from: String,
    /// Wait for further changes until Ctrl-C; with --json one answer a line
    #[arg(long, short)]
    follow: bool,
    /// Put the customer as it is now into each change (JSON only)
    #[arg(long)]
    snapshots: bool,
    #[command(flatten)]
    limit: Limit,
}

fn identifier(text: &str) -> Result<pb::lookup_customers_request::Identifier, String> {
    // `foreign:<system>` has a colon of its own, so the value stands behind the last one.
    match text.rsplit_once(':') {
        Some((scheme, value)) if !scheme.is_empty() && !value.is_empty() => {
            Ok(pb::lookup_customers_request::Identifier {
                scheme: scheme.to_owned(),
                value: value.to_owned(),
            })
        }
        _ => Err("an identifier is written SCHEME:VALUE, e.g. uscc:91330100MA27XL3K5N".to_owned()),
    }
}

type Client = CustomerServiceClient<Peer>;

pub(super) fn client(global: &Global) -> Result<Client, Failure> {
    Ok(CustomerServiceClient::new(connect(global)?).max_decoding_message_size(64 << 20))
}

/// Runs a command on customers.
///
/// # Errors
/// What the server answered.
pub async fn customers(
    global: &Global,
    command: CustomersCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = client(global)?;
    match command {
        CustomersCommand::List(args) => list(&mut client, args, printer).await?,
        CustomersCommand::Get { customer } => {
            let request = pb::GetCustomerRequest {
                name: customer,
                ..Default::default()
            };
            let customer = client.get_customer(request).await.answer()?;
            printer.message("jinke.customer.v1.Customer", &customer)?;
            show(&customer, printer)?;
        }
        CustomersCommand::Search { query, limit } => {
            search(&mut client, &query, limit.limit, printer).await?;
        }
        CustomersCommand::Lookup(args) => lookup(&mut client, args, printer).await?,
        CustomersCommand::Explain(args) => explain::explain(global, args, printer).await?,
        CustomersCommand::Merge(args) => merge(&mut client, args, printer).await?,
        CustomersCommand::Unmerge(args) => unmerge(&mut client, args, printer).await?,
        CustomersCommand::History { customer, limit } => {
            history(&mut client, &customer, limit.limit, printer).await?;
        }
        CustomersCommand::Timeline { customer, limit } => {
            timeline(&mut client, &customer, limit.limit, printer).await?;
        }
        CustomersCommand::Changes(args) => changes(&mut client, args, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    client: &mut Client,
    args: ListArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (customers, next_page_token) =
        collect(args.limit.limit, 1_000, async |page_size, page_token| {
            let request = pb::ListCustomersRequest {
                page_size,
                page_token,
                filter: args.filter.clone(),
                order_by: args.order_by.clone(),
                view: pb::CustomerView::Basic.into(),
            };
            let answer = client.list_customers(request).await.answer()?;
            Ok((answer.customers, answer.next_page_token))
        })
        .await?;
    let answer = pb::ListCustomersResponse {
        customers,
        next_page_token,
    };
    printer.message("jinke.customer.v1.ListCustomersResponse", &answer)?;
    rows(&answer.customers, &answer.next_page_token, printer)
}

async fn search(
    client: &mut Client,
    query: &str,
    limit: usize,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (customers, next_page_token) = collect(limit, 100, async |page_size, page_token| {
        let request = pb::SearchCustomersRequest {
            query: query.to_owned(),
            page_size,
            page_token,
            view: pb::CustomerView::Basic.into(),
        };
        let answer = client.search_customers(request).await.answer()?;
        Ok((answer.customers, answer.next_page_token))
    })
    .await?;
    let answer = pb::SearchCustomersResponse {
        customers,
        next_page_token,
    };
    printer.message("jinke.customer.v1.SearchCustomersResponse", &answer)?;
    rows(&answer.customers, &answer.next_page_token, printer)
}

async fn lookup(
    client: &mut Client,
    args: LookupArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    use pb::lookup_customers_request::By;
    let by = match (args.record, args.identifier, args.phone, args.email) {
        (Some(record), ..) => Some(By::Record(record)),
        (_, Some(identifier), ..) => Some(By::Identifier(identifier)),
        (_, _, Some(phone), _) => Some(By::Phone(phone)),
        (_, _, _, email) => email.map(By::Email),
    };
    let request = pb::LookupCustomersRequest {
        by,
        view: pb::CustomerView::Basic.into(),
    };
    let answer = client.lookup_customers(request).await.answer()?;
    printer.message("jinke.customer.v1.LookupCustomersResponse", &answer)?;
    rows(&answer.customers, "", printer)
}

fn rows(customers: &[pb::Customer], next: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    if customers.is_empty() {
        return printer.line("没有客户 no customers");
    }
    let mut table = Table::new([
        "客户 customer",
        "名称 name",
        "种类 kind",
        ">记录 records",
        "更新 updated",
    ]);
    for c in customers {
        table.row([
            c.name.as_str(),
            shown_name(c),
            text::kind(c.kind()),
            &c.record_count.to_string(),
            &text::time(c.update_time.as_ref()),
        ]);
    }
    printer.table(&table)?;
    more(next).map_or(Ok(()), |line| printer.line(line))
}

fn shown_name(c: &pb::Customer) -> &str {
    match (c.display_name.as_str(), c.hidden_classes.is_empty()) {
        ("", false) => "（无权查看 hidden）",
        ("", true) => "（无名 unnamed）",
        (name, _) => name,
    }
}

/// A customer with the origin of its values.
fn show(c: &pb::Customer, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let name = text::clean(shown_name(c));
    let kind = text::kind(c.kind());
    printer.line(format!(
        "{}  {name}  {kind}  版本 revision {}",
        c.name, c.revision
    ))?;
    if let Some(time) = &c.delete_time {
        let time = text::time(Some(time));
        printer.line(format!(
            "所有来源都已删除 deleted by every source since {time}"
        ))?;
    }
    if !c.tags.is_empty() {
        let tags: Vec<_> = c.tags.iter().map(|t| text::clean(&t.tag)).collect();
        printer.line(format!("标签 tags: {}", tags.join(", ")))?;
    }
    if !c.hidden_classes.is_empty() {
        let classes = text::classes(c.hidden_classes());
        printer.line(format!("无权查看 hidden from you: {classes}"))?;
    }
    printer.line("")?;
    printer.table(&values(&c.values))?;
    printer.line("")?;
    printer.table(&records(&c.records))
}

fn values(values: &[pb::GoldenValue]) -> Table {
    let mut table = Table::new([
        "属性 attribute",
        "值 value",
        "范围 scope",
        "来自 from",
        "规则 rule",
        ">佐证 support",
        ">落选 lost",
    ]);
    for golden in values {
        let Some(value) = &golden.value else { continue };
        let from = golden.provenance.clone().unwrap_or_default();
        table.row([
            text::attribute(value),
            text::value(value),
            value.scope.clone(),
            text::key(from.record.as_ref()),
            from.rule.clone(),
            from.supported_by.len().to_string(),
            from.losing_count.to_string(),
        ]);
    }
    table
}

fn records(records: &[pb::customer::Record]) -> Table {
    let mut table = Table::new(["记录 record", "地址 address", ">版本 version", "状态 state"]);
    for record in records {
        table.row([
            text::key(record.key.as_ref()).as_str(),
            &record.address,
            &record.version.to_string(),
            if record.deleted {
                "已删除 deleted"
            } else {
                ""
            },
        ]);
    }
    table
}

async fn merge(
    client: &mut Client,
    args: MergeArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::MergeCustomersRequest {
        customer: args.customer,
        other_customer: args.other,
        override_exclusivity: args.override_exclusivity,
        comment: args.comment,
        validate_only: args.dry_run,
        request_id: if args.dry_run {
            String::new()
        } else {
            request_id()
        },
        ..Default::default()
    };
    let customer = client.merge_customers(request).await.answer()?;
    printer.message("jinke.customer.v1.Customer", &customer)?;
    if args.dry_run {
        return printer.line("可以合并，未保存 it can be merged; nothing was stored");
    }
    printer.line("已合并 merged:")?;
    if printer.is_json() {
        Ok(())
    } else {
        show(&customer, printer)
    }
}

async fn unmerge(
    client: &mut Client,
    args: UnmergeArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::UnmergeCustomerRequest {
        name: args.customer,
        records: args.records,
        comment: args.comment,
        validate_only: args.dry_run,
        request_id: if args.dry_run {
            String::new()
        } else {
            request_id()
        },
        ..Default::default()
    };
    let answer = client.unmerge_customer(request).await.answer()?;
    printer.message("jinke.customer.v1.UnmergeCustomerResponse", &answer)?;
    if args.dry_run {
        return printer.line("可以拆分，未保存 it can be unmerged; nothing was stored");
    }
    printer.line("已拆分 unmerged into:")?;
    rows(&answer.customers, "", printer)
}

async fn history(
    client: &mut Client,
    customer: &str,
    limit: usize,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (revisions, next_page_token) = collect(limit, 100, async |page_size, page_token| {
        let parent = customer.to_owned();
        let request = pb::ListCustomerRevisionsRequest {
            parent,
            page_size,
            page_token,
        };
        let answer = client.list_customer_revisions(request).await.answer()?;
        Ok((answer.revisions, answer.next_page_token))
    })
    .await?;
    let answer = pb::ListCustomerRevisionsResponse {
        revisions,
        next_page_token,
    };
    printer.message("jinke.customer.v1.ListCustomerRevisionsResponse", &answer)?;
    let mut table = Table::new([
        ">版本 revision",
        "时间 time",
        "变更 change",
        "名称 name",
        "记录 records (version)",
    ]);
    for r in &answer.revisions {
        let records: Vec<_> = r
            .records
            .iter()
            .map(|m| format!("{} ({})", text::key(m.key.as_ref()), m.version))
            .collect();
        let name = r.values.iter().filter_map(|v| v.value.as_ref());
        let name = name
            .into_iter()
            .find(|v| v.attribute == "name" && v.scope.is_empty());
        table.row([
            r.revision.to_string().as_str(),
            &text::time(r.time.as_ref()),
            text::change(r.kind()),
            &name.map(text::value).unwrap_or_default(),
            &records.join(", "),
        ]);
    }
    printer.table(&table)?;
    more(&answer.next_page_token).map_or(Ok(()), |line| printer.line(line))
}

async fn timeline(
    client: &mut Client,
    customer: &str,
    limit: usize,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (entries, next_page_token) = collect(limit, 1_000, async |page_size, page_token| {
        let parent = customer.to_owned();
        let request = pb::ListTimelineEntriesRequest {
            parent,
            page_size,
            page_token,
        };
        let answer = client.list_timeline_entries(request).await.answer()?;
        Ok((answer.entries, answer.next_page_token))
    })
    .await?;
    let answer = pb::ListTimelineEntriesResponse {
        entries,
        next_page_token,
    };
    printer.message("jinke.customer.v1.ListTimelineEntriesResponse", &answer)?;
    let mut table = Table::new([
        "时间 time",
        "种类 kind",
        "编号 number",
        ">金额 amount",
        "内容 content",
        "记录 record",
    ]);
    for entry in &answer.entries {
        let (kind, number, amount, content) = entry_cells(entry);
        let (time, key) = (
            text::time(entry.time.as_ref()),
            text::key(entry.key.as_ref()),
        );
        table.row([time, kind, number, amount, content, key]);
    }
    printer.table(&table)?;
    more(&answer.next_page_token).map_or(Ok(()), |line| printer.line(line))
}

fn entry_cells(entry: &pb::TimelineEntry) -> (String, String, String, String) {
    use pb::timeline_entry::Entry;
    let short = |name: &str| name.trim_start_matches("KIND_").to_lowercase();
    match &entry.entry {
        Some(Entry::Transaction(t)) => (
            short(t.kind().as_str_name()),
            t.number.clone(),
            t.amount.as_ref().map(text::money).unwrap_or_default(),
            if t.text.is_empty() {
                t.status.clone()
            } else {
                format!("{} {}", t.status, t.text)
            },
        ),
        Some(Entry::Interaction(i)) => (
            short(i.kind().as_str_name()),
            i.channel.clone(),
            String::new(),
            if i.subject.is_empty() {
                i.text.clone()
            } else {
                format!("{}: {}", i.subject, i.text)
            },
        ),
        None => Default::default(),
    }
}

async fn changes(
    client: &mut Client,
    args: ChangesArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if args.follow {
        return follow(client, args, printer).await;
    }
    let mut next = args.from;
    let mut changes = Vec::new();
    while changes.len() < args.limit.limit {
        let left = i32::try_from(args.limit.limit - changes.len()).unwrap_or(i32::MAX);
        let request = pb::ListCustomerChangesRequest {
            page_size: left.min(1_000),
            page_token: next.clone(),
            include_snapshots: args.snapshots && printer.is_json(),
        };
        let page = client.list_customer_changes(request).await.answer()?;
        let end = page.changes.is_empty();
        changes.extend(page.changes);
        next = page.next_page_token;
        if end {
            break;
        }
    }
    let answer = pb::ListCustomerChangesResponse {
        changes,
        next_page_token: next,
    };
    printer.message("jinke.customer.v1.ListCustomerChangesResponse", &answer)?;
    let mut table = change_table();
    answer
        .changes
        .iter()
        .for_each(|change| change_row(&mut table, change));
    printer.table(&table)?;
    printer.line(format!("继续 go on with --from {}", answer.next_page_token))
}

async fn follow(
    client: &mut Client,
    args: ChangesArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut next = args.from;
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    loop {
        let request = pb::WatchCustomerChangesRequest {
            page_token: next.clone(),
            include_snapshots: args.snapshots && printer.is_json(),
        };
        let mut watch = client.watch_customer_changes(request).await.answer()?;
        loop {
            let answer = tokio::select! {
                answer = watch.message() => answer,
                _ = &mut stop => {
                    return printer.line(format!("继续 go on with --from {next}"));
                }
            };
            match answer {
                Ok(Some(answer)) => {
                    next.clone_from(&answer.next_page_token);
                    if answer.changes.is_empty() {
                        continue;
                    }
                    printer
                        .message_line("jinke.customer.v1.WatchCustomerChangesResponse", &answer)?;
                    let mut table = change_table();
                    answer
                        .changes
                        .iter()
                        .for_each(|change| change_row(&mut table, change));
                    printer.table(&table)?;
                    printer.flush()?;
                }
                // The server may cut a watch at any time; the token goes on where it stood.
                Ok(None) => break,
                Err(status) if jinke_runner::deliver::is_retryable(status.code()) => break,
                Err(status) => return Err(jinke_kit::failure(&status)),
            }
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn change_table() -> Table {
    Table::new([
        ">位置 position",
        "时间 time",
        "变更 change",
        "客户 customer",
        ">版本 revision",
        "相关 related",
    ])
}

fn change_row(table: &mut Table, change: &pb::CustomerChange) {
    table.row([
        change.position.to_string().as_str(),
        &text::time(change.time.as_ref()),
        text::change(change.kind()),
        &change.customer,
        &change.revision.to_string(),
        &change.related.join(", "),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_may_have_a_scheme_with_a_colon() {
        let id = identifier("foreign:u8:C-1").unwrap();
        assert_eq!(
            (id.scheme.as_str(), id.value.as_str()),
            ("foreign:u8", "C-1")
        );
        assert!(identifier("uscc").is_err() && identifier(":1").is_err());
    }

    #[test]
    fn what_is_hidden_is_told_apart_from_what_is_missing() {
        let mut c = pb::Customer::default();
        assert_eq!(shown_name(&c), "（无名 unnamed）");
        c.hidden_classes = vec![2];
        assert_eq!(shown_name(&c), "（无权查看 hidden）");
    }
}
