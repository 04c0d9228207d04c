//! `jinke connectors …` and `jinke connections …`

pub(super) mod add;
mod args;
mod kept;
mod show;

use std::process::ExitCode;

use jinke_kit::Peer;
use jinke_proto::jinke::connector::v1::{
    self as pb, connector_service_client::ConnectorServiceClient,
};
use jinke_types::{Code, Failure};

use super::{
    Global, Outcome,
    page::{Limit, collect, more, request_id},
};
use crate::{
    connect::{Answer, connect},
    print::Printer,
};

pub use args::{ConnectionsCommand, ConnectorsCommand};

type Client = ConnectorServiceClient<Peer>;

fn client(global: &Global) -> Result<Client, Failure> {
    Ok(ConnectorServiceClient::new(connect(global)?))
}

fn message_name(name: &str) -> String {
    format!("jinke.connector.v1.{name}")
}

/// Runs a command on kinds of connectors.
///
/// # Errors
/// What the server answered.
pub async fn connectors(
    global: &Global,
    command: ConnectorsCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = client(global)?;
    match command {
        ConnectorsCommand::List => {
            let (connectors, next_page_token) =
                collect(1_000, 1_000, async |page_size, page_token| {
                    let request = pb::ListConnectorsRequest {
                        page_size,
                        page_token,
                    };
                    let answer = client.list_connectors(request).await.answer()?;
                    Ok((answer.connectors, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListConnectorsResponse {
                connectors,
                next_page_token,
            };
            printer.message(&message_name("ListConnectorsResponse"), &answer)?;
            show::connectors(&answer.connectors, printer)?;
        }
        ConnectorsCommand::Show { connector } => {
            let request = pb::GetConnectorRequest { name: connector };
            let answer = client.get_connector(request).await.answer()?;
            printer.message(&message_name("Connector"), &answer)?;
            show::keys(&answer, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on connections.
///
/// # Errors
/// What the server answered.
pub async fn connections(
    global: &Global,
    command: ConnectionsCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    use ConnectionsCommand as Command;
    let mut client = client(global)?;
    match command {
        Command::Add(args) => {
            let request = args.request()?;
            let answer = client.create_connection(request).await.answer()?;
            one(&answer, printer)
        }
        Command::List { limit } => list(&mut client, limit, printer).await,
        Command::Show(args) => {
            let name = args.connection;
            let request = pb::GetConnectionRequest { name };
            let answer = client.get_connection(request).await.answer()?;
            one(&answer, printer)
        }
        Command::Check(args) => {
            let name = args.connection;
            let request = pb::CheckConnectionRequest { name };
            let answer = client.check_connection(request).await.answer()?;
            printer.message(&message_name("CheckConnectionResponse"), &answer)?;
            show::check(&answer, printer)
        }
        Command::Discover(args) => {
            let name = args.connection;
            let request = pb::DiscoverConnectionRequest { name };
            let answer = client.discover_connection(request).await.answer()?;
            printer.message(&message_name("DiscoverConnectionResponse"), &answer)?;
            show::streams(&answer.streams, printer)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Preview {
            connection,
            stream,
            mapping,
            rows,
        } => {
            let mapping = mapping.map(|path| add::read(&path)).transpose()?;
            let request = pb::PreviewMappingRequest {
                name: connection,
                stream,
                mapping: mapping.unwrap_or_default(),
                rows,
            };
            let answer = client.preview_mapping(request).await.answer()?;
            printer.message(&message_name("PreviewMappingResponse"), &answer)?;
            show::preview(&answer, printer)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run {
            connection,
            streams,
            sweep,
            no_wait,
        } => {
            let kind = if sweep {
                pb::run::Kind::Sweep
            } else {
                pb::run::Kind::Pull
            };
            let request = pb::RunConnectionRequest {
                name: connection,
                streams,
                kind: kind.into(),
                request_id: request_id(),
            };
            let run = client.run_connection(request).await.answer()?;
            if no_wait {
                runs(&[run], printer)?;
                return Ok(ExitCode::SUCCESS);
            }
            follow(&mut client, run, printer).await
        }
        Command::Pause(args) => {
            let request = pb::PauseConnectionRequest {
                name: args.connection,
                etag: String::new(),
                request_id: request_id(),
            };
            let answer = client.pause_connection(request).await.answer()?;
            one(&answer, printer)
        }
        Command::Resume(args) => {
            let request = pb::ResumeConnectionRequest {
                name: args.connection,
                etag: String::new(),
                request_id: request_id(),
            };
            let answer = client.resume_connection(request).await.answer()?;
            one(&answer, printer)
        }
        Command::Runs { connection, limit } => {
            let (found, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListRunsRequest {
                        parent: connection.clone(),
                        page_size,
                        page_token,
                    };
                    let answer = client.list_runs(request).await.answer()?;
                    Ok((answer.runs, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListRunsResponse {
                runs: found,
                next_page_token,
            };
            printer.message(&message_name("ListRunsResponse"), &answer)?;
            show::runs(&answer.runs, printer)?;
            ended(more(&answer.next_page_token), printer)
        }
        Command::Cancel(args) => {
            let request = pb::CancelRunRequest {
                name: args.name(),
                etag: String::new(),
                request_id: request_id(),
            };
            let run = client.cancel_run(request).await.answer()?;
            runs(&[run], printer)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Approve(args) => {
            let request = pb::ApproveSweepRequest {
                name: args.name(),
                etag: String::new(),
                request_id: request_id(),
            };
            let run = client.approve_sweep(request).await.answer()?;
            follow(&mut client, run, printer).await
        }
        Command::Errors {
            connection,
            retry,
            limit,
        } => kept::errors(&mut client, connection, retry, limit, printer).await,
        Command::DeadLetters {
            connection,
            show,
            retry,
            discard,
            limit,
        } => {
            let decision = (show, retry, discard);
            kept::letters(&mut client, connection, decision, limit, printer).await
        }
        Command::Cursors { connection, reset } => {
            kept::cursors(&mut client, connection, reset, printer).await
        }
        Command::Send {
            connection,
            to,
            title,
            text,
            markdown,
        } => {
            let request = pb::SendMessageRequest {
                name: connection,
                recipient: to,
                title,
                text,
                markdown,
                request_id: request_id(),
            };
            let delivery = client.send_message(request).await.answer()?;
            printer.message(&message_name("Delivery"), &delivery)?;
            show::deliveries(&[delivery], printer)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Deliveries { connection, limit } => {
            let (deliveries, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListDeliveriesRequest {
                        parent: connection.clone(),
                        page_size,
                        page_token,
                    };
                    let answer = client.list_deliveries(request).await.answer()?;
                    Ok((answer.deliveries, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListDeliveriesResponse {
                deliveries,
                next_page_token,
            };
            printer.message(&message_name("ListDeliveriesResponse"), &answer)?;
            show::deliveries(&answer.deliveries, printer)?;
            ended(more(&answer.next_page_token), printer)
        }
        Command::Delete(args) => {
            let request = pb::DeleteConnectionRequest {
                name: args.connection.clone(),
                request_id: request_id(),
                ..pb::DeleteConnectionRequest::default()
            };
            let answer = client.delete_connection(request).await.answer()?;
            printer.message(&message_name("DeleteConnectionResponse"), &answer)?;
            printer.line(format!("已删除 deleted: {}", args.connection))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn ended<L: AsRef<str>>(line: Option<L>, printer: &mut Printer<'_>) -> Outcome {
    if let Some(line) = line {
        printer.line(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn one(connection: &pb::Connection, printer: &mut Printer<'_>) -> Outcome {
    printer.message(&message_name("Connection"), connection)?;
    show::connection(connection, printer)?;
    Ok(ExitCode::SUCCESS)
}

fn runs(list: &[pb::Run], printer: &mut Printer<'_>) -> Result<(), Failure> {
    for run in list {
        printer.message(&message_name("Run"), run)?;
    }
    show::runs(list, printer)
}

async fn list(client: &mut Client, limit: Limit, printer: &mut Printer<'_>) -> Outcome {
    let (connections, next_page_token) =
        collect(limit.limit, 1_000, async |page_size, page_token| {
            let request = pb::ListConnectionsRequest {
                page_size,
                page_token,
            };
            let answer = client.list_connections(request).await.answer()?;
            Ok((answer.connections, answer.next_page_token))
        })
        .await?;
    let answer = pb::ListConnectionsResponse {
        connections,
        next_page_token,
    };
    printer.message(&message_name("ListConnectionsResponse"), &answer)?;
    show::connections(&answer.connections, printer)?;
    ended(more(&answer.next_page_token), printer)
}

/// Follows a run to its end. The exit code says whether all of it was taken.
async fn follow(client: &mut Client, run: pb::Run, printer: &mut Printer<'_>) -> Outcome {
    let request = pb::WatchRunRequest {
        name: run.name.clone(),
    };
    let mut watch = client.watch_run(request).await.answer()?;
    let mut last = run;
    let mut shown = None;
    while let Some(message) = watch
        .message()
        .await
        .map_err(|status| jinke_kit::failure(&status))?
    {
        let Some(run) = message.run else { continue };
        let line = show::progress(&run);
        if shown.as_ref() != Some(&line) {
            printer.line(&line)?;
            shown = Some(line);
        }
        last = run;
        if last.state() == pb::run::State::NeedsApproval {
            break;
        }
    }
    runs(std::slice::from_ref(&last), printer)?;
    show::findings(&last, printer)?;
    Ok(match last.state() {
        pb::run::State::Succeeded => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// A failure for an argument that clap cannot check.
fn argument(field: &str, why: &str) -> Failure {
    let mut failure = Failure::field(field, why);
    failure.code = Code::InvalidArgument;
    failure
}
