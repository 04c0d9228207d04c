//! Configuring connections: secrets, etags, request ids, rows.

use std::collections::BTreeSet;

use jinke_proto::jinke::connector::v1 as pb;
use jinke_runner::{
    rpc::{connections, outbound, probe, runs},
    store::MIGRATIONS,
};
use jinke_store::{Database, Engine, testing::Place};
use jinke_types::RowScope;

use crate::world::{TOKEN, World, on_each, until, viewer};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_checked_made_once_changed_by_its_etag_and_forgotten() {
    on_each(async |db| {
        let world = World::over(&db);
        let api = || world.api.clone();
        let create = |request| connections::create(api(), viewer(), request);
        let mut wrong = world.request("Demo!");
        let asked = wrong.connection.as_mut().unwrap();
        asked.secrets.clear();
        asked.streams = vec!["x".repeat(501)];
        asked.schedule = Some(pb::Schedule::default());
        let fields: BTreeSet<_> = create(wrong)
            .await
            .unwrap_err()
            .violations
            .into_iter()
            .map(|v| v.field)
            .collect();
        assert!(
            fields.contains("connection_id") && fields.contains("connection.streams[0]"),
            "{fields:?}"
        );
        assert!(fields.contains("connection.schedule"));
        let mut wrong = world.request("demo");
        wrong.connection.as_mut().unwrap().secrets.clear();
        let missing = create(wrong).await.unwrap_err();
        assert_eq!(missing.violations[0].field, "connection.settings.token");
        let mut check = world.request("demo");
        check.validate_only = true;
        create(check).await.unwrap();
        let list = || connections::list(api(), viewer(), pb::ListConnectionsRequest::default());
        assert_eq!(list().await.unwrap().connections, vec![]);
        let mut request = world.request("demo");
        request.request_id = "r".to_owned();
        let made = create(request.clone()).await.unwrap();
        assert_eq!(create(request).await.unwrap(), made);
        assert_eq!(
            create(world.request("demo")).await.unwrap_err().reason,
            "CONNECTION_EXISTS"
        );
        // Secrets never come back, only which there are.
        assert!(made.secrets.is_empty());
        assert_eq!(made.secret_keys, ["token"]);
        assert_eq!(made.source.as_ref().unwrap().source, "sources/demo");
        assert_eq!(made.callback_path, "/callbacks/demo");
        assert!(!format!("{made:?}").contains(TOKEN));
        // An update names what it changes and leaves the rest, the secrets too.
        let update = |etag: &str, name: &str| {
            let connection = pb::Connection {
                name: made.name.clone(),
                display_name: name.to_owned(),
                etag: etag.to_owned(),
                ..pb::Connection::default()
            };
            let request = pb::UpdateConnectionRequest {
                connection: Some(connection),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["display_name".to_owned()],
                }),
                ..pb::UpdateConnectionRequest::default()
            };
            connections::update(api(), viewer(), request)
        };
        let changed = update(&made.etag, "新名").await.unwrap();
        assert_eq!(
            (changed.display_name.as_str(), changed.settings.as_ref()),
            ("新名", made.settings.as_ref())
        );
        assert_eq!(
            update(&made.etag, "旧").await.unwrap_err().reason,
            "ETAG_MISMATCH"
        );
        let probe_request = pb::CheckConnectionRequest {
            name: made.name.clone(),
        };
        let checked = probe::check_connection(api(), viewer(), probe_request)
            .await
            .unwrap();
        assert_eq!(checked.error, None, "the token is still there");
        // Another org unit's people do not see it, and cannot make one elsewhere.
        let mut east = viewer();
        east.scope = RowScope::OrgUnits(BTreeSet::from(["orgUnits/east".to_owned()]));
        let get = pb::GetConnectionRequest {
            name: made.name.clone(),
        };
        let hidden = connections::get(api(), east.clone(), get.clone())
            .await
            .unwrap_err();
        assert_eq!(hidden.reason, "NOT_FOUND");
        let start = pb::RunConnectionRequest {
            name: made.name.clone(),
            ..Default::default()
        };
        assert_eq!(
            runs::start(api(), east.clone(), start)
                .await
                .unwrap_err()
                .reason,
            "NOT_FOUND"
        );
        let denied = connections::create(api(), east.clone(), world.request("west"))
            .await
            .unwrap_err();
        assert_eq!(denied.reason, "ORG_UNIT_DENIED");
        let mut own = world.request("east");
        own.connection.as_mut().unwrap().org_unit = "orgUnits/east".to_owned();
        connections::create(api(), east.clone(), own).await.unwrap();
        let seen = connections::list(api(), east, pb::ListConnectionsRequest::default())
            .await
            .unwrap();
        assert_eq!(seen.connections.len(), 1);
        assert_eq!(list().await.unwrap().connections.len(), 2);
        // Two pages of one.
        let page = |token: String| {
            let request = pb::ListConnectionsRequest {
                page_size: 1,
                page_token: token,
            };
            connections::list(api(), viewer(), request)
        };
        let first = page(String::new()).await.unwrap();
        let second = page(first.next_page_token.clone()).await.unwrap();
        assert_eq!(second.connections[0].name, "connections/east");
        assert_eq!(second.next_page_token, "");
        let mut tampered = first.next_page_token;
        tampered.pop();
        assert_eq!(
            page(tampered).await.unwrap_err().reason,
            "PAGE_TOKEN_INVALID"
        );
        let delete = pb::DeleteConnectionRequest {
            name: made.name,
            request_id: "d".into(),
            ..Default::default()
        };
        for _ in 0..2 {
            connections::delete(api(), viewer(), delete.clone())
                .await
                .unwrap();
        }
        assert_eq!(
            connections::get(api(), viewer(), get)
                .await
                .unwrap_err()
                .reason,
            "NOT_FOUND"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_or_personal_stands_in_the_database() {
    let place = Place::new(Engine::Sqlite).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    {
        let mut world = World::over(&db);
        world.rows(0, 20);
        world.state().rows[3].1 = "独孤求败".to_owned();
        world.door.lock().refused = vec!["p-0003".to_owned()];
        world.connect().await;
        let message = pb::SendMessageRequest {
            name: "connections/demo".to_owned(),
            recipient: "linghu-chong".to_owned(),
            text: "华山论剑之约".to_owned(),
            request_id: "m".to_owned(),
            ..pb::SendMessageRequest::default()
        };
        outbound::send(world.api.clone(), viewer(), message)
            .await
            .unwrap();
        world.start();
        world.run(pb::run::Kind::Pull).await;
        until(async || (!world.state().messages.is_empty()).then_some(())).await;
    }
    db.close().await;
    let file = place.file().unwrap();
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap().flatten() {
        bytes.extend(std::fs::read(entry.path()).unwrap());
    }
    let find = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(find("connectors") || find("demo"), "this is the database");
    for secret in [TOKEN, "独孤求败", "华山论剑之约", "linghu-chong"] {
        assert!(!find(secret), "{secret} stands in the open");
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_say_how_far_they_are_proven() {
    on_each(async |db| {
        let world = World::over(&db);
        let request = pb::ListConnectorsRequest::default();
        let all = probe::list_connectors(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        let named = |name: &str| all.connectors.iter().find(|c| c.name == name).unwrap();
        let tryton = named("connectors/tryton");
        assert!(
            tryton
                .parts
                .iter()
                .all(|p| p.verification() == pb::Verification::RealServer)
        );
        assert!(tryton.keys.iter().any(|k| k.name == "password" && k.secret));
        let sweep = i32::from(pb::Capability::Sweep);
        assert!(tryton.capabilities.contains(&sweep));
        assert!(!named("connectors/webhook").capabilities.contains(&sweep));
        let request = pb::GetConnectorRequest {
            name: "connectors/none".to_owned(),
        };
        let unknown = probe::get_connector(world.api.clone(), viewer(), request).await;
        assert_eq!(unknown.unwrap_err().reason, "CONNECTOR_UNKNOWN");
    })
    .await;
}
