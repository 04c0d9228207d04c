//! Tables of connectors and connections.

use std::process::ExitCode;

use jinke_proto::{google::rpc::Status, jinke::connector::v1 as pb};
use jinke_types::Failure;

use crate::{
    cli::Outcome,
    print::{Printer, Table, text},
};

const fn verification(found: pb::Verification) -> &'static str {
    match found {
        pb::Verification::RealServer => "真实系统 real server",
        pb::Verification::OfficialSdk => {
            "官方SDK与模拟器一致 official SDK agrees with our simulator"
        }
        pb::Verification::DocumentationOnly => "仅按文档 documentation only",
        pb::Verification::Unverified | pb::Verification::Unspecified => "未验证 unverified",
    }
}

/// The kinds and how far each part is proven.
pub(super) fn connectors(list: &[pb::Connector], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "连接器 connector",
        "部分 part",
        "验证 verification",
        "依据 evidence",
    ]);
    for connector in list {
        for (i, part) in connector.parts.iter().enumerate() {
            let name = if i == 0 {
                let id = connector.name.trim_start_matches("connectors/");
                format!("{id} {}", connector.display_name)
            } else {
                String::new()
            };
            table.row([
                name.as_str(),
                &part.name,
                verification(part.verification()),
                &part.evidence,
            ]);
        }
    }
    printer.table(&table)
}

/// The settings of a kind.
pub(super) fn keys(connector: &pb::Connector, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.line(format!("{}  {}", connector.display_name, connector.about))?;
    let mut table = Table::new(["设置 key", "必填 required", "默认 default", "说明 about"]);
    for key in &connector.keys {
        let name = if key.secret {
            format!("{} (密钥 secret)", key.name)
        } else {
            key.name.clone()
        };
        table.row([
            name.as_str(),
            if key.required { "是 yes" } else { "" },
            &key.default_value,
            &key.about,
        ]);
    }
    printer.table(&table)
}

fn state(connection: &pb::Connection) -> &'static str {
    match pb::connection::State::try_from(connection.state) {
        Ok(pb::connection::State::Paused) => "已暂停 paused",
        _ => "运行中 active",
    }
}

const fn run_state(found: pb::run::State) -> &'static str {
    use pb::run::State;
    match found {
        State::Unspecified => "",
        State::Queued => "排队 queued",
        State::Running => "运行 running",
        State::Waiting => "等待重试 waiting",
        State::NeedsApproval => "待批准 needs approval",
        State::Succeeded => "成功 succeeded",
        State::SucceededWithErrors => "有错误 with errors",
        State::Failed => "失败 failed",
        State::Cancelled => "已取消 cancelled",
    }
}

fn problem(status: Option<&Status>) -> String {
    status.map(|s| text::clean(&s.message)).unwrap_or_default()
}

fn schedule(found: Option<&pb::Schedule>) -> String {
    use pb::schedule::When;
    match found.and_then(|s| Some((s.when.as_ref()?, s))) {
        None => String::new(),
        Some((When::Interval(every), _)) => format!("每 every {}s", every.seconds),
        Some((When::Cron(line), s)) => format!("{line} {}", s.time_zone),
    }
}

/// Connections, a line each.
pub(super) fn connections(
    list: &[pb::Connection],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut table = Table::new([
        "连接 connection",
        "连接器 connector",
        "状态 state",
        "上次运行 last run",
        "下次运行 next run",
        "问题 problem",
    ]);
    for c in list {
        table.row([
            c.name.trim_start_matches("connections/"),
            c.connector.trim_start_matches("connectors/"),
            state(c),
            run_state(c.last_run_state()),
            &text::time(c.next_run_time.as_ref()),
            &problem(c.problem.as_ref()),
        ]);
    }
    printer.table(&table)
}

/// One connection.
pub(super) fn connection(c: &pb::Connection, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new(["项 item", "值 value"]);
    let source = c.source.as_ref();
    let sweep = c.sweep.as_ref().and_then(|s| s.schedule.as_ref());
    let settings = c.settings.as_ref().map(|s| {
        let mut keys: Vec<_> = s.fields.keys().cloned().collect();
        keys.sort();
        keys.join("、")
    });
    for (item, value) in [
        ("连接 connection", c.name.clone()),
        ("名称 name", c.display_name.clone()),
        ("连接器 connector", c.connector.clone()),
        ("状态 state", state(c).to_owned()),
        (
            "来源 source",
            source.map(|s| s.source.clone()).unwrap_or_default(),
        ),
        ("组织 org unit", c.org_unit.clone()),
        ("设置 settings", settings.unwrap_or_default()),
        ("密钥 secrets", c.secret_keys.join("、")),
        ("计划 schedule", schedule(c.schedule.as_ref())),
        ("清查 sweep", schedule(sweep)),
        ("下次运行 next run", text::time(c.next_run_time.as_ref())),
        (
            "上次运行 last run",
            format!("{} {}", c.last_run, run_state(c.last_run_state())),
        ),
        ("回调 callback", c.callback_path.clone()),
        ("问题 problem", problem(c.problem.as_ref())),
    ] {
        if !value.trim().is_empty() {
            table.row([item, value.as_str()]);
        }
    }
    printer.table(&table)
}

/// The result of a check; the exit code says whether all is well.
pub(super) fn check(answer: &pb::CheckConnectionResponse, printer: &mut Printer<'_>) -> Outcome {
    let took = answer
        .duration
        .as_ref()
        .map_or(0, |d| d.seconds * 1_000 + i64::from(d.nanos / 1_000_000));
    match &answer.error {
        None => {
            printer.line(format!("可以连接 all is well ({took} ms)"))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(error) => {
            printer.line(format!(
                "不能连接 it does not work: {} ({took} ms)",
                text::clean(&error.message)
            ))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Streams.
pub(super) fn streams(list: &[pb::Stream], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "数据流 stream",
        "类型 kind",
        ">列 columns",
        "验证 verification",
        "说明 notes",
    ]);
    for s in list {
        table.row([
            s.stream.as_str(),
            &s.kind,
            &s.columns.len().to_string(),
            verification(s.verification()),
            &text::clean(&s.notes.join("; ")),
        ]);
    }
    printer.table(&table)
}

/// Records as they would be read.
pub(super) fn records(
    list: &[pb::PreviewRecord],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut table = Table::new([
        "外部编号 external id",
        "类型 kind",
        "属性 attribute",
        "值 value",
    ]);
    for record in list {
        for (i, value) in record.values.iter().enumerate() {
            let first = i == 0;
            let shown = if value.hidden {
                "（隐藏 hidden）".to_owned()
            } else {
                text::clean(&value.text)
            };
            table.row([
                if first {
                    record.external_id.as_str()
                } else {
                    ""
                },
                if first { record.kind.as_str() } else { "" },
                &value.attribute,
                &shown,
            ]);
        }
    }
    printer.table(&table)
}

/// A preview.
pub(super) fn preview(
    answer: &pb::PreviewMappingResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    records(&answer.records, printer)?;
    for note in &answer.notes {
        printer.line(text::clean(note))?;
    }
    if answer.errors.is_empty() {
        return Ok(());
    }
    errors(&answer.errors, printer)
}

/// One line on how far a run is.
pub(super) fn progress(run: &pb::Run) -> String {
    let at = run.streams.iter().rev().find(|s| {
        !matches!(
            s.state(),
            pb::run::stream_progress::State::Pending | pb::run::stream_progress::State::Unspecified
        )
    });
    let stream = at.map_or_else(String::new, |s| {
        let taken = s.created + s.updated + s.unchanged + s.superseded;
        format!(
            "  {} {}/{}  已送达 taken {taken}",
            s.stream, s.done_units, s.total_units
        )
    });
    format!("{}{stream}", run_state(run.state()))
}

/// What a sweep that waits found.
pub(super) fn findings(run: &pb::Run, printer: &mut Printer<'_>) -> Result<(), Failure> {
    if run.state() != pb::run::State::NeedsApproval {
        return Ok(());
    }
    for f in &run.findings {
        printer.line(format!(
            "{}: 至少 {} / {} 条消失，最多允许 {}；批准用 jinke connections approve",
            f.stream, f.gone_at_least, f.known, f.may_vanish
        ))?;
    }
    Ok(())
}

/// Runs, a line for each stream.
pub(super) fn runs(list: &[pb::Run], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "运行 run",
        "状态 state",
        "开始 start",
        "数据流 stream",
        ">新增 created",
        ">更新 updated",
        ">未变 unchanged",
        ">删除 deleted",
        ">拒绝 rejected",
        ">坏行 row errors",
        "问题 problem",
    ]);
    for run in list {
        let number = run.name.rsplit('/').next().unwrap_or_default();
        let head = [
            number,
            run_state(run.state()),
            &text::time(run.start_time.as_ref()),
        ]
        .map(str::to_owned);
        if run.streams.is_empty() {
            let mut row = head.to_vec();
            row.extend((0..7).map(|_| String::new()));
            row.push(problem(run.error.as_ref()));
            table.row(row);
            continue;
        }
        for (i, s) in run.streams.iter().enumerate() {
            let mut row = if i == 0 {
                head.to_vec()
            } else {
                vec![String::new(); 3]
            };
            row.push(s.stream.clone());
            let counts = [
                s.created + s.directory_entries,
                s.updated,
                s.unchanged + s.superseded,
                s.deleted,
                s.rejected,
                s.row_errors,
            ];
            row.extend(counts.map(|n| n.to_string()));
            row.push(problem(s.error.as_ref().or(if i == 0 {
                run.error.as_ref()
            } else {
                None
            })));
            table.row(row);
        }
    }
    printer.table(&table)
}

/// Record errors.
pub(super) fn errors(list: &[pb::RecordError], printer: &mut Printer<'_>) -> Result<(), Failure> {
    use pb::record_error::Effect;
    let mut table = Table::new([
        "数据流 stream",
        "位置 place",
        "结果 effect",
        "原因 reason",
        ">次数 attempts",
        "重试 retry",
    ]);
    for e in list {
        let place = if e.external_id.is_empty() {
            format!("{} {} {} {}", e.file, e.sheet, e.row, e.column)
        } else {
            e.external_id.clone()
        };
        let effect = match e.effect() {
            Effect::ValueLeftOut => "该值未导入 value left out",
            Effect::RecordRejected => "记录被拒绝 rejected",
            Effect::RowSkipped | Effect::Unspecified => "整行未导入 row skipped",
        };
        table.row([
            e.stream.as_str(),
            &text::clean(&place),
            effect,
            &text::clean(&format!("{} {}", e.reason, e.message)),
            &e.attempts.to_string(),
            &text::time(e.retry_time.as_ref()),
        ]);
    }
    printer.table(&table)
}

/// Dead letters.
pub(super) fn letters(list: &[pb::DeadLetter], printer: &mut Printer<'_>) -> Result<(), Failure> {
    use pb::dead_letter::Kind;
    let mut table = Table::new([
        ">编号 number",
        "类型 kind",
        "对象 of",
        "原因 reason",
        ">次数 attempts",
        "时间 time",
    ]);
    for letter in list {
        let (kind, of) = match letter.kind() {
            Kind::Delivery => ("消息 delivery", letter.delivery.clone()),
            Kind::Event => (
                "事件 event",
                format!("{} {}", letter.stream, letter.external_id),
            ),
            Kind::Record | Kind::Unspecified => (
                "记录 record",
                format!("{} {}", letter.stream, letter.external_id),
            ),
        };
        table.row([
            letter.name.rsplit('/').next().unwrap_or_default(),
            kind,
            &text::clean(&of),
            &text::clean(&format!("{} {}", letter.reason, letter.message)),
            &letter.attempts.to_string(),
            &text::time(letter.update_time.as_ref()),
        ]);
    }
    printer.table(&table)
}

/// Cursors.
pub(super) fn cursors(list: &[pb::Cursor], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut table = Table::new([
        "数据流 stream",
        ">已知记录 known records",
        "保存于 saved",
        "游标 cursor",
    ]);
    for c in list {
        let shown: String = c.cursor.chars().take(60).collect();
        table.row([
            c.stream.as_str(),
            &c.known_records.to_string(),
            &text::time(c.update_time.as_ref()),
            &text::clean(&shown),
        ]);
    }
    printer.table(&table)
}

/// Deliveries.
pub(super) fn deliveries(list: &[pb::Delivery], printer: &mut Printer<'_>) -> Result<(), Failure> {
    use pb::delivery::State;
    let mut table = Table::new([
        ">编号 number",
        "状态 state",
        "对象 to",
        "标题 title",
        ">次数 attempts",
        "创建 created",
        "问题 problem",
    ]);
    for d in list {
        let state = match d.state() {
            State::Delivered => "已送达 delivered",
            State::Failed => "失败 failed",
            State::Discarded => "已丢弃 discarded",
            State::Pending | State::Unspecified => "待发送 pending",
        };
        let to = if d.record_kind.is_empty() {
            d.recipient.clone()
        } else {
            format!("{} {}", d.record_kind, d.done_steps.join("→"))
        };
        table.row([
            d.name.rsplit('/').next().unwrap_or_default(),
            state,
            &text::clean(&to),
            &text::clean(&d.title),
            &d.attempts.to_string(),
            &text::time(d.create_time.as_ref()),
            &problem(d.error.as_ref()),
        ]);
    }
    printer.table(&table)
}
