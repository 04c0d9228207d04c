//! Leads of a list, from the file through the connector service to whose they are: in one process on
//! both engines, and with a process for each service.

use std::{collections::BTreeMap, fs, path::Path};

use jinke_kit::client::Credential;
use jinke_proto::jinke::{
    connector::v1::{
        Connection, CreateConnectionRequest, ListDeadLettersRequest, ListRecordErrorsRequest,
        ResetCursorRequest, RetryDeadLetterRequest, Run, connection::SourceSettings, run::State,
    },
    customer::v1::PartyKind,
    pipeline::v1::{
        self as pb, lead::MatchResult, lead::assignment::Cause,
        lead_service_client::LeadServiceClient,
    },
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, Plan},
    suite::{Authed, Clients, Options, Suite},
};
use prost_types::{ListValue, Struct, Value, value::Kind};

use crate::{
    records::{ingest, party, text, uscc},
    runs::{Connector, SOURCE},
};

/// The list of an exhibition, as somebody typed it.
const MAPPING: &str = r#"kind = "lead"
external_id = "编号"

[lead]
company = "公司"
person_name = "姓名"
title = "职务"
phones = "手机"
split = "、"
uscc = "统一社会信用代码"
region = ["省份", "城市"]
interest = "需求"
estimate = "预算"
channel = { constant = "expo" }
campaign = { constant = "2026 华南展" }
"#;
const HEAD: &str = "编号,公司,姓名,职务,手机,统一社会信用代码,省份,城市,需求,预算\n";
const KNOWN: &str = "E-1,杭州远山数智科技有限公司,欧阳修远,采购经理,13755520841,91330106MA2ABCDE1G,浙江省,杭州市,三台设备,\"¥50,000\"\n";
const RULED: &str = "E-2,深圳湾云仓储有限公司,司徒静,,13855520842,,广东省,深圳市,,\n";
const POOLED: &str = "E-3,成都锦里文化传播有限公司,,,,,四川省,成都市,,\n";
/// Names nobody.
const NOBODY: &str = "E-4,,无,,13955520844,,,,,\n";

/// A region that is no region.
fn refused() -> String {
    format!(
        "E-5,昆明翠湖餐饮管理有限公司,,,,,{},,,\n",
        "很长".repeat(60)
    )
}

/// Those who are asked.
struct Desk {
    connector: Connector,
    leads: LeadServiceClient<Authed>,
    api: Clients,
}

impl Desk {
    /// All leads of the list, by their external id.
    async fn all(&mut self) -> BTreeMap<String, pb::Lead> {
        let request = pb::ListLeadsRequest {
            filter: format!("source = \"sources/{SOURCE}\""),
            ..Default::default()
        };
        let found = self.leads.list_leads(request).await.expect("leads");
        let found = found.into_inner().leads.into_iter();
        found.map(|l| (l.external_id.clone(), l)).collect()
    }

    async fn run(&mut self) -> Run {
        let name = self.connector.begin().await;
        self.connector.ended(&name).await
    }

    /// A connection to `leads.csv`, in a folder that its service may read.
    async fn connect(&mut self, folder: &Path) {
        let mapping = folder.join("leads.toml");
        fs::write(&mapping, MAPPING).expect("the mapping is written");
        let of = |path: &Path| Value {
            kind: Some(Kind::StringValue(path.to_string_lossy().into_owned())),
        };
        let file = Struct {
            fields: [
                ("path".to_owned(), of(&folder.join("leads.csv"))),
                ("mapping".to_owned(), of(&mapping)),
            ]
            .into(),
        };
        let files = ListValue {
            values: vec![Value {
                kind: Some(Kind::StructValue(file)),
            }],
        };
        let files = Value {
            kind: Some(Kind::ListValue(files)),
        };
        let request = CreateConnectionRequest {
            connection_id: SOURCE.to_owned(),
            connection: Some(Connection {
                display_name: "华南展".to_owned(),
                connector: "connectors/file".to_owned(),
                settings: Some(Struct {
                    fields: [("files".to_owned(), files)].into(),
                }),
                source: Some(SourceSettings {
                    source: format!("sources/{SOURCE}"),
                    ..SourceSettings::default()
                }),
                ..Connection::default()
            }),
            ..CreateConnectionRequest::default()
        };
        let made = self.connector.client.create_connection(request).await;
        made.expect("a connection");
    }

    /// What is known before the list comes: one customer with his owner, and a rule.
    async fn before(&mut self) -> String {
        self.api.ensure_source("crm").await.expect("a source");
        let values = vec![
            text("name", "杭州远山数智科技有限公司"),
            uscc("91330106MA2ABCDE1G"),
            text("owner", "users/li.lei"),
        ];
        let record = party("crm", "C1", PartyKind::Organization, values);
        let customers = ingest(&mut self.api, vec![record]).await;
        let rule = pb::CreateAssignmentRuleRequest {
            assignment_rule_id: "south".to_owned(),
            assignment_rule: Some(pb::AssignmentRule {
                regions: vec!["广东省".to_owned()],
                channels: vec!["expo".to_owned()],
                strategy: pb::assignment_rule::Strategy::RoundRobin.into(),
                owners: vec!["users/han.mei".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.leads.create_assignment_rule(rule).await;
        made.expect("a rule");
        customers[0].clone()
    }

    /// The dead letter of a refused row, once its attempts are used up.
    async fn letter(&mut self) -> jinke_proto::jinke::connector::v1::DeadLetter {
        for _ in 0..2_400 {
            let request = ListDeadLettersRequest {
                parent: format!("connections/{SOURCE}"),
                ..ListDeadLettersRequest::default()
            };
            let found = self.connector.client.list_dead_letters(request).await;
            let found = found.expect("dead letters").into_inner().dead_letters;
            if let Some(letter) = found.into_iter().next() {
                return letter;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("no dead letter in two minutes");
    }
}

/// Written beside and moved, so that no run reads half a file.
fn write(folder: &Path, rows: &[&str]) {
    let next = folder.join("leads.next");
    fs::write(&next, format!("{HEAD}{}", rows.concat())).expect("the list is written");
    fs::rename(&next, folder.join("leads.csv")).expect("the list is there");
}

async fn story(mut desk: Desk, folder: &Path) {
    let customer = desk.before().await;
    let bad = refused();
    write(folder, &[KNOWN, RULED, POOLED, NOBODY, &bad]);
    desk.connect(folder).await;
    let run = desk.run().await;
    assert_eq!(run.state(), State::SucceededWithErrors, "{run:?}");
    let stream = &run.streams[0];
    assert_eq!(
        (stream.created, stream.row_errors, stream.rejected),
        (3, 1, 1),
        "{run:?}"
    );
    // Each is at whose it is.
    let leads = desk.all().await;
    let whose = |id: &str| {
        let lead = &leads[id];
        let cause = lead.assignment.as_ref().map(|a| a.cause());
        (lead.owner.as_str(), cause, lead.match_result())
    };
    let known = (Some(Cause::CustomerOwner), MatchResult::Known);
    assert_eq!(whose("E-1"), ("users/li.lei", known.0, known.1));
    assert_eq!(leads["E-1"].current_customer, customer);
    let ruled = Some(Cause::Rule);
    assert_eq!(whose("E-2"), ("users/han.mei", ruled, MatchResult::New));
    let pooled = Some(Cause::Pool);
    assert_eq!(whose("E-3"), ("", pooled, MatchResult::New));
    assert_eq!(leads.len(), 3);
    let first = &leads["E-1"];
    assert_eq!(
        (
            first.person_name.as_str(),
            first.title.as_str(),
            first.region.as_str()
        ),
        ("欧阳修远", "采购经理", "浙江省杭州市")
    );
    assert_eq!(first.estimate.as_ref().map(|m| m.units), Some(50_000));
    let touch = first.first_touch.clone().expect("a first touch");
    assert_eq!(
        (touch.channel.as_str(), touch.campaign.as_str()),
        ("expo", "2026 华南展")
    );
    // What was refused says why; the row that names nobody is a row error with its place.
    let letter = desk.letter().await;
    assert_eq!(
        (letter.external_id.as_str(), letter.reason.as_str()),
        ("E-5", "INVALID_FIELD")
    );
    assert!(letter.message.contains("lead.region"), "{letter:?}");
    let request = ListRecordErrorsRequest {
        parent: format!("connections/{SOURCE}"),
        ..ListRecordErrorsRequest::default()
    };
    let errors = desk.connector.client.list_record_errors(request).await;
    let errors = errors.expect("row errors").into_inner().record_errors;
    assert_eq!(errors.iter().map(|e| e.row).collect::<Vec<_>>(), [5]);

    // The same list, read again from its start: nothing twice, nothing changed.
    let reset = ResetCursorRequest {
        name: format!("connections/{SOURCE}"),
        ..ResetCursorRequest::default()
    };
    let reset = desk.connector.client.reset_cursor(reset).await;
    assert_eq!(reset.expect("reset").into_inner().cursor_count, 1);
    let run = desk.run().await;
    let stream = &run.streams[0];
    assert_eq!((stream.created, stream.unchanged), (0, 3), "{run:?}");
    assert_eq!(desk.all().await, leads);

    // Somebody works on one meanwhile; then the list is corrected: the lead of the pool turns out to
    // be the known customer's, the wrong region is right now.
    let request = pb::QualifyLeadRequest {
        name: leads["E-2"].name.clone(),
        ..Default::default()
    };
    desk.leads.qualify_lead(request).await.expect("qualified");
    let ours = "E-3,杭州远山数智科技有限公司,,,,91330106MA2ABCDE1G,四川省,成都市,,\n";
    let right = "E-5,昆明翠湖餐饮管理有限公司,,,,,云南省,昆明市,,\n";
    let more = RULED.replace(",,\n", ",冷库,\n");
    write(folder, &[KNOWN, &more, ours, right]);
    let run = desk.run().await;
    assert_eq!(run.state(), State::Succeeded, "{run:?}");
    let stream = &run.streams[0];
    assert_eq!(
        (stream.created, stream.updated, stream.unchanged),
        (1, 2, 1),
        "{run:?}"
    );
    let now = desk.all().await;
    assert_eq!(now["E-1"], leads["E-1"]);
    assert_eq!(now["E-2"].interest, "冷库");
    assert_eq!(now["E-2"].state(), pb::lead::State::Qualified);
    assert_eq!(
        (now["E-3"].owner.as_str(), &now["E-3"].current_customer),
        ("users/li.lei", &customer)
    );
    assert_eq!(now["E-5"].region, "云南省昆明市");
    // The letter of the old version is gone with it.
    let again = RetryDeadLetterRequest {
        name: letter.name,
        ..RetryDeadLetterRequest::default()
    };
    let gone = desk.connector.client.retry_dead_letter(again).await;
    assert_eq!(gone.expect_err("gone").code(), tonic::Code::NotFound);
}

const SETTINGS: [&str; 2] = [
    "connector.errors.attempts=2",
    "connector.errors.first_wait_seconds=1",
];

async fn in_one_process(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(engine).await;
    let server = (engine == Engine::Postgres).then(|| place.config().url);
    let data = dir.path().join("data");
    let options = Options {
        settings: &SETTINGS,
        ..Options::default()
    };
    let suite = Suite::start_as(&data, server.as_deref(), &options)
        .await
        .expect("the suite starts");
    let channel = suite.login().await.expect("logged in");
    let desk = Desk {
        connector: Connector::new(&channel),
        leads: LeadServiceClient::new(channel.clone()),
        api: Clients::new(&channel),
    };
    story(desk, &data.join("imports")).await;
    suite.kill().await.expect("it ends");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_leads_reaches_their_owners_on_sqlite() {
    in_one_process(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_leads_reaches_their_owners_on_postgres() {
    in_one_process(Engine::Postgres).await;
}

/// With a process for each service the connector's own account has to be let in.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_leads_reaches_their_owners_through_processes() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    plan.settings = SETTINGS.map(|s| ("connector", s.to_owned())).to_vec();
    let house = House::start(plan).await.expect("the house starts");
    let token = house.token().await.expect("a token");
    let to = |service: &str| {
        let credential = Credential::Token(token.clone());
        house.connect(service, credential).expect("a channel")
    };
    let desk = Desk {
        connector: Connector::new(&to("connector")),
        leads: LeadServiceClient::new(to("pipeline")),
        api: Clients::new(&to("customer")),
    };
    let imports = dir.path().join("data").join("connector-0").join("imports");
    story(desk, &imports).await;
    house.stop().await.expect("clean ends");
    place.remove().await;
}
