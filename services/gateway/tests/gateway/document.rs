//! The OpenAPI document.

use std::{collections::BTreeSet, fs, path::Path};

use jinke_gateway::{
    openapi,
    table::{BodyRule, Table},
};
use prost_reflect::DescriptorPool;
use serde_json::Value as Json;

use crate::support::{house, pool};

#[test]
fn the_document_in_docs_is_current() {
    let pool = DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).unwrap();
    let now = openapi::text(&pool, &Table::read(&pool).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(
        now == kept,
        "docs/openapi.json is not what the protos say; run: \
         cargo run -p jinke-gateway --example openapi -- docs/openapi.json"
    );
}

#[test]
fn every_unary_rpc_of_the_contract_is_in_it() {
    let pool = DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).unwrap();
    let table = Table::read(&pool).unwrap();
    let bound: BTreeSet<_> = table
        .iter()
        .map(|b| b.method.full_name().to_owned())
        .collect();
    let missing: Vec<_> = pool
        .services()
        .filter(|s| s.full_name().starts_with("jinke."))
        .flat_map(|s| s.methods().collect::<Vec<_>>())
        .filter(|m| !m.is_client_streaming() && !bound.contains(m.full_name()))
        .map(|m| m.full_name().to_owned())
        .collect();
    assert!(missing.is_empty(), "without google.api.http: {missing:?}");
    // A body is a POST, PUT or PATCH, or a browser could not send it.
    for binding in table.iter().filter(|b| b.body != BodyRule::None) {
        assert!(
            ["POST", "PUT", "PATCH"].contains(&binding.http.as_str()),
            "{}",
            binding.rpc
        );
    }
}

fn refs(json: &Json, out: &mut BTreeSet<String>) {
    match json {
        Json::Object(members) => {
            if let Some(Json::String(to)) = members.get("$ref") {
                out.insert(to.clone());
            }
            members.values().for_each(|v| refs(v, out));
        }
        Json::Array(items) => items.iter().for_each(|v| refs(v, out)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_names_are_unique() {
    for pool in [
        pool(),
        DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).unwrap(),
    ] {
        let document = openapi::document(&pool, &Table::read(&pool).unwrap());
        let mut all = BTreeSet::new();
        refs(&document, &mut all);
        assert!(!all.is_empty());
        for to in all {
            assert!(
                document
                    .pointer(to.trim_start_matches('#'))
                    .is_some_and(|v| !v.is_null()),
                "{to}"
            );
        }
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                let parameters = operation["parameters"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
                assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
            }
        }
    }
}

#[test]
fn an_operation_says_what_the_proto_says() {
    let pool = DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).unwrap();
    let document = openapi::document(&pool, &Table::read(&pool).unwrap());
    let get = &document["paths"]["/v1/customers/{customer}"]["get"];
    assert_eq!(get["operationId"], "CustomerService_GetCustomer");
    assert_eq!(get["x-jinke-permission"], "customer.customers.get");
    assert!(
        get["description"]
            .as_str()
            .unwrap()
            .starts_with("A customer by its id")
    );
    assert_eq!(get["parameters"][0]["name"], "customer");
    assert_eq!(
        get["parameters"][1]["schema"]["$ref"],
        "#/components/schemas/jinke.customer.v1.CustomerView"
    );
    let login = &document["paths"]["/v1/tokens:login"]["post"];
    assert_eq!(login["security"], serde_json::json!([]));
    let schemas = &document["components"]["schemas"];
    let request = &schemas["jinke.identity.v1.LoginRequest"];
    assert_eq!(request["required"], serde_json::json!(["user", "password"]));
    assert_eq!(request["additionalProperties"], false);
    assert!(
        schemas["jinke.customer.v1.CustomerView"]["enum"]
            .as_array()
            .unwrap()
            .len()
            > 2
    );
    let unmerge = &document["paths"]["/v1/customers/{customer}:unmerge"]["post"];
    let body = &unmerge["requestBody"]["content"]["application/json"]["schema"];
    assert!(
        body["properties"].get("name").is_none() && body["properties"].get("records").is_some()
    );
    let watch = &document["paths"]["/v1/customerChanges:watch"]["get"];
    assert!(
        watch["responses"]["200"]["content"]
            .get("text/event-stream")
            .is_some()
    );
}

#[tokio::test]
async fn it_is_served_without_a_token() {
    let house = house(&[]);
    let mut open = crate::support::request("GET", "/openapi.json", "");
    open.headers_mut().remove("authorization");
    let reply = house.send(open).await;
    assert_eq!(
        (reply.code, reply.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(reply.json()["openapi"], "3.1.0");
    assert_eq!(house.get("/healthz").await.text, "ok\n");
    assert_eq!(house.service.calls(), 0);
}
