//! A house of separate processes, each with a database of its own, is backed up under load and
//! restored on an empty machine, by the commands of docs/operations.md as they stand.

use std::{collections::BTreeMap, path::Path};

use jinke_kit::client::Credential;
use jinke_proto::jinke::{
    connector::v1::{
        Connection, CreateConnectionRequest, GetConnectionRequest,
        connector_service_client::ConnectorServiceClient,
    },
    pipeline::v1::{
        CreateLeadRequest, FirstTouch, GetLeadRequest, Lead, lead_service_client::LeadServiceClient,
    },
    reporting::v1::{QueryMetricsRequest, analytics_service_client::AnalyticsServiceClient},
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{GATEWAY, House, KINDS, Plan, Tls},
    suite::{Authed, Clients, binary},
};

use crate::{
    load::{Load, nothing_happened, send_within, sources},
    pages::{Desk, PATIENCE, blocks, of, page, section},
};

const HEADING: &str = "### Services as processes of their own";
const CONNECTION: &str = "connections/out";

/// A machine: a folder, and a database for each service.
struct Machine<'a> {
    folder: &'a Path,
    places: BTreeMap<&'static str, Place>,
}

impl<'a> Machine<'a> {
    async fn new(folder: &'a Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut places = BTreeMap::new();
        for kind in KINDS.iter().filter(|k| k.name != GATEWAY) {
            places.insert(kind.name, Place::new(Engine::Postgres).await);
        }
        Self { folder, places }
    }

    /// The house on it. The URL of the plan is that of nobody: each has its own.
    fn plan(&self) -> Plan {
        let mut plan = Plan::new(self.folder, "postgres://127.0.0.1:1/nobody");
        plan.tls = Tls::Mutual;
        for (service, place) in &self.places {
            let url = place.config().url;
            plan.settings
                .push((*service, format!("{service}.database.url={url}")));
        }
        plan
    }

    /// The file of the page, with the addresses of this machine.
    fn file(&self, example: &str) -> String {
        let mut file: toml::Table = example.parse().expect("TOML");
        let told = |path: &Path| toml::Value::String(path.display().to_string());
        let mut sections: Vec<String> = file.keys().cloned().collect();
        sections.retain(|s| s != "server");
        sections.sort();
        let services: Vec<&str> = self.places.keys().copied().collect();
        assert_eq!(sections, services, "the page names every service");
        file["server"]["data_dir"] = told(&self.folder.join("data/identity-0"));
        for (service, place) in &self.places {
            let of = &mut file[*service];
            of["database"]["url"] = toml::Value::String(place.config().url);
            of["keys"]["folder"] = told(&self.folder.join("keys").join(service));
        }
        file.to_string()
    }

    async fn remove(self) {
        for place in self.places.into_values() {
            place.remove().await;
        }
    }
}

/// The last word of the line with the state hash.
fn state_hash(told: &str) -> Vec<String> {
    let lines = told.lines().filter(|l| l.contains("state hash"));
    let words = lines.filter_map(|l| l.split_whitespace().last());
    words.map(str::to_owned).collect()
}

struct Others {
    leads: LeadServiceClient<Authed>,
    connector: ConnectorServiceClient<Authed>,
    analytics: AnalyticsServiceClient<Authed>,
}

impl Others {
    async fn of(house: &House) -> Self {
        let token = house.token().await.expect("a token");
        let to = |service: &str| {
            let credential = Credential::Token(token.clone());
            house.connect(service, credential).expect("a channel")
        };
        Self {
            leads: LeadServiceClient::new(to("pipeline")),
            connector: ConnectorServiceClient::new(to("connector")),
            analytics: AnalyticsServiceClient::new(to("reporting")),
        }
    }

    async fn lead(&mut self, company: &str, request_id: &str) -> Lead {
        let request = CreateLeadRequest {
            lead: Some(Lead {
                company: company.to_owned(),
                person_name: "欧阳修远".to_owned(),
                phones: vec!["13755520841".to_owned()],
                first_touch: Some(FirstTouch {
                    channel: "expo".to_owned(),
                    ..FirstTouch::default()
                }),
                ..Lead::default()
            }),
            request_id: request_id.to_owned(),
            ..CreateLeadRequest::default()
        };
        let made = self.leads.create_lead(request).await;
        made.expect("a lead").into_inner()
    }

    async fn connection(&mut self) {
        let request = CreateConnectionRequest {
            connection_id: CONNECTION.trim_start_matches("connections/").to_owned(),
            connection: Some(Connection {
                display_name: "消息".to_owned(),
                connector: "connectors/log".to_owned(),
                ..Connection::default()
            }),
            ..CreateConnectionRequest::default()
        };
        let made = self.connector.create_connection(request).await;
        made.expect("a connection");
    }

    /// Waits until reporting answers from the tables it has built.
    async fn reporting(&mut self) {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let request = QueryMetricsRequest {
                    measures: vec!["order_count".to_owned()],
                    ..QueryMetricsRequest::default()
                };
                if self.analytics.query_metrics(request).await.is_ok() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        });
        waited.await.expect("reporting answers");
    }
}

/// Runs a block of the page in a folder with the file it needs, `jinke` on the path.
async fn run(folder: &Path, machine: &Machine<'_>, example: &str, script: &str) -> String {
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs).expect("a folder");
    let link = programs.join("jinke");
    if !link.exists() {
        std::os::unix::fs::symlink(binary(), link).expect("a link");
    }
    std::fs::write(folder.join("house.toml"), machine.file(example)).expect("a file");
    let path = std::env::var("PATH").unwrap_or_default();
    let desk = Desk {
        folder,
        environment: BTreeMap::from([("PATH", format!("{}:{path}", programs.display()))]),
    };
    desk.text(script).await
}

#[tokio::test(flavor = "multi_thread")]
async fn separate_processes_are_restored_elsewhere_as_the_page_says() {
    let page = page("operations.md");
    let found = blocks(&section(&page, HEADING));
    let example = of(&found, "toml").remove(0);
    let commands = of(&found, "sh");
    let [copy, put_back] = &commands[..] else {
        panic!("{found:#?}");
    };
    let dir = tempfile::tempdir().expect("a folder");
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    let desk = dir.path().join("desk");
    std::fs::create_dir_all(&desk).expect("a folder");

    let old = Machine::new(&here).await;
    let house = House::start(old.plan()).await.expect("the house starts");
    let mut api = house.clients().await.expect("login");
    sources(&mut api).await;
    let mut others = Others::of(&house).await;
    others.connection().await;
    let lead = others.lead("南昌清泉餐饮管理有限公司", "before").await;
    others.reporting().await;
    let mut senders = Vec::new();
    for _ in 0..2 {
        senders.push(house.clients().await.expect("login"));
    }
    let load = Load::start(senders);
    load.goes_on(5, PATIENCE, "its begin").await;
    let taken = run(&desk, &old, &example, copy).await;
    load.goes_on(2, PATIENCE, "the backup").await;
    let count = load.end().await;
    house.stop().await.expect("clean ends");

    // Elsewhere: nothing of the old machine is there but the two folders.
    let new = Machine::new(&there).await;
    let restored = run(&desk, &new, &example, put_back).await;
    let (taken, restored) = (state_hash(&taken), state_hash(&restored));
    assert_eq!((taken.len(), restored.len()), (1, 2));
    assert!(
        restored.iter().all(|h| *h == taken[0]),
        "{taken:?} {restored:?}"
    );
    old.remove().await;
    std::fs::remove_dir_all(&here).expect("it is gone");
    let house = House::start(new.plan()).await.expect("the house starts");
    let mut others = Others::of(&house).await;
    let request = GetLeadRequest {
        name: lead.name.clone(),
    };
    let kept = others.leads.get_lead(request).await;
    let kept = kept.expect("the lead").into_inner();
    assert_eq!((kept.company, kept.phones), (lead.company, lead.phones));
    let request = GetConnectionRequest {
        name: CONNECTION.to_owned(),
    };
    let kept = others.connector.get_connection(request).await;
    assert_eq!(kept.expect("it").into_inner().display_name, "消息");
    others.lead("九江云锦纺织有限公司", "after").await;
    others.reporting().await;
    // Whoever was answered after the cut asks again, and all is as if nothing had happened.
    let mut api: Clients = house.clients().await.expect("login");
    for first in (0..count).step_by(200) {
        let some = 200.min(count - first);
        let sent = send_within(&mut api, first, some, PATIENCE).await;
        sent.expect("what was acknowledged is taken again");
    }
    nothing_happened(&mut api, dir.path(), count).await;
    house.stop().await.expect("clean ends");
    new.remove().await;
}
