//! Products, persons and org units as dimensions: from the records of the world, with their names, under
//! the rights of who asks; through merges, erasures and an upgrade.

use std::collections::{BTreeMap, BTreeSet};

use jinke_reporting::{
    convert::pb,
    feed::TransactionState,
    number::{self, ONE},
    store::{load, projection},
};
use jinke_store::args;
use jinke_types::{RowScope, Timestamp};

use crate::house::{House, on_each_engine, value};

/// Sums by the values of the dimensions.
type Sums = BTreeMap<Vec<String>, i128>;

fn billionths(units: i64, nanos: i32) -> i128 {
    i128::from(units) * ONE + i128::from(nanos)
}

/// A line's product, as who reads the record would say it: code, or else name; name; category.
fn product(line: &jinke_reporting::feed::LineState) -> (String, String, String) {
    let name = line.product.replace(&format!("{} ", line.code), "");
    let name = name.trim().to_owned();
    let key = if line.code.is_empty() {
        name.clone()
    } else {
        line.code.clone()
    };
    (key, name, line.category.clone())
}

/// Revenue from the records of the world: by customer and by what `of` says of a line; none for what
/// no line names.
fn revenue(
    house: &House,
    of: impl Fn(&TransactionState, Option<(String, String, String)>) -> String,
) -> Sums {
    let mut sums = Sums::new();
    for (customer, t) in house.world.transactions() {
        let (_, units, nanos) = t.amount.clone().unwrap();
        let mut rest = billionths(units, nanos);
        let mut add = |key: String, amount: i128| {
            *sums
                .entry(vec![format!("customers/{customer}"), key])
                .or_default() += amount;
        };
        for line in &t.lines {
            if let Some((units, nanos)) = line.amount {
                rest -= billionths(units, nanos);
                add(of(&t, Some(product(line))), billionths(units, nanos));
            }
        }
        if rest != 0 {
            add(of(&t, None), rest);
        }
    }
    sums
}

fn read(answer: &pb::QueryMetricsResponse) -> Sums {
    answer
        .rows
        .iter()
        .map(|row| (row.dimension_values.clone(), value(&row.values[0]).unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn revenue_by_product_category_and_person_is_that_of_the_records() {
    on_each_engine(61, async |house| {
        for _ in 0..6 {
            let ask = async |dimension: &str| {
                let dimensions = ["customer", dimension];
                let answer = house
                    .query("admin", &["net_revenue"], &dimensions, "")
                    .await;
                read(&answer.unwrap())
            };
            let by_product = revenue(&house, |_, line| line.map(|l| l.0).unwrap_or_default());
            assert_eq!(ask("product").await, by_product);
            assert!(by_product.keys().any(|k| k[1] == "P1"), "{by_product:?}");
            assert!(by_product.keys().any(|k| k[1] == "阀门"), "{by_product:?}");
            let by_category = revenue(&house, |_, line| line.map(|l| l.2).unwrap_or_default());
            assert_eq!(ask("product_category").await, by_category);
            let mut by_person = Sums::new();
            for (key, amount) in revenue(&house, |t, _| t.employee.clone()) {
                *by_person.entry(key).or_default() += amount;
            }
            assert_eq!(ask("person").await, by_person);
            // What is filtered by a product is what it is among the others.
            let filter = "product = \"P1\" AND product_category = \"传动\"";
            let part = house.query("admin", &["net_revenue"], &["customer"], filter);
            let right = revenue(&house, |_, line| match line {
                Some((key, _, category)) if key == "P1" && category == "传动" => "+".to_owned(),
                _ => String::new(),
            });
            let right: BTreeMap<_, _> = right
                .into_iter()
                .filter(|(key, _)| key[1] == "+")
                .map(|(key, amount)| (vec![key[0].clone()], amount))
                .collect();
            assert_eq!(read(&part.await.unwrap()), right);
            // Merges, unmerges, erasures, changed and deleted records.
            house.world.happen(60);
            house.settle().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_product_add_up_to_it() {
    on_each_engine(62, async |house| {
        let request = pb::ListMetricRowsRequest {
            measure: "net_revenue".to_owned(),
            filter: "product_category = \"电气\"".to_owned(),
            start_date: Some(crate::house::date(2025, 1, 1)),
            end_date: Some(crate::house::date(2026, 12, 31)),
            page_size: 1_000,
            ..pb::ListMetricRowsRequest::default()
        };
        let listed = house.analytics("admin").list_metric_rows(request).await;
        let listed = listed.unwrap().into_inner();
        let of = |d: &Option<jinke_proto::google::r#type::Decimal>| {
            number::parse(&d.as_ref().unwrap().value).unwrap()
        };
        let sum: i128 = listed.rows.iter().map(|r| of(&r.numerator)).sum();
        let right = revenue(&house, |_, line| line.map(|l| l.2).unwrap_or_default());
        let right: i128 = right
            .iter()
            .filter(|(key, _)| key[1] == "电气")
            .map(|(_, amount)| amount)
            .sum();
        assert!(listed.rows.len() > 3 && sum == right);
        assert_eq!(value(&listed.value.unwrap()), Some(right));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_have_names_for_those_who_may_read_them() {
    on_each_engine(63, async |house| {
        let labels = async |role, measure: &str, dimension: &str| {
            let answer = house
                .query(role, &[measure], &[dimension], "")
                .await
                .unwrap();
            let label = |row: &pb::MetricRow| {
                assert_eq!(row.dimension_labels.len(), 1, "{row:?}");
                (
                    row.dimension_values[0].clone(),
                    row.dimension_labels[0].clone(),
                )
            };
            answer.rows.iter().map(label).collect::<BTreeMap<_, _>>()
        };
        // A product is called what the newest of the transactions that he sees calls it.
        for (role, sources) in [("admin", None), ("finance", Some(["erp", "east"]))] {
            let mut newest: BTreeMap<String, (Timestamp, i64, String)> = BTreeMap::new();
            let seen = |source: &String| sources.is_none_or(|s| s.contains(&source.as_str()));
            for (_, t) in house.world.transactions() {
                if !seen(&t.key.0) || !seen(&t.party.0) {
                    continue;
                }
                for line in &t.lines {
                    let (key, name, _) = product(line);
                    if key == name {
                        continue;
                    }
                    let said = (t.time, t.id, name);
                    let known = newest.entry(key).or_insert_with(|| said.clone());
                    *known = said.max(known.clone());
                }
            }
            let shown = labels(role, "net_revenue", "product").await;
            for (key, (_, _, name)) in &newest {
                if let Some(label) = shown.get(key) {
                    assert_eq!(label, name, "{key} for {role}");
                }
            }
            assert!(
                shown.keys().filter(|k| k.starts_with('P')).count() == 3,
                "{shown:?}"
            );
            assert!(shown.get("阀门").is_none_or(String::is_empty));
        }
        let stages = labels("admin", "stage_conversion_rate", "stage").await;
        assert_eq!(stages["lead"], "阶段 lead");
        let pipelines = labels("admin", "stage_conversion_rate", "pipeline").await;
        assert_eq!(pipelines["default"], "默认");
        let customers = labels("admin", "order_count", "customer").await;
        assert!(
            customers
                .iter()
                .all(|(id, name)| { *name == format!("客户 {}", &id["customers/".len()..]) })
        );
        // Of users: the unit is for everybody, the name for who may read names of persons.
        let units = labels("sales", "stage_conversion_rate", "person_org_unit").await;
        assert_eq!(units["orgUnits/east"], "华东区");
        let persons = labels("manager", "stage_conversion_rate", "person").await;
        assert_eq!(persons["users/lei"], "李雷");
        let hidden = labels("sales", "stage_conversion_rate", "person").await;
        assert_eq!(hidden["users/lei"], "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_is_not_read_from_the_names_of_what_was_sold() {
    on_each_engine(64, async |house| {
        let customer = house.world.customer("erp");
        let order = house
            .world
            .order(customer, Timestamp::from_secs(1_780_000_000));
        house.world.sell_of(order, "绝密样机");
        house.settle().await;
        let count = async || {
            let mut conn = house.api.core.db.read().await.unwrap();
            let row = conn
                .fetch_one(
                    "SELECT COUNT(*) AS n FROM products WHERE name = $1",
                    args!["绝密样机"],
                )
                .await;
            row.unwrap().i64("n").unwrap()
        };
        assert_eq!(count().await, 1);
        house.world.call_off(order);
        house.settle().await;
        assert_eq!(count().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_an_older_shape_are_filled_anew_while_they_serve() {
    on_each_engine(65, async |house| {
        let db = &house.api.core.db;
        let whole = async || {
            let (_, frame) = load::frame(db, &RowScope::All, true, 1_000_000)
                .await
                .unwrap();
            let mut frame = (*frame).clone();
            frame.positions = [0; 3];
            frame
        };
        let right = whole().await;
        // What the version before knew: neither products with codes, nor persons, nor versions.
        db.write(async |mut tx| {
            for text in [
                "UPDATE projections SET shape = 1",
                "UPDATE transactions SET person = NULL",
                "UPDATE transaction_lines SET item = NULL, product = '旧'",
                "UPDATE opportunities SET version = 0",
                "UPDATE transitions SET version = 0",
                "DELETE FROM pipeline_versions",
                "DELETE FROM products",
                "DELETE FROM persons",
            ] {
                tx.execute(text, args![]).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
        let old = whole().await;
        assert_ne!(old, right);
        assert!(
            old.lines
                .iter()
                .all(|l| old.products[l.product as usize].name == "旧")
        );
        // At the next start, twice over for two replicas: one new generation, the old one answers.
        house.api.follower.begin().await.unwrap();
        house.api.follower.begin().await.unwrap();
        let listed = projection::list(&mut db.read().await.unwrap())
            .await
            .unwrap();
        let states: Vec<i64> = listed.iter().map(|g| g.state).collect();
        assert_eq!(states, [projection::SERVING, projection::BUILDING]);
        assert_eq!(whole().await.transactions.len(), right.transactions.len());
        house.settle().await;
        let serving = projection::serving(&mut db.read().await.unwrap())
            .await
            .unwrap();
        assert_eq!(
            (serving.no, serving.shape),
            (listed[1].no, projection::SHAPE)
        );
        assert_eq!(whole().await, right);
        // And at the one after that nothing is built.
        house.api.follower.begin().await.unwrap();
        let states: BTreeSet<i64> = projection::list(&mut db.read().await.unwrap())
            .await
            .unwrap()
            .iter()
            .map(|g| g.state)
            .collect();
        assert!(!states.contains(&projection::BUILDING));
    })
    .await;
}
