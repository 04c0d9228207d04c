//! Comparing: what levels traps reach, and that explanations add up.

use jinke_resolution::{
    Generic, Key, NothingGeneric, RuleSet, Rules, compare, explain_pair, resolve, score,
    standardize,
};
use jinke_types::{PartyKind, Value, attribute};

use crate::words::{USCC, organization};

/// The level each comparison reached, as `comparison=level`, null left out.
fn levels(a: &[Value], b: &[Value]) -> String {
    let rules = RuleSet::organization();
    let (a, b) = (
        standardize(PartyKind::Organization, a, &rules),
        standardize(PartyKind::Organization, b, &rules),
    );
    let c = compare(&a, &b, &NothingGeneric, &rules);
    let named = c.levels.iter().map(|l| {
        let rule = &rules.comparisons[usize::from(l.comparison)];
        (
            rule.name.as_str(),
            rule.levels[usize::from(l.level)].name.as_str(),
        )
    });
    named
        .filter(|(_, l)| *l != "null")
        .map(|(c, l)| format!("{c}={l}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn name(text: &str) -> Vec<Value> {
    vec![Value::text(attribute::NAME, text)]
}

#[test]
fn names_reach_their_levels() {
    for (a, b, want) in [
        (
            "杭州台进电子科技有限公司",
            "杭州台进电子科技有限公司",
            "name=exact region=same_city branch=both_head",
        ),
        ("杭州台进电子科技有限公司", "台进电子科技", "name=core"),
        ("杭州台进电子科技有限公司", "台进", "name=prefix"),
        (
            "杭州台进电子科技有限公司",
            "杭州台近电子科技有限公司",
            "name=sound region=same_city branch=both_head",
        ),
        (
            "深圳巨能药业服饰有限公司",
            "深圳巨能花业服饰",
            "name=typo region=same_city",
        ),
        (
            "无锡波尔半导体有限公司",
            "Wuxi Boer Industrial Co., Ltd.",
            "name=cross_script region=same_city",
        ),
        (
            "杭州台进电子科技有限公司",
            "杭州台进贸易有限公司",
            "name=brand region=same_city branch=both_head",
        ),
        (
            "杭州台进电子科技有限公司",
            "宁波台进电子科技有限公司",
            "name=core region=else branch=both_head",
        ),
        (
            "杭州台进电子科技有限公司",
            "杭州台进电子科技有限公司北京分公司",
            "name=core region=same_city branch=head_or_branch",
        ),
        (
            "杭州台进电子科技有限公司南京分公司",
            "杭州台进电子科技有限公司北京分公司",
            "name=core region=same_city branch=else",
        ),
        (
            "杭州台进电子科技有限公司",
            "上海华兴钢铁有限公司",
            "name=different region=else branch=both_head",
        ),
    ] {
        assert_eq!(levels(&name(a), &name(b)), want, "{a} / {b}");
        assert_eq!(levels(&name(b), &name(a)), want, "{b} / {a}");
    }
}

#[test]
fn a_shared_phone_says_less_under_another_name() {
    let with = |n: &str| {
        vec![
            Value::text(attribute::NAME, n),
            Value::text(attribute::PHONE, "0571-85523328"),
        ]
    };
    assert!(levels(&with("台进电子"), &with("台进电子科技")).contains("phone=equal"));
    assert!(levels(&with("台进电子"), &with("华兴钢铁")).contains("phone=equal_other_name"));
}

#[test]
fn credit_codes() {
    let with = |u: &str| {
        vec![
            Value::text(attribute::NAME, "台进电子"),
            Value::identifier("uscc", u),
        ]
    };
    assert!(levels(&with(USCC[0]), &with(USCC[0])).contains("uscc=equal"));
    assert!(levels(&with(USCC[0]), &with(USCC[1])).contains("uscc=else"));
    assert!(levels(&with(USCC[0]), &with("91350100M000100Y34")).contains("uscc=near"));
    assert!(levels(&with(USCC[0]), &with("92350100M000777Y34")).contains("uscc=unchecked"));
}

#[test]
fn an_old_organization_code_meets_the_credit_code_that_holds_it() {
    // Characters 9 to 17 of the credit code are an organization code with its own check.
    let old = [Value::identifier("org_code", "M000100Y-4")];
    let new = [Value::identifier("uscc", USCC[0])];
    assert_eq!(levels(&old, &new), "identifier=equal");
    assert_eq!(levels(&new, &old), "identifier=equal");
    let other = [Value::identifier("uscc", USCC[1])];
    assert_eq!(levels(&old, &other), "");
}

#[test]
fn a_generic_value_counts_as_missing() {
    struct Phones;
    impl Generic for Phones {
        fn is_generic(&self, key: &Key) -> bool {
            key.text == "organization/phone/85523328"
        }
    }
    let rules = RuleSet::organization();
    let with = |p: &str| {
        let v = [
            Value::text(attribute::NAME, "台进电子"),
            Value::text(attribute::PHONE, p),
        ];
        standardize(PartyKind::Organization, &v, &rules)
    };
    let (a, b, none) = (with("0571-85523328"), with("0571-85523328"), with(""));
    assert_eq!(
        score(&a, &b, &Phones, &rules),
        score(&a, &none, &NothingGeneric, &rules)
    );
    assert!(score(&a, &b, &NothingGeneric, &rules) > score(&a, &b, &Phones, &rules));
}

#[test]
fn the_waterfall_adds_up_to_the_score() {
    let rules = RuleSet::organization();
    let (_, _, a) = organization("1", "杭州台进电子科技有限公司", USCC[0], "13812345670");
    let (_, _, b) = organization("2", "台进", "", "138-1234-5670");
    let (a, b) = (
        standardize(PartyKind::Organization, &a, &rules),
        standardize(PartyKind::Organization, &b, &rules),
    );
    let steps = explain_pair(&a, &b, &NothingGeneric, &rules);
    assert_eq!(steps.len(), rules.comparisons.len());
    assert_eq!(
        steps.last().map(|s| s.sum),
        Some(score(&a, &b, &NothingGeneric, &rules))
    );
    let phone = steps
        .iter()
        .find(|s| s.comparison == "phone")
        .expect("a phone step");
    assert_eq!(
        (phone.level.as_str(), phone.left.as_str()),
        ("equal", "+86 13812345670")
    );
    let name = &steps[0];
    assert_eq!(
        (name.right.as_str(), name.adjustment),
        ("台进 (台进)", rules.adjustment("core_length", "2"))
    );
}

#[test]
fn persons_and_organizations_never_merge() {
    let rules = Rules::embedded();
    let (key, _, values) = organization("1", "张伟", "", "13812345670");
    let person = |id: &str| {
        (
            jinke_types::RecordKey::new("s", id),
            PartyKind::Person,
            values.clone(),
        )
    };
    let records = [
        (key, PartyKind::Organization, values.clone()),
        person("2"),
        person("3"),
    ];
    assert_eq!(resolve(&records, &[], &rules), [vec![0], vec![1, 2]]);
}

#[test]
fn persons_of_one_name_need_more_than_the_name() {
    let rules = Rules::embedded();
    let person = |id: &str, phone: &str, email: &str| {
        let mut v = vec![
            Value::text(attribute::NAME, "王芳"),
            Value::text(attribute::PHONE, phone),
            Value::text(attribute::EMAIL, email),
        ];
        v.retain(|v| !v.datum.is_blank());
        (jinke_types::RecordKey::new("s", id), PartyKind::Person, v)
    };
    let records = [
        person("1", "13812345670", ""),
        person("2", "13987654321", ""),
        person("3", "138 1234 5670", "wf@x.cn"),
    ];
    assert_eq!(resolve(&records, &[], &rules), [vec![0, 2], vec![1]]);
}

#[test]
fn a_switchboard_shared_by_many_names_does_not_chain_them() {
    let rules = Rules::embedded();
    let brands = [
        "华兴", "宏达", "恒通", "金辉", "瑞丰", "盛世", "天马", "东升", "鑫源", "博雅",
    ];
    let records: Vec<_> = brands
        .iter()
        .enumerate()
        .map(|(i, b)| {
            organization(
                &format!("{i:02}"),
                &format!("上海{b}贸易有限公司"),
                "",
                "021-61234567",
            )
        })
        .collect();
    assert_eq!(resolve(&records, &[], &rules).len(), brands.len());
}
