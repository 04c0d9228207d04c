//! `jinke tasks …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jinke_proto::jinke::pipeline::v1::{self as pb, task_service_client::TaskServiceClient};
use jinke_types::Failure;

use crate::{
    cli::{
        Global, Outcome,
        page::{Limit, collect, customer_name, more, named, request_id, user_name},
    },
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on tasks.
#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// The inbox: open tasks by due time; your own unless a filter says otherwise
    List {
        /// How much
        #[command(flatten)]
        limit: Limit,
        /// E.g. 'overdue = true AND kind = RETENTION'
        #[arg(long)]
        filter: Option<String>,
        /// Of everybody
        #[arg(long, conflicts_with = "filter")]
        all: bool,
    },
    /// Show a task and what its timers did
    Show {
        /// Task
        #[arg(value_parser = task_name)]
        task: String,
    },
    /// Make a task
    Add(AddArgs),
    /// Close a task with an outcome
    Done {
        /// Task
        #[arg(value_parser = task_name)]
        task: String,
        /// done, reached, not_reached, retained, lost, won_back, postponed, other
        #[arg(long, default_value = "done")]
        outcome: String,
        /// In words
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Close a task without an outcome, with all that would come back
    Cancel {
        /// Task
        #[arg(value_parser = task_name)]
        task: String,
    },
    /// Give a task to somebody
    Assign {
        /// Task
        #[arg(value_parser = task_name)]
        task: String,
        /// User
        #[arg(value_parser = user_name)]
        owner: String,
    },
}

/// Arguments of `add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What to do
    subject: String,
    /// When: 2026-03-01T10:00:00+08:00, or a date
    #[arg(long, value_parser = due)]
    due: prost_types::Timestamp,
    /// Owner [default: of the opportunity or customer, else you]
    #[arg(long, value_parser = user_name)]
    owner: Option<String>,
    /// Customer
    #[arg(long, value_parser = customer_name)]
    customer: Option<String>,
    /// Opportunity
    #[arg(long)]
    opportunity: Option<String>,
    /// Remind so many minutes before
    #[arg(long, default_value_t = 0)]
    remind_minutes: i64,
    /// Come back: daily, weekly, monthly, yearly
    #[arg(long, value_parser = frequency)]
    every: Option<pb::task::recurrence::Frequency>,
}

fn task_name(text: &str) -> Result<String, String> {
    named("tasks", text)
}

fn due(text: &str) -> Result<prost_types::Timestamp, String> {
    let time = jinke_types::Timestamp::parse(text)
        .ok_or_else(|| "a time is written 2026-03-01T10:00:00+08:00 or 2026-03-01".to_owned())?;
    Ok(prost_types::Timestamp {
        seconds: time.secs(),
        nanos: time.subsec_nanos(),
    })
}

fn frequency(text: &str) -> Result<pb::task::recurrence::Frequency, String> {
    use pb::task::recurrence::Frequency;
    Ok(match text {
        "daily" => Frequency::Daily,
        "weekly" => Frequency::Weekly,
        "monthly" => Frequency::Monthly,
        "yearly" => Frequency::Yearly,
        _ => return Err("one of daily, weekly, monthly, yearly".to_owned()),
    })
}

/// Runs a command on tasks.
///
/// # Errors
/// What the server answered.
pub async fn tasks(global: &Global, command: TasksCommand, printer: &mut Printer<'_>) -> Outcome {
    let mut client = TaskServiceClient::new(connect(global)?);
    match command {
        TasksCommand::List { limit, filter, all } => {
            let filter = match filter {
                Some(filter) => filter,
                None if all => "state = OPEN".to_owned(),
                None => "state = OPEN AND owner = me".to_owned(),
            };
            let (tasks, next_page_token) =
                collect(limit.limit, 1_000, async |page_size, page_token| {
                    let request = pb::ListTasksRequest {
                        page_size,
                        page_token,
                        filter: filter.clone(),
                    };
                    let answer = client.list_tasks(request).await.answer()?;
                    Ok((answer.tasks, answer.next_page_token))
                })
                .await?;
            let answer = pb::ListTasksResponse {
                tasks,
                next_page_token,
            };
            printer.message("jinke.pipeline.v1.ListTasksResponse", &answer)?;
            printer.table(&rows(&answer.tasks))?;
            if let Some(line) = more(&answer.next_page_token) {
                printer.line(line)?;
            }
        }
        TasksCommand::Show { task } => {
            let request = pb::GetTaskRequest { name: task.clone() };
            one(&client.get_task(request).await.answer()?, printer)?;
            if !printer.is_json() {
                let request = pb::ListFiringsRequest {
                    parent: task,
                    page_size: 1_000,
                    page_token: String::new(),
                };
                let answer = client.list_firings(request).await.answer()?;
                printer.line("")?;
                printer.table(&firings(&answer.firings))?;
            }
        }
        TasksCommand::Add(args) => {
            let opportunity = match args.opportunity.as_deref() {
                None => String::new(),
                Some(name) => named("opportunities", name)
                    .map_err(|why| Failure::field("opportunity", why))?,
            };
            let request = pb::CreateTaskRequest {
                task: Some(pb::Task {
                    subject: args.subject,
                    due_time: Some(args.due),
                    owner: args.owner.unwrap_or_default(),
                    customer: args.customer.unwrap_or_default(),
                    opportunity,
                    remind_before: Some(prost_types::Duration {
                        seconds: args.remind_minutes.saturating_mul(60),
                        nanos: 0,
                    }),
                    recurrence: args.every.map(|frequency| pb::task::Recurrence {
                        frequency: frequency.into(),
                        ..pb::task::Recurrence::default()
                    }),
                    ..pb::Task::default()
                }),
                request_id: request_id(),
            };
            one(&client.create_task(request).await.answer()?, printer)?;
        }
        TasksCommand::Done {
            task,
            outcome,
            comment,
        } => {
            let request = pb::CompleteTaskRequest {
                name: task,
                outcome,
                comment,
                request_id: request_id(),
                ..pb::CompleteTaskRequest::default()
            };
            one(&client.complete_task(request).await.answer()?, printer)?;
        }
        TasksCommand::Cancel { task } => {
            let request = pb::CancelTaskRequest {
                name: task,
                request_id: request_id(),
                ..pb::CancelTaskRequest::default()
            };
            one(&client.cancel_task(request).await.answer()?, printer)?;
        }
        TasksCommand::Assign { task, owner } => {
            let request = pb::AssignTaskRequest {
                name: task,
                owner,
                request_id: request_id(),
                ..pb::AssignTaskRequest::default()
            };
            one(&client.assign_task(request).await.answer()?, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn one(task: &pb::Task, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.message("jinke.pipeline.v1.Task", task)?;
    printer.table(&rows(std::slice::from_ref(task)))
}

fn rows(tasks: &[pb::Task]) -> Table {
    use pb::task::{Kind, State};
    let mut table = Table::new([
        "任务 task",
        "到期 due",
        "类型 kind",
        "事项 subject",
        "客户 customer",
        "商机 opportunity",
        "负责人 owner",
        "状态 state",
    ]);
    for t in tasks {
        let kind = match t.kind() {
            Kind::Retention => "挽留 retention",
            Kind::Overdue => "超时 overdue",
            Kind::Other => "其他 other",
            Kind::FollowUp | Kind::Unspecified => "跟进 follow-up",
        };
        let state = match t.state() {
            State::Done => format!("完成 {}", t.outcome),
            State::Cancelled => "取消 cancelled".to_owned(),
            _ if t.overdue => "逾期 overdue".to_owned(),
            _ => "待办 open".to_owned(),
        };
        table.row([
            t.name.as_str(),
            &text::time(t.due_time.as_ref()),
            kind,
            &t.subject,
            &t.current_customer,
            &t.opportunity,
            &t.owner,
            &state,
        ]);
    }
    table
}

fn firings(firings: &[pb::Firing]) -> Table {
    use pb::firing::{Delivery, Kind, Result};
    let mut table = Table::new([
        "计划 planned",
        "触发 fired",
        "种类 kind",
        "结果 result",
        "送达 delivery",
        "给 recipient",
    ]);
    for f in firings {
        let kind = match f.kind() {
            Kind::Reminder => "提醒 reminder",
            Kind::Escalation => "升级 escalation",
            Kind::Recurrence => "下一次 recurrence",
            Kind::Unspecified => "",
        };
        let result = match f.result() {
            Result::Fired => "触发 fired".to_owned(),
            _ => format!("跳过 {}", f.reason),
        };
        let delivery = match f.delivery() {
            Delivery::Pending => format!("等待 pending {}", f.delivery_error),
            Delivery::Sent => "已送 sent".to_owned(),
            Delivery::Failed => format!("失败 {}", f.delivery_error),
            Delivery::Unspecified => String::new(),
        };
        table.row([
            text::time(f.plan_time.as_ref()).as_str(),
            &text::time(f.fire_time.as_ref()),
            kind,
            &result,
            &delivery,
            &f.recipient,
        ]);
    }
    table
}
