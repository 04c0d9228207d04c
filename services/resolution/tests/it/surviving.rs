//! Survivorship: policy order, provenance, deletion, order of members.

use jinke_resolution::{Golden, Member, SurvivorshipPolicy, survive};
use jinke_types::{Datum, PartyKind, RecordKey, Timestamp, Value, attribute};
use proptest::prelude::*;

struct Record {
    key: RecordKey,
    trust: i32,
    deleted: bool,
    time: Option<Timestamp>,
    values: Vec<Value>,
}

fn record(id: &str, trust: i32, day: i64, values: &[(&str, &str)]) -> Record {
    Record {
        key: RecordKey::new("s", id),
        trust,
        deleted: false,
        time: Some(Timestamp::from_secs(day * 86_400)),
        values: values.iter().map(|(a, t)| Value::text(a, *t)).collect(),
    }
}

fn run(records: &[Record]) -> Golden {
    let members: Vec<Member<'_>> = records
        .iter()
        .map(|r| Member {
            key: &r.key,
            kind: PartyKind::Organization,
            trust: r.trust,
            deleted: r.deleted,
            business_time: r.time,
            values: &r.values,
        })
        .collect();
    survive(&members, &SurvivorshipPolicy::embedded())
}

fn texts(g: &Golden, attribute: &str) -> Vec<String> {
    g.values
        .iter()
        .filter(|v| v.attribute == attribute)
        .map(|v| v.value.datum.text().unwrap_or("").to_owned())
        .collect()
}

#[test]
fn trust_decides_then_completeness() {
    let g = run(&[
        record("1", 50, 9, &[("name", "台进"), ("industry", "A")]),
        record(
            "2",
            50,
            1,
            &[("name", "杭州台进电子科技有限公司"), ("industry", "B")],
        ),
        record("3", 90, 0, &[("industry", "C")]),
    ]);
    assert_eq!(g.display_name, "杭州台进电子科技有限公司");
    let name = g
        .values
        .iter()
        .find(|v| v.attribute == "name")
        .expect("a name");
    assert_eq!(
        (name.rule, name.member, name.losing.as_slice()),
        ("completeness", 1, &[(0, 0)][..])
    );
    let industry = g
        .values
        .iter()
        .find(|v| v.attribute == "industry")
        .expect("an industry");
    assert_eq!(
        (industry.rule, industry.value.datum.text()),
        ("trust", Some("C"))
    );
}

#[test]
fn distinct_values_are_kept_once_with_their_supporters() {
    let g = run(&[
        record(
            "1",
            1,
            1,
            &[("phone", "0571-85523328"), ("phone", "138 1234 5670")],
        ),
        record("2", 1, 2, &[("phone", "+86 571 85523328")]),
    ]);
    assert_eq!(texts(&g, "phone"), ["+86 571 85523328", "138 1234 5670"]);
    let first = &g.values[0];
    assert_eq!(
        (first.supported_by.as_slice(), first.losing.as_slice()),
        (&[0, 1][..], &[(0, 0)][..])
    );
    assert_eq!(first.rule, "distinct");
}

#[test]
fn a_deleted_record_ranks_last_and_blank_never_survives() {
    let mut gone = record("1", 99, 9, &[("industry", "A"), ("tag", "x")]);
    gone.deleted = true;
    let live = record("2", 1, 1, &[("industry", "B"), ("size", "  ")]);
    let g = run(&[gone, live]);
    assert_eq!(texts(&g, "industry"), ["B"]);
    assert_eq!(
        g.values
            .iter()
            .find(|v| v.attribute == "industry")
            .map(|v| v.rule),
        Some("not_deleted")
    );
    assert_eq!(texts(&g, "tag"), ["x"]);
    assert!(texts(&g, "size").is_empty());
    assert!(!g.deleted);
    let mut last = record("1", 1, 1, &[("name", "台进")]);
    last.deleted = true;
    assert!(run(&[last]).deleted);
    assert_eq!(run(&[]), Golden::default());
}

#[test]
fn scopes_survive_apart() {
    let mut r = record("1", 1, 1, &[]);
    for scope in ["", "hangzhou"] {
        let mut v = Value::of(attribute::CREDIT_LIMIT, Datum::Number(5.into()));
        v.scope = scope.into();
        r.values.push(v);
    }
    let g = run(&[r]);
    assert_eq!(
        g.values
            .iter()
            .map(|v| v.scope.as_str())
            .collect::<Vec<_>>(),
        ["", "hangzhou"]
    );
    assert!(g.values.iter().all(|v| v.rule == "only"));
}

proptest! {
    #[test]
    fn the_order_of_members_does_not_matter(
        rows in prop::collection::vec(
            (0..3_i32, any::<bool>(), prop::option::of(0..3_i64), prop::collection::vec(
                (prop::sample::select(vec!["name", "phone", "industry", "tag"]), prop::sample::select(vec!["台进", "台进有限公司", "13812345670", "138-1234-5670", " "])), 0..4)),
            1..6),
        turn in 0..6_usize,
    ) {
        let build = |order: &[usize]| -> Vec<Record> {
            order.iter().map(|&i| {
                let (trust, deleted, day, values) = &rows[i];
                Record { deleted: *deleted, time: day.map(Timestamp::from_secs), ..record(&i.to_string(), *trust, 0, values) }
            }).collect()
        };
        let order: Vec<usize> = (0..rows.len()).collect();
        let mut turned = order.clone();
        turned.rotate_left(turn % rows.len());
        turned.reverse();
        // Members by their record instead of their place.
        let plain = |g: Golden, order: &[usize]| -> Vec<String> {
            g.values.iter().map(|v| {
                let mut losing: Vec<(usize, usize)> = v.losing.iter().map(|(m, i)| (order[*m], *i)).collect();
                losing.sort_unstable();
                let by: Vec<usize> = v.supported_by.iter().map(|m| order[*m]).collect();
                format!("{:?} {} {} {:?} {} {losing:?}", v.value, order[v.member], v.value_index, by, v.rule)
            }).chain([g.display_name, g.deleted.to_string()]).collect()
        };
        prop_assert_eq!(plain(run(&build(&order)), &order), plain(run(&build(&turned)), &turned));
    }
}

#[test]
fn very_many_values_of_one_attribute_cost_in_proportion() {
    // 64 members of 500 values each: looking at all candidates once per value would take 10^9 looks.
    let records: Vec<Record> = (0..64)
        .map(|m| Record {
            values: (0..500)
                .map(|n| Value::text("tag", format!("t{}", m * 250 + n)))
                .collect(),
            ..record(&format!("{m:02}"), 50, 1, &[])
        })
        .collect();
    let began = std::time::Instant::now();
    let g = run(&records);
    let took = began.elapsed();
    assert_eq!(g.values.len(), 63 * 250 + 500);
    // Neighbours share half of their values.
    let shared = g.values.iter().filter(|v| v.supported_by.len() == 2);
    assert_eq!(shared.count(), 63 * 250);
    assert_eq!(
        g.values.iter().map(|v| v.losing.len()).sum::<usize>(),
        63 * 250
    );
    assert!(took < std::time::Duration::from_secs(8), "{took:?}");
}
