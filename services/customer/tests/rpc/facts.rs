//! Facts of every field class, and a house furnished with them.

use jinke_customer::convert::pb;
use jinke_types::{Entropy as _, SeededEntropy};

use crate::house::{
    House, address, contact_of, identifier, key, message, money, order, organization, person, text,
};

/// Values of every class. The classes that a role does not see are drawn from `hidden`.
pub struct Facts {
    pub person_name: String,
    pub phone: String,
    pub email: String,
    pub address: String,
    pub account: String,
    pub id_card: String,
    pub born: i32,
    pub credit: i64,
    pub units: i64,
    pub currency: &'static str,
    pub remark: Option<String>,
    pub color: Option<String>,
    pub said: String,
    pub comment: String,
}

impl Facts {
    /// The facts of the golden file.
    pub fn plain() -> Self {
        Self {
            person_name: "欧阳示例".to_owned(),
            phone: "13957164820".to_owned(),
            email: "li@example.cn".to_owned(),
            address: "浙江省杭州市西湖区文三路1号".to_owned(),
            account: "6222000000000000001".to_owned(),
            id_card: "330106199001010000".to_owned(),
            born: 1957,
            credit: 8_765_432,
            units: 7_654_321,
            currency: "CNY",
            remark: Some("账期放宽".to_owned()),
            color: Some("红".to_owned()),
            said: "请尽快发货".to_owned(),
            comment: "电话确认过".to_owned(),
        }
    }

    /// Other facts. What rules compare differs in value and not in which records share it: whether
    /// two records are one party is not what a mask hides.
    pub fn drawn(entropy: &SeededEntropy) -> Self {
        let draw = |below: u64| {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_le_bytes(bytes) % below
        };
        let pick = |from: &[&'static str]| from[draw(from.len() as u64) as usize];
        let character = || char::from_u32(0x4E00 + draw(0x4000) as u32).unwrap_or('示');
        let words = |n: u64| (0..n).map(|_| character()).collect::<String>();
        Self {
            person_name: format!("{}{}", pick(&["张", "李", "欧阳"]), words(2)),
            phone: format!("138{:08}", draw(100_000_000)),
            email: format!("u{}@example.cn", draw(1_000_000)),
            address: format!("浙江省杭州市西湖区{}路{}号", words(2), draw(900)),
            account: format!("62220{:014}", draw(100_000_000_000_000)),
            id_card: format!("33010619900101{:04}", draw(10_000)),
            born: 1950 + draw(50) as i32,
            credit: draw(1_000_000) as i64,
            units: 1 + draw(1_000_000) as i64,
            currency: pick(&["CNY", "USD", "EUR"]),
            remark: (draw(2) == 0).then(|| words(20)),
            color: (draw(2) == 0).then(|| words(1)),
            said: words(30),
            comment: words(10),
        }
    }

    /// These facts where `role` sees the class, the others where it does not.
    pub fn seen_by(role: &str, hidden: &SeededEntropy) -> Self {
        let plain = Self::plain();
        let drawn = Self::drawn(hidden);
        match role {
            "reader" => drawn,
            "finance" => Self {
                account: plain.account,
                credit: plain.credit,
                units: plain.units,
                currency: plain.currency,
                ..drawn
            },
            "sales" => Self {
                person_name: plain.person_name,
                phone: plain.phone,
                email: plain.email,
                ..drawn
            },
            _ => plain,
        }
    }
}

/// Two records of one company and a contact of it, with an order, a message and a judgement.
pub async fn furnish(house: &House, facts: &Facts) {
    let number = |attribute: &str, value: i64| pb::Value {
        datum: Some(pb::value::Datum::Number(
            jinke_proto::google::r#type::Decimal {
                value: value.to_string(),
            },
        )),
        unit: "CNY".to_owned(),
        ..text(attribute, "")
    };
    let date = |year| pb::Value {
        datum: Some(pb::value::Datum::Date(jinke_proto::google::r#type::Date {
            year,
            month: 1,
            day: 1,
        })),
        ..text("date_of_birth", "")
    };
    let mut first = vec![
        text("name", "杭州示例精密机械有限公司"),
        identifier("duns", "544832117"),
        text("phone", &facts.phone),
        text("email", &facts.email),
        address(&facts.address),
        text("bank_account", &facts.account),
        text("legal_representative", &facts.person_name),
        number("credit_limit", facts.credit),
    ];
    first.extend(facts.remark.as_deref().map(|remark| text("remark", remark)));
    first.extend(facts.color.as_deref().map(|color| text("x_color", color)));
    let second = vec![
        text("name", "杭州示例精密机械有限公司"),
        identifier("duns", "544832117"),
        text("phone", &facts.phone),
        text("industry", "机械制造"),
        text("remark", &facts.said),
    ];
    let contact = vec![
        text("name", &facts.person_name),
        text("phone", &facts.phone),
        identifier("id_card", &facts.id_card),
        text("title", "采购经理"),
        date(facts.born),
    ];
    let mut sale = order("erp", "O-1", key("erp", "C-1"), 1, &facts.comment);
    if let Some(pb::source_record::Body::Transaction(t)) = &mut sale.body {
        t.amount = money(facts.currency, facts.units);
        t.time = Some(prost_types::Timestamp {
            seconds: 1_780_000_000,
            nanos: 0,
        });
        t.lines = vec![pb::TransactionLine {
            product: "轴承".to_owned(),
            unit: "件".to_owned(),
            amount: money(facts.currency, facts.units),
            ..Default::default()
        }];
    }
    let ids = house
        .ingest(vec![
            organization("erp", "C-1", first),
            organization("crm", "K-1", second),
            person("crm", "P-1", contact),
            sale,
            message("crm", "M-1", key("crm", "K-1"), &facts.said),
            contact_of(
                "crm",
                "R-1",
                key("crm", "P-1"),
                key("erp", "C-1"),
                "采购经理",
            ),
        ])
        .await;
    assert_eq!(ids[0], ids[1], "the two records are one company");
    let judgement = pb::Judgement {
        decision: pb::judgement::Decision::Positive.into(),
        left: vec![key("erp", "C-1")],
        right: vec![key("crm", "K-1")],
        comment: facts.comment.clone(),
        ..Default::default()
    };
    let request = pb::CreateJudgementRequest {
        judgement: Some(judgement),
        ..Default::default()
    };
    house
        .stewards("admin")
        .create_judgement(request)
        .await
        .expect("the judgement is stored");
}
