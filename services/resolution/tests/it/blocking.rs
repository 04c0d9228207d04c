//! Blocks: what is generic, what is refined, and that nobody is dropped.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::{
    BlockState, HUBS, Holder, KeyRule, Rules, Standing,
    block::{meets, pairs_of, place},
    resolve,
};
use jinke_types::{PartyKind, RecordKey, Value, attribute};
use proptest::prelude::*;

fn rule(max_records: usize, max_cores: usize) -> KeyRule {
    KeyRule {
        name: "phone".into(),
        max_records,
        max_cores,
    }
}

fn found(rule: &KeyRule, holders: &[Holder]) -> (BlockState, BTreeSet<(u64, u64)>) {
    let mut pairs = BTreeSet::new();
    let mut list = holders.to_vec();
    let state = pairs_of(rule, &mut list, |a, b| {
        assert_ne!(a, b);
        pairs.insert((a.min(b), a.max(b)));
    });
    (state, pairs)
}

/// Where a record stands, by counting, as a service would ask its database.
fn standing(rule: &KeyRule, holders: &[Holder], me: &Holder) -> Standing {
    let cores: BTreeSet<u64> = holders.iter().map(|h| h.core).filter(|c| *c != 0).collect();
    let mut own: Vec<&Holder> = holders.iter().filter(|h| h.core == me.core).collect();
    own.sort_by_key(|h| (h.place, h.id));
    Standing {
        state: rule.state(holders.len(), cores.len()),
        core: me.core,
        crowded_core: own.len() > rule.max_records,
        hub: own.iter().take(HUBS).any(|h| h.id == me.id),
    }
}

proptest! {
    /// Asking record by record gives the pairs of the block as a whole.
    #[test]
    fn who_meets_follows_from_where_each_stands(
        places in prop::collection::vec((0_u64..5, 0_u64..60), 0..70),
        max_records in 2_usize..40,
        max_cores in 1_usize..5,
    ) {
        let rule = rule(max_records, max_cores);
        let holders: Vec<Holder> = (0..).zip(places)
            .map(|(id, (core, place))| Holder { core, place, id })
            .collect();
        let (state, pairs) = found(&rule, &holders);
        for a in &holders {
            for b in holders.iter().filter(|b| b.id > a.id) {
                let (x, y) = (standing(&rule, &holders, a), standing(&rule, &holders, b));
                prop_assert_eq!(x.state, state);
                prop_assert_eq!(meets(x, y), pairs.contains(&(a.id, b.id)), "{:?} {:?}", a, b);
                prop_assert_eq!(meets(x, y), meets(y, x));
            }
        }
    }

    /// However many records share a value: those of one core hang together, at a cost that
    /// grows with their number and not its square.
    #[test]
    fn no_record_of_a_core_is_left_alone(sizes in prop::collection::vec(1_u64..120, 1..6), max_cores in 1_usize..5) {
        let rule = rule(20, max_cores);
        let mut holders = Vec::new();
        for (core, n) in (1..).zip(&sizes) {
            for _ in 0..*n {
                let id = holders.len() as u64;
                let place = place(&RecordKey::new("erp", format!("{core}/{id}")));
                holders.push(Holder { core, place, id });
            }
        }
        let (state, pairs) = found(&rule, &holders);
        let mut group: Vec<u64> = (0..holders.len() as u64).collect();
        for (a, b) in &pairs {
            let (x, y) = (group[*a as usize], group[*b as usize]);
            group.iter_mut().filter(|g| **g == x.max(y)).for_each(|g| *g = x.min(y));
        }
        let mut by_core: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for h in &holders {
            by_core.entry(h.core).or_default().insert(group[h.id as usize]);
        }
        prop_assert!(by_core.values().all(|g| g.len() == 1), "{:?}", by_core);
        let all: BTreeSet<u64> = group.iter().copied().collect();
        let parts = if state == BlockState::Generic { sizes.len() } else { 1 };
        prop_assert_eq!(all.len(), parts);
        prop_assert!(pairs.len() <= holders.len() * 19 + 40 * 40, "{}", pairs.len());
    }
}

fn record(id: usize, values: &[(&str, String)]) -> (RecordKey, PartyKind, Vec<Value>) {
    let values = values
        .iter()
        .map(|(attribute, text)| match *attribute {
            "uscc" => Value::identifier("uscc", text.clone()),
            other => Value::text(other, text.clone()),
        })
        .collect();
    let key = RecordKey::new(
        if id.is_multiple_of(2) { "erp" } else { "crm" },
        format!("{id:04}"),
    );
    (key, PartyKind::Organization, values)
}

#[test]
fn a_thousand_equal_records_are_one_customer() {
    let values = [
        (attribute::NAME, String::from("杭州金客科技有限公司")),
        (attribute::PHONE, String::from("0571-85523328")),
        (attribute::CONTACT_NAME, String::from("王建国")),
    ];
    let records: Vec<_> = (0..1000).map(|i| record(i, &values)).collect();
    assert_eq!(resolve(&records, &[], &Rules::embedded()).len(), 1);
}

#[test]
fn a_customer_of_many_records_under_one_credit_code_stays_one() {
    let spellings = [
        "杭州金客科技有限公司",
        "金客科技",
        "杭州金客科技",
        "金客",
        "杭州金客科技有限责任公司",
    ];
    let records: Vec<_> = (0..300)
        .map(|i| {
            record(
                i,
                &[
                    (attribute::NAME, spellings[i % 5].to_owned()),
                    ("uscc", "91330106MA2CFLDG4R".to_owned()),
                    (
                        attribute::PHONE,
                        format!("138{:08}", 12_345_671 + i * 7_919),
                    ),
                ],
            )
        })
        .collect();
    let held = jinke_resolution::standardize::identifier::uscc_holds("91330106MA2CFLDG4R");
    let clusters = resolve(&records, &[], &Rules::embedded());
    assert_eq!(clusters.len(), 1, "the check of the code holds: {held}");
}

#[test]
fn a_switchboard_joins_nobody_but_leads_records_of_one_name_together() {
    let phone = (attribute::PHONE, String::from("0571-85523328"));
    let brands = [
        "金客", "云峰", "蓝海", "锦江", "明远", "华顺", "瑞德", "天宝", "宏图", "长青", "百川",
        "安泰",
    ];
    let mut records = Vec::new();
    for (i, brand) in brands.iter().enumerate() {
        for j in 0..2 {
            let name = (attribute::NAME, format!("杭州{brand}科技有限公司"));
            let contact = (attribute::CONTACT_NAME, format!("王建{brand}"));
            records.push(record(i * 2 + j, &[name, phone.clone(), contact]));
        }
    }
    let clusters = resolve(&records, &[], &Rules::embedded());
    assert_eq!(clusters.len(), brands.len(), "{clusters:?}");
    assert!(clusters.iter().all(|c| c.len() == 2));
}
