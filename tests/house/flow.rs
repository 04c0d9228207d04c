//! The whole way through the running house: records in, customers merged, orders on the right one,
//! merge and unmerge, history, feed; and nothing personal in the files. In one process on both
//! engines, and in a process for each service; the answers are the same.

use std::{collections::BTreeSet, fs, path::Path};

use hyper::Method;
use jinke_proto::jinke::customer::v1::{
    AddCustomerTagRequest, Customer, ListCustomerChangesRequest, ListCustomerRevisionsRequest,
    LookupCustomersRequest, MergeCustomersRequest, PartyKind, SearchCustomersRequest,
    UnmergeCustomerRequest, WatchCustomerChangesRequest, lookup_customers_request::By,
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{Certificates, House, Plan, Tls, http::Https},
    state::{difference, golden},
    suite::{Clients, Suite},
    transcript::Transcript,
};

use jinke_kit::client::Credential;
use jinke_runner::simulate::Simulation;

use crate::{
    records::{get, ingest, key, message, order, party, text, timeline, totals, uscc},
    services::{self, Services},
};

const PHONE: &str = "13586420973";
const EMAIL: &str = "zhuge.kongming@example-secret.cn";
const PERSON: &str = "诸葛孔暝";
const SAID: &str = "请尽快把报价发给我本人";

/// Everything the flow does, and what was answered.
async fn story(api: &mut Clients) -> Transcript {
    let mut told = Transcript::default();
    for source in ["erp", "finance", "chat"] {
        api.ensure_source(source).await.expect("a source");
    }

    // Orders and messages come before their parties: nothing is lost.
    ingest(
        api,
        vec![
            order("erp", "SO-1", key("erp", "C1"), 1200),
            order("finance", "INV-1", key("finance", "F9"), 800),
            message("chat", "M-1", key("chat", "P1"), SAID),
        ],
    )
    .await;
    let organization = PartyKind::Organization;
    let customers = ingest(
        api,
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
    assert_eq!(totals(api, left).await, [(1, 1, 1200)]);
    assert_eq!(
        timeline(api, person).await,
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
    let customer = |message: &str| format!("jinke.customer.v1.{message}");
    told.note("look-up", &customer("LookupCustomersResponse"), &found);
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
        told.note(query, &customer("SearchCustomersResponse"), &found);
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
    let before = golden(api).await.expect("state");
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
    told.note("merge", &customer("Customer"), &merged);
    assert_eq!(
        get(api, right).await.name,
        *left,
        "the other id answers with the merged one"
    );
    assert_eq!(totals(api, right).await, [(1, 2, 2000)]);
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
    told.note("unmerge", &customer("UnmergeCustomerResponse"), &parts);
    assert_eq!(
        parts.customers.iter().map(|c| &c.name).collect::<Vec<_>>(),
        [left, right]
    );
    let after = golden(api).await.expect("state");
    assert_eq!(difference(&before, &after), None);
    told.note_json("state", serde_json::json!(after));
    assert_eq!(totals(api, left).await, [(1, 1, 1200)]);
    assert_eq!(totals(api, right).await, [(1, 1, 800)]);
    let tags = |c: Customer| c.tags.into_iter().map(|t| t.tag).collect::<Vec<_>>();
    assert_eq!(tags(get(api, left).await), ["重点"]);
    assert_eq!(tags(get(api, right).await), ["大客户"]);

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
    told.note(
        "history",
        &customer("ListCustomerRevisionsResponse"),
        &history,
    );
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
    told.note("feed", &customer("ListCustomerChangesResponse"), &feed);
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
    told.note("watch", &customer("CustomerChange"), &change);
    assert_eq!(change.snapshot.expect("a snapshot").display_name, PERSON);
    told
}

/// The same house over HTTPS.
async fn story_over_http(https: &Https, port: u16) -> Transcript {
    let mut told = Transcript::default();
    for path in [
        "/v1/customers?pageSize=10&view=CUSTOMER_VIEW_FULL",
        "/v1/customers/4",
        "/v1/customers/4/revisions",
        "/v1/customers:search?query=%E8%BF%9C%E5%B1%B1%E6%95%B0%E6%99%BA",
        "/v1/customers/999",
        "/v1/customers/4?view=NONSENSE",
        "/v1/caller",
        "/v1/sources",
        "/v1/nowhere",
    ] {
        let (code, json) = https.call(port, Method::GET, path, None).await.expect(path);
        told.note_json(&format!("{path} {code}"), json);
    }
    let merge = serde_json::json!({
        "customer": "customers/4", "otherCustomer": "customers/5", "validateOnly": true,
    });
    let (code, json) = https
        .call(port, Method::POST, "/v1/customers:merge", Some(&merge))
        .await
        .expect("merge");
    told.note_json(&format!("merge {code}"), json);
    told
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

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_way_in_one_process_on_sqlite() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let suite = Suite::start(&data, None).await.expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    story(&mut api).await;
    nothing_personal_in(&data);
    suite.kill().await.expect("kill");
    nothing_personal_in(&data);
}

/// The flow in one process, with TLS, on PostgreSQL.
async fn told_by_one(simulation: &Simulation) -> (Transcript, Transcript) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let tls = Certificates::make(&dir.path().join("certificates")).expect("certificates");
    let suite = Suite::start_with(
        &dir.path().join("data"),
        Some(&place.config().url),
        Some(&tls),
    )
    .await
    .expect("the suite starts");
    let channel = suite.login().await.expect("login");
    let mut api = Clients::new(&channel);
    let mut told = story(&mut api).await;
    let token = suite.token().await.expect("a token");
    let https = Https::new(&tls.authority, &token).expect("a client");
    let over_http = story_over_http(&https, suite.http).await;
    let mut services = Services::new(|_| channel.clone());
    services.story(&mut api, simulation, &mut told).await;
    suite.kill().await.expect("kill");
    place.remove().await;
    (told, over_http)
}

/// The flow in a process for each service.
async fn told_by_many(
    simulation: &Simulation,
    change: impl FnOnce(&mut Plan),
) -> (Transcript, Transcript) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    change(&mut plan);
    let house = House::start(plan).await.expect("the house starts");
    let mut api = house.clients().await.expect("login");
    let mut told = story(&mut api).await;
    let token = house.token().await.expect("a token");
    let https = Https::new(&house.certificates.authority, &token).expect("a client");
    let over_http = story_over_http(&https, house.http("gateway-0")).await;
    let mut services = Services::new(|service| {
        let token = Credential::Token(token.clone());
        house.connect(service, token).expect("a channel")
    });
    services.story(&mut api, simulation, &mut told).await;
    house.stop().await.expect("clean ends");
    place.remove().await;
    (told, over_http)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_and_many_give_the_same_answers() {
    // All of them pull from the same foreign system.
    let foreign = Simulation::start("tryton", "127.0.0.1:0", services::ROWS).await;
    let foreign = foreign.expect("a foreign system");
    let one = told_by_one(&foreign).await;
    assert!(one.0.0.len() >= 20 && one.1.0.len() >= 10);
    for (how, many) in [
        ("tls", told_by_many(&foreign, |_| {}).await),
        (
            "production",
            told_by_many(&foreign, |plan| {
                plan.tls = Tls::Mutual;
                plan.production = true;
            })
            .await,
        ),
    ] {
        assert_eq!(one.0.difference(&many.0), None, "{how}");
        // An administrator's account of another name asks here.
        let caller = |told: &Transcript| {
            Transcript(
                told.0
                    .iter()
                    .filter(|(asked, _)| how == "tls" || !asked.starts_with("/v1/caller"))
                    .cloned()
                    .collect(),
            )
        };
        assert_eq!(caller(&one.1).difference(&caller(&many.1)), None, "{how}");
    }
}
