//! What would split a customer, and mistakes of a rule set, as far as the caller may know.

use jinke_customer::convert::pb;

use crate::{
    house::{House, identifier, key, on_each_engine, organization, text},
    operations::result,
};

async fn lineage(
    house: &House,
    role: &'static str,
    name: &str,
) -> (pb::GetCustomerLineageResponse, pb::ClusterCohesion) {
    let request = pb::GetCustomerLineageRequest {
        name: name.to_owned(),
    };
    let mut customers = house.customers(role);
    let answer = customers.get_customer_lineage(request).await.unwrap();
    let answer = answer.into_inner();
    let cohesion = answer.cohesion.clone().expect("what holds the customer");
    (answer, cohesion)
}

#[tokio::test(flavor = "multi_thread")]
async fn cohesion_tells_neither_walled_records_nor_hidden_values() {
    on_each_engine(async |house| {
        let of = |source: &str, id: &str| {
            let values = vec![
                text("name", "杭州示例精密机械有限公司"),
                text("phone", "13957164820"),
            ];
            organization(source, id, values)
        };
        let names = house
            .ingest(vec![of("erp", "C-1"), of("crm", "C-2"), of("west", "W-1")])
            .await;
        assert!(names.iter().all(|n| *n == names[0]));
        let (_, all) = lineage(&house, "admin", &names[0]).await;
        assert_eq!((all.records, all.sides.len()), (3, 2));
        let sides: usize = all.sides.iter().map(|s| s.records.len()).sum();
        assert_eq!((sides, all.holding.len()), (3, 2));

        let mut scores = Vec::new();
        for role in ["sales", "reader"] {
            let (answer, seen) = lineage(&house, role, &names[0]).await;
            assert_eq!((seen.records, seen.holding.len()), (2, 1), "{role}");
            let mut keys: Vec<_> = seen.sides.iter().flat_map(|s| &s.records).collect();
            keys.sort_by_key(|k| &k.source);
            assert_eq!(keys, [&key("crm", "C-2"), &key("erp", "C-1")], "{role}");
            let weakest = seen.weakest.expect("a link");
            assert_eq!(weakest.score, answer.links[0].score, "{role}");
            assert_eq!(weakest, seen.holding[0]);
            scores.push(weakest.score);
        }
        let whole = all.weakest.expect("a link").score;
        // Sales see phones, readers do not.
        assert!(
            whole >= scores[0] && scores[0] > scores[1],
            "{whole} {scores:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decided_a_mistake_is_told_to_who_may_see_it() {
    on_each_engine(async |house| {
        let of = |source: &str, id: &str, name: &str| {
            let values = vec![text("name", name), identifier("duns", "544832117")];
            organization(source, id, values)
        };
        house
            .ingest(vec![
                of("erp", "C-1", "成都示例精密仪器有限公司"),
                of("crm", "C-2", "成都示例精密仪器公司"),
            ])
            .await;
        let judgement = pb::Judgement {
            decision: pb::judgement::Decision::Negative.into(),
            left: vec![key("erp", "C-1")],
            right: vec![key("crm", "C-2")],
            ..Default::default()
        };
        let request = pb::CreateJudgementRequest {
            judgement: Some(judgement),
            ..Default::default()
        };
        let mut stewards = house.stewards("admin");
        stewards.create_judgement(request).await.unwrap();
        for (role, by) in [("admin", "identifier"), ("finance", "name")] {
            let mut matches = house.matches(role);
            let sets = matches.list_rule_sets(pb::ListRuleSetsRequest {}).await;
            let sets = sets.unwrap().into_inner().rule_sets;
            assert!(sets.iter().all(|s| s.training.is_none()));
            let request = pb::EvaluateRuleSetRequest {
                name: sets[0].name.clone(),
            };
            let started = matches
                .evaluate_rule_set(request)
                .await
                .unwrap()
                .into_inner();
            let found: pb::RuleSetEvaluation = result(&house, started).await;
            let [mistake] = &found.mistakes[..] else {
                panic!("{found:?}");
            };
            use pb::rule_set_evaluation::MistakeKind;
            assert_eq!(mistake.kind(), MistakeKind::WronglyMerged);
            let decisive = mistake.decisive.clone().expect("a level");
            assert_eq!(decisive.comparison, by, "{role}");
            assert_eq!(found.mistake_counts.len(), 1);
            assert_eq!(found.mistake_counts[0].decisive, Some(decisive));
            assert_eq!(found.mistake_counts[0].count, 1);
        }
    })
    .await;
}
