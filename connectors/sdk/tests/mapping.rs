//! Mappings: what they refuse and where, what rows become, what is proposed for headers.

use jinke_sdk::{
    Cell, Effect, Location, Mapping, Output, Row, RowReader, guess,
    mapping::{MAX_SPLIT, RowKind},
};
use jinke_types::{
    Body, Completeness, Datum, Interaction, PartyKind, Relationship, SourceRecord, Timestamp,
    Transaction, Value,
};
use proptest::prelude::*;

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

#[test]
fn orders_gather_their_lines_and_sum_them() {
    let mapping = r#"
kind = "order"
external_id = [{ constant = "SO" }, "单号"]
party = "客户"
party_source = "crm"
party_contact = "联系人"
currency = "币种"
[transaction]
number = "单号"
time = "日期"
[transaction.lines]
product = "物料"
quantity = "数量"
amount = "金额"
"#;
    let names = [
        "单号",
        "客户",
        "联系人",
        "日期",
        "币种",
        "物料",
        "数量",
        "金额",
    ];
    let out = read(
        mapping,
        &names,
        &[
            &["1", "C1", "", "2024-01-05", "美元", "a", "2", "$10.50"],
            &["1", "C1", "", "2024-01-05", "美元", "b", "", "0.5"],
            &["2|3", "C1", "7", "2024/1/6", "", "a", "1", "5"],
            &["4", "C1", "", "2024/1/6", "人民币", "a", "1", "$5"],
            &["5", "C1", "", "2024/1/6", "金币", "a", "1", "5"],
        ],
    );
    let orders: Vec<&Transaction> = out
        .records
        .iter()
        .map(|r| match &r.body {
            Body::Transaction(t) => t,
            _ => panic!(),
        })
        .collect();
    assert_eq!(orders.len(), 2);
    let total = |t: &Transaction| {
        t.amount
            .as_ref()
            .map(|m| (m.currency.clone(), m.amount.to_string()))
    };
    assert_eq!(total(orders[0]), Some(("USD".to_owned(), "11".to_owned())));
    assert_eq!(
        (orders[0].lines.len(), orders[0].party.to_string()),
        (2, "crm/C1".to_owned())
    );
    assert_eq!(orders[1].party.external_id, "C1#contact:7");
    assert_eq!(out.records[1].key.external_id, "SO|2%7C3");
    let told: Vec<_> = out
        .errors
        .iter()
        .map(|e| (e.location.row, e.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (5, "carries the mark of another currency"),
            (6, "is not a currency")
        ]
    );
}

#[test]
fn interactions_and_relationships() {
    let out = read(
        "kind = 'call'\nexternal_id = 'id'\nparty = 'c'\n[interaction]\ntime = 't'\n\
         channel = { constant = 'phone' }\ninbound = { column = 'in' }\ntext = 'x'\n",
        &["id", "c", "t", "in", "x"],
        &[
            &["1", "C1", "1704431106", "是", "问价"],
            &["2", "C1", "", "否", ""],
            &["3", "C1", "20240105", "?", ""],
        ],
    );
    let Body::Interaction(Interaction {
        inbound,
        channel,
        text,
        time,
        ..
    }) = &out.records[0].body
    else {
        panic!()
    };
    assert_eq!(
        (*inbound, channel.as_str(), text.as_str()),
        (true, "phone", "问价")
    );
    assert_eq!(time.to_rfc3339(), "2024-01-05T05:05:06Z");
    let told: Vec<_> = out
        .errors
        .iter()
        .map(|e| (e.location.row, e.effect))
        .collect();
    assert_eq!(told, [(3, Effect::RowSkipped), (4, Effect::ValueLeftOut)]);
    let out = read(
        "kind = 'relationship'\nexternal_id = ['a', 'b']\nparty = 'a'\n[relationship]\n\
         kind = { constant = 'parent_of' }\nto = 'b'\nvalid_from = 'from'\n",
        &["a", "b", "from"],
        &[&["C1", "C2", "2020-01-01"], &["C1", "C3", "早"]],
    );
    let Body::Relationship(link) = &out.records[0].body else {
        panic!()
    };
    assert_eq!(
        (link.from.external_id.as_str(), link.to.external_id.as_str()),
        ("C1", "C2")
    );
    assert!(link.valid_from.is_some());
    assert_eq!((out.records.len(), out.errors.len()), (1, 1));
}

#[test]
fn mappings_are_proposed_for_usual_headers() {
    let guessed = |names: &[&str]| guess(&headers(names));
    let party = guessed(&[
        "客户编码",
        "客户名称",
        "统一社会信用代码/税号",
        "电话",
        "手机",
        "邮箱",
        "地址",
        "联系人",
        "职务",
        "开户行账号",
        "信用额度(元)",
        "更新时间",
        "颜色",
    ]);
    assert_eq!(
        (party.mapping.kind, party.unmapped.as_slice()),
        (RowKind::Organization, &["颜色".to_owned()][..])
    );
    assert!(party.open.is_empty());
    party.mapping.check().unwrap();
    let attributes: Vec<_> = party
        .mapping
        .values
        .iter()
        .map(|v| v.attribute.as_str())
        .collect();
    assert_eq!(
        attributes,
        [
            "name",
            "identifier",
            "phone",
            "email",
            "bank_account",
            "credit_limit",
            "address"
        ]
    );
    let contact: Vec<_> = party.mapping.contacts[0]
        .values
        .iter()
        .map(|v| v.attribute.as_str())
        .collect();
    assert_eq!(contact, ["name", "phone", "title"]);
    let order = guessed(&[
        "订单号",
        "客户编码",
        "下单日期",
        "金额",
        "币种",
        "产品",
        "数量",
        "状态",
    ]);
    assert_eq!(order.mapping.kind, RowKind::Order);
    assert!(
        order.open.is_empty() && order.unmapped.is_empty(),
        "{order:?}"
    );
    order.mapping.check().unwrap();
    let invoice = guessed(&["Invoice No", "Customer ID", "Invoice Date", "Total Amount"]);
    assert_eq!(
        (invoice.mapping.kind, invoice.open.len()),
        (RowKind::Invoice, 0)
    );
    let message = guessed(&["消息ID", "客户ID", "发送时间", "内容", "方向"]);
    assert_eq!(message.mapping.kind, RowKind::Message);
    message.mapping.check().unwrap();
    let person = guessed(&["会员号", "姓名", "手机", "生日"]);
    assert_eq!(person.mapping.kind, RowKind::Person);
    person.mapping.check().unwrap();
    // Without an id a person has to decide: a phone is never proposed as one.
    let open = guessed(&["姓名", "手机"]);
    assert_eq!(open.open.len(), 1);
    assert!(open.mapping.check().is_err());
    assert_eq!(guessed(&[]).open.len(), 2);
}

#[test]
fn a_preview_shows_rows_as_they_would_be_read() {
    let mapping = Mapping::from_toml(CUSTOMERS).unwrap();
    let rows: Vec<Row> = (0..5)
        .map(|i| Row::of_texts("f", i + 2, ["C1", "甲公司", "", "x"]))
        .collect();
    let names = headers(&["客户编码", "客户名称", "颜色", "更新"]);
    let preview = mapping.preview("erp", &names, &rows, 3).unwrap();
    assert_eq!(preview.rows.len(), 3);
    assert_eq!(preview.rows[0].errors[0].reason, "is not a date");
    assert_eq!(preview.unmapped, ["颜色"]);
    assert!(preview.missing.contains(&"税号".to_owned()));
    let failure = mapping
        .preview("erp", &headers(&["名字", "13812345678"]), &rows, 3)
        .unwrap_err();
    assert_eq!(failure.reason, "COLUMNS_MISSING");
    assert!(
        !failure.message.contains("13812345678"),
        "headers may be data"
    );
}

#[test]
fn a_cell_is_split_into_a_bounded_number_of_values() {
    let many = "1；".repeat(MAX_SPLIT + 5);
    let out = read(
        CUSTOMERS,
        &["客户编码", "客户名称", "电话"],
        &[&["1", "甲", &many]],
    );
    assert_eq!(out.errors[0].reason, "holds more than 20 values");
    assert_eq!(texts(&out.records[0], "phone"), Vec::<&str>::new());
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Empty),
        any::<String>().prop_map(Cell::Text),
        "[0-9０-９年月日:/.,()¥$万E+T -]{0,24}".prop_map(Cell::Text),
        any::<f64>().prop_map(Cell::Number),
        any::<bool>().prop_map(Cell::Bool),
        any::<i64>().prop_map(|n| Cell::Decimal(n.into())),
    ]
}

proptest! {
    #[test]
    fn no_cell_makes_a_panic(rows in prop::collection::vec(prop::collection::vec(any_cell(), 0..14), 0..6)) {
        let order = "kind = 'order'\nexternal_id = '客户 编码*'\nparty = '客户名称'\n[transaction]\n\
            time = '税号'\namount = '电话'\n[transaction.lines]\nproduct = '省'\nquantity = '地址'\n";
        for mapping in [CUSTOMERS, order] {
            let bound = Mapping::from_toml(mapping).unwrap().bind(&headers(&HEADERS)).unwrap();
            let mut reader = RowReader::new(bound, "erp");
            let mut out = Output::default();
            for (i, cells) in rows.iter().enumerate() {
                let location = Location { row: i as u64 + 2, ..Location::default() };
                reader.read(&Row { location, cells: cells.clone() }, &mut out);
            }
            reader.finish(&mut out);
            prop_assert!(out.records.len() <= 3 * rows.len());
        }
    }

    #[test]
    fn no_text_makes_a_parse_panic(text in any::<String>()) {
        use jinke_sdk::parse;
        let zone = parse::offset("+08:00").unwrap();
        let _ = parse::date(&text, Some(parse::DateOrder::Dmy));
        let _ = parse::moment(&text, None, zone);
        let _ = parse::amount(&text, true);
        let _ = (parse::number(&text), parse::code(&text), parse::boolean(&text), parse::offset(&text));
        let _ = Mapping::from_toml(&text);
    }
}
