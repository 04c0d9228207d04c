//! Messages out: they arrive once, as they are, to those who can be reached.

use jinke_sdk::{
    Connector as _, Message, SendErrorKind, TextFormat, outbound::MEMBER, testing::Fault,
};
use serde_json::json;

use crate::support::Wecom;

fn message(key: &str, recipient: &str, text: &str) -> Message {
    Message {
        key: key.to_owned(),
        recipient: recipient.to_owned(),
        title: String::new(),
        text: text.to_owned(),
        format: TextFormat::Text,
    }
}

#[tokio::test]
async fn text_and_markdown_arrive_as_they_are() {
    let wecom = Wecom::start(0).await;
    let connector = wecom.wecom();
    let outbound = connector.outbound().expect("an agent id is set");
    let sent = outbound
        .send(&message("k1", "zhangsan", "请跟进：深圳星河电子"))
        .await
        .unwrap();
    assert!(sent.foreign_id.is_some());
    let markdown = Message {
        title: "商机提醒".to_owned(),
        format: TextFormat::Markdown,
        ..message("k2", "party:2", "**星河电子** 已 7 天未跟进")
    };
    outbound.send(&markdown).await.unwrap();
    // As the runner addresses a member.
    let member = message("k3", &format!("{MEMBER}lisi"), "请回访");
    outbound.send(&member).await.unwrap();
    let arrived = wecom.simulator.messages();
    assert_eq!(arrived[0]["touser"], json!("zhangsan"));
    assert_eq!(arrived[0]["text"]["content"], json!("请跟进：深圳星河电子"));
    assert_eq!(arrived[1]["toparty"], json!("2"));
    assert_eq!(
        arrived[1]["markdown"]["content"],
        json!("# 商机提醒\n**星河电子** 已 7 天未跟进")
    );
    assert_eq!(arrived[2]["touser"], json!("lisi"));
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_reminder() {
    let wecom = Wecom::start(0).await;
    let connector = wecom.wecom();
    let outbound = connector.outbound().unwrap();
    let server = wecom.simulator.server();
    connector.check().await.unwrap();
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
        let text = format!("提醒{i}");
        outbound
            .send(&message(&format!("k{i}"), "lisi", &text))
            .await
            .unwrap();
        let same = wecom
            .simulator
            .messages()
            .iter()
            .filter(|m| m["text"]["content"] == json!(text))
            .count();
        assert_eq!(same, 1, "{fault:?}");
    }
    // When every answer is lost, nobody knows: a person decides.
    server.script_every(|_| Some(Fault::Lost));
    let error = outbound
        .send(&message("k9", "lisi", "提醒九"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Uncertain);
    server.script([]);
    assert_eq!(
        wecom
            .simulator
            .messages()
            .iter()
            .filter(|m| m["text"]["content"] == json!("提醒九"))
            .count(),
        1
    );
    server.away(true);
    let error = outbound
        .send(&message("k10", "lisi", "x"))
        .await
        .unwrap_err();
    server.away(false);
    assert!(matches!(
        error.kind,
        SendErrorKind::Unavailable | SendErrorKind::Uncertain
    ));
}

#[tokio::test]
async fn who_cannot_be_reached_and_what_is_too_long_is_refused() {
    let wecom = Wecom::start(0).await;
    let connector = wecom.wecom();
    let outbound = connector.outbound().unwrap();
    for (recipient, text, reason) in [
        ("nobody", "x", "RECIPIENT_UNKNOWN"),
        ("@all", "x", "RECIPIENT_UNKNOWN"),
        ("lisi|wangwu", "x", "RECIPIENT_UNKNOWN"),
        ("", "x", "RECIPIENT_UNKNOWN"),
        ("lisi", &"长".repeat(683), "MESSAGE_TOO_LONG"),
    ] {
        let error = outbound
            .send(&message("k", recipient, text))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.failure.reason),
            (SendErrorKind::Refused, reason),
            "{recipient}"
        );
    }
    outbound
        .send(&message("k", "lisi", &"长".repeat(682)))
        .await
        .unwrap();
    wecom.simulator.refuse([45009; 4]);
    let error = outbound
        .send(&message("k", "lisi", "慢"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unavailable);
    wecom.simulator.refuse([-1; 4]);
    let error = outbound
        .send(&message("k", "lisi", "忙"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unavailable, "busy did nothing");
    wecom.simulator.refuse([48002]);
    let error = outbound
        .send(&message("k", "lisi", "禁"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unauthorized);
}
