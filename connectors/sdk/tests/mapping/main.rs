//! Mappings: what they refuse and where, what rows become, what is proposed for headers.

mod activity;
mod guessed;
mod leads;

use jinke_sdk::{Cell, Effect, Location, Mapping, Output, Row, RowReader};
use jinke_types::{
    Body, Completeness, Datum, PartyKind, Relationship, SourceRecord, Timestamp, Value,
};

const CUSTOMERS: &str = r#"kind = "organization"
external_id = "客户编码"
update_time = "更新"
deleted = { column = "状态", values = ["作废"] }
person_when = { column = "类型", values = ["个人"] }

[[values]]
attribute = "name"
column = "客户名称"

[[values]]
attribute = "identifier"
scheme = { constant = "uscc" }
column = "税号"

[[values]]
attribute = "phone"
column = "电话"
split = "；、"

[[values]]
attribute = "address"
province = "省"
column = "地址"

[[values]]
attribute = "credit_limit"
scope = "使用组织"
column = "额度"

[[values]]
attribute = "role"
constant = "customer"

[[contacts]]
key = { constant = "1" }

[[contacts.values]]
attribute = "name"
column = "联系人"

[[contacts.values]]
attribute = "title"
column = "职务"
"#;

const HEADERS: [&str; 12] = [
    "客户 编码*",
    "客户名称",
    "税号",
    "电话",
    "省",
    "地址",
    "额度",
    "使用组织",
    "联系人",
    "职务",
    "更新",
    "状态",
];

fn headers(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn read(mapping: &str, names: &[&str], rows: &[&[&str]]) -> Output {
    let bound = Mapping::from_toml(mapping)
        .unwrap()
        .bind(&headers(names))
        .unwrap();
    let mut reader = RowReader::new(bound, "erp");
    let mut out = Output::default();
    for (i, cells) in rows.iter().enumerate() {
        reader.read(
            &Row::of_texts("f.csv", i as u64 + 2, cells.iter().copied()),
            &mut out,
        );
    }
    reader.finish(&mut out);
    out
}

fn values(record: &SourceRecord) -> &[Value] {
    match &record.body {
        Body::Party { values, .. } => values,
        _ => panic!("no party"),
    }
}

fn texts<'a>(record: &'a SourceRecord, attribute: &str) -> Vec<&'a str> {
    let of = values(record).iter().filter(|v| v.attribute == attribute);
    of.filter_map(|v| v.datum.text()).collect()
}

#[test]
fn a_wrong_mapping_is_refused_with_its_line() {
    let line = |text: &str| {
        let failure = Mapping::from_toml(text).unwrap_err();
        assert_eq!(failure.reason, "MAPPING_INVALID");
        (
            failure.metadata.get("line").cloned().unwrap_or_default(),
            failure.message,
        )
    };
    for (from, to, want, why) in [
        ("update_time", "updated", "3", "unknown field `updated`"),
        (
            "kind = \"organization\"",
            "kind = \"company\"",
            "1",
            "unknown variant `company`",
        ),
        (
            "attribute = \"name\"\ncolumn = \"客户名称\"",
            "attribute = \"nam\"\ncolumn = \"x\"",
            "8",
            "no known attribute",
        ),
        (
            "scheme = { constant = \"uscc\" }\n",
            "",
            "12",
            "needs a scheme",
        ),
        (
            "scheme = { constant = \"uscc\" }",
            "scheme = { const = \"uscc\" }",
            "13",
            "unknown field `const`",
        ),
        (
            "split = \"；、\"",
            "splt = \"；\"",
            "19",
            "unknown field `splt`",
        ),
        (
            "key = { constant = \"1\" }",
            "key = \"联系人\"",
            "36",
            "in the clear",
        ),
        (
            "key = { constant = \"1\" }",
            "key = \"联系电话\"",
            "36",
            "in the clear",
        ),
        (
            "key = { constant = \"1\" }",
            "key = { constant = \"#\" }",
            "36",
            "letters and digits",
        ),
        (
            "external_id = \"客户编码\"",
            "external_id = \"身份证号\"",
            "2",
            "in the clear",
        ),
        (
            "external_id = \"客户编码\"",
            "external_id = []",
            "2",
            "at least one column",
        ),
        (
            "external_id = \"客户编码\"",
            "external_id = \"a\"\nutc_offset = \"8\"",
            "3",
            "+08:00",
        ),
        (
            "external_id = \"客户编码\"",
            "external_id = \"a\"\nheader_row = 0",
            "3",
            "1 to 1000",
        ),
        (
            "external_id = \"客户编码\"",
            "external_id = \"a\"\nparty = \"b\"",
            "3",
            "takes no `party`",
        ),
        (
            "kind = \"organization\"",
            "kind = \"order\"",
            "1",
            "needs `transaction`",
        ),
        ("person_when = {", "person_when = [", "5", ""),
    ] {
        assert!(CUSTOMERS.contains(from), "{from}");
        let (at, message) = line(&CUSTOMERS.replace(from, to));
        assert_eq!(at, want, "{message}");
        assert!(message.contains(why), "{message}");
    }
    assert!(line(&"#".repeat(300_000)).1.contains("256 KiB"));
}

#[test]
fn a_mapping_survives_being_written_and_read() {
    let mapping = Mapping::from_toml(CUSTOMERS).unwrap();
    let text = mapping.to_toml().unwrap();
    assert_eq!(Mapping::from_toml(&text).unwrap(), mapping, "{text}");
}

#[test]
fn a_row_becomes_a_party_with_its_contact() {
    let out = read(
        CUSTOMERS,
        &HEADERS,
        &[&[
            "C001.0",
            " 上海鼎盛有限公司 ",
            "91310000607378650U",
            "021-51234567；1.3812345678E10、",
            "上海市",
            "浦东大道1号",
            "¥10,000.00",
            "A100",
            "王芳",
            "经理",
            "2024-01-05 08:00",
            "正常",
        ]],
    );
    assert_eq!(out.errors, []);
    let [company, person, link] = out.records.as_slice() else {
        panic!("{:?}", out.records)
    };
    assert_eq!(company.key.to_string(), "erp/C001.0");
    assert_eq!(
        company.update_time,
        Timestamp::parse("2024-01-05T00:00:00Z")
    );
    assert_eq!(texts(company, "name"), ["上海鼎盛有限公司"]);
    assert_eq!(texts(company, "phone"), ["021-51234567", "13812345678"]);
    assert_eq!(texts(company, "role"), ["customer"]);
    let limit = values(company)
        .iter()
        .find(|v| v.attribute == "credit_limit")
        .unwrap();
    assert_eq!(
        (limit.datum.clone(), limit.scope.as_str()),
        (Datum::Number(10_000.into()), "A100")
    );
    let Some(Datum::Address(address)) = values(company)
        .iter()
        .find(|v| v.attribute == "address")
        .map(|v| v.datum.clone())
    else {
        panic!()
    };
    assert_eq!(
        (address.province.as_str(), address.text.as_str()),
        ("上海市", "浦东大道1号")
    );
    assert_eq!(person.key.external_id, "C001.0#contact:1");
    assert!(matches!(
        person.body,
        Body::Party {
            kind: PartyKind::Person,
            ..
        }
    ));
    assert_eq!(texts(person, "employer"), ["上海鼎盛有限公司"]);
    assert_eq!(texts(person, "title"), ["经理"]);
    let Body::Relationship(Relationship {
        kind,
        from,
        to,
        values,
        ..
    }) = &link.body
    else {
        panic!()
    };
    assert_eq!(
        (kind.as_str(), from, to),
        ("contact_of", &person.key, &company.key)
    );
    assert_eq!(values, &[Value::text("title", "经理")]);
    assert_eq!(link.key.external_id, "C001.0#contact_of:1");
}

#[test]
fn ids_that_a_spreadsheet_made_numbers_agree_between_files() {
    let ids = |cell: Cell| {
        let bound = Mapping::from_toml(CUSTOMERS)
            .unwrap()
            .bind(&headers(&HEADERS))
            .unwrap();
        let mut out = Output::default();
        let row = Row {
            location: Location::default(),
            cells: vec![cell, Cell::Text("甲".into())],
        };
        RowReader::new(bound, "erp").read(&row, &mut out);
        out.records
            .first()
            .map(|r| r.key.external_id.clone())
            .ok_or_else(|| out.errors[0].reason.clone())
    };
    for cell in [
        Cell::Number(1001.0),
        Cell::Text("1001".into()),
        Cell::Text("１００１.0".into()),
        Cell::Decimal(1001.into()),
    ] {
        assert_eq!(ids(cell).as_deref(), Ok("1001"));
    }
    for bad in [
        "",
        "-",
        &"x".repeat(300),
        "a\u{1}b",
        "C1#contact:1",
        "1.23457E+11",
    ] {
        assert!(ids(Cell::Text(bad.into())).is_err(), "{bad}");
    }
    assert!(
        ids(Cell::Bad("holds the error #N/A".into()))
            .unwrap_err()
            .contains("#N/A")
    );
}

#[test]
fn blank_deleted_personal_and_bad_values() {
    let headers = [
        "客户编码",
        "客户名称",
        "电话",
        "联系人",
        "更新",
        "状态",
        "类型",
        "额度",
    ];
    let out = read(
        CUSTOMERS,
        &headers,
        &[
            &["1", "甲公司", "无", "-", "", "作废", "企业", "abc"],
            &["2", "王芳", "1", "李娜", "", "", "个人", ""],
            &["3", "乙公司", "", "", "昨天", "", "", ""],
            &["", "", "", "", "", "", "", ""],
        ],
    );
    let [deleted, person] = out.records.as_slice() else {
        panic!("{:?}", out.records)
    };
    assert!(deleted.deleted && !person.deleted);
    assert_eq!(texts(deleted, "phone"), Vec::<&str>::new());
    assert!(matches!(
        person.body,
        Body::Party {
            kind: PartyKind::Person,
            ..
        }
    ));
    let told: Vec<_> = out
        .errors
        .iter()
        .map(|e| {
            (
                e.location.row,
                e.column.as_deref().unwrap_or_default(),
                e.effect,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (2, "额度", Effect::ValueLeftOut),
            (4, "更新", Effect::RowSkipped)
        ]
    );
    // No error tells a value.
    assert!(
        out.errors
            .iter()
            .all(|e| !e.reason.contains("abc") && !e.reason.contains("昨天"))
    );
}

#[test]
fn a_partial_row_says_blank_only_of_columns_that_are_there() {
    let mapping = CUSTOMERS.replacen("update_time = \"更新\"", "completeness = \"partial\"", 1);
    let out = read(
        &mapping,
        &["客户编码", "客户名称", "电话"],
        &[&["1", "甲公司", ""]],
    );
    let record = &out.records[0];
    assert_eq!(record.completeness, Completeness::Partial);
    assert_eq!(texts(record, "phone"), [""]);
    assert_eq!(texts(record, "identifier"), Vec::<&str>::new());
    // In a full row the same blank is simply absent.
    let out = read(
        CUSTOMERS,
        &["客户编码", "客户名称", "电话"],
        &[&["1", "甲公司", ""]],
    );
    assert_eq!(texts(&out.records[0], "phone"), Vec::<&str>::new());
}
