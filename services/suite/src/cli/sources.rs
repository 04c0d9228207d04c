//! `jinke sources …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jinke_proto::jinke::customer::v1::{
    self as pb, source::Sharing, source_service_client::SourceServiceClient,
};
use jinke_types::Failure;

use super::{
    Global, Outcome,
    page::{Limit, collect, more, request_id},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on sources.
#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// List sources
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Create a source
    Create(CreateArgs),
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Id: 1 to 63 of a-z 0-9 -, starting with a letter
    id: String,
    /// Name for people
    #[arg(long, default_value = "")]
    display_name: String,
    /// 0 to 100; values of a more trusted source are preferred [default: 50]
    #[arg(long)]
    trust: Option<i32>,
    /// Org unit the source belongs to: orgUnits/ID
    #[arg(long, default_value = "")]
    org_unit: String,
    /// Only callers with a role in the org unit see its records
    #[arg(long)]
    walled: bool,
}

/// Runs a command on sources.
///
/// # Errors
/// What the server answered.
pub async fn sources(
    global: &Global,
    command: SourcesCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = SourceServiceClient::new(connect(global)?);
    match command {
        SourcesCommand::List { limit } => {
            let (sources, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListSourcesRequest {
                        page_size,
                        page_token,
                    };
                    let answer = client.list_sources(request).await.answer()?;
                    Ok((answer.sources, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListSourcesResponse {
                sources,
                next_page_token,
            };
            printer.message("jinke.customer.v1.ListSourcesResponse", &answer)?;
            rows(&answer.sources, printer)?;
            if let Some(line) = more(&answer.next_page_token) {
                printer.line(line)?;
            }
        }
        SourcesCommand::Create(args) => {
            let sharing = if args.walled {
                Sharing::OrgUnit
            } else {
                Sharing::Group
            };
            let request = pb::CreateSourceRequest {
                source_id: args.id,
                source: Some(pb::Source {
                    display_name: args.display_name,
                    trust: args.trust,
                    org_unit: args.org_unit,
                    sharing: sharing.into(),
                    ..pb::Source::default()
                }),
                request_id: request_id(),
            };
            let source = client.create_source(request).await.answer()?;
            printer.message("jinke.customer.v1.Source", &source)?;
            rows(&[source], printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(sources: &[pb::Source], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "来源 source",
        "名称 name",
        ">可信度 trust",
        "组织 org unit",
        "共享 sharing",
        "创建 created",
    ]);
    for s in sources {
        table.row([
            s.name.as_str(),
            &s.display_name,
            &s.trust.map(|t| t.to_string()).unwrap_or_default(),
            &s.org_unit,
            if s.sharing() == Sharing::OrgUnit {
                "本组织 org unit"
            } else {
                "全集团 group"
            },
            &text::time(s.create_time.as_ref()),
        ]);
    }
    printer.table(&table)
}
