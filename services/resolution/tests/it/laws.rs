//! Laws over arbitrary and over lifelike values.

use jinke_resolution::{
    Judgement, MAX_KEYS, NothingGeneric, Rules, canonical, compare, explain_pair, matches,
    query_terms, resolve, score, search_terms, standardize,
};
use jinke_types::{Address, Datum, PartyKind, RecordKey, Value, attribute};
use proptest::prelude::*;

use crate::words::{Row, USCC};

/// Text of any characters, and text made of the pieces names are made of.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "杭州",
        "杭州市",
        "宁波",
        "江苏省",
        "(",
        "）",
        "【",
        "】",
        "有限公司",
        "集团",
        "分公司",
        "北京",
        "台进",
        "华兴",
        "电子科技",
        "-",
        " ",
        "Ltd",
        "GmbH",
        "Boer",
        "張",
        "王总",
        "欧阳",
        "138",
        "0571-",
        "85523328",
        "转",
        "@",
        "qq.com",
        "路",
        "12号",
        "\u{0}",
        "😀",
        "０",
        "县",
        "区",
    ];
    prop_oneof![
        any::<String>(),
        prop::collection::vec(prop::sample::select(pieces), 0..8).prop_map(|p| p.concat()),
    ]
}

fn any_values() -> impl Strategy<Value = Vec<Value>> {
    let one = (
        prop::sample::select(attribute::ALL.to_vec()),
        any_text(),
        prop::sample::select(vec!["", "uscc", "id_card", "tax_no", "lei", "x"]),
    );
    prop::collection::vec(
        one.prop_map(|(a, t, s)| {
            let mut v = Value::text(a, t.clone());
            s.clone_into(&mut v.scheme);
            if a == attribute::ADDRESS && t.len() % 2 == 0 {
                v.datum = Datum::Address(Address {
                    city: t.clone(),
                    text: t,
                    ..Address::default()
                });
            }
            v
        }),
        0..8,
    )
}

/// Records that look like each other often enough to be compared and joined.
fn lifelike() -> impl Strategy<Value = Vec<Row>> {
    let names = vec![
        "杭州台进电子科技有限公司",
        "台进电子科技",
        "台进",
        "宁波台进电子科技有限公司",
        "杭州台进电子科技有限公司北京分公司",
        "华兴钢铁",
        "Hangzhou Taijin Tech Ltd",
    ];
    let phones = vec![
        "",
        "13812345670",
        "138-1234-5670",
        "0571-85523328",
        "85523328",
    ];
    let emails = vec!["", "a@taijin.com", "b@taijin.com", "x@qq.com"];
    let codes = vec!["", USCC[0], USCC[1], "91350100M000100Y34"];
    let row = (
        prop::sample::select(names),
        prop::sample::select(codes),
        prop::sample::select(phones),
        prop::sample::select(emails),
        any::<bool>(),
    );
    prop::collection::vec(row, 2..9).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(i, (n, u, p, e, person))| {
                let mut values = vec![
                    Value::text("name", n),
                    Value::identifier("uscc", u),
                    Value::text("phone", p),
                    Value::text("email", e),
                ];
                values.retain(|v| !v.datum.is_blank());
                let kind = if person && i % 3 == 0 {
                    PartyKind::Person
                } else {
                    PartyKind::Organization
                };
                (RecordKey::new("s", i.to_string()), kind, values)
            })
            .collect()
    })
}

const KINDS: [PartyKind; 2] = [PartyKind::Organization, PartyKind::Person];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_panics_and_everything_is_bounded(a in any_values(), b in any_values()) {
        let rules = Rules::embedded();
        for kind in KINDS {
            let (x, y) = (standardize(kind, &a, rules.of(kind)), standardize(kind, &b, rules.of(kind)));
            prop_assert!(x.keys().len() <= MAX_KEYS);
            prop_assert!(x.keys().iter().all(|k| k.text.chars().count() <= 200));
            let mut keys = x.keys().to_vec();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), x.keys().len(), "keys are distinct");
            let there = compare(&x, &y, &NothingGeneric, rules.of(kind));
            let back = compare(&y, &x, &NothingGeneric, rules.of(kind));
            prop_assert_eq!(&there, &back, "comparing is symmetric");
            prop_assert_eq!(there.score, score(&x, &y, &NothingGeneric, rules.of(kind)));
            prop_assert_eq!(there.levels.iter().map(|l| l.weight).sum::<i32>(), there.score);
            prop_assert_eq!(explain_pair(&x, &y, &NothingGeneric, rules.of(kind)).len(), there.levels.len());
        }
    }

    #[test]
    fn the_order_of_values_does_not_matter(a in any_values()) {
        let rules = Rules::embedded();
        let mut turned = a.clone();
        turned.reverse();
        for kind in KINDS {
            prop_assert_eq!(standardize(kind, &a, rules.of(kind)), standardize(kind, &turned, rules.of(kind)));
        }
    }

    #[test]
    fn canonical_text_stays_as_it_is(values in any_values()) {
        for kind in KINDS {
            for v in values.iter().filter(|v| !matches!(v.attribute.as_str(), attribute::ADDRESS | attribute::IDENTIFIER)) {
                let once = canonical(kind, v);
                let mut again = v.clone();
                again.datum = Datum::Text(once.clone());
                prop_assert_eq!(canonical(kind, &again), once);
            }
        }
    }

    #[test]
    fn resolving_ignores_the_order_of_records(rows in lifelike(), turn in 0..9_usize, judged in prop::option::of((0..9_usize, 0..9_usize, any::<bool>()))) {
        let rules = Rules::embedded();
        let judgements: Vec<Judgement> = judged.into_iter().map(|(a, b, negative)| Judgement {
            id: "j".into(),
            kind: if negative { jinke_resolution::JudgementKind::Negative } else { jinke_resolution::JudgementKind::Positive { overrides_exclusivity: false } },
            left: vec![RecordKey::new("s", a.to_string())],
            right: vec![RecordKey::new("s", b.to_string())],
        }).collect();
        let by_key = |rows: &[Row]| -> Vec<Vec<RecordKey>> {
            resolve(rows, &judgements, &rules).iter().map(|c| c.iter().map(|&i| rows[i].0.clone()).collect()).collect()
        };
        let mut turned = rows.clone();
        turned.rotate_left(turn % rows.len());
        turned.reverse();
        prop_assert_eq!(by_key(&rows), by_key(&turned));
    }

    #[test]
    fn a_part_of_a_text_finds_it(text in any_text(), from in 0..40_usize, len in 1..20_usize) {
        let part: String = text.chars().skip(from).take(len).collect();
        let terms = search_terms(&text);
        prop_assert!(terms.len() <= 510);
        let wanted = query_terms(&part);
        prop_assert!(wanted.iter().all(|t| terms.contains(t)), "{:?} in {:?}", part, text);
        if !wanted.is_empty() {
            prop_assert!(matches(&part, &text));
        }
    }

    #[test]
    fn what_matches_has_all_terms(query in any_text(), text in any_text()) {
        if matches(&query, &text) {
            let terms = search_terms(&text);
            prop_assert!(query_terms(&query).iter().all(|t| terms.contains(t)));
        }
    }
}
