//! Callbacks: genuine ones once, whatever the network does; others never.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use jinke_sdk::{
    CallbackEvent, CallbackOutcome, CallbackRequest, Connector as _, DirectoryEntry,
    envelope::Envelope,
    testing::{FakeResponse, FakeServer},
};
use jinke_types::{Clock as _, SystemClock};
use jinke_wecom::{
    WecomConnector,
    simulator::{CALLBACK_KEY, CALLBACK_TOKEN, CORP_ID, Delivery, Order},
};
use serde_json::json;

use crate::support::Wecom;

/// An endpoint of ours: what it received, and the events behind it, those with a known key
/// dropped, as the runner does.
struct Endpoint {
    server: FakeServer,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    requests: Vec<CallbackRequest>,
    events: Vec<CallbackEvent>,
    keys: BTreeSet<String>,
    refused: Vec<&'static str>,
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

impl Endpoint {
    async fn start(connector: WecomConnector) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let inside = kept.clone();
        let server = FakeServer::start(move |r| {
            let query = r.target.split_once('?').map_or("", |(_, q)| q);
            let pairs = query.split('&').filter_map(|p| p.split_once('='));
            let request = CallbackRequest {
                method: r.method.clone(),
                query: pairs.map(|(n, v)| (n.to_owned(), decoded(v))).collect(),
                headers: r.headers.clone(),
                body: r.body.clone(),
                time: SystemClock.now(),
            };
            let mut kept = inside.lock().unwrap();
            let answer = match connector.callback().unwrap().receive(&request) {
                CallbackOutcome::Verified { answer, events } => {
                    for event in events {
                        if kept.keys.insert(event.key.clone()) {
                            kept.events.push(event);
                        }
                    }
                    answer
                }
                CallbackOutcome::Refused { answer, reason } => {
                    kept.refused.push(reason);
                    answer
                }
            };
            kept.requests.push(request);
            FakeResponse {
                body: answer.body,
                ..FakeResponse::status(answer.status)
            }
        })
        .await
        .unwrap();
        Self { server, kept }
    }

    fn url(&self) -> String {
        format!("{}/callbacks/wecom", self.server.url())
    }

    fn events(&self) -> Vec<CallbackEvent> {
        std::mem::take(&mut self.kept.lock().unwrap().events)
    }
}

#[tokio::test]
async fn the_address_is_verified() {
    let wecom = Wecom::start(0).await;
    let endpoint = Endpoint::start(wecom.wecom()).await;
    assert!(wecom.simulator.verify(&endpoint.url()).await.unwrap());
    let mut other = Wecom::start(0).await;
    other.config.callback = Some(Envelope::new("another", CALLBACK_KEY, CORP_ID).unwrap());
    let endpoint = Endpoint::start(other.wecom()).await;
    assert!(!wecom.simulator.verify(&endpoint.url()).await.unwrap());
}

#[tokio::test]
async fn events_come_once_whatever_happens_on_the_way() {
    let wecom = Wecom::start(0).await;
    let endpoint = Endpoint::start(wecom.wecom()).await;
    let sim = &wecom.simulator;
    // Several within one second, by one member.
    for n in 0..9 {
        sim.follow(
            "lisi",
            &format!("wm{n}"),
            json!({"name": "新客户"}),
            json!({}),
        );
    }
    sim.unfollow("lisi", "wm0");
    let how = Delivery {
        doubled: 2,
        lost: 0,
        order: Order::Backwards,
    };
    let answers = sim.deliver(&endpoint.url(), how).await.unwrap();
    assert_eq!(answers.len(), 15);
    assert!(
        answers
            .iter()
            .all(|a| a.status == 200 && a.body == b"success")
    );
    let events = endpoint.events();
    let pulled: Vec<_> = events.iter().flat_map(|e| e.pull.clone()).collect();
    assert_eq!(
        events.len(),
        10,
        "doubled ones are recognised, distinct ones stay apart"
    );
    assert_eq!(pulled[0], "contacts/wm0", "backwards");
    let distinct: BTreeSet<_> = pulled.iter().collect();
    assert_eq!(distinct.len(), 9);
    // What was lost on the way is brought by the next round.
    sim.follow("lisi", "wmLost", json!({}), json!({}));
    let how = Delivery {
        lost: 1,
        ..Delivery::default()
    };
    assert!(sim.deliver(&endpoint.url(), how).await.unwrap().is_empty());
    let round = jinke_sdk::testing::pull(&wecom.wecom(), "contacts", None).await;
    assert!(
        round
            .records()
            .iter()
            .any(|r| r.key.external_id == "wmLost")
    );
}

/// WeCom gives its events no number, and their time has seconds only.
#[tokio::test]
async fn equal_changes_of_one_second_are_each_asked_for() {
    let wecom = Wecom::start(0).await;
    let endpoint = Endpoint::start(wecom.wecom()).await;
    let sim = &wecom.simulator;
    sim.follow("lisi", "wm1", json!({}), json!({}));
    // Again until both happen within one second.
    loop {
        sim.drop_events();
        for remark in ["丙", "丁"] {
            sim.follow("lisi", "wm1", json!({}), json!({ "remark": remark }));
        }
        let seconds = sim.waiting();
        if seconds.len() == 2 && seconds[0] == seconds[1] {
            break;
        }
    }
    sim.leave("zhangsan");
    let how = Delivery::default();
    sim.deliver(&endpoint.url(), how).await.unwrap();
    let events = endpoint.events();
    let pulled: Vec<_> = events.iter().flat_map(|e| e.pull.clone()).collect();
    assert_eq!(pulled, ["contacts/wm1", "contacts/wm1"]);
    assert_eq!(events.len(), 3);
    // The same bytes again, all of them: nothing new.
    let connector = wecom.wecom();
    let callback = connector.callback().unwrap();
    let requests = endpoint.kept.lock().unwrap().requests.clone();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        let CallbackOutcome::Verified { events, .. } = callback.receive(request) else {
            panic!("a genuine call is refused")
        };
        assert!(endpoint.kept.lock().unwrap().keys.contains(&events[0].key));
    }
}

#[tokio::test]
async fn leavers_are_told_at_once_and_others_are_asked_for() {
    let wecom = Wecom::start(0).await;
    let endpoint = Endpoint::start(wecom.wecom()).await;
    let sim = &wecom.simulator;
    sim.member("new", "新人", &[2], json!({}));
    sim.leave("zhangsan");
    sim.department(12, 1, "新部门");
    sim.deliver(&endpoint.url(), Delivery::default())
        .await
        .unwrap();
    let events = endpoint.events();
    assert_eq!(events[0].pull, ["directory/user:new"]);
    let DirectoryEntry::Member(member) = &events[1].directory[0] else {
        panic!()
    };
    assert_eq!(
        (member.external_id.as_str(), member.active),
        ("zhangsan", false)
    );
    assert_eq!(events[1].topic, "change_contact/delete_user");
    assert_eq!(events[2].pull, ["directory/party:12"]);
}

#[tokio::test]
async fn tampered_stale_and_foreign_calls_are_refused() {
    let wecom = Wecom::start(0).await;
    let endpoint = Endpoint::start(wecom.wecom()).await;
    wecom.simulator.follow("lisi", "wm1", json!({}), json!({}));
    wecom
        .simulator
        .deliver(&endpoint.url(), Delivery::default())
        .await
        .unwrap();
    let genuine = endpoint.kept.lock().unwrap().requests[0].clone();
    let connector = wecom.wecom();
    let callback = connector.callback().unwrap();
    let reason = |request: &CallbackRequest| match callback.receive(request) {
        CallbackOutcome::Verified { .. } => "accepted",
        CallbackOutcome::Refused { answer, reason } => {
            assert_eq!(
                (answer.status, answer.body.len()),
                (403, 0),
                "a stranger learns nothing"
            );
            reason
        }
    };
    assert_eq!(reason(&genuine), "accepted");
    // Every pair of the query, changed in one place or left out.
    for i in 0..genuine.query.len() {
        let mut changed = genuine.clone();
        let value = &mut changed.query[i].1;
        let last = value.pop().unwrap();
        value.push(if last == '1' { '2' } else { '1' });
        assert_eq!(reason(&changed), "SIGNATURE", "{}", changed.query[i].0);
        let mut without = genuine.clone();
        without.query.remove(i);
        assert_eq!(reason(&without), "SIGNATURE");
    }
    let text = String::from_utf8(genuine.body.clone()).unwrap();
    for at in (0..text.len()).step_by(7) {
        let mut changed = genuine.clone();
        changed.body[at] = if changed.body[at] == b'A' { b'B' } else { b'A' };
        let outcome = reason(&changed);
        // The parts around the encrypted text say nothing.
        let inside =
            text.find("<Encrypt><![CDATA[").unwrap() + 18..text.find("]]></Encrypt>").unwrap();
        if inside.contains(&at) {
            assert_eq!(outcome, "SIGNATURE", "byte {at}");
        }
    }
    for (later, want) in [
        (299, "accepted"),
        (302, "STALE"),
        (-299, "accepted"),
        (-302, "STALE"),
    ] {
        let mut moved = genuine.clone();
        let by = Duration::from_secs(i64::unsigned_abs(later));
        moved.time = if later > 0 {
            moved.time.plus(by)
        } else {
            moved.time.minus(by)
        };
        assert_eq!(reason(&moved), want, "{later} seconds");
    }
    for body in [
        &b""[..],
        b"x",
        b"<xml/>",
        b"<xml><Encrypt></Encrypt></xml>",
        &[0xff, 0xfe],
    ] {
        let mut broken = genuine.clone();
        broken.body = body.to_vec();
        assert_ne!(reason(&broken), "accepted");
    }
    // Signed with the right keys, for another corp.
    let other = Envelope::new(CALLBACK_TOKEN, CALLBACK_KEY, "wwother").unwrap();
    let seconds = SystemClock.now().secs().to_string();
    let sealed = other.seal(b"<xml></xml>", &jinke_types::OsEntropy);
    let signature = other.signature(&seconds, "n", &sealed);
    let foreign = CallbackRequest {
        query: [
            ("msg_signature", signature.as_str()),
            ("timestamp", &seconds),
            ("nonce", "n"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into(),
        body: format!("<xml><Encrypt>{sealed}</Encrypt></xml>").into_bytes(),
        ..genuine
    };
    assert_eq!(reason(&foreign), "SIGNATURE");
}
