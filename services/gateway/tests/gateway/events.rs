//! Watches as server-sent events.

use std::time::Duration;

use http_body_util::BodyExt;

use crate::support::{house, request};

#[tokio::test]
async fn messages_are_events_that_can_be_resumed() {
    let house = house(&[]);
    let reply = house.get("/v1/things:watch?count=2").await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(
        reply.text,
        "retry: 2000\n\nid: 1\ndata: {\"nextPageToken\":\"1\"}\n\nid: 2\ndata: {\"nextPageToken\":\"2\"}\n\n"
    );
    // A browser comes back with the last id to the same address.
    let mut again = request("GET", "/v1/things:watch?count=1&pageToken=0", "");
    again
        .headers_mut()
        .insert("last-event-id", "2".parse().unwrap());
    let reply = house.send(again).await;
    assert!(
        reply.text.contains("id: 3\n") && !reply.text.contains("id: 1\n"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_stream_says_why_it_ended() {
    let house = house(&[]);
    let reply = house.get("/v1/things:watch?count=-1").await;
    assert_eq!(reply.code, 200);
    let last = reply
        .text
        .trim_end()
        .rsplit("\n\n")
        .next()
        .unwrap()
        .to_owned();
    let data = last.strip_prefix("event: error\ndata: ").expect(&last);
    let status: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(status["code"], 14);
    assert_eq!(status["details"][0]["reason"], "DRAINING");
}

#[tokio::test]
async fn a_refusal_before_the_first_event_is_a_plain_error() {
    let house = house(&[]);
    let mut refused = request("GET", "/v1/things:watch?count=1", "");
    refused
        .headers_mut()
        .insert("authorization", "Bearer expired".parse().unwrap());
    assert_eq!(house.send(refused).await.code, 401);
    let reply = house.get("/v1/things:watch?count=x").await;
    assert_eq!(
        (reply.code, reply.header("content-type")),
        (400, "application/json")
    );
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_comments_and_ends_with_the_client() {
    let house = house(&["heartbeat_seconds=5"]);
    let idle = std::sync::Arc::strong_count(&house.service.open);
    let response = house.raw(request("GET", "/v1/things:watch", "")).await;
    assert_eq!(std::sync::Arc::strong_count(&house.service.open), idle + 1);
    let mut body = response.into_body();
    let begun = tokio::time::Instant::now();
    for want in ["retry: 2000\n\n", ": nothing new\n\n", ": nothing new\n\n"] {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data, want);
    }
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(
        house
            .metrics
            .render()
            .contains("jinke_gateway_streams_open 1")
    );
    drop(body);
    assert_eq!(std::sync::Arc::strong_count(&house.service.open), idle);
    assert!(
        house
            .metrics
            .render()
            .contains("jinke_gateway_streams_open 0")
    );
}

#[tokio::test]
async fn draining_ends_streams() {
    let house = house(&[]);
    let response = house.raw(request("GET", "/v1/things:watch", "")).await;
    house.draining.trigger();
    let all = tokio::time::timeout(Duration::from_secs(5), response.into_body().collect()).await;
    let text = String::from_utf8(all.unwrap().unwrap().to_bytes().to_vec()).unwrap();
    assert!(
        text.contains("event: error") && text.contains("DRAINING"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_lasted_long_enough_ends_and_can_be_gone_on_with() {
    let house = house(&["heartbeat_seconds=3", "stream_seconds=4"]);
    let idle = std::sync::Arc::strong_count(&house.service.open);
    let begun = tokio::time::Instant::now();
    let reply = house.get("/v1/things:watch").await;
    assert_eq!(reply.text, "retry: 2000\n\n: nothing new\n\n");
    assert_eq!(begun.elapsed().as_secs(), 4);
    assert_eq!(std::sync::Arc::strong_count(&house.service.open), idle);
    // For ever, when nobody says how long.
    let house = self::house(&["heartbeat_seconds=3600", "stream_seconds=0"]);
    let mut body = house
        .raw(request("GET", "/v1/things:watch", ""))
        .await
        .into_body();
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    assert_eq!(begun.elapsed().as_secs(), 7_200);
}
