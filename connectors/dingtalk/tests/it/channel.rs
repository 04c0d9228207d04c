//! Stream mode: events come, are acknowledged once they are kept, and survive a broken channel.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jinke_sdk::{CallbackEvent, Connector as _, DirectoryEntry, EventSink, PullErrorKind};
use jinke_types::{Code, Failure};
use serde_json::json;

use crate::support::Dingtalk;

#[derive(Default)]
struct Sink {
    kept: Mutex<Vec<CallbackEvent>>,
    refuse: AtomicUsize,
}

#[async_trait]
impl EventSink for Sink {
    async fn store(&self, events: Vec<CallbackEvent>) -> Result<(), Failure> {
        if self.refuse.load(Ordering::SeqCst) > 0 {
            self.refuse.fetch_sub(1, Ordering::SeqCst);
            return Err(Failure::new(
                Code::Unavailable,
                "UNAVAILABLE",
                "the database is away",
            ));
        }
        self.kept.lock().unwrap().extend(events);
        Ok(())
    }
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within a minute");
}

#[tokio::test]
async fn events_are_kept_before_they_are_acknowledged() {
    let dingtalk = Dingtalk::start(0).await;
    let sim = &dingtalk.simulator;
    sim.member("new", "新人", &[20], json!({}));
    sim.leave("zhangsan");
    let sink = Arc::new(Sink::default());
    sink.refuse.store(1, Ordering::SeqCst);
    let (connector, inside) = (dingtalk.dingtalk(), sink.clone());
    let task = tokio::spawn(async move { connector.listener().unwrap().listen(&*inside).await });
    until(|| sink.kept.lock().unwrap().len() == 2).await;
    until(|| sim.acknowledged().len() == 3).await;
    let told: Vec<bool> = sim
        .acknowledged()
        .into_iter()
        .map(|(_, taken)| taken)
        .collect();
    assert_eq!(
        told,
        [false, true, true],
        "what is not kept is not acknowledged, and comes again"
    );
    let kept = sink.kept.lock().unwrap().clone();
    let mut topics: Vec<_> = kept.iter().map(|e| e.topic.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["user_add_org", "user_leave_org"]);
    let left = kept.iter().find(|e| e.topic == "user_leave_org").unwrap();
    let DirectoryEntry::Member(member) = &left.directory[0] else {
        panic!()
    };
    assert_eq!(
        (member.external_id.as_str(), member.active),
        ("zhangsan", false)
    );
    let added = kept.iter().find(|e| e.topic == "user_add_org").unwrap();
    assert_eq!(added.pull, ["directory/user:new"]);
    // DingTalk asks for a new channel; what happens in between comes over the next one.
    sim.disconnect();
    let ended = task.await.unwrap();
    assert_eq!(
        (ended.kind, ended.failure.reason),
        (PullErrorKind::Unavailable, "CHANNEL_ENDED")
    );
    sim.department(40, 1, "新部门");
    let (connector, inside) = (dingtalk.dingtalk(), sink.clone());
    let task = tokio::spawn(async move { connector.listener().unwrap().listen(&*inside).await });
    until(|| sink.kept.lock().unwrap().len() == 3).await;
    task.abort();
    until(|| sim.channels() == 0).await;
}

#[tokio::test]
async fn wrong_credentials_and_an_absent_server_are_told() {
    let mut dingtalk = Dingtalk::start(0).await;
    let sink = Sink::default();
    dingtalk.simulator.server().away(true);
    let ended = dingtalk.dingtalk().listener().unwrap().listen(&sink).await;
    assert_eq!(ended.kind, PullErrorKind::Unavailable);
    dingtalk.simulator.server().away(false);
    dingtalk.config.app_secret = "wrong".to_owned();
    let ended = dingtalk.dingtalk().listener().unwrap().listen(&sink).await;
    assert_eq!(ended.kind, PullErrorKind::Unauthorized);
    dingtalk.config.stream_mode = false;
    assert!(dingtalk.dingtalk().listener().is_none());
}
