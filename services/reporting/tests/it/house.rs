//! The service over a world of the test, with grants made up by it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use jinke_kit::Grant;
use jinke_reporting::{
    config::QuestionsSection,
    convert::pb::{
        self, analytics_service_client::AnalyticsServiceClient,
        analytics_service_server::AnalyticsServiceServer,
        insight_service_client::InsightServiceClient, insight_service_server::InsightServiceServer,
        projection_service_client::ProjectionServiceClient,
        projection_service_server::ProjectionServiceServer,
        report_service_client::ReportServiceClient, report_service_server::ReportServiceServer,
        segment_service_client::SegmentServiceClient, segment_service_server::SegmentServiceServer,
    },
    core::Core,
    directory,
    episodes::TaskRules,
    follow::{Follower, Step},
    number,
    outside::{NewTask, Outside},
    parameters::{Parameters, Population},
    rpc::Api,
    store::{MIGRATIONS, database_id},
};
use jinke_store::{Database, keys::KeyRing, testing};
use jinke_types::{
    Caller, Failure, FieldClass, FieldMask, ManualClock, RowScope, SeededEntropy, Timestamp,
};
use tonic::{
    Request, Status,
    service::{Interceptor, Routes, interceptor::InterceptedService},
};

use crate::world::World;

#[derive(Clone)]
pub struct As(&'static str);

impl Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("role", self.0.parse().unwrap());
        Ok(request)
    }
}

#[derive(Clone)]
struct Grants(Arc<BTreeMap<&'static str, Arc<Grant>>>);

impl Interceptor for Grants {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let role = request.metadata().get("role").and_then(|r| r.to_str().ok());
        let grant = self.0[role.unwrap_or_default()].clone();
        request.extensions_mut().insert(grant);
        Ok(request)
    }
}

fn grants() -> Grants {
    use FieldClass::{Financial, PersonName, Public, Remark, SalesAmount};
    let east = || RowScope::OrgUnits(BTreeSet::from(["orgUnits/east".to_owned()]));
    let of = |name: &'static str, scope, mask| {
        let caller = Caller {
            name: format!("users/{name}"),
            actor: None,
        };
        let permission = "test".to_owned();
        (
            name,
            Arc::new(Grant {
                caller,
                permission,
                scope,
                mask,
            }),
        )
    };
    Grants(Arc::new(BTreeMap::from([
        of("admin", RowScope::All, FieldMask::all()),
        of(
            "finance",
            east(),
            FieldMask::of([Public, Financial, Remark, SalesAmount]),
        ),
        of(
            "manager",
            RowScope::All,
            FieldMask::of([Public, PersonName]),
        ),
        of("sales", east(), FieldMask::of([Public])),
        of("seller", east(), FieldMask::of([Public, SalesAmount])),
        of("nobody", RowScope::None, FieldMask::default()),
    ])))
}

/// A tag that was set (true) or taken back: customer, tag, which.
pub type Tagged = (i64, String, bool);

/// Notes the tasks that were made and the tags that were set and taken back.
#[derive(Default)]
pub struct Tasks(pub Mutex<Vec<NewTask>>, pub Mutex<Vec<Tagged>>);

impl Tasks {
    fn tagged(&self, customer: i64, tag: &str, set: bool) {
        let mut tags = self.1.lock().unwrap();
        tags.push((customer, tag.to_owned(), set));
    }
}

#[tonic::async_trait]
impl Outside for Tasks {
    async fn create_task(&self, task: NewTask) -> Result<String, Failure> {
        let mut made = self.0.lock().unwrap();
        if let Some(n) = made.iter().position(|t| t.origin == task.origin) {
            return Ok(format!("tasks/{n}"));
        }
        made.push(task);
        Ok(format!("tasks/{}", made.len() - 1))
    }
    async fn add_tag(&self, customer: i64, tag: &str) -> Result<(), Failure> {
        self.tagged(customer, tag, true);
        Ok(())
    }
    async fn remove_tag(&self, customer: i64, tag: &str) -> Result<(), Failure> {
        self.tagged(customer, tag, false);
        Ok(())
    }
}

pub struct House {
    pub world: Arc<World>,
    routes: Routes,
    pub api: Api,
    pub clock: Arc<ManualClock>,
    pub tasks: Arc<Tasks>,
}

pub type Door = InterceptedService<Routes, As>;

impl House {
    pub async fn new(db: Database, seed: u64) -> Self {
        let world = Arc::new(World::new(seed, 0));
        world.happen(220);
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_785_000_000)));
        let entropy = Arc::new(SeededEntropy::new(1));
        let id = database_id(&db, &*entropy).await.unwrap();
        let core = Core::new(
            db.clone(),
            Arc::new(KeyRing::in_memory(&SeededEntropy::new(1))),
            clock.clone(),
            entropy,
            Parameters {
                population: Population::All,
                ..Parameters::default()
            },
            QuestionsSection {
                max_facts: 100_000,
                cached_frames: 2,
                parallel: 2,
            },
            id,
        );
        let poll = Duration::from_secs(1);
        let none = BTreeSet::new();
        let follower = Follower::new(db, world.clone(), clock.clone(), none, poll);
        follower.begin().await.unwrap();
        let tasks = Arc::new(Tasks::default());
        let api = Api {
            core,
            follower,
            outside: tasks.clone(),
            tasks: Arc::new(TaskRules {
                days: 3,
                fallback_owner: String::new(),
            }),
        };
        macro_rules! server {
            ($server:ident) => {
                InterceptedService::new($server::new(api.clone()), grants())
            };
        }
        let routes = Routes::new(server!(AnalyticsServiceServer))
            .add_service(server!(InsightServiceServer))
            .add_service(server!(SegmentServiceServer))
            .add_service(server!(ReportServiceServer))
            .add_service(server!(ProjectionServiceServer));
        let house = Self {
            world,
            routes,
            api,
            clock,
            tasks,
        };
        let taken = directory::refresh(&house.api.core, &*house.world).await;
        assert!(taken.unwrap(), "users and org units are new");
        house.settle().await;
        house
    }

    pub async fn settle(&self) {
        for _ in 0..3_000 {
            if self.api.follower.step().await.unwrap() == Step::Idle {
                return;
            }
        }
        panic!("the follower did not come to rest");
    }

    pub fn analytics(&self, role: &'static str) -> AnalyticsServiceClient<Door> {
        AnalyticsServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn insights(&self, role: &'static str) -> InsightServiceClient<Door> {
        InsightServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn segments(&self, role: &'static str) -> SegmentServiceClient<Door> {
        SegmentServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn reports(&self, role: &'static str) -> ReportServiceClient<Door> {
        ReportServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn projections(&self, role: &'static str) -> ProjectionServiceClient<Door> {
        ProjectionServiceClient::with_interceptor(self.routes.clone(), As(role))
    }

    pub async fn query(
        &self,
        role: &'static str,
        measures: &[&str],
        dimensions: &[&str],
        filter: &str,
    ) -> Result<pb::QueryMetricsResponse, Status> {
        let request = pb::QueryMetricsRequest {
            measures: measures.iter().map(|m| (*m).to_owned()).collect(),
            dimensions: dimensions.iter().map(|d| (*d).to_owned()).collect(),
            filter: filter.to_owned(),
            start_date: Some(date(2025, 1, 1)),
            end_date: Some(date(2026, 12, 31)),
            ..pb::QueryMetricsRequest::default()
        };
        let answer = self.analytics(role).query_metrics(request).await;
        answer.map(tonic::Response::into_inner)
    }
}

pub fn date(year: i32, month: i32, day: i32) -> jinke_proto::google::r#type::Date {
    jinke_proto::google::r#type::Date { year, month, day }
}

pub fn value(v: &pb::MeasureValue) -> Option<i128> {
    number::parse(&v.value.as_ref()?.value)
}

pub async fn on_each_engine(seed: u64, case: impl AsyncFn(House)) {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        case(House::new(db, seed).await).await
    })
    .await;
}
