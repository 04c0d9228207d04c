//! `jinke customers explain`: why a value is golden, and why two records are one customer.

use clap::Args;
use jinke_proto::jinke::customer::v1::{self as pb, match_service_client::MatchServiceClient};
use jinke_types::Failure;

use super::{
    Global, customers,
    page::{customer_name, record_key},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The customer whose values and links to explain
    #[arg(value_parser = customer_name, required_unless_present = "records")]
    customer: Option<String>,
    /// Two records to compare instead: SOURCE/EXTERNAL_ID SOURCE/EXTERNAL_ID
    #[arg(long, num_args = 2, value_parser = record_key, value_name = "KEY", conflicts_with = "customer")]
    records: Vec<pb::RecordKey>,
}

/// Explains a customer or a pair of records.
///
/// # Errors
/// What the server answered.
pub async fn explain(
    global: &Global,
    args: ExplainArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if let [left, right] = args.records.as_slice() {
        let mut client = MatchServiceClient::new(connect(global)?);
        let request = pb::ExplainMatchRequest {
            left: Some(left.clone()),
            right: Some(right.clone()),
        };
        let explanation = client.explain_match(request).await.answer()?;
        printer.message("jinke.customer.v1.MatchExplanation", &explanation)?;
        return waterfall(&explanation, printer);
    }
    let name = args.customer.unwrap_or_default();
    let request = pb::GetCustomerLineageRequest { name };
    let lineage = customers::client(global)?
        .get_customer_lineage(request)
        .await
        .answer()?;
    printer.message("jinke.customer.v1.GetCustomerLineageResponse", &lineage)?;
    printer.line("值的由来 where the values come from (* survived)")?;
    printer.line("")?;
    let mut table = Table::new([
        "属性 attribute",
        "*",
        "值 value",
        "范围 scope",
        "来自 from",
        ">版本 version",
        "时间 time",
        "规则 rule",
    ]);
    for attribute in &lineage.attributes {
        for candidate in &attribute.candidates {
            let value = candidate.value.clone().unwrap_or_default();
            table.row([
                text::attribute(&value).as_str(),
                if candidate.survived { "*" } else { "" },
                &text::value(&value),
                &attribute.scope,
                &text::key(candidate.record.as_ref()),
                &candidate.version.to_string(),
                &text::time(candidate.time.as_ref()),
                &attribute.rule,
            ]);
        }
    }
    printer.table(&table)?;
    if lineage.links.is_empty() {
        let single = lineage.cohesion.as_ref().is_none_or(|c| c.records < 2);
        printer.line("")?;
        return printer.line(if single {
            "只有一条记录，没有匹配 a single record: nothing was matched"
        } else {
            "这些记录彼此之间没有匹配 none of these records matches another"
        });
    }
    for link in &lineage.links {
        printer.line("")?;
        waterfall(link, printer)?;
    }
    match &lineage.cohesion {
        Some(found) => cohesion(found, printer),
        None => Ok(()),
    }
}

/// And how many more there are.
fn more(omitted: i64) -> String {
    if omitted > 0 {
        format!(" …另 and {omitted} 条 more")
    } else {
        String::new()
    }
}

/// What would split a customer.
fn cohesion(found: &pb::ClusterCohesion, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.line("")?;
    if !found.judgements.is_empty() {
        printer.line(format!(
            "靠判定维系 held by judgements: {}{}",
            found.judgements.join(", "),
            more(found.omitted_judgements)
        ))?;
    }
    let Some(weakest) = &found.weakest else {
        return Ok(());
    };
    printer.line(format!(
        "最弱的一环 weakest link: {} ↔ {}  {}",
        text::key(weakest.left.as_ref()),
        text::key(weakest.right.as_ref()),
        text::score(weakest.score)
    ))?;
    for side in &found.sides {
        let records: Vec<String> = side.records.iter().map(|k| text::key(Some(k))).collect();
        printer.line(format!(
            "没有它，一边是 without it, one side is: {}{}",
            records.join(", "),
            more(side.omitted)
        ))?;
    }
    printer.line(
        "要拆开：以下各对的得分都低于合并阈值，或判定两边不同 \
         to split it: all of these pairs fall below the merge threshold, or the two sides are \
         judged different",
    )?;
    let mut table = Table::new([">得分 score", "一边 one side", "另一边 the other"]);
    for pair in &found.holding {
        table.row([
            text::score(pair.score),
            text::key(pair.left.as_ref()),
            text::key(pair.right.as_ref()),
        ]);
    }
    printer.table(&table)?;
    if found.omitted_holding > 0 {
        printer.line(more(found.omitted_holding).trim_start())?;
    }
    Ok(())
}

/// One match as a waterfall of weights.
fn waterfall(m: &pb::MatchExplanation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let (left, right) = (text::key(m.left.as_ref()), text::key(m.right.as_ref()));
    let verdict = if m.same_customer {
        "同一客户 one customer"
    } else {
        "不同客户 two customers"
    };
    printer.line(format!("{left} ↔ {right}: {verdict}"))?;
    let mut table = Table::new([
        "比较 comparison",
        "等级 level",
        ">权重 weight",
        ">累计 score",
        "左 left",
        "右 right",
    ]);
    for c in &m.comparisons {
        table.row([
            c.comparison.clone(),
            c.level.clone(),
            text::score(c.weight),
            text::score(c.running_score),
            c.left_value.clone(),
            c.right_value.clone(),
        ]);
    }
    printer.table(&table)?;
    printer.line(format!(
        "得分 score {} 位 bits（复核 review ≥ {}，合并 merge ≥ {}），规则集 rule set {}",
        text::score(m.score),
        text::score(m.review_threshold),
        text::score(m.merge_threshold),
        text::clean(&m.rule_set_version),
    ))?;
    if !m.shared_keys.is_empty() {
        printer.line(format!(
            "共同的键 shared keys: {}",
            text::clean(&m.shared_keys.join(", "))
        ))?;
    }
    if !m.judgements.is_empty() {
        printer.line(format!("判定 judgements: {}", m.judgements.join(", ")))?;
    }
    if !m.exclusive_conflict.is_empty() {
        let scheme = text::clean(&m.exclusive_conflict);
        printer.line(format!(
            "排他标识不同 exclusive identifiers differ: {scheme}"
        ))?;
    }
    Ok(())
}
