//! Mappings that are proposed, previews, and cells of any kind.

use jinke_sdk::{
    Cell, Location, Mapping, Output, Row, RowReader, guess,
    mapping::{MAX_SPLIT, RowKind},
};
use proptest::prelude::*;

use super::{CUSTOMERS, HEADERS, headers, read, texts};

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
