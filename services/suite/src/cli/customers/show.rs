//! Customers as tables.

use jinke_proto::jinke::customer::v1 as pb;
use jinke_types::Failure;

use crate::{
    cli::page::more,
    print::{Printer, Table, text},
};

/// Several customers, one a row. `next` is the token of the next page.
pub(super) fn rows(
    customers: &[pb::Customer],
    next: &str,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
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
pub(super) fn show(c: &pb::Customer, printer: &mut Printer<'_>) -> Result<(), Failure> {
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
        printer.line("标签 tags:")?;
        for tag in &c.tags {
            printer.line(format!(
                "  {}  {} {}",
                text::clean(&tag.tag),
                text::clean(&tag.creator),
                text::time(tag.create_time.as_ref())
            ))?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_told_apart_from_what_is_missing() {
        let mut c = pb::Customer::default();
        assert_eq!(shown_name(&c), "（无名 unnamed）");
        c.hidden_classes = vec![2];
        assert_eq!(shown_name(&c), "（无权查看 hidden）");
    }
}
