//! `jinke operations …`, and waiting for an operation that another command started.

use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jinke_kit::{Peer, operations::unpack, status};
use jinke_proto::{
    google::longrunning::{self as lro, operation, operations_client::OperationsClient},
    jinke::r#type::v1::{OperationMetadata, operation_metadata::State},
};
use jinke_types::{Code, Failure};
use prost::{Message, Name};

use super::{Global, Outcome};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on long-running operations.
#[derive(Debug, Subcommand)]
pub enum OperationsCommand {
    /// List operations, newest first: your own, and all when you may see them
    List {
        /// Of which service
        #[arg(long, default_value = "customer")]
        service: String,
        /// `done = true`, `done = false`, `kind = "rebuild"`, joined with AND
        #[arg(long, default_value = "")]
        filter: String,
    },
    /// Show one operation
    Get {
        /// E.g. customer/operations/12
        name: String,
    },
    /// Wait for an operation to end
    Wait {
        /// E.g. customer/operations/12
        name: String,
    },
    /// Ask an operation to stop
    Cancel {
        /// E.g. customer/operations/12
        name: String,
    },
}

/// Runs a command on operations.
///
/// # Errors
/// What the server answered.
pub async fn operations(
    global: &Global,
    command: OperationsCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = OperationsClient::new(connect(global)?);
    match command {
        OperationsCommand::List { service, filter } => {
            let request = lro::ListOperationsRequest {
                name: format!("{service}/operations"),
                filter,
                page_size: 100,
                ..Default::default()
            };
            let answer = client.list_operations(request).await.answer()?;
            let headers = [
                "操作 operation",
                "种类 kind",
                "状态 state",
                "进度 done",
                "开始 created",
            ];
            let mut table = Table::new(headers);
            for o in &answer.operations {
                let m = metadata(o)?;
                table.row([
                    o.name.clone(),
                    m.kind.clone(),
                    state(&m).to_owned(),
                    done(&m),
                    text::time(m.create_time.as_ref()),
                ]);
            }
            shown(printer, &answer.operations)?;
            printer.table(&table)?;
        }
        OperationsCommand::Get { name } => {
            let request = lro::GetOperationRequest { name };
            let o = client.get_operation(request).await.answer()?;
            shown(printer, std::slice::from_ref(&o))?;
            print(&o, printer)?;
        }
        OperationsCommand::Wait { name } => {
            let o = wait(&mut client, name, printer.is_json()).await?;
            shown(printer, std::slice::from_ref(&o))?;
            print(&o, printer)?;
            ended(o)?;
        }
        OperationsCommand::Cancel { name } => {
            let request = lro::CancelOperationRequest { name };
            client.cancel_operation(request).await.answer()?;
            printer.line("已请求取消 asked to stop")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn metadata(o: &lro::Operation) -> Result<OperationMetadata, Failure> {
    o.metadata.as_ref().map_or_else(
        || Ok(OperationMetadata::default()),
        unpack::<OperationMetadata>,
    )
}

fn state(m: &OperationMetadata) -> &'static str {
    match m.state() {
        State::Running if m.cancel_requested => "正在取消 stopping",
        State::Running | State::Unspecified => "进行中 running",
        State::Succeeded => "完成 succeeded",
        State::Failed => "失败 failed",
        State::Cancelled => "已取消 cancelled",
    }
}

fn done(m: &OperationMetadata) -> String {
    match m.steps_total {
        0 => String::new(),
        total => format!("{}/{total}", m.steps_done),
    }
}

/// Prints operations as JSON, when that is wanted: their metadata, for the results are of kinds
/// that the JSON mapping of one message cannot name.
fn shown(printer: &mut Printer<'_>, list: &[lro::Operation]) -> Result<(), Failure> {
    if !printer.is_json() {
        return Ok(());
    }
    for o in list {
        let m = metadata(o)?;
        printer.value(&serde_json::json!({
            "name": o.name,
            "done": o.done,
            "kind": m.kind,
            "state": m.state().as_str_name(),
            "stepsDone": m.steps_done,
            "stepsTotal": m.steps_total,
            "attempts": m.attempts,
            "creator": m.creator,
        }))?;
    }
    Ok(())
}

fn print(o: &lro::Operation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    if printer.is_json() {
        return Ok(());
    }
    let m = metadata(o)?;
    printer.line(format!(
        "{}  {}  {} {}",
        o.name,
        m.kind,
        state(&m),
        done(&m)
    ))?;
    if let Some(operation::Result::Error(error)) = &o.result {
        printer.line(&error.message)?;
    }
    Ok(())
}

/// Waits for an operation, with a bar where a person looks on.
async fn wait(
    client: &mut OperationsClient<Peer>,
    name: String,
    quiet: bool,
) -> Result<lro::Operation, Failure> {
    let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        let style = ProgressStyle::with_template("{spinner} {prefix:.bold} {bar:24} {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    loop {
        let request = lro::WaitOperationRequest {
            name: name.clone(),
            timeout: Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            }),
        };
        let o = client.wait_operation(request).await.answer()?;
        if let Some(bar) = &bar {
            let m = metadata(&o)?;
            bar.set_prefix(m.kind);
            bar.set_length(u64::try_from(m.steps_total).unwrap_or(0));
            bar.set_position(u64::try_from(m.steps_done).unwrap_or(0));
        }
        if o.done {
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(o);
        }
    }
}

/// The failure an operation ended with, as if the call had.
fn ended(o: lro::Operation) -> Result<Option<prost_types::Any>, Failure> {
    match o.result {
        Some(operation::Result::Response(any)) => Ok(Some(any)),
        Some(operation::Result::Error(error)) => {
            let status = tonic::Status::with_details(
                tonic::Code::from_i32(error.code),
                error.message.clone(),
                error.encode_to_vec().into(),
            );
            Err(status::failure(&status))
        }
        None => Ok(None),
    }
}

/// Waits for an operation that a command started; what it ended with.
///
/// # Errors
/// What it failed with; `OPERATION_CANCELLED` when somebody took it back.
pub(super) async fn result<M: Message + Name + Default>(
    global: &Global,
    started: lro::Operation,
    printer: &Printer<'_>,
) -> Result<M, Failure> {
    let mut client = OperationsClient::new(connect(global)?);
    let o = wait(&mut client, started.name, printer.is_json()).await?;
    match ended(o)? {
        Some(any) => unpack(&any),
        None => Err(Failure::new(
            Code::Internal,
            "INTERNAL",
            "the operation ended without a result",
        )),
    }
}
