//! Tables: how values are standardized.

use jinke_resolution::{
    RuleSet, canonical, standardize,
    standardize::{
        address, contact, identifier,
        org_name::{self, Branch},
        person_name,
        region::DIVISIONS,
    },
};
use jinke_types::{Address, Datum, PartyKind, Value, attribute};

/// Rows of a table, padded to `width` columns.
fn table(text: &'static str, width: usize) -> Vec<Vec<&'static str>> {
    let lines = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|l| {
            let mut row: Vec<&str> = l.split('\t').collect();
            row.resize(width.max(row.len()), "");
            row
        })
        .collect()
}

/// Compares all rows and shows all that differ at once.
fn check(found: Vec<(String, String, String)>) {
    let wrong: Vec<String> = found
        .iter()
        .filter(|(_, want, got)| want != got)
        .map(|(what, want, got)| format!("{what}\n  want {want}\n  got  {got}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(found.len() >= 10, "the table was not read");
}

#[test]
fn organization_names() {
    let rows = table(include_str!("data/org_names.tsv"), 5);
    check(
        rows.iter()
            .map(|r| {
                let n = org_name::parse(r[0]).expect("a name");
                let branch = match n.branch {
                    Branch::Unknown => "?".to_owned(),
                    Branch::Head => "-".to_owned(),
                    Branch::Of(ref b) => b.to_string(),
                };
                let city = n.region.city.map_or("", |c| DIVISIONS.city_name(c));
                let brand: String = n.brand_chars().iter().collect();
                (
                    r[0].to_owned(),
                    r[1..5].join(" | "),
                    [&n.core_text(), &brand, city, &branch].join(" | "),
                )
            })
            .collect(),
    );
}

#[test]
fn phones() {
    let rows = table(include_str!("data/phones.tsv"), 2);
    check(
        rows.iter()
            .map(|r| {
                let all: Vec<String> = contact::phones(r[0])
                    .iter()
                    .map(contact::Phone::canonical)
                    .collect();
                (r[0].to_owned(), r[1].to_owned(), all.join("/"))
            })
            .collect(),
    );
}

#[test]
fn unified_social_credit_codes() {
    let rows = table(include_str!("data/uscc.tsv"), 3);
    check(
        rows.iter()
            .map(|r| {
                let got = identifier::parse("uscc", r[0]);
                let got = got.map(|p| format!("{} {}", p.text, if p.valid { "yes" } else { "no" }));
                (
                    r[0].to_owned(),
                    r[1..3].join(" ").trim().to_owned(),
                    got.unwrap_or_default(),
                )
            })
            .collect(),
    );
}

#[test]
fn person_names() {
    let rows = table(include_str!("data/person_names.tsv"), 3);
    check(
        rows.iter()
            .map(|r| {
                let n = person_name::parse(r[0]).expect("a name");
                (
                    r[0].to_owned(),
                    r[1..3].join(" | "),
                    format!("{} | {}", n.full, n.surname),
                )
            })
            .collect(),
    );
}

#[test]
fn emails() {
    let rows = table(include_str!("data/emails.tsv"), 3);
    check(
        rows.iter()
            .map(|r| {
                let got = contact::email(r[0]).map(|e| {
                    format!(
                        "{} {}{}",
                        e.text,
                        if e.free { "f" } else { "" },
                        if e.role { "r" } else { "" }
                    )
                });
                (
                    r[0].to_owned(),
                    r[1..3].join(" ").trim().to_owned(),
                    got.unwrap_or_default().trim().to_owned(),
                )
            })
            .collect(),
    );
}

#[test]
fn domains() {
    let rows = table(include_str!("data/domains.tsv"), 2);
    check(
        rows.iter()
            .map(|r| {
                (
                    r[0].to_owned(),
                    r[1].to_owned(),
                    contact::domain(r[0]).unwrap_or_default().to_string(),
                )
            })
            .collect(),
    );
}

#[test]
fn addresses() {
    let rows = table(include_str!("data/addresses.tsv"), 7);
    check(
        rows.iter()
            .map(|r| {
                let raw = Address {
                    province: r[0].into(),
                    city: r[1].into(),
                    district: r[2].into(),
                    text: r[3].into(),
                    ..Address::default()
                };
                let a = address::parse(&Datum::Address(raw)).expect("an address");
                let street: String = a.street.iter().collect();
                (
                    r[..4].join(" "),
                    r[4..7].join(" | "),
                    [DIVISIONS.show(a.region), street, a.number.to_string()].join(" | "),
                )
            })
            .collect(),
    );
}

#[test]
fn other_identifiers() {
    let holds = |scheme: &str, text: &str| identifier::parse(scheme, text).is_some_and(|p| p.valid);
    for (scheme, text, want) in [
        ("id_card", "11010519491231002X", true),
        ("id_card", "11010519491231002x", true),
        ("id_card", "110105194912310021", false),
        ("id_card", "11010519491331002X", false),
        ("id_card", "130503670401001", true),
        ("org_code", "D2143569-X", true),
        ("org_code", "D2143569-1", false),
        ("lei", "5493001KJTIIGC8Y1R12", true),
        ("lei", "5493001KJTIIGC8Y1R13", false),
        ("duns", "15-048-3782", true),
        ("duns", "1504837", false),
        ("reg_no", "330100400011165", true),
        ("vat", "DE 811 907 980", true),
        ("passport", "E12345678", true),
        ("passport", "1111111", false),
        ("foreign:sap", "0001", true),
    ] {
        assert_eq!(holds(scheme, text), want, "{scheme} {text}");
    }
    assert!(
        identifier::luhn_holds("6222024100022880004") || identifier::luhn_holds("4111111111111111")
    );
    assert!(identifier::luhn_holds("4111111111111111"));
    assert!(!identifier::luhn_holds("4111111111111112"));
    assert!(!identifier::luhn_holds(""));
}

#[test]
fn tax_numbers_that_are_credit_codes_become_credit_codes() {
    let rules = RuleSet::organization();
    let tax = [Value::identifier("tax_no", "91350100M000100Y43")];
    let uscc = [Value::identifier("uscc", "9135 0100 M000100Y43")];
    let keys = |v: &[Value]| {
        standardize(PartyKind::Organization, v, &rules)
            .keys()
            .to_vec()
    };
    assert_eq!(keys(&tax), keys(&uscc));
    assert!(!keys(&tax).is_empty());
}

#[test]
fn hostile_values_are_cut_and_harmless() {
    let rules = RuleSet::organization();
    let name = "杭州(【".repeat(2_500_000);
    let values: Vec<Value> = (0..2_000)
        .map(|i| Value::text(attribute::PHONE, format!("139{i:08}")))
        .chain([
            Value::text(attribute::NAME, name),
            Value::text(attribute::NAME, "\u{0}😀\u{202e}"),
        ])
        .collect();
    let s = standardize(PartyKind::Organization, &values, &rules);
    assert!(s.keys().len() <= jinke_resolution::MAX_KEYS);
    assert!(s.keys().iter().all(|k| k.text.chars().count() <= 200));
    assert!(
        s.keys()
            .iter()
            .any(|k| k.text == "organization/phone/13900000001")
    );
}

#[test]
fn canonical_forms_ignore_how_a_value_is_written() {
    let same = |a: Value, b: Value| {
        assert_eq!(
            canonical(PartyKind::Organization, &a),
            canonical(PartyKind::Organization, &b)
        )
    };
    same(
        Value::text(attribute::PHONE, "0571-85523328"),
        Value::text(attribute::PHONE, "+86 571 8552 3328"),
    );
    same(
        Value::text(attribute::EMAIL, "A@B.com"),
        Value::text(attribute::EMAIL, "a@b.COM "),
    );
    same(
        Value::text(attribute::NAME, "台進（杭州）有限公司"),
        Value::text(attribute::NAME, "台进(杭州)有限公司"),
    );
    same(
        Value::text(attribute::BANK_ACCOUNT, "6225 2254 8902 1014"),
        Value::text(attribute::BANK_ACCOUNT, "6225225489021014"),
    );
}
