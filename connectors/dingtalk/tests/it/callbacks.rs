//! Callbacks: genuine ones once, whatever the network does; others never.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use jinke_dingtalk::{
    DingtalkConnector,
    simulator::{Answered, CALLBACK_KEY, CALLBACK_TOKEN, Delivery, Order},
};
use jinke_sdk::{
    CallbackEvent, CallbackOutcome, CallbackRequest, Connector as _, DirectoryEntry,
    envelope::Envelope,
    testing::{FakeResponse, FakeServer},
};
use jinke_types::{Clock as _, SystemClock};
use serde_json::json;

use crate::support::Dingtalk;

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
    async fn start(connector: DingtalkConnector) -> Self {
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
        format!("{}/callbacks/dingtalk", self.server.url())
    }

    fn events(&self) -> Vec<CallbackEvent> {
        std::mem::take(&mut self.kept.lock().unwrap().events)
    }
}

#[tokio::test]
async fn the_address_is_verified_and_the_answer_is_sealed() {
    let dingtalk = Dingtalk::start(0).await;
    let endpoint = Endpoint::start(dingtalk.dingtalk()).await;
    assert_eq!(
        dingtalk.simulator.verify(&endpoint.url()).await.unwrap(),
        Answered::Success
    );
    assert!(endpoint.events().is_empty(), "a check is no event");
    let mut other = Dingtalk::start(0).await;
    other.config.callback =
        Some(Envelope::new("another", CALLBACK_KEY, "dingdummyappkey").unwrap());
    let endpoint = Endpoint::start(other.dingtalk()).await;
    assert_eq!(
        dingtalk.simulator.verify(&endpoint.url()).await.unwrap(),
        Answered::Otherwise(403)
    );
}

#[tokio::test]
async fn events_come_once_whatever_happens_on_the_way() {
    let dingtalk = Dingtalk::start(0).await;
    let endpoint = Endpoint::start(dingtalk.dingtalk()).await;
    let sim = &dingtalk.simulator;
    for n in 0..10 {
        sim.member(&format!("u{n}"), "新人", &[20], json!({}));
    }
    sim.leave("zhangsan");
    sim.department(44, 1, "新部门");
    let how = Delivery {
        doubled: 2,
        lost: 0,
        order: Order::Backwards,
    };
    let answers = sim.deliver(&endpoint.url(), how).await.unwrap();
    assert_eq!(answers.len(), 18);
    assert!(
        answers.iter().all(|a| *a == Answered::Success),
        "sealed, signed, within 1.5 s"
    );
    let events = endpoint.events();
    assert_eq!(
        events.len(),
        12,
        "doubled ones are recognised, distinct ones stay apart"
    );
    assert_eq!(events[0].pull, ["directory/dept:44"], "backwards");
    let DirectoryEntry::Member(member) = &events[1].directory[0] else {
        panic!()
    };
    assert_eq!(
        (member.external_id.as_str(), member.active),
        ("zhangsan", false)
    );
    assert_eq!(events[1].topic, "user_leave_org");
    assert_eq!(events[2].pull, ["directory/user:u9"]);
    // What was lost on the way is brought by the next round.
    sim.member("lost", "丢失", &[20], json!({}));
    let how = Delivery {
        lost: 1,
        ..Delivery::default()
    };
    assert!(sim.deliver(&endpoint.url(), how).await.unwrap().is_empty());
    let round = jinke_sdk::testing::pull(&dingtalk.dingtalk(), "directory", None).await;
    let named = round
        .pages
        .iter()
        .flat_map(|p| &p.directory)
        .any(|e| e.external_id() == "lost");
    assert!(named);
}

#[tokio::test]
async fn tampered_stale_and_foreign_calls_are_refused() {
    let dingtalk = Dingtalk::start(0).await;
    let endpoint = Endpoint::start(dingtalk.dingtalk()).await;
    dingtalk.simulator.leave("lisi");
    dingtalk
        .simulator
        .deliver(&endpoint.url(), Delivery::default())
        .await
        .unwrap();
    let mut genuine = endpoint.kept.lock().unwrap().requests[0].clone();
    // One signature is enough; the second name of it is for older callbacks.
    genuine.query.retain(|(name, _)| name != "signature");
    let connector = dingtalk.dingtalk();
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
    for at in 12..genuine.body.len() - 2 {
        let mut changed = genuine.clone();
        changed.body[at] = if changed.body[at] == b'A' { b'B' } else { b'A' };
        assert_ne!(reason(&changed), "accepted", "byte {at}");
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
        b"{}",
        b"{\"encrypt\":\"\"}",
        b"{\"encrypt\":7}",
        &[0xff, 0xfe],
    ] {
        let mut broken = genuine.clone();
        broken.body = body.to_vec();
        assert_ne!(reason(&broken), "accepted");
    }
    let mut get = genuine.clone();
    get.method = "GET".to_owned();
    assert_eq!(reason(&get), "UNREADABLE");
    // Signed with the right keys, for another app.
    let other = Envelope::new(CALLBACK_TOKEN, CALLBACK_KEY, "another").unwrap();
    let millis = (SystemClock.now().0 / 1_000).to_string();
    let sealed = other.seal(b"{}", &jinke_types::OsEntropy);
    let signature = other.signature(&millis, "n", &sealed);
    let foreign = CallbackRequest {
        query: [
            ("msg_signature", signature.as_str()),
            ("timestamp", &millis),
            ("nonce", "n"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into(),
        body: json!({"encrypt": sealed}).to_string().into_bytes(),
        ..genuine
    };
    assert_eq!(reason(&foreign), "SIGNATURE");
}
