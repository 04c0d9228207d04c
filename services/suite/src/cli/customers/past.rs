//! Revisions, timeline and change feed.

use jinke_kit::shutdown::Signals;
use jinke_proto::jinke::customer::v1 as pb;
use jinke_types::Failure;

use super::{ChangesArgs, Client};
use crate::{
    cli::page::{collect, more},
    connect::Answer,
    print::{Printer, Table, text},
};

/// The revisions of a customer, newest first.
pub(super) async fn history(
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

/// What happened with a customer, newest first.
pub(super) async fn timeline(
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

/// The change feed from a position on, or followed until Ctrl-C.
pub(super) async fn changes(
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
    let mut next = args.from.clone();
    // One listener for the whole watch: a Ctrl-C that comes while it is opened anew is not lost.
    let mut signals = Signals::listen().map_err(Failure::internal)?;
    tokio::select! {
        failed = watch(client, &args, &mut next, printer) => return failed,
        _ = signals.next() => {}
    }
    printer.line(format!("继续 go on with --from {next}"))
}

/// Prints changes for ever; `next` goes with them.
async fn watch(
    client: &mut Client,
    args: &ChangesArgs,
    next: &mut String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    loop {
        let request = pb::WatchCustomerChangesRequest {
            page_token: next.clone(),
            include_snapshots: args.snapshots && printer.is_json(),
        };
        let mut watch = client.watch_customer_changes(request).await.answer()?;
        loop {
            match watch.message().await {
                Ok(Some(answer)) => {
                    if !answer.changes.is_empty() {
                        printer.message_line(
                            "jinke.customer.v1.WatchCustomerChangesResponse",
                            &answer,
                        )?;
                        let mut table = change_table();
                        answer
                            .changes
                            .iter()
                            .for_each(|change| change_row(&mut table, change));
                        printer.table(&table)?;
                        printer.flush()?;
                    }
                    *next = answer.next_page_token;
                }
                // The server may cut a watch at any time; the token goes on where it stood.
                Ok(None) => break,
                Err(status) if jinke_runner::deliver::is_retryable(status.code()) => break,
                // A watch lasts no longer than its access token. The next call brings a new one, and
                // says so itself when there is none to be had.
                Err(status) if status.code() == tonic::Code::Unauthenticated => break,
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
