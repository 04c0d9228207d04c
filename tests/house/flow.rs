//! The whole way through the running binary, on both engines: records in, customers merged, orders
//! on the right one, merge and unmerge, history, feed; and nothing personal in the files.

use std::{collections::BTreeSet, fs, path::Path};

use jinke_proto::{
    google::r#type::Money,
    jinke::customer::v1::{
        AddCustomerTagRequest, Customer, GetCustomerRequest, GetCustomerTotalsRequest,
        IngestSourceRecordsRequest, Interaction, ListCustomerChangesRequest,
        ListCustomerRevisionsRequest, ListTimelineEntriesRequest, LookupCustomersRequest,
        MergeCustomersRequest, Party, PartyKind, RecordKey, SearchCustomersRequest, SourceRecord,
        Transaction, UnmergeCustomerRequest, Value, WatchCustomerChangesRequest,
        ingest_result::Outcome, interaction, lookup_customers_request::By, source_record::Body,
        transaction, value::Datum,
    },
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    state::{difference, golden},
    suite::{Clients, Suite},
};
use prost_types::Timestamp;

fn key(source: &str, id: &str) -> RecordKey {
    RecordKey {
        source: format!("sources/{source}"),
        external_id: id.to_owned(),
    }
}

fn text(attribute: &str, text: &str) -> Value {
    Value {
        attribute: attribute.to_owned(),
        datum: Some(Datum::Text(text.to_owned())),
        ..Value::default()
    }
}

fn uscc(value: &str) -> Value {
    Value {
        scheme: "uscc".to_owned(),
        ..text("identifier", value)
    }
}

fn party(source: &str, id: &str, kind: PartyKind, values: Vec<Value>) -> SourceRecord {
    SourceRecord {
        key: Some(key(source, id)),
        body: Some(Body::Party(Party {
            kind: kind.into(),
            values,
        })),
        ..SourceRecord::default()
    }
}

fn order(source: &str, id: &str, of: RecordKey, yuan: i64) -> SourceRecord {
    SourceRecord {
        key: Some(key(source, id)),
        body: Some(Body::Transaction(Transaction {
            kind: transaction::Kind::Order.into(),
            party: Some(of),
            number: id.to_owned(),
            time: Some(Timestamp {
                seconds: 1_760_000_000,
                nanos: 0,
            }),
            amount: Some(Money {
                currency_code: "CNY".to_owned(),
                units: yuan,
                nanos: 0,
            }),
            ..Transaction::default()
        })),
        ..SourceRecord::default()
    }
}

fn message(source: &str, id: &str, of: RecordKey, said: &str) -> SourceRecord {
    SourceRecord {
        key: Some(key(source, id)),
        body: Some(Body::Interaction(Interaction {
            kind: interaction::Kind::Message.into(),
            party: Some(of),
            time: Some(Timestamp {
                seconds: 1_760_000_100,
                nanos: 0,
            }),
            channel: "wecom".to_owned(),
            inbound: true,
            text: said.to_owned(),
            ..Interaction::default()
        })),
        ..SourceRecord::default()
    }
}

async fn ingest(api: &mut Clients, records: Vec<SourceRecord>) -> Vec<String> {
    let request = IngestSourceRecordsRequest {
        records,
        ..IngestSourceRecordsRequest::default()
    };
    let answer = api
        .sources
        .ingest_source_records(request)
        .await
        .expect("ingest")
        .into_inner();
    answer
        .results
        .into_iter()
        .map(|r| {
            assert_eq!(r.outcome(), Outcome::Created, "{:?}", r.error);
            r.customer
        })
        .collect()
}

async fn get(api: &mut Clients, name: &str) -> Customer {
    let request = GetCustomerRequest {
        name: name.to_owned(),
        ..GetCustomerRequest::default()
    };
    api.customers
        .get_customer(request)
        .await
        .expect("get")
        .into_inner()
}

async fn totals(api: &mut Clients, name: &str) -> Vec<(i32, i64, i64)> {
    let request = GetCustomerTotalsRequest {
        name: name.to_owned(),
    };
    let answer = api
        .customers
        .get_customer_totals(request)
        .await
        .expect("totals")
        .into_inner();
    answer
        .totals
        .iter()
        .map(|t| (t.kind, t.count, t.amount.as_ref().map_or(0, |m| m.units)))
        .collect()
}

async fn timeline(api: &mut Clients, name: &str) -> BTreeSet<String> {
    let request = ListTimelineEntriesRequest {
        parent: name.to_owned(),
        ..ListTimelineEntriesRequest::default()
    };
    let page = api
        .customers
        .list_timeline_entries(request)
        .await
        .expect("timeline")
        .into_inner();
    page.entries
        .into_iter()
        .map(|e| e.key.expect("key").external_id)
        .collect()
}

const PHONE: &str = "13586420973";
const EMAIL: &str = "zhuge.kongming@example-secret.cn";
const PERSON: &str = "诸葛孔暝";
const SAID: &str = "请尽快把报价发给我本人";

async fn whole_way(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(engine).await;
    let url = (engine == Engine::Postgres).then(|| place.config().url);
    let data = dir.path().join("data");
    let suite = Suite::start(&data, url.as_deref())
        .await
        .expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    for source in ["erp", "finance", "chat"] {
        api.ensure_source(source).await.expect("a source");
    }

    // Orders and messages come before their parties: nothing is lost.
    ingest(
        &mut api,
        vec![
            order("erp", "SO-1", key("erp", "C1"), 1200),
            order("finance", "INV-1", key("finance", "F9"), 800),
            message("chat", "M-1", key("chat", "P1"), SAID),
        ],
    )
    .await;
    let organization = PartyKind::Organization;
    let customers = ingest(
        &mut api,
        vec![
            party(
                "erp",
                "C1",
                organization,
                vec![
                    text("name", "杭州远山数智科技有限公司"),
                    uscc("91330106MA2ABCDE1G"),
                    text("phone", PHONE),
                    text("contact_name", PERSON),
                ],
            ),
            party(
                "finance",
                "F9",
                organization,
                vec![text("name", "南昌清泉餐饮管理有限公司")],
            ),
            party(
                "chat",
                "P1",
                PartyKind::Person,
                vec![text("name", PERSON), text("email", EMAIL)],
            ),
        ],
    )
    .await;
    let (left, right, person) = (&customers[0], &customers[1], &customers[2]);
    assert_eq!(
        customers.iter().collect::<BTreeSet<_>>().len(),
        3,
        "nothing merges by itself here"
    );
    assert_eq!(totals(&mut api, left).await, [(1, 1, 1200)]);
    assert_eq!(
        timeline(&mut api, person).await,
        BTreeSet::from(["M-1".to_owned()])
    );
    let found = api
        .customers
        .lookup_customers(LookupCustomersRequest {
            by: Some(By::Phone(format!(
                "+86 {} {} {}",
                &PHONE[..3],
                &PHONE[3..7],
                &PHONE[7..]
            ))),
            ..LookupCustomersRequest::default()
        })
        .await
        .expect("look-up")
        .into_inner();
    assert_eq!(
        found.customers.iter().map(|c| &c.name).collect::<Vec<_>>(),
        [left]
    );
    let search = |query: &str| SearchCustomersRequest {
        query: query.to_owned(),
        ..SearchCustomersRequest::default()
    };
    for query in ["山数", "远山数智", "yssz"] {
        let found = api
            .customers
            .search_customers(search(query))
            .await
            .expect(query)
            .into_inner();
        assert!(found.customers.iter().any(|c| &c.name == left), "{query}");
    }

    // Merge and unmerge by hand: everything goes over and comes back.
    let tag = |name: &str, tag: &str| AddCustomerTagRequest {
        name: name.to_owned(),
        tag: tag.to_owned(),
        request_id: String::new(),
    };
    api.customers
        .add_customer_tag(tag(right, "大客户"))
        .await
        .expect("tag");
    let before = golden(&mut api).await.expect("state");
    let merged = api
        .customers
        .merge_customers(MergeCustomersRequest {
            customer: left.clone(),
            other_customer: right.clone(),
            ..MergeCustomersRequest::default()
        })
        .await
        .expect("merge")
        .into_inner();
    assert_eq!(&merged.name, left);
    assert_eq!(
        get(&mut api, right).await.name,
        *left,
        "the other id answers with the merged one"
    );
    assert_eq!(totals(&mut api, right).await, [(1, 2, 2000)]);
    assert_eq!(merged.tags.len(), 1);
    api.customers
        .add_customer_tag(tag(left, "重点"))
        .await
        .expect("tag");
    let parts = api
        .customers
        .unmerge_customer(UnmergeCustomerRequest {
            name: left.clone(),
            records: vec![key("finance", "F9")],
            ..UnmergeCustomerRequest::default()
        })
        .await
        .expect("unmerge")
        .into_inner();
    assert_eq!(
        parts.customers.iter().map(|c| &c.name).collect::<Vec<_>>(),
        [left, right]
    );
    let after = golden(&mut api).await.expect("state");
    assert_eq!(difference(&before, &after), None);
    assert_eq!(totals(&mut api, left).await, [(1, 1, 1200)]);
    assert_eq!(totals(&mut api, right).await, [(1, 1, 800)]);
    let tags = |c: Customer| c.tags.into_iter().map(|t| t.tag).collect::<Vec<_>>();
    assert_eq!(tags(get(&mut api, left).await), ["重点"]);
    assert_eq!(tags(get(&mut api, right).await), ["大客户"]);

    // History and feed tell it all, in order.
    let history = api
        .customers
        .list_customer_revisions(ListCustomerRevisionsRequest {
            parent: left.clone(),
            ..ListCustomerRevisionsRequest::default()
        })
        .await
        .expect("revisions")
        .into_inner();
    let numbers: Vec<i64> = history.revisions.iter().map(|r| r.revision).collect();
    assert!(numbers.windows(2).all(|w| w[0] > w[1]), "{numbers:?}");
    assert!(numbers.len() >= 3);
    let feed = api
        .customers
        .list_customer_changes(ListCustomerChangesRequest {
            page_size: 1000,
            ..ListCustomerChangesRequest::default()
        })
        .await
        .expect("feed")
        .into_inner();
    assert!(
        feed.changes
            .windows(2)
            .all(|w| w[0].position < w[1].position)
    );
    let again = api
        .customers
        .list_customer_changes(ListCustomerChangesRequest {
            page_token: feed.next_page_token.clone(),
            ..ListCustomerChangesRequest::default()
        })
        .await
        .expect("feed")
        .into_inner();
    assert!(again.changes.is_empty());
    assert_eq!(
        again.next_page_token, feed.next_page_token,
        "nothing new gives the same token"
    );
    let mut watch = api
        .customers
        .watch_customer_changes(WatchCustomerChangesRequest {
            page_token: feed.next_page_token,
            include_snapshots: true,
        })
        .await
        .expect("watch")
        .into_inner();
    api.customers
        .add_customer_tag(tag(person, "关键人"))
        .await
        .expect("tag");
    let change = loop {
        let message = watch.message().await.expect("stream").expect("a message");
        if let Some(change) = message.changes.into_iter().next() {
            break change;
        }
    };
    assert_eq!(&change.customer, person);
    assert_eq!(change.snapshot.expect("a snapshot").display_name, PERSON);

    if engine == Engine::Sqlite {
        nothing_personal_in(&data);
    }
    suite.kill().await.expect("kill");
    if engine == Engine::Sqlite {
        nothing_personal_in(&data);
    }
    place.remove().await;
}

/// No file below the folder, write-ahead logs included, holds a planted value in the clear.
fn nothing_personal_in(folder: &Path) {
    let mut scanned = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("a file");
            scanned += bytes.len();
            for planted in [PHONE, EMAIL, PERSON, SAID] {
                let utf16: Vec<u8> = planted.encode_utf16().flat_map(u16::to_le_bytes).collect();
                for form in [planted.as_bytes(), &utf16] {
                    assert!(
                        !bytes.windows(form.len()).any(|w| w == form),
                        "{} holds {planted} in the clear",
                        path.display()
                    );
                }
            }
        }
    }
    assert!(scanned > 50_000, "the scan saw the database");
}

#[tokio::test]
async fn the_whole_way_on_sqlite() {
    whole_way(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_whole_way_on_postgres() {
    whole_way(Engine::Postgres).await;
}
