//! Answers of the reporting service as tables.

use jinke_proto::{google::r#type::Date, jinke::reporting::v1 as pb};
use jinke_types::Failure;

use crate::print::{Printer, Table, text};

/// A decimal for people: at most two decimals behind the point, percent for ratios.
fn value(v: &pb::MeasureValue) -> String {
    let Some(decimal) = &v.value else {
        return match v.null_reason.as_str() {
            "" => "—".to_owned(),
            reason => format!("— ({reason})"),
        };
    };
    if v.unit == "ratio" {
        return percent(&decimal.value);
    }
    short(&decimal.value)
}

/// Cut, not rounded, behind the second decimal, with separators: the exact number is in the JSON.
fn short(decimal: &str) -> String {
    let (sign, rest) = match decimal.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", decimal),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    match part.get(..2.min(part.len())) {
        Some(part) if !part.is_empty() => format!("{sign}{out}.{part}"),
        _ => format!("{sign}{out}"),
    }
}

/// `0.1234` as `12.34%`.
fn percent(decimal: &str) -> String {
    let (sign, rest) = match decimal.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", decimal),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = format!("{part:0<4}");
    let hundred = format!("{whole}{}", digits.get(..2).unwrap_or("00"));
    let hundred = hundred.trim_start_matches('0');
    let hundred = if hundred.is_empty() { "0" } else { hundred };
    format!("{sign}{hundred}.{}%", digits.get(2..4).unwrap_or("00"))
}

fn day(date: Option<&Date>) -> String {
    date.map_or_else(String::new, |d| {
        format!("{:04}-{:02}-{:02}", d.year, d.month, d.day)
    })
}

fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The first page of a report.
pub(super) fn report(report: &pb::Report, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.line(format!(
        "客户资产报告 customer asset report  {}  截至 as of {}",
        report.name,
        day(report.date.as_ref())
    ))?;
    let mut table = Table::new(["指标 measure", ">本期 now", ">上年 year before"]);
    for v in &report.values {
        let before = pb::MeasureValue {
            value: v.compared.clone(),
            unit: v.unit.clone(),
            ..pb::MeasureValue::default()
        };
        table.row([id(&v.measure), &value(v), &value(&before)]);
    }
    printer.table(&table)?;
    printer.line(format!("内容哈希 content hash: {}", report.content_hash))
}

/// Reports that were made.
pub(super) fn reports(
    answer: &pb::ListReportsResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if answer.reports.is_empty() {
        return printer.line("没有报告 no reports");
    }
    let mut table = Table::new(["报告 report", "日期 date", "制作 made", "作者 by"]);
    for r in &answer.reports {
        table.row([
            r.name.as_str(),
            &day(r.date.as_ref()),
            &text::time(r.create_time.as_ref()),
            &r.creator,
        ]);
    }
    printer.table(&table)
}

/// All measures.
pub(super) fn measures(
    answer: &pb::ListMeasuresResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut table = Table::new(["指标 measure", "名称 name", "单位 unit", "公式 formula"]);
    for m in &answer.measures {
        table.row([
            id(&m.name),
            &format!("{} {}", m.display_name_zh, m.display_name),
            &m.unit,
            &m.formula_zh,
        ]);
    }
    printer.table(&table)
}

/// Groups in periods.
pub(super) fn metrics(
    request: &pb::QueryMetricsRequest,
    answer: &pb::QueryMetricsResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut head: Vec<String> = vec!["期间 period".to_owned()];
    head.extend(request.dimensions.iter().cloned());
    let compared = request.comparison != 0;
    for m in &request.measures {
        head.push(format!(">{}", id(m)));
        if compared {
            head.push(">±".to_owned());
        }
    }
    let mut table = Table::new(head.iter().map(String::as_str));
    for row in &answer.rows {
        let mut cells = vec![format!(
            "{} – {}",
            day(row.start_date.as_ref()),
            day(row.end_date.as_ref())
        )];
        for (n, v) in row.dimension_values.iter().enumerate() {
            let label = row.dimension_labels.get(n).filter(|l| !l.is_empty());
            cells.push(match label {
                _ if v.is_empty() => "（未知 unknown）".to_owned(),
                Some(label) => format!("{} {}", text::clean(v), text::clean(label)),
                None => text::clean(v),
            });
        }
        for v in &row.values {
            cells.push(value(v));
            if compared {
                let change = v.change.as_ref().map(|c| percent(&c.value));
                cells.push(change.unwrap_or_else(|| "—".to_owned()));
            }
        }
        table.row(cells);
    }
    printer.table(&table)?;
    excluded(answer.basis.as_ref(), printer)
}

/// What an answer leaves out.
fn excluded(basis: Option<&pb::Basis>, printer: &mut Printer<'_>) -> Result<(), Failure> {
    for e in basis.map(|b| b.excluded.as_slice()).unwrap_or_default() {
        printer.line(format!(
            "未计入 left out: {} {} {}",
            e.count, e.reason, e.currency
        ))?;
    }
    Ok(())
}

/// Rows behind a value.
pub(super) fn metric_rows(
    answer: &pb::ListMetricRowsResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut table = Table::new([
        "客户 customer",
        "名称 name",
        "对象 subject",
        "时间 time",
        ">分子 numerator",
        ">分母 denominator",
    ]);
    let decimal = |d: &Option<jinke_proto::google::r#type::Decimal>| {
        d.as_ref().map(|d| short(&d.value)).unwrap_or_default()
    };
    for row in &answer.rows {
        table.row([
            row.customer.as_str(),
            &text::clean(&row.display_name),
            &text::clean(&row.subject),
            &text::time(row.time.as_ref()),
            &decimal(&row.numerator),
            &decimal(&row.denominator),
        ]);
    }
    printer.table(&table)?;
    let total = answer.value.as_ref().map(value).unwrap_or_default();
    printer.line(format!(
        "共 {} 行 rows，合计 value: {total}",
        answer.total_size
    ))
}

/// One customer.
pub(super) fn insight(
    insight: &pb::CustomerInsight,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let grade = match insight.grade() {
        pb::Grade::A => "A",
        pb::Grade::B => "B",
        pb::Grade::C => "C",
        pb::Grade::Unspecified => "—",
    };
    printer.line(format!(
        "{}  {}  等级 grade {grade}  阶段 stage {}（自 since {}）",
        insight.customer,
        text::clean(&insight.display_name),
        insight
            .lifecycle_stage()
            .as_str_name()
            .trim_start_matches("LIFECYCLE_STAGE_"),
        day(insight.stage_since.as_ref())
    ))?;
    if let Some(rfm) = &insight.rfm {
        let monetary = rfm.monetary.as_ref().map(|m| short(&m.value));
        printer.line(format!(
            "RFM  R{} F{} M{} {}  最近 recency {} 天，频次 frequency {}，金额 monetary {}",
            rfm.r,
            rfm.f,
            rfm.m,
            rfm.segment,
            rfm.recency_days,
            rfm.frequency,
            monetary.unwrap_or_else(|| "—".to_owned())
        ))?;
    }
    let mut table = Table::new(["指标 measure", ">值 value", "单位 unit"]);
    for v in &insight.values {
        table.row([id(&v.measure), &value(v), v.unit.as_str()]);
    }
    printer.table(&table)?;
    for reason in &insight.churn_reasons {
        printer.line(format!("⚠ {} ({})", reason.text_zh, reason.text))?;
    }
    Ok(())
}

/// Whom conditions find.
pub(super) fn segment(
    answer: &pb::PreviewSegmentResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    printer.line(format!("共 {} 位客户 customers", answer.total_size))?;
    let mut table = Table::new(["客户 customer", "名称 name", "依据 values"]);
    for m in &answer.members {
        let values: Vec<_> = m
            .values
            .iter()
            .map(|v| format!("{}={}", v.variable, text::clean(&v.value)))
            .collect();
        table.row([
            m.customer.as_str(),
            &text::clean(&m.display_name),
            &values.join(" "),
        ]);
    }
    printer.table(&table)
}

/// What an evaluation did.
pub(super) fn evaluated(
    done: &pb::EvaluateChurnResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    printer.line(format!(
        "客户 customers {}，新增 opened {}，恢复 recovered {}，重开 reopened {}，进行中 open {}，任务 tasks {}",
        done.customers, done.opened, done.recovered, done.reopened, done.open, done.tasks
    ))
}

/// Churn warnings.
pub(super) fn episodes(
    answer: &pb::ListChurnEpisodesResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if answer.episodes.is_empty() {
        return printer.line("没有流失预警 no churn warnings");
    }
    let mut table = Table::new(["预警 episode", "客户 customer", "任务 task", "原因 reasons"]);
    for e in &answer.episodes {
        let reasons: Vec<_> = e.reasons.iter().map(|r| r.text_zh.as_str()).collect();
        // Of a customer that was merged the older episode speaks.
        let name = if e.joined_to.is_empty() {
            e.name.clone()
        } else {
            format!("{} → {}", e.name, e.joined_to)
        };
        table.row([name.as_str(), &e.customer, &e.task, &reasons.join("；")]);
    }
    printer.table(&table)
}

/// Where projections stand.
pub(super) fn projections(
    answer: &pb::ListProjectionsResponse,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut table = Table::new([
        "投影 projection",
        "状态 state",
        "变更流 feed",
        ">位置 position",
        ">已应用 applied",
        "最新 caught up",
        "错误 error",
    ]);
    for p in &answer.projections {
        for f in &p.feeds {
            table.row([
                p.name.as_str(),
                p.state().as_str_name().trim_start_matches("STATE_"),
                &f.feed,
                &f.position.to_string(),
                &f.applied.to_string(),
                if f.caught_up { "是 yes" } else { "否 no" },
                &f.last_error,
            ]);
        }
    }
    printer.table(&table)?;
    for p in &answer.projections {
        printer.line(format!(
            "{}: 客户 customers {}，交易 transactions {}，互动 interactions {}，商机 opportunities {}，\
             延迟 lag {} s",
            p.name, p.customers, p.transactions, p.interactions, p.opportunities, p.lag_seconds
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_shortly() {
        assert_eq!(short("-1234567.891"), "-1,234,567.89");
        assert_eq!(short("12"), "12");
        assert_eq!(percent("0.1234567"), "12.34%");
        assert_eq!(percent("1"), "100.00%");
        assert_eq!(percent("-0.005"), "-0.50%");
    }
}
