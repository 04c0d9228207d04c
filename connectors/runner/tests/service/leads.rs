//! Leads of a file: to the pipeline service, once each, refused ones kept and sent again.

use std::{fs, path::Path};

use jinke_proto::jinke::connector::v1::{self as pb, run::State};
use jinke_runner::rpc::{connections, errors, probe, runs};
use jinke_types::{FieldClass, FieldMask};
use prost_types::{ListValue, Struct, Value, value::Kind};
use tonic::{Code, Status};

use crate::world::{World, on_each, until, viewer};

const MAPPING: &str = "kind = 'lead'\nexternal_id = '编号'\n[lead]\ncompany = '公司'\n\
                       person_name = '姓名'\nphones = '手机'\nremark = '备注'\n\
                       channel = { constant = 'expo' }\n";
const PARTIES: &str = "kind = 'organization'\nexternal_id = '编号'\n[[values]]\n\
                       attribute = 'name'\ncolumn = '公司'\n";
const HEAD: &str = "编号,公司,姓名,手机,备注\n";

fn text(text: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    }
}

/// A connection `demo` to files of a folder: name, mapping, and rows.
async fn connect(world: &World, dir: &Path, files: &[(&str, &str, &str)], org_unit: &str) {
    let mut list = Vec::new();
    for (name, mapping, rows) in files {
        fs::write(dir.join(name), format!("{HEAD}{rows}")).unwrap();
        let mapping_file = dir.join(format!("{name}.toml"));
        fs::write(&mapping_file, mapping).unwrap();
        let file = Struct {
            fields: [
                ("path".to_owned(), text(&dir.join(name).to_string_lossy())),
                ("mapping".to_owned(), text(&mapping_file.to_string_lossy())),
            ]
            .into(),
        };
        list.push(Value {
            kind: Some(Kind::StructValue(file)),
        });
    }
    let files = Value {
        kind: Some(Kind::ListValue(ListValue { values: list })),
    };
    let request = pb::CreateConnectionRequest {
        connection_id: "demo".to_owned(),
        connection: Some(pb::Connection {
            connector: "connectors/file".to_owned(),
            settings: Some(Struct {
                fields: [("files".to_owned(), files)].into(),
            }),
            org_unit: org_unit.to_owned(),
            ..pb::Connection::default()
        }),
        ..pb::CreateConnectionRequest::default()
    };
    connections::create(world.api.clone(), viewer(), request)
        .await
        .unwrap();
}

async fn letters(world: &World) -> Vec<pb::DeadLetter> {
    let request = pb::ListDeadLettersRequest {
        parent: "connections/demo".to_owned(),
        ..pb::ListDeadLettersRequest::default()
    };
    let found = errors::list_letters(world.api.clone(), viewer(), request).await;
    found.unwrap().dead_letters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_leads_is_taken_once_and_its_changes_follow() {
    on_each(async |db| {
        let mut world = World::over(&db);
        let dir = tempfile::tempdir().unwrap();
        let mut rows: String = (1..=120)
            .map(|i| format!("L-{i},公司{i},,1{i:010},\n"))
            .collect();
        rows.push_str("L-121,,—,1,没有名字\n");
        connect(
            &world,
            dir.path(),
            &[("leads.csv", MAPPING, &rows)],
            "orgUnits/east",
        )
        .await;
        // The first two calls are not answered: they go again under their id.
        world.leads.lock().away = 2;
        world.start();
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::SucceededWithErrors, "{run:?}");
        let stream = &run.streams[0];
        assert_eq!(
            (stream.created, stream.row_errors, stream.rejected),
            (120, 1, 0)
        );
        assert!(run.retries >= 2, "{run:?}");
        {
            let leads = world.leads.lock();
            assert_eq!(leads.rows.len(), 120);
            assert_eq!(leads.requests.values().max(), Some(&3));
            let first = leads.rows["L-1"][0].lead.clone().unwrap();
            assert_eq!(
                (first.source.as_str(), first.org_unit.as_str()),
                ("sources/demo", "orgUnits/east")
            );
            assert_eq!(first.first_touch.unwrap().channel, "expo");
        }
        // No customer came of it.
        assert_eq!(world.door.lock().records.len(), 0);
        // The same file again is not even read to its end; a changed one changes what it changes.
        let calls = world.leads.lock().calls;
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
        assert_eq!(world.leads.lock().calls, calls);
        let rows = rows.replace("公司7,", "公司七,") + "L-122,新公司,,1,\n";
        fs::write(dir.path().join("leads.csv"), format!("{HEAD}{rows}")).unwrap();
        let run = world.run(pb::run::Kind::Pull).await;
        let stream = &run.streams[0];
        assert_eq!(
            (stream.created, stream.updated, stream.unchanged),
            (1, 1, 119),
            "{run:?}"
        );
        assert_eq!(world.leads.lock().companies()["L-7"], "公司七");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_lead_is_a_dead_letter_in_the_end_and_the_others_go_on() {
    on_each(async |db| {
        let mut world = World::over(&db);
        let dir = tempfile::tempdir().unwrap();
        let rows = "L-1,甲公司,张伟,13812345678,急\nL-2,乙公司,,,\nL-3,丙公司,,,\n";
        connect(&world, dir.path(), &[("leads.csv", MAPPING, rows)], "").await;
        world.leads.lock().refused = vec!["L-1".to_owned()];
        world.start();
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::SucceededWithErrors);
        assert_eq!((run.streams[0].created, run.streams[0].rejected), (2, 1));
        let dead = until(async || letters(&world).await.into_iter().next()).await;
        assert_eq!((dead.external_id.as_str(), dead.attempts), ("L-1", 3));
        assert!(dead.message.contains("region"), "{dead:?}");
        // It can be looked at, as far as the viewer may.
        let look = async |mask| {
            let mut viewer = viewer();
            viewer.mask = mask;
            let request = pb::GetDeadLetterRequest {
                name: dead.name.clone(),
            };
            let found = errors::get_letter(world.api.clone(), viewer, request).await;
            found.unwrap().record.unwrap()
        };
        let whole = look(FieldMask::all()).await;
        let values: Vec<(&str, &str)> = whole
            .values
            .iter()
            .map(|v| (v.attribute.as_str(), v.text.as_str()))
            .collect();
        assert_eq!(
            (whole.kind.as_str(), whole.external_id.as_str()),
            ("lead", "L-1")
        );
        assert_eq!(
            values,
            [
                ("company", "甲公司"),
                ("person_name", "张伟"),
                ("phones", "13812345678"),
                ("remark", "急"),
                ("channel", "expo"),
            ]
        );
        let masked = look(FieldMask::of([FieldClass::Public])).await;
        let hidden: Vec<&str> = masked
            .values
            .iter()
            .filter(|v| v.hidden && v.text.is_empty())
            .map(|v| v.attribute.as_str())
            .collect();
        assert_eq!(hidden, ["person_name", "phones", "remark"]);
        // A later version that is taken resolves it.
        world.leads.lock().refused.clear();
        let request = pb::RetryDeadLetterRequest {
            name: dead.name.clone(),
            ..pb::RetryDeadLetterRequest::default()
        };
        errors::retry_letter(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        until(async || world.leads.lock().rows.contains_key("L-1").then_some(())).await;
        until(async || letters(&world).await.is_empty().then_some(())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_do_not_wait_for_leads_that_nobody_takes() {
    on_each(async |db| {
        let mut world = World::over(&db);
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("leads.csv", MAPPING, "L-1,甲公司,,,\n"),
            ("parties.csv", PARTIES, "C-1,甲公司,,,\nC-2,乙公司,,,\n"),
        ];
        connect(&world, dir.path(), &files, "").await;
        {
            let mut leads = world.leads.lock();
            leads.away = 1;
            leads.answer = Some(Status::new(Code::Unimplemented, "an older version"));
        }
        world.start();
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::Failed, "{run:?}");
        assert_eq!(
            run.streams[0].state(),
            pb::run::stream_progress::State::Failed
        );
        assert_eq!(
            (run.streams[1].created, world.door.lock().records.len()),
            (2, 2)
        );
        assert_eq!(world.leads.lock().rows.len(), 0);
        // Nothing of it was passed over.
        let run = world.run(pb::run::Kind::Pull).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
        assert_eq!(world.leads.lock().rows.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_leads_as_another_mapping_would_read_them() {
    on_each(async |db| {
        let world = World::over(&db);
        let dir = tempfile::tempdir().unwrap();
        let files = [("list.csv", PARTIES, "L-1,甲公司,张伟,1,\n,乙公司,,,\n")];
        connect(&world, dir.path(), &files, "").await;
        let request = pb::PreviewMappingRequest {
            name: "connections/demo".to_owned(),
            stream: "list.csv".to_owned(),
            mapping: MAPPING.to_owned(),
            rows: 10,
        };
        let mut viewer = viewer();
        viewer.mask = FieldMask::of([FieldClass::Public]);
        let shown = probe::preview(world.api.clone(), viewer.clone(), request)
            .await
            .unwrap();
        assert_eq!((shown.records.len(), shown.errors.len()), (1, 1));
        let lead = &shown.records[0];
        assert_eq!(
            (lead.kind.as_str(), lead.values[0].text.as_str()),
            ("lead", "甲公司")
        );
        assert!(lead.values[1].hidden && lead.values[1].text.is_empty());
        // Looking sends nothing, and starts no run.
        let request = pb::ListRunsRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListRunsRequest::default()
        };
        let found = runs::list(world.api.clone(), viewer, request)
            .await
            .unwrap();
        assert_eq!((found.runs.len(), world.leads.lock().calls), (0, 0));
    })
    .await;
}
