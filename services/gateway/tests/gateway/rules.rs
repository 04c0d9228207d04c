//! The HTTP rule: paths, parameters, bodies.

use serde_json::{Value as Json, json};

use crate::support::{house, request};

/// `method uri body` to the message the service saw, as JSON, or to the violation.
async fn table(cases: &[(&str, &str, &str, Json)]) {
    let house = house(&[]);
    for (method, uri, body, want) in cases {
        let reply = house.body(method, uri, body).await;
        match want {
            Json::String(violation) => {
                assert_eq!(reply.code, 400, "{method} {uri} {body}: {}", reply.text);
                assert_eq!(reply.violation(), *violation, "{method} {uri} {body}");
                assert_eq!(house.service.last().message, None, "{uri}: the service ran");
            }
            want => {
                assert_eq!(reply.code, 200, "{method} {uri} {body}: {}", reply.text);
                assert_eq!(reply.json(), *want, "{method} {uri} {body}");
            }
        }
    }
}

#[tokio::test]
async fn paths_bind_fields() {
    table(&[
        ("GET", "/v1/things/7", "", json!({"name": "things/7"})),
        (
            "GET",
            "/v1/things/%E9%87%91%20%3A",
            "",
            json!({"name": "things/金 :"}),
        ),
        (
            "GET",
            "/v1/things/a%2Fb",
            "",
            json!({"name": "things/a%2Fb"}),
        ),
        (
            "GET",
            "/v1/shelves/1/things/2",
            "",
            json!({"nested": {"name": "shelves/1/things/2"}}),
        ),
        (
            "GET",
            "/v1/files/a/b/c:read",
            "",
            json!({"name": "files/a/b/c"}),
        ),
        (
            "GET",
            "/v1/numbers/-5/KIND_SQUARE",
            "",
            json!({"int32Value": -5, "kind": "KIND_SQUARE"}),
        ),
        (
            "GET",
            "/v1/numbers/5/1",
            "",
            json!({"int32Value": 5, "kind": "KIND_ROUND"}),
        ),
        ("DELETE", "/v1/things/7", "", json!({"name": "things/7"})),
        ("REPORT", "/v1/things", "", json!({})),
        ("POST", "/v1/things/7:poke", "", json!({"name": "things/7"})),
        (
            "GET",
            "/v1/numbers/x/1",
            "",
            json!("int32_value: must be a 32-bit integer"),
        ),
        (
            "GET",
            "/v1/numbers/1/9",
            "",
            json!("kind: must be the name or number of a value of the enum"),
        ),
        (
            "GET",
            "/v1/things/%FF",
            "",
            json!("name: is not UTF-8 in percent escapes"),
        ),
        (
            "GET",
            "/v1/things/%4",
            "",
            json!("name: is not UTF-8 in percent escapes"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_query_takes_every_type() {
    let ok = |query: &str, want: Json| ("GET", format!("/v1/things?{query}"), want);
    let no = |query: &str, want: &str| ("GET", format!("/v1/things?{query}"), json!(want));
    let cases = [
        ok("doubleValue=1.5e3", json!({"doubleValue": 1500.0})),
        ok("doubleValue=NaN", json!({"doubleValue": "NaN"})),
        ok("float_value=-0.5", json!({"floatValue": -0.5})),
        ok("int32Value=-2147483648", json!({"int32Value": -2147483648})),
        ok(
            "int64Value=9223372036854775807",
            json!({"int64Value": "9223372036854775807"}),
        ),
        ok(
            "uint32Value=4294967295",
            json!({"uint32Value": 4294967295u32}),
        ),
        ok(
            "uint64Value=18446744073709551615",
            json!({"uint64Value": "18446744073709551615"}),
        ),
        ok(
            "sint32Value=-1&sint64Value=-2",
            json!({"sint32Value": -1, "sint64Value": "-2"}),
        ),
        ok(
            "fixed32Value=1&fixed64Value=2",
            json!({"fixed32Value": 1, "fixed64Value": "2"}),
        ),
        ok(
            "sfixed32Value=-1&sfixed64Value=-2",
            json!({"sfixed32Value": -1, "sfixed64Value": "-2"}),
        ),
        ok("boolValue=true", json!({"boolValue": true})),
        ok("bytesValue=_-8=", json!({"bytesValue": "/+8="})),
        ok("bytesValue=%2F%2B8", json!({"bytesValue": "/+8="})),
        ok(
            "kind=KIND_ROUND&kinds=2&kinds=KIND_ROUND",
            json!({"kind": "KIND_ROUND", "kinds": ["KIND_SQUARE", "KIND_ROUND"]}),
        ),
        ok(
            "texts=a&texts=b+c&texts=%E9%87%91",
            json!({"texts": ["a", "b c", "金"]}),
        ),
        ok("int64List=1&int64_list=2", json!({"int64List": ["1", "2"]})),
        ok(
            "nested.name=n&nested.inner.size=3&nested.amount.value=1.10",
            json!({"nested": {"name": "n", "inner": {"size": "3"}, "amount": {"value": "1.10"}}}),
        ),
        ok(
            "time=2026-01-31T08:00:00.5%2B08:00",
            json!({"time": "2026-01-31T00:00:00.500Z"}),
        ),
        ok(
            "times=2026-01-31T08:00:00Z",
            json!({"times": ["2026-01-31T08:00:00Z"]}),
        ),
        ok("duration=1.5s", json!({"duration": "1.500s"})),
        ok(
            "mask=displayName,nested.size",
            json!({"mask": "displayName,nested.size"}),
        ),
        ok("mask=display_name", json!({"mask": "displayName"})),
        ok(
            "wrappedText=&wrappedNumber=5&wrappedBool=false",
            json!({"wrappedText": "", "wrappedNumber": "5", "wrappedBool": false}),
        ),
        ok("maybe=0&left=", json!({"maybe": 0, "left": ""})),
        ok("", json!({})),
        ok("&&name=x&", json!({"name": "x"})),
        no(
            "int32Value=2147483648",
            "int32_value: must be a 32-bit integer",
        ),
        no("int32Value=1.0", "int32_value: must be a 32-bit integer"),
        no("int32Value=", "int32_value: must be a 32-bit integer"),
        no(
            "uint32Value=-1",
            "uint32_value: must be a 32-bit integer that is not negative",
        ),
        no(
            "uint64Value=%2B1",
            "uint64_value: must be a 64-bit integer that is not negative",
        ),
        no(
            "doubleValue=1e999",
            "double_value: must be a number, NaN, Infinity or -Infinity",
        ),
        no(
            "doubleValue=inf",
            "double_value: must be a number, NaN, Infinity or -Infinity",
        ),
        no(
            "floatValue=1e39",
            "float_value: must be a number of single precision",
        ),
        no("boolValue=1", "bool_value: must be true or false"),
        no("bytesValue=%25", "bytes_value: must be base64"),
        no(
            "kind=ROUND",
            "kind: must be the name or number of a value of the enum",
        ),
        no(
            "time=yesterday",
            "time: must be a time such as 2026-01-31T08:00:00Z",
        ),
        no(
            "duration=1m",
            "duration: must be a duration in seconds such as 1.5s",
        ),
        no("name=a&name=b", "name: is given twice"),
        no("nested.size=1&nested.size=1", "nested.size: is given twice"),
        no(
            "left=a&right=1",
            "right: excludes another field that is set too",
        ),
        no(
            "left=a&middle.size=1",
            "middle.size: excludes another field that is set too",
        ),
        no("nope=1", "nope: is not a field of Thing"),
        no("nested.nope=1", "nested.nope: is not a field of Inner"),
        no("name.x=1", "name: has no fields of its own"),
        no("texts.x=1", "texts: has no fields of its own"),
        no("time.seconds=1", "time: has no fields of its own"),
        no("nested=1", "nested: cannot be given in the query"),
        no("inners=1", "inners: cannot be given in the query"),
        no("byName=1", "by_name: cannot be given in the query"),
        no("free=1", "free: cannot be given in the query"),
        no("name=%FF", "name: is not UTF-8 in percent escapes"),
        no("%FF=1", "%FF: is not UTF-8 in percent escapes"),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(m, u, w)| (*m, u.as_str(), "", w.clone()))
        .collect();
    table(&cases).await;
}

#[tokio::test]
async fn bodies_are_what_the_rule_says() {
    table(&[
        ("POST", "/v1/things", "", json!({})),
        ("POST", "/v1/things", "{}", json!({})),
        (
            "POST",
            "/v1/things",
            r#"{"name":"x","int64Value":"5","kind":1}"#,
            json!({"name": "x", "int64Value": "5", "kind": "KIND_ROUND"}),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"int64_value":5,"nested":null}"#,
            json!({"int64Value": "5"}),
        ),
        (
            "POST",
            "/v1/things?name=x",
            "{}",
            json!("name: belongs into the body"),
        ),
        (
            "POST",
            "/v1/things/7:poke",
            r#"{"name":"things/7"}"#,
            json!({"name": "things/7"}),
        ),
        (
            "POST",
            "/v1/things/7:poke",
            r#"{"name":"things/8"}"#,
            json!("name: is not what the path says"),
        ),
        (
            "PATCH",
            "/v1/things/7?mask=size",
            r#"{"size":"3"}"#,
            json!({"nested": {"name": "things/7", "size": "3"}, "mask": "size"}),
        ),
        (
            "PATCH",
            "/v1/things/7",
            r#"{"name":"things/7","size":3}"#,
            json!({"nested": {"name": "things/7", "size": "3"}}),
        ),
        (
            "PATCH",
            "/v1/things/7",
            r#"{"name":"things/8"}"#,
            json!("nested.name: is not what the path says"),
        ),
        (
            "PATCH",
            "/v1/things/7?nested.size=1",
            "{}",
            json!("nested.size: belongs into the body"),
        ),
        (
            "PATCH",
            "/v1/things/7?nested.name=x",
            "{}",
            json!("nested.name: belongs into the body"),
        ),
        (
            "PUT",
            "/v1/things/7/numbers",
            "[1,\"2\"]",
            json!(["1", "2"]),
        ),
        ("PUT", "/v1/things/7/numbers", "", json!([])),
        (
            "PUT",
            "/v1/things/7/numbers?name=x",
            "[]",
            json!("name: is bound by the path"),
        ),
        (
            "PUT",
            "/v1/things/7/numbers",
            "[1,true]",
            json!("int64_list[1]: must be a 64-bit signed integer or decimal string"),
        ),
        (
            "PATCH",
            "/v1/things/7",
            r#"{"inner":{"nope":1}}"#,
            json!("nested.inner.nope: is not a field of Inner"),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"inners":[{},{"size":"x"}]}"#,
            json!("inners[1].size: is not valid: invalid digit found in string"),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"byName":{"金":{"nope":1}}}"#,
            json!("by_name[\"金\"].nope: is not a field of Inner"),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"doubleValue":1e300,"free":{"a":1e300}}"#,
            json!({"doubleValue": 1e300, "free": {"a": 1e300}}),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"kind":"ROUND"}"#,
            json!("kind: is not a value of the enum"),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"kinds":["KIND_ROUND",true]}"#,
            json!("kinds[1]: must be a string or integer"),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"time":"soon"}"#,
            json!("time: is not valid: invalid rfc3339 timestamp: invalid date"),
        ),
        (
            "POST",
            "/v1/things",
            r#"{"left":"a","right":1}"#,
            json!("choice: has more than one of its fields set"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_body_cannot_leave_its_field() {
    let house = house(&[]);
    for smuggled in ["[],\"name\":\"things/9\"", "[]}", "1", "", "  ", "[] []"] {
        let reply = house.body("PUT", "/v1/things/7/numbers", smuggled).await;
        if smuggled.is_empty() {
            continue;
        }
        assert_eq!(reply.code, 400, "{smuggled}: {}", reply.text);
        assert_eq!(house.service.last().message, None, "{smuggled}");
    }
}

#[tokio::test]
async fn paths_that_are_not_there() {
    let house = house(&[]);
    for path in [
        "/",
        "/v1",
        "/v1/things/",
        "/v1/things/1/2",
        "/v1/Things/1",
        "/v1/things:nope",
        "//v1/things",
        "/v2/things/1",
    ] {
        let reply = house.get(path).await;
        assert_eq!(
            (reply.code, reply.reason().as_str()),
            (404, "ROUTE_UNKNOWN"),
            "{path}"
        );
    }
    let reply = house.send(request("PUT", "/v1/things/7", "")).await;
    assert_eq!(
        (reply.code, reply.reason().as_str()),
        (405, "METHOD_NOT_ALLOWED")
    );
    let mut allow: Vec<_> = reply.header("allow").split(", ").collect();
    allow.sort_unstable();
    assert_eq!(allow, ["DELETE", "GET", "PATCH"]);
    assert_eq!(house.service.calls(), 0);
}
