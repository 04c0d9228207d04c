//! Notices and robot messages: once, as they are, to those who can be reached.

use jinke_sdk::{
    Connector as _, Message, SendErrorKind, TextFormat, outbound::MEMBER, testing::Fault,
};
use serde_json::json;

use crate::support::Dingtalk;

fn message(recipient: &str, text: &str) -> Message {
    Message {
        key: "k".to_owned(),
        recipient: recipient.to_owned(),
        title: String::new(),
        text: text.to_owned(),
        format: TextFormat::Text,
    }
}

#[tokio::test]
async fn notices_and_robot_messages_arrive_as_they_are() {
    let dingtalk = Dingtalk::start(0).await;
    let connector = dingtalk.dingtalk();
    let outbound = connector.outbound().expect("an agent id is set");
    let sent = outbound
        .send(&message("lisi", "请跟进：深圳星河电子"))
        .await
        .unwrap();
    assert!(sent.foreign_id.is_some());
    let markdown = Message {
        title: "商机提醒".to_owned(),
        format: TextFormat::Markdown,
        ..message("dept:20", "**星河电子** 已 7 天未跟进")
    };
    outbound.send(&markdown).await.unwrap();
    let group = Message {
        recipient: "robot".to_owned(),
        ..markdown
    };
    outbound.send(&group).await.unwrap();
    let shown = dingtalk.simulator.notices();
    assert_eq!(
        shown[0],
        (
            "lisi".to_owned(),
            json!({"msgtype": "text", "text": {"content": "请跟进：深圳星河电子"}})
        )
    );
    assert_eq!(shown[1].0, "dept:20");
    assert_eq!(shown[1].1["markdown"]["title"], json!("商机提醒"));
    assert_eq!(
        dingtalk.simulator.group()[0]["markdown"]["text"],
        json!("**星河电子** 已 7 天未跟进")
    );
}

#[tokio::test]
async fn a_member_who_is_called_like_the_robot_is_a_member() {
    let dingtalk = Dingtalk::start(0).await;
    dingtalk
        .simulator
        .member("robot", "罗伯特", &[20], json!({}));
    let connector = dingtalk.dingtalk();
    let outbound = connector.outbound().unwrap();
    let to = format!("{MEMBER}robot");
    outbound.send(&message(&to, "请回访")).await.unwrap();
    assert_eq!(dingtalk.simulator.notices()[0].0, "robot");
    assert!(dingtalk.simulator.group().is_empty());
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_reminder() {
    let dingtalk = Dingtalk::start(0).await;
    let connector = dingtalk.dingtalk();
    let outbound = connector.outbound().unwrap();
    let server = dingtalk.simulator.server();
    outbound.send(&message("lisi", "先开会话")).await.unwrap();
    for (i, fault) in [
        Fault::Lost,
        Fault::Cut,
        Fault::Status(503, None),
        Fault::Hang,
    ]
    .into_iter()
    .enumerate()
    {
        server.script([(1, fault.clone())]);
        outbound
            .send(&message("lisi", &format!("提醒{i}")))
            .await
            .unwrap();
        assert_eq!(dingtalk.simulator.notices().len(), 2 + i, "{fault:?}");
    }
    // A robot knows no repetition: a lost answer is uncertain, and nothing is sent again.
    server.script([(1, Fault::Lost)]);
    let error = outbound
        .send(&message("robot", "群提醒"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Uncertain);
    assert_eq!(
        (server.requests(), dingtalk.simulator.group().len()),
        (1, 1)
    );
    server.script([(1, Fault::Status(503, None))]);
    let error = outbound
        .send(&message("robot", "群提醒二"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Uncertain);
    server.script([]);
    dingtalk.simulator.refuse([(200, "130101")]);
    outbound.send(&message("robot", "慢一点")).await.unwrap();
    assert_eq!(
        dingtalk.simulator.group().len(),
        2,
        "a throttled call did nothing"
    );
}

#[tokio::test]
async fn who_cannot_be_reached_and_what_is_too_long_is_refused() {
    let mut dingtalk = Dingtalk::start(0).await;
    let connector = dingtalk.dingtalk();
    let outbound = connector.outbound().unwrap();
    for (recipient, text, reason) in [
        ("nobody", "x", "RECIPIENT_UNKNOWN"),
        ("lisi,wangwu", "x", "RECIPIENT_UNKNOWN"),
        ("", "x", "RECIPIENT_UNKNOWN"),
        ("lisi", &"长".repeat(683), "MESSAGE_TOO_LONG"),
    ] {
        let error = outbound.send(&message(recipient, text)).await.unwrap_err();
        assert_eq!(
            (error.kind, error.failure.reason),
            (SendErrorKind::Refused, reason),
            "{recipient}"
        );
    }
    dingtalk.config.robot = Some(("dummyrobot".to_owned(), "SECwrong".to_owned()));
    let connector = dingtalk.dingtalk();
    let error = connector
        .outbound()
        .unwrap()
        .send(&message("robot", "x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unauthorized);
    dingtalk.config.robot = None;
    let connector = dingtalk.dingtalk();
    let error = connector
        .outbound()
        .unwrap()
        .send(&message("robot", "x"))
        .await
        .unwrap_err();
    assert_eq!(error.failure.reason, "OUTBOUND_NOT_OFFERED");
}
