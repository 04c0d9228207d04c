//! Masks: what hidden values are cannot be told from any answer, and the golden file of what each
//! role sees. `UPDATE_GOLDEN=1` writes the file anew; read the difference before you commit it.

use jinke_customer::{convert::pb, store::MIGRATIONS};
use jinke_proto::FILE_DESCRIPTOR_SET;
use jinke_store::{Engine, testing};
use jinke_types::SeededEntropy;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::{Response, Status};

use crate::{
    facts::{Facts, furnish},
    house::{House, ROLES, key, text},
};

/// What one call answered: its name, the message's type, and the message or the error.
pub type Answer = (String, &'static str, Result<Vec<u8>, String>);

fn answer<M: Message>(call: &str, of: &'static str, result: Result<Response<M>, Status>) -> Answer {
    let result = result
        .map(|response| response.into_inner().encode_to_vec())
        .map_err(|status| format!("{:?} {}", status.code(), status.message()));
    (call.to_owned(), of, result)
}

/// Every read there is, as one role.
pub async fn everything(house: &House, role: &'static str) -> Vec<Answer> {
    use pb::lookup_customers_request::{By, Identifier};
    let mut out = Vec::new();
    let (mut customers, mut sources) = (house.customers(role), house.sources(role));
    let (mut matches, mut stewards) = (house.matches(role), house.stewards(role));
    let full = pb::CustomerView::Full.into();
    for name in ["customers/1", "customers/2", "customers/3"] {
        let request = pb::GetCustomerRequest {
            name: name.to_owned(),
            view: 0,
        };
        out.push(answer(
            &format!("get {name}"),
            "Customer",
            customers.get_customer(request).await,
        ));
        let request = pb::GetCustomerLineageRequest {
            name: name.to_owned(),
        };
        let lineage = customers.get_customer_lineage(request).await;
        out.push(answer(
            &format!("lineage {name}"),
            "GetCustomerLineageResponse",
            lineage,
        ));
        let request = pb::ListCustomerRevisionsRequest {
            parent: name.to_owned(),
            ..Default::default()
        };
        let revisions = customers.list_customer_revisions(request).await;
        out.push(answer(
            &format!("revisions {name}"),
            "ListCustomerRevisionsResponse",
            revisions,
        ));
        let request = pb::ListTimelineEntriesRequest {
            parent: name.to_owned(),
            ..Default::default()
        };
        let timeline = customers.list_timeline_entries(request).await;
        out.push(answer(
            &format!("timeline {name}"),
            "ListTimelineEntriesResponse",
            timeline,
        ));
        let request = pb::ListRelationshipsRequest {
            parent: name.to_owned(),
        };
        let relationships = customers.list_relationships(request).await;
        out.push(answer(
            &format!("relationships {name}"),
            "ListRelationshipsResponse",
            relationships,
        ));
        let request = pb::GetCustomerTotalsRequest {
            name: name.to_owned(),
        };
        let totals = customers.get_customer_totals(request).await;
        out.push(answer(
            &format!("totals {name}"),
            "GetCustomerTotalsResponse",
            totals,
        ));
    }
    for (filter, order_by) in [("", ""), ("kind = ORGANIZATION", "update_time desc")] {
        let request = pb::ListCustomersRequest {
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            view: full,
            ..Default::default()
        };
        let list = customers.list_customers(request).await;
        out.push(answer(
            &format!("list {filter}"),
            "ListCustomersResponse",
            list,
        ));
    }
    for query in ["示例", "欧阳", "zz"] {
        let request = pb::SearchCustomersRequest {
            query: query.to_owned(),
            view: full,
            ..Default::default()
        };
        let found = customers.search_customers(request).await;
        out.push(answer(
            &format!("search {query}"),
            "SearchCustomersResponse",
            found,
        ));
    }
    let identifier = |scheme: &str, value: &str| {
        By::Identifier(Identifier {
            scheme: scheme.to_owned(),
            value: value.to_owned(),
        })
    };
    for (call, by) in [
        ("lookup record", By::Record(key("crm", "P-1"))),
        ("lookup duns", identifier("duns", "544832117")),
        (
            "lookup id card",
            identifier("id_card", "330106199001010000"),
        ),
        ("lookup phone", By::Phone("139 5716 4820".to_owned())),
        ("lookup email", By::Email("li@example.cn".to_owned())),
    ] {
        let request = pb::LookupCustomersRequest {
            by: Some(by),
            view: 0,
        };
        let found = customers.lookup_customers(request).await;
        out.push(answer(call, "LookupCustomersResponse", found));
    }
    let request = pb::ListCustomerChangesRequest {
        include_snapshots: true,
        ..Default::default()
    };
    let changes = customers.list_customer_changes(request).await;
    out.push(answer("changes", "ListCustomerChangesResponse", changes));
    let request = pb::WatchCustomerChangesRequest {
        include_snapshots: true,
        ..Default::default()
    };
    let watched = match customers.watch_customer_changes(request).await {
        Ok(stream) => stream
            .into_inner()
            .message()
            .await
            .map(|m| m.unwrap_or_default()),
        Err(status) => Err(status),
    };
    out.push(answer(
        "watch",
        "WatchCustomerChangesResponse",
        watched.map(Response::new),
    ));
    let stats = customers
        .get_customer_stats(pb::GetCustomerStatsRequest {})
        .await;
    out.push(answer("stats", "GetCustomerStatsResponse", stats));
    let request = pb::ExplainMatchRequest {
        left: Some(key("erp", "C-1")),
        right: Some(key("crm", "K-1")),
    };
    out.push(answer(
        "explain",
        "MatchExplanation",
        matches.explain_match(request).await,
    ));
    let party = pb::Party {
        kind: pb::PartyKind::Organization.into(),
        values: vec![
            text("name", "杭州示例精密机械有限公司"),
            text("phone", "13957164820"),
            text("email", "li@example.cn"),
        ],
    };
    let request = pb::MatchPartyRequest {
        party: Some(party),
        page_size: 0,
    };
    out.push(answer(
        "match",
        "MatchPartyResponse",
        matches.match_party(request).await,
    ));
    for (source, id) in [
        ("erp", "C-1"),
        ("crm", "P-1"),
        ("erp", "O-1"),
        ("crm", "M-1"),
        ("crm", "R-1"),
    ] {
        let request = pb::GetSourceRecordRequest {
            key: Some(key(source, id)),
            version: 1,
        };
        let record = sources.get_source_record(request).await;
        out.push(answer(
            &format!("record {source}/{id}"),
            "SourceRecord",
            record,
        ));
    }
    let request = pb::ListSourceRecordsRequest {
        parent: "sources/crm".to_owned(),
        ..Default::default()
    };
    let records = sources.list_source_records(request).await;
    out.push(answer("records", "ListSourceRecordsResponse", records));
    let judgements = stewards
        .list_judgements(pb::ListJudgementsRequest::default())
        .await;
    out.push(answer("judgements", "ListJudgementsResponse", judgements));
    let reviews = stewards
        .list_match_reviews(pb::ListMatchReviewsRequest::default())
        .await;
    out.push(answer("reviews", "ListMatchReviewsResponse", reviews));
    out
}

/// The answers of a fresh house with these facts.
async fn answers(engine: Engine, role: &'static str, facts: &Facts) -> Vec<Answer> {
    let taken = std::sync::Mutex::new(Vec::new());
    testing::on_engine(engine, &MIGRATIONS, async |db| {
        let house = House::over(db, 1).await.with_sources().await;
        furnish(&house, facts).await;
        let all = everything(&house, role).await;
        taken.lock().unwrap().extend(all);
    })
    .await;
    taken.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_values_change_no_byte_of_any_answer() {
    for role in ["reader", "finance", "sales"] {
        let mut first: Option<Vec<Answer>> = None;
        for seed in 0..4 {
            // PostgreSQL once: what the engine of the database adds is the same for every seed.
            let engine = if seed == 3 {
                Engine::Postgres
            } else {
                Engine::Sqlite
            };
            let facts = Facts::seen_by(role, &SeededEntropy::new(seed));
            let now = answers(engine, role, &facts).await;
            let Some(before) = &first else {
                first = Some(now);
                continue;
            };
            for (a, b) in before.iter().zip(&now) {
                assert_eq!(
                    a, b,
                    "as {role}, facts {seed}: {} tells what is hidden",
                    a.0
                );
            }
            assert_eq!(before.len(), now.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_above_would_notice() {
    // The same comparison for a caller who sees everything finds differences in most answers.
    let one = answers(
        Engine::Sqlite,
        "admin",
        &Facts::drawn(&SeededEntropy::new(1)),
    )
    .await;
    let two = answers(
        Engine::Sqlite,
        "admin",
        &Facts::drawn(&SeededEntropy::new(2)),
    )
    .await;
    let differ: Vec<_> = one
        .iter()
        .zip(&two)
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.0.as_str())
        .collect();
    for call in [
        "get customers/1",
        "lineage customers/1",
        "revisions customers/1",
        "timeline customers/1",
        "totals customers/1",
        "list ",
        "search 示例",
        "lookup duns",
        "changes",
        "watch",
        "explain",
        "record erp/C-1",
        "records",
        "judgements",
    ] {
        assert!(
            differ.contains(&call),
            "{call} is the same for other facts; {differ:?}"
        );
    }
}

/// A fact, its column in the golden file and how it shows in JSON.
fn marks(facts: &Facts) -> Vec<(&'static str, Vec<String>)> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        ("organization", one("杭州示例精密机械有限公司")),
        ("uses", one("机械制造")),
        ("person", one(&facts.person_name)),
        ("phone", vec![facts.phone.clone()]),
        ("email", one(&facts.email)),
        ("address", vec![facts.address.clone(), "文三路".to_owned()]),
        ("account", one(&facts.account)),
        ("id_card", one(&facts.id_card)),
        ("born", one(&format!("\"year\":{}", facts.born))),
        ("credit", one(&facts.credit.to_string())),
        ("amount", one(&format!("\"{}\"", facts.units))),
        ("remark", facts.remark.iter().cloned().collect()),
        (
            "custom",
            facts
                .color
                .iter()
                .map(|color| format!("\"{color}\""))
                .collect(),
        ),
        ("said", one(&facts.said)),
        ("comment", one(&facts.comment)),
    ]
}

/// What was sent in the request of a call comes back in no answer but by being stored, so a mark
/// in an answer is a fact that the role sees there.
#[tokio::test(flavor = "multi_thread")]
async fn what_each_role_sees_is_written_down() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the descriptor set is read");
    let facts = Facts::plain();
    let marks = marks(&facts);
    let mut shown = String::from(
        "# Which facts show in which answer, by role. Written by the test\n\
         # `what_each_role_sees_is_written_down` with UPDATE_GOLDEN=1.\n",
    );
    for role in ROLES {
        shown.push_str(&format!("\n## {role}\n"));
        for (call, of, result) in answers(Engine::Sqlite, role, &facts).await {
            let seen = match result {
                Err(error) => error,
                Ok(bytes) => {
                    let of = pool.get_message_by_name(&format!("jinke.customer.v1.{of}"));
                    let message = DynamicMessage::decode(of.expect("the type is known"), &*bytes);
                    let json = serde_json::to_string(&message.expect("it decodes"));
                    let json = json.expect("it is JSON");
                    let seen: Vec<_> = marks
                        .iter()
                        .filter(|(_, texts)| texts.iter().any(|text| json.contains(text.as_str())))
                        .map(|(column, _)| *column)
                        .collect();
                    if seen.is_empty() {
                        "-".to_owned()
                    } else {
                        seen.join(" ")
                    }
                }
            };
            shown.push_str(&format!("{call}: {seen}\n"));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpc/masked.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &shown).expect("the golden file is written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    if let Some((n, (was, is))) = golden
        .lines()
        .zip(shown.lines())
        .enumerate()
        .find(|(_, (was, is))| was != is)
    {
        panic!("line {} of masked.golden was\n{was}\nand is\n{is}", n + 1);
    }
    assert_eq!(
        golden.lines().count(),
        shown.lines().count(),
        "masked.golden has another length"
    );
}
