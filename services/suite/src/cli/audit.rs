//! `jinke audit …`: who changed what, who was refused, who was shown guarded values.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jinke_proto::jinke::identity::v1::{
    self as pb, audit_event::Kind, audit_service_client::AuditServiceClient,
    verify_audit_trail_response::Fault,
};
use jinke_types::{Failure, Timestamp};

use super::{
    Global, Outcome,
    page::{Limit, collect, more, named},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, error::EXIT_UNHEALTHY, text},
};

/// Resources shown of one event.
const SHOWN: usize = 3;

/// The commands on the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List events, newest first
    List(ListArgs),
    /// Check that no event is missing or was changed; ends with code 8 when one is
    Verify {
        /// Only the trails of these services
        #[arg(value_parser = trail_name)]
        services: Vec<String>,
    },
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only of this caller: users/ID or serviceAccounts/ID
    #[arg(long, default_value = "")]
    caller: String,
    /// Only those that name this resource, e.g. customers/42
    #[arg(long, default_value = "")]
    resource: String,
    /// Only of this method, e.g. GetCustomer
    #[arg(long, default_value = "")]
    method: String,
    /// Only of this service, e.g. customer
    #[arg(long, default_value = "")]
    service: String,
    /// Only of this kind
    #[arg(long)]
    kind: Option<Wanted>,
    /// Not before, e.g. 2026-11-01T00:00:00Z
    #[arg(long, value_parser = time)]
    since: Option<prost_types::Timestamp>,
    /// Before
    #[arg(long, value_parser = time)]
    until: Option<prost_types::Timestamp>,
    /// How much
    #[command(flatten)]
    limit: Limit,
}

/// A kind of event.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Wanted {
    /// A change was asked for
    Mutation,
    /// The caller was refused
    Refusal,
    /// Values of a guarded class were shown
    Disclosure,
}

fn trail_name(text: &str) -> Result<String, String> {
    named("auditTrails", text)
}

fn time(text: &str) -> Result<prost_types::Timestamp, String> {
    let time = Timestamp::parse(text).ok_or("write a time like 2026-11-01T00:00:00Z")?;
    Ok(prost_types::Timestamp {
        seconds: time.secs(),
        nanos: time.subsec_nanos(),
    })
}

/// Runs a command on the audit trail.
///
/// # Errors
/// What the server answered.
pub async fn audit(global: &Global, command: AuditCommand, printer: &mut Printer<'_>) -> Outcome {
    match command {
        AuditCommand::List(args) => list(global, args, printer).await,
        AuditCommand::Verify { services } => verify(global, services, printer).await,
    }
}

async fn list(global: &Global, args: ListArgs, printer: &mut Printer<'_>) -> Outcome {
    let mut client = AuditServiceClient::new(connect(global)?);
    let kind = args.kind.map_or(Kind::Unspecified, |kind| match kind {
        Wanted::Mutation => Kind::Mutation,
        Wanted::Refusal => Kind::Refusal,
        Wanted::Disclosure => Kind::Disclosure,
    });
    let asked = pb::ListAuditEventsRequest {
        caller: args.caller,
        resource: args.resource,
        method: args.method,
        service: args.service,
        kind: kind.into(),
        start_time: args.since,
        end_time: args.until,
        page_size: 0,
        page_token: String::new(),
    };
    let (events, next_page_token) =
        collect(args.limit.limit, 1_000, async |page_size, page_token| {
            let request = pb::ListAuditEventsRequest {
                page_size,
                page_token,
                ..asked.clone()
            };
            let answer = client.list_audit_events(request).await.answer()?;
            Ok((answer.events, answer.next_page_token))
        })
        .await?;
    let answer = pb::ListAuditEventsResponse {
        events,
        next_page_token,
    };
    printer.message("jinke.identity.v1.ListAuditEventsResponse", &answer)?;
    if answer.events.is_empty() {
        printer.line("没有记录 no events")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        "时间 time",
        "事件 event",
        "调用者 caller",
        "方法 method",
        "结果 outcome",
        "资源 resources",
        "类别 classes",
        "用途 purpose",
    ]);
    for event in &answer.events {
        table.row(cells(event));
    }
    printer.table(&table)?;
    if let Some(line) = more(&answer.next_page_token) {
        printer.line(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(event: &pb::AuditEvent) -> [String; 8] {
    let kind = match event.kind() {
        Kind::Mutation => "改动 change",
        Kind::Refusal => "拒绝 refused",
        Kind::Disclosure => "查看 shown",
        Kind::Unspecified => "",
    };
    let caller = if event.actor.is_empty() {
        event.caller.clone()
    } else {
        format!("{} ({})", event.caller, event.actor)
    };
    let verb = event.method.rsplit('/').next().unwrap_or_default();
    let mut resources = event
        .resources
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    let left = usize::try_from(event.resource_count)
        .unwrap_or_default()
        .saturating_sub(SHOWN);
    if left > 0 {
        resources.push_str(&format!(" +{left}"));
    }
    let outcome = if event.reason.is_empty() {
        event.outcome.clone()
    } else {
        event.reason.clone()
    };
    [
        text::time(event.time.as_ref()),
        kind.to_owned(),
        caller,
        verb.to_owned(),
        outcome,
        resources,
        text::classes(event.field_classes()),
        event.purpose.clone(),
    ]
}

/// What a whole trail was found to be.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    name: String,
    verified: i64,
    checkpoint_sequence: i64,
    last_sequence: i64,
    /// Empty when it is whole.
    fault: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    event: String,
}

async fn verify(global: &Global, services: Vec<String>, printer: &mut Printer<'_>) -> Outcome {
    let mut client = AuditServiceClient::new(connect(global)?);
    let answer = client
        .list_audit_trails(pb::ListAuditTrailsRequest {})
        .await
        .answer()?;
    let mut trails = answer.trails;
    if !services.is_empty() {
        trails.retain(|trail| services.contains(&trail.name));
        for name in services {
            // One that is not listed is asked for all the same, so that it is said to be missing.
            if !trails.iter().any(|trail| trail.name == name) {
                trails.push(pb::AuditTrail {
                    name,
                    ..Default::default()
                });
            }
        }
    }
    let mut all = Vec::with_capacity(trails.len());
    for trail in trails {
        all.push(walk(&mut client, trail).await?);
    }
    printer.value(&all)?;
    let mut table = Table::new([
        "链 trail",
        ">已核对 verified",
        ">自 after",
        ">至 last",
        "结果 result",
    ]);
    for found in &all {
        let result = if found.fault.is_empty() {
            "完整 whole".to_owned()
        } else {
            format!("损坏 broken: {} {}", found.fault, found.event)
        };
        table.row([
            &found.name,
            &found.verified.to_string(),
            &found.checkpoint_sequence.to_string(),
            &found.last_sequence.to_string(),
            &result,
        ]);
    }
    printer.table(&table)?;
    let whole = all.iter().all(|found| found.fault.is_empty());
    Ok(ExitCode::from(if whole { 0 } else { EXIT_UNHEALTHY }))
}

async fn walk(
    client: &mut AuditServiceClient<jinke_kit::Peer>,
    trail: pb::AuditTrail,
) -> Result<Found, Failure> {
    let mut found = Found {
        name: trail.name.clone(),
        verified: 0,
        checkpoint_sequence: trail.checkpoint_sequence,
        last_sequence: trail.last_sequence,
        fault: String::new(),
        event: String::new(),
    };
    let mut page_token = String::new();
    loop {
        let request = pb::VerifyAuditTrailRequest {
            name: trail.name.clone(),
            page_token,
        };
        let answer = client.verify_audit_trail(request).await.answer()?;
        found.verified += answer.verified_count;
        if answer.fault() != Fault::Unspecified {
            found.fault = answer.fault().as_str_name().to_owned();
            found.event = answer.event;
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}
