//! The shipped pipeline: the eight stages from the first trace to the repeated purchase.

use super::process::{Item, Process, Stage};

/// Id of the shipped pipeline.
pub const DEFAULT: &str = "default";
/// Its name.
pub const DEFAULT_NAME: &str = "标准销售流程";
/// How long an opportunity rests before it is stale, when a pipeline says nothing: 14 days.
pub const STALE_AFTER: i64 = 14 * DAY;

const DAY: i64 = 24 * 3_600 * 1_000_000;

fn stage(
    id: &str,
    name: &str,
    probability: i32,
    fields: &[&str],
    checklist: &[(&str, &str)],
    days: i64,
) -> Stage {
    Stage {
        stage: id.to_owned(),
        display_name: name.to_owned(),
        probability,
        required_fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        checklist: checklist
            .iter()
            .map(|(item, text)| Item {
                item: (*item).to_owned(),
                text: (*text).to_owned(),
                optional: false,
            })
            .collect(),
        next_stages: Vec::new(),
        time_limit: (days > 0).then_some(days * DAY),
        allows_win: false,
        after_win: false,
    }
}

/// The eight stages. Winning is an outcome in 签约; 服务 and 复购 are for those that were won.
pub fn default_process() -> Process {
    let mut stages = vec![
        stage("discovery", "线索发现", 10, &[], &[], 7),
        stage(
            "contact",
            "初步接触",
            20,
            &[],
            &[("reached", "已与客户建立联系")],
            7,
        ),
        stage(
            "analysis",
            "需求分析",
            35,
            &[],
            &[("need-confirmed", "客户需求已确认")],
            14,
        ),
        stage(
            "proposal",
            "方案制定",
            50,
            &["amount"],
            &[("proposal-sent", "方案与报价已提交")],
            14,
        ),
        stage(
            "negotiation",
            "商务谈判",
            70,
            &["amount", "close_date"],
            &[("terms-agreed", "价格与付款条件已谈定")],
            21,
        ),
        stage(
            "signing",
            "签约",
            90,
            &["amount", "close_date"],
            &[("contract-signed", "合同已由双方签署")],
            14,
        ),
        stage(
            "service",
            "服务",
            100,
            &[],
            &[("accepted", "客户已验收")],
            0,
        ),
        stage("repurchase", "复购", 100, &[], &[], 0),
    ];
    for stage in &mut stages {
        stage.allows_win = stage.stage == "signing";
        stage.after_win = matches!(stage.stage.as_str(), "service" | "repurchase");
    }
    Process(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_stages_are_shipped_in_their_order() {
        let names: Vec<_> = default_process()
            .0
            .into_iter()
            .map(|s| s.display_name)
            .collect();
        assert_eq!(
            names,
            [
                "线索发现",
                "初步接触",
                "需求分析",
                "方案制定",
                "商务谈判",
                "签约",
                "服务",
                "复购"
            ]
        );
    }
}
