//! A server with the five services over a fresh database. Who calls is said in the metadata.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jinke_kit::{Grant, Metrics, Shutdown};
use jinke_pipeline::{
    access::Viewer,
    config::{DeliverySection, FollowSection, Limits, TimersSection},
    convert::pb::{
        self, activity_service_client::ActivityServiceClient,
        activity_service_server::ActivityServiceServer, lead_service_client::LeadServiceClient,
        lead_service_server::LeadServiceServer,
        opportunity_service_client::OpportunityServiceClient,
        opportunity_service_server::OpportunityServiceServer,
        pipeline_service_client::PipelineServiceClient,
        pipeline_service_server::PipelineServiceServer, task_service_client::TaskServiceClient,
        task_service_server::TaskServiceServer,
    },
    engine::{Core, pipelines::Processes},
    rpc::{Api, numbers::Numbers, page::Pages},
    store::{MIGRATIONS, state},
};
use jinke_proto::google::r#type as gt;
use jinke_store::{Database, keys::KeyRing, testing};
use jinke_types::{
    Caller, Code, Failure, FieldClass, FieldMask, ManualClock, RowScope, SeededEntropy, Timestamp,
};
use tonic::{
    Request, Status,
    service::{Interceptor, Routes, interceptor::InterceptedService},
};

use crate::outside::{FakeCustomers, FakeMessenger};

/// 2026-01-05T01:00:00Z, a Monday morning in China.
pub const START: i64 = 1_767_574_800;
pub const DAY: Duration = Duration::from_secs(86_400);

/// Says who calls.
#[derive(Clone)]
pub struct As(pub &'static str);

impl Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("role", self.0.parse().expect("a role is ASCII"));
        Ok(request)
    }
}

/// Stands where the kit's layer stands: leaves the grant of the caller.
#[derive(Clone)]
struct Grants(Arc<BTreeMap<&'static str, Arc<Grant>>>);

impl Interceptor for Grants {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let role = request
            .metadata()
            .get("role")
            .and_then(|r| r.to_str().ok())
            .unwrap_or("");
        let grant = self.0.get(role).cloned();
        let grant = grant.ok_or_else(|| Status::permission_denied("no such role"))?;
        request.extensions_mut().insert(grant);
        Ok(request)
    }
}

fn grants() -> BTreeMap<&'static str, Arc<Grant>> {
    use FieldClass::{Contact, PersonName, Public};
    let units =
        |names: &[&str]| RowScope::OrgUnits(names.iter().map(|name| (*name).to_owned()).collect());
    let of = |name: &'static str, scope, mask| {
        let caller = Caller {
            name: match name {
                "reporting" => "serviceAccounts/service-reporting".to_owned(),
                person => format!("users/{person}"),
            },
            actor: None,
        };
        let grant = Grant {
            caller,
            permission: "test".to_owned(),
            scope,
            mask,
        };
        (name, Arc::new(grant))
    };
    BTreeMap::from([
        of("admin", RowScope::All, FieldMask::all()),
        of("east", units(&["orgUnits/east"]), FieldMask::all()),
        of("west", units(&["orgUnits/west"]), FieldMask::all()),
        of(
            "desk",
            RowScope::All,
            FieldMask::of([Public, PersonName, Contact]),
        ),
        of("blind", RowScope::All, FieldMask::default()),
        of("reporting", RowScope::All, FieldMask::all()),
    ])
}

/// The server and what stands behind it.
#[derive(Clone)]
pub struct House {
    pub core: Arc<Core>,
    pub clock: Arc<ManualClock>,
    pub customers: FakeCustomers,
    pub messenger: FakeMessenger,
    pub api: Api,
    /// Nobody may read on.
    pub revoked: Arc<AtomicBool>,
    routes: Routes,
}

type Door = InterceptedService<Routes, As>;

/// What a replica is made with.
pub fn core(
    db: Database,
    seed: u64,
    clock: &Arc<ManualClock>,
    customers: &FakeCustomers,
    messenger: &FakeMessenger,
) -> Arc<Core> {
    let ring = Arc::new(KeyRing::in_memory(&SeededEntropy::new(1)));
    Arc::new(Core {
        db,
        ring,
        clock: clock.clone(),
        entropy: Arc::new(SeededEntropy::new(seed)),
        customers: Arc::new(customers.clone()),
        messenger: Arc::new(messenger.clone()),
        timers: TimersSection {
            poll_milliseconds: 10,
            batch: 50,
            late_hours: 0,
        },
        delivery: DeliverySection {
            connection: "connections/log".to_owned(),
            attempts: 20,
            pause_seconds: 5,
        },
        follow: FollowSection {
            poll_milliseconds: 10,
            page: 7,
        },
        processes: Processes::default(),
    })
}

impl House {
    pub async fn over(db: Database) -> Self {
        Self::seeded(db, 2).await
    }

    /// With randomness of its own, and so another database id.
    pub async fn seeded(db: Database, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
        let (customers, messenger) = (FakeCustomers::default(), FakeMessenger::default());
        let core = core(db.clone(), seed, &clock, &customers, &messenger);
        core.ensure_default().await.expect("the default pipeline");
        let id = state::database_id(&db, &*core.entropy)
            .await
            .expect("the database has an id");
        let revoked = Arc::new(AtomicBool::new(false));
        let gone = revoked.clone();
        let api = Api {
            core: core.clone(),
            pages: Arc::new(Pages::new(core.ring.clone(), id)),
            limits: Limits {
                checkpoint: Duration::from_millis(100),
                poll: Duration::from_millis(50),
                watch_stalled: Duration::from_millis(400),
            },
            numbers: Numbers::new(&Metrics::new()).expect("the metrics are new"),
            shutdown: Shutdown::new(),
            regrant: Arc::new(move |viewer: &Viewer, _| {
                if gone.load(Ordering::SeqCst) {
                    let code = Code::PermissionDenied;
                    return Err(Failure::new(code, "PERMISSION_DENIED", "not any more"));
                }
                Ok(viewer.clone())
            }),
        };
        Self {
            core,
            clock,
            customers,
            messenger,
            routes: routes(&api),
            api,
            revoked,
        }
    }

    pub fn pipelines(&self, role: &'static str) -> PipelineServiceClient<Door> {
        PipelineServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn leads(&self, role: &'static str) -> LeadServiceClient<Door> {
        LeadServiceClient::with_interceptor(self.routes.clone(), As(role))
            .max_encoding_message_size(64 << 20)
    }
    pub fn opportunities(&self, role: &'static str) -> OpportunityServiceClient<Door> {
        OpportunityServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn activities(&self, role: &'static str) -> ActivityServiceClient<Door> {
        ActivityServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn tasks(&self, role: &'static str) -> TaskServiceClient<Door> {
        TaskServiceClient::with_interceptor(self.routes.clone(), As(role))
    }

    /// An opportunity of customer 7, as administrator.
    pub async fn opportunity(&self, title: &str) -> pb::Opportunity {
        let opportunity = pb::Opportunity {
            display_name: title.to_owned(),
            customer: "customers/7".to_owned(),
            amount: money("CNY", 1_000, 500_000_000),
            close_date: date(2026, 3, 31),
            owner: "users/ana".to_owned(),
            ..Default::default()
        };
        self.create("admin", opportunity).await.expect("it is made")
    }

    pub async fn create(
        &self,
        role: &'static str,
        opportunity: pb::Opportunity,
    ) -> Result<pb::Opportunity, Status> {
        let request = pb::CreateOpportunityRequest {
            opportunity: Some(opportunity),
            ..Default::default()
        };
        let mut client = self.opportunities(role);
        Ok(client.create_opportunity(request).await?.into_inner())
    }

    pub async fn advance(&self, name: &str, stage: &str) -> Result<pb::Opportunity, Status> {
        let request = pb::AdvanceOpportunityRequest {
            name: name.to_owned(),
            stage: stage.to_owned(),
            cause: "客户同意".to_owned(),
            ..Default::default()
        };
        let mut client = self.opportunities("admin");
        Ok(client.advance_opportunity(request).await?.into_inner())
    }

    pub async fn check(&self, name: &str, item: &str) -> Result<pb::Opportunity, Status> {
        let request = pb::CheckOpportunityItemRequest {
            name: name.to_owned(),
            item: item.to_owned(),
            ..Default::default()
        };
        let mut client = self.opportunities("admin");
        Ok(client.check_opportunity_item(request).await?.into_inner())
    }

    pub async fn win(&self, name: &str) -> Result<pb::Opportunity, Status> {
        let request = pb::WinOpportunityRequest {
            name: name.to_owned(),
            reason: "price".to_owned(),
            ..Default::default()
        };
        let mut client = self.opportunities("admin");
        Ok(client.win_opportunity(request).await?.into_inner())
    }

    /// Brings an opportunity to 签约 with everything it needs, and wins it.
    pub async fn won(&self, name: &str) -> pb::Opportunity {
        self.advance(name, "signing").await.expect("it moves");
        self.check(name, "contract-signed").await.expect("ticked");
        self.win(name).await.expect("it is won")
    }

    /// The whole feed from a token on, with snapshots.
    pub async fn feed(
        &self,
        role: &'static str,
        mut token: String,
    ) -> (Vec<pb::PipelineChange>, String) {
        let mut all = Vec::new();
        loop {
            let request = pb::ListPipelineChangesRequest {
                page_size: 5,
                page_token: token.clone(),
                include_snapshots: true,
            };
            let answer = self.pipelines(role).list_pipeline_changes(request).await;
            let answer = answer.expect("the feed answers").into_inner();
            all.extend(answer.changes);
            if answer.next_page_token == token {
                return (all, token);
            }
            token = answer.next_page_token;
        }
    }
}

fn routes(api: &Api) -> Routes {
    let grants = Grants(Arc::new(grants()));
    macro_rules! server {
        ($server:ident) => {
            InterceptedService::new(
                $server::new(api.clone()).max_decoding_message_size(64 << 20),
                grants.clone(),
            )
        };
    }
    Routes::new(server!(PipelineServiceServer))
        .add_service(server!(LeadServiceServer))
        .add_service(server!(OpportunityServiceServer))
        .add_service(server!(ActivityServiceServer))
        .add_service(server!(TaskServiceServer))
}

/// Runs a case on each engine, in a house with customers 7 (甲公司) and 8 (乙公司) and person 9.
pub async fn on_each_engine(case: impl AsyncFn(House)) {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        let house = House::over(db).await;
        house.customers.add(7, "甲公司");
        house.customers.add(8, "乙公司");
        house.customers.add_person(9);
        case(house).await;
    })
    .await;
}

/// The reason in an error.
pub fn reason(status: &Status) -> String {
    jinke_kit::failure(status).reason.to_owned()
}

pub fn money(currency: &str, units: i64, nanos: i32) -> Option<gt::Money> {
    Some(gt::Money {
        currency_code: currency.to_owned(),
        units,
        nanos,
    })
}

pub fn date(year: i32, month: i32, day: i32) -> Option<gt::Date> {
    Some(gt::Date { year, month, day })
}

pub fn time(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

pub fn lasting(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub fn lead(company: &str) -> pb::Lead {
    pb::Lead {
        company: company.to_owned(),
        person_name: "张伟".to_owned(),
        phones: vec!["13812345678".to_owned()],
        region: "浙江省杭州市".to_owned(),
        remark: "想要三台设备".to_owned(),
        estimate: money("CNY", 50_000, 0),
        first_touch: Some(pb::FirstTouch {
            channel: "expo".to_owned(),
            campaign: "华东展".to_owned(),
            touch_time: time(START - 86_400),
        }),
        ..Default::default()
    }
}
