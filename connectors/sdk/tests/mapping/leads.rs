//! Rows that are leads.

use jinke_sdk::{Effect, Mapping, guess, mapping::RowKind};

use super::{headers, read};

const LEADS: &str = r#"kind = "lead"
external_id = "编号"
update_time = "更新时间"
deleted = { column = "状态", values = ["删除"] }
wan = true

[lead]
company = "公司"
person_name = "姓名"
title = "职务"
phones = ["手机", "电话"]
emails = "邮箱"
split = "、/"
uscc = "信用代码"
region = ["省份", "城市"]
interest = "需求"
remark = "备注"
estimate = "预算"
channel = { constant = "expo" }
campaign = "展会"
time = "登记时间"
"#;

const HEADERS: [&str; 16] = [
    "编号",
    "公司",
    "姓名",
    "职务",
    "手机",
    "电话",
    "邮箱",
    "信用代码",
    "省份",
    "城市",
    "需求",
    "备注",
    "预算",
    "展会",
    "登记时间",
    "更新时间",
];

#[test]
fn a_row_is_a_lead_with_all_it_says() {
    let out = read(
        LEADS,
        &HEADERS,
        &[&[
            "L-1",
            " 甲公司 ",
            "张伟",
            "采购经理",
            "13812345678、13812345678",
            "0571-88888888/0571-88888889",
            "zhang@jia.example",
            "91330100MA27XF5Q31",
            "浙江省",
            "杭州市",
            "三台设备",
            "-",
            "3.5万",
            "华东展",
            "2026-11-01 09:30",
            "2026-11-02",
        ]],
    );
    assert_eq!((out.errors.as_slice(), out.records.len()), (&[][..], 0));
    let lead = &out.leads[0];
    assert_eq!(lead.key.to_string(), "erp/L-1");
    let s = &lead.stated;
    assert_eq!(
        (s.company.as_str(), s.person_name.as_str()),
        ("甲公司", "张伟")
    );
    // The same number twice is one, and those of both columns stand in their order.
    assert_eq!(s.phones, ["13812345678", "0571-88888888", "0571-88888889"]);
    assert_eq!((s.region.as_str(), s.remark.as_str()), ("浙江省杭州市", ""));
    let estimate = s.estimate.as_ref().unwrap();
    assert_eq!(
        (
            estimate.currency.as_str(),
            estimate.amount.normalize().to_string()
        ),
        ("CNY", "35000".to_owned())
    );
    assert_eq!(
        (s.channel.as_str(), s.campaign.as_str()),
        ("expo", "华东展")
    );
    assert_eq!(s.time.unwrap().to_rfc3339(), "2026-11-01T01:30:00Z");
    assert_eq!(
        lead.update_time.unwrap().to_rfc3339(),
        "2026-11-01T16:00:00Z"
    );
    assert!(!lead.deleted);
}

#[test]
fn what_cannot_be_read_is_told_and_costs_no_more_than_it_must() {
    let names = [
        "编号",
        "公司",
        "姓名",
        "手机",
        "预算",
        "登记时间",
        "更新时间",
        "状态",
    ];
    let many = "1、2、3、4、5、6";
    let out = read(
        LEADS,
        &names,
        &[
            // A budget or a date that says nothing costs only itself.
            &["L-1", "甲公司", "", "1", "很多", "去年", "", ""],
            // More phones than a lead has.
            &["L-2", "", "张伟", many, "", "", "", ""],
            // Nobody, no id, a version that cannot be told: the row is left out.
            &["L-3", "", "—", "1", "", "", "", ""],
            &["", "乙公司", "", "", "", "", "", ""],
            &["L-5", "乙公司", "", "", "", "", "昨天", ""],
            &["合计", "", "", "", "99", "", "", ""],
            // What the source deleted need not have a name any more.
            &["L-7", "", "", "", "", "", "", "删除"],
        ],
    );
    let ids: Vec<_> = out
        .leads
        .iter()
        .map(|l| l.key.external_id.as_str())
        .collect();
    assert_eq!(ids, ["L-1", "L-2", "L-7"]);
    assert_eq!(out.leads[0].stated.estimate, None);
    assert_eq!(out.leads[1].stated.phones.len(), 5);
    assert!(out.leads[2].deleted);
    let told: Vec<_> = out
        .errors
        .iter()
        .map(|e| (e.location.row, e.column.as_deref().unwrap_or(""), e.effect))
        .collect();
    use Effect::{RowSkipped, ValueLeftOut};
    assert_eq!(
        told,
        [
            (2, "预算", ValueLeftOut),
            (2, "登记时间", ValueLeftOut),
            (3, "手机", ValueLeftOut),
            (4, "", RowSkipped),
            (5, "编号", RowSkipped),
            (6, "更新时间", RowSkipped),
            (7, "", RowSkipped),
        ]
    );
    assert!(out.errors[6].reason.ends_with("looks like a total"));
}

#[test]
fn a_wrong_mapping_of_leads_is_refused_with_its_line() {
    let wrong = |from: &str, to: &str| {
        let text = LEADS.replace(from, to);
        assert_ne!(text, LEADS);
        let failure = Mapping::from_toml(&text).unwrap_err();
        assert_eq!(failure.reason, "MAPPING_INVALID");
        (
            failure.metadata.get("line").cloned().unwrap_or_default(),
            failure.violations[0].field.clone(),
        )
    };
    let at = |line: &str, field: &str| (line.to_owned(), format!("mapping.{field}"));
    // A phone is nobody's id, whether the header says so or the mapping does.
    assert_eq!(
        wrong("external_id = \"编号\"", "external_id = \"手机\""),
        at("2", "external_id[0]")
    );
    assert_eq!(
        wrong("person_name = \"姓名\"", "person_name = \"编号\""),
        at("2", "external_id[0]")
    );
    assert_eq!(
        wrong("wan = true", "completeness = \"partial\""),
        at("5", "completeness")
    );
    assert_eq!(
        wrong("kind = \"lead\"", "kind = \"organization\""),
        at("7", "lead")
    );
    assert_eq!(wrong("wan = true", "party = \"公司\""), at("5", "party"));
    assert_eq!(
        wrong("company = \"公司\"\nperson_name = \"姓名\"\n", ""),
        at("7", "lead")
    );
    assert_eq!(wrong("title", "titel"), at("10", ""));
}

#[test]
fn a_list_of_leads_is_guessed_and_its_mapping_reads_itself_back() {
    let found = guess(&headers(&[
        "线索编号",
        "公司名称",
        "联系人",
        "职务",
        "手机号",
        "电话",
        "邮箱",
        "省份",
        "城市",
        "意向产品",
        "来源渠道",
        "登记人",
        "更新时间",
    ]));
    let mapping = &found.mapping;
    assert_eq!(mapping.kind, RowKind::Lead);
    assert_eq!(
        (found.open.len(), found.unmapped.as_slice()),
        (0, &["登记人".to_owned()][..])
    );
    mapping.check().unwrap();
    let lead = mapping.lead.as_ref().unwrap();
    assert_eq!((lead.phones.0.len(), lead.region.0.len()), (2, 2));
    let again = Mapping::from_toml(&mapping.to_toml().unwrap()).unwrap();
    assert_eq!(again, *mapping);
    // Without a name a person has to decide.
    let open = guess(&headers(&["线索编号", "手机号"]));
    assert_eq!(open.open.len(), 1);
    assert!(open.mapping.check().is_err());
    // A preview shows the lead of each row.
    let row = jinke_sdk::Row::of_texts("leads.csv", 2, ["L-1", "甲公司"]);
    let shown = mapping.preview("expo", &headers(&["线索编号", "公司名称"]), [&row], 5);
    assert_eq!(shown.unwrap().rows[0].leads[0].stated.company, "甲公司");
}
