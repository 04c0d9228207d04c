//! The running house of one history, and how long to wait until all of it has heard of everything.

use std::{collections::VecDeque, time::Duration};

use jinke_proto::jinke::{
    customer::v1::{
        CreateJudgementRequest, Judgement, ListCustomerChangesRequest, ListTimelineChangesRequest,
        RetractJudgementRequest, judgement::Decision,
    },
    pipeline::v1::{
        self as pb, activity_service_client::ActivityServiceClient,
        lead_service_client::LeadServiceClient,
        opportunity_service_client::OpportunityServiceClient,
        pipeline_service_client::PipelineServiceClient, task_service_client::TaskServiceClient,
    },
    reporting::v1::{
        analytics_service_client::AnalyticsServiceClient,
        insight_service_client::InsightServiceClient,
    },
};
use jinke_tests::suite::{Authed, Clients};
use jinke_types::SeededEntropy;

use super::model::Model;
use crate::records::{ingest, key, party, text};

/// The clients of pipeline.
pub struct Sales {
    pub leads: LeadServiceClient<Authed>,
    pub opportunities: OpportunityServiceClient<Authed>,
    pub pipelines: PipelineServiceClient<Authed>,
    pub tasks: TaskServiceClient<Authed>,
    pub activities: ActivityServiceClient<Authed>,
}

impl Sales {
    pub fn new(channel: &Authed) -> Self {
        Self {
            leads: LeadServiceClient::new(channel.clone()),
            opportunities: OpportunityServiceClient::new(channel.clone()),
            pipelines: PipelineServiceClient::new(channel.clone()),
            tasks: TaskServiceClient::new(channel.clone()),
            activities: ActivityServiceClient::new(channel.clone()),
        }
    }

    pub async fn advance(&mut self, name: &str, stage: &str) -> pb::Opportunity {
        let request = pb::AdvanceOpportunityRequest {
            name: name.to_owned(),
            stage: stage.to_owned(),
            ..pb::AdvanceOpportunityRequest::default()
        };
        let moved = self.opportunities.advance_opportunity(request).await;
        moved.expect("it moves").into_inner()
    }

    async fn tick(&mut self, name: &str, item: &str) {
        let request = pb::CheckOpportunityItemRequest {
            name: name.to_owned(),
            item: item.to_owned(),
            ..pb::CheckOpportunityItemRequest::default()
        };
        let ticked = self.opportunities.check_opportunity_item(request).await;
        ticked.expect("it is ticked");
    }

    /// From 线索发现 or 初步接触 to 签约 with what that needs, and won.
    pub async fn win(&mut self, name: &str) -> pb::Opportunity {
        let request = pb::GetOpportunityRequest {
            name: name.to_owned(),
        };
        let now = self.opportunities.get_opportunity(request).await;
        if now.expect("an opportunity").into_inner().stage == "contact" {
            self.tick(name, "reached").await;
        }
        self.advance(name, "signing").await;
        self.tick(name, "contract-signed").await;
        let request = pb::WinOpportunityRequest {
            name: name.to_owned(),
            reason: "product".to_owned(),
            ..pb::WinOpportunityRequest::default()
        };
        let won = self.opportunities.win_opportunity(request).await;
        won.expect("it is won").into_inner()
    }

    pub async fn lose(&mut self, name: &str) -> pb::Opportunity {
        let request = pb::LoseOpportunityRequest {
            name: name.to_owned(),
            reason: "price".to_owned(),
            ..pb::LoseOpportunityRequest::default()
        };
        let lost = self.opportunities.lose_opportunity(request).await;
        lost.expect("it is lost").into_inner()
    }

    pub async fn reopen(&mut self, name: &str, stage: &str) -> pb::Opportunity {
        let request = pb::ReopenOpportunityRequest {
            name: name.to_owned(),
            stage: stage.to_owned(),
            ..pb::ReopenOpportunityRequest::default()
        };
        let open = self.opportunities.reopen_opportunity(request).await;
        open.expect("it is open again").into_inner()
    }
}

/// Two records of nobody's interest that are merged and parted in turn: pipeline follows the feed in
/// its order, so that it has heard of everything once it has heard of the last of these.
struct Buoy {
    numbers: (i64, i64),
    opportunity: String,
    judgement: Option<String>,
}

/// The last positions of the feeds, and where to read on.
#[derive(Default)]
pub struct Heads {
    tokens: [String; 3],
    pub positions: [i64; 3],
}

/// A house and its model.
pub struct World {
    pub api: Clients,
    pub sales: Sales,
    pub analytics: AnalyticsServiceClient<Authed>,
    pub insights: InsightServiceClient<Authed>,
    pub model: Model,
    pub dice: SeededEntropy,
    pub revision: i64,
    pub heads: Heads,
    seed: u64,
    told: VecDeque<String>,
    buoy: Buoy,
}

/// The number in `customers/7`.
pub fn name_of(name: &str) -> i64 {
    let number = name.strip_prefix("customers/").and_then(|n| n.parse().ok());
    number.unwrap_or_else(|| panic!("{name} is no customer"))
}

impl World {
    /// Over a running house without data; `to` is the channel to a service.
    pub async fn new(to: impl Fn(&str) -> Authed, seed: u64) -> Self {
        let mut api = Clients::new(&to("customer"));
        let mut sales = Sales::new(&to("pipeline"));
        let reporting = to("reporting");
        for source in super::steps::SOURCES.iter().chain(&["buoy"]) {
            api.ensure_source(source).await.expect("a source");
        }
        // Persons, so that they are in no count of organizations.
        let person = |id: &str, name: &str| {
            let values = vec![text("name", name)];
            let kind = jinke_proto::jinke::customer::v1::PartyKind::Person;
            party("buoy", id, kind, values)
        };
        let records = vec![person("B1", "欧阳浮一"), person("B2", "司徒标二")];
        let names = ingest(&mut api, records).await;
        let request = pb::CreateOpportunityRequest {
            opportunity: Some(pb::Opportunity {
                display_name: "浮标".to_owned(),
                customer: names[1].clone(),
                ..pb::Opportunity::default()
            }),
            ..pb::CreateOpportunityRequest::default()
        };
        let made = sales.opportunities.create_opportunity(request).await;
        let buoy = Buoy {
            numbers: (name_of(&names[0]), name_of(&names[1])),
            opportunity: made.expect("an opportunity").into_inner().name,
            judgement: None,
        };
        Self {
            api,
            sales,
            analytics: AnalyticsServiceClient::new(reporting.clone()),
            insights: InsightServiceClient::new(reporting),
            model: Model::default(),
            dice: SeededEntropy::new(seed),
            revision: 0,
            heads: Heads::default(),
            seed,
            told: VecDeque::new(),
            buoy,
        }
    }

    /// The opportunity that belongs to no history.
    pub fn buoy(&self) -> &str {
        &self.buoy.opportunity
    }

    /// Notes what was done.
    pub fn told(&mut self, what: String) {
        self.told.push_back(what);
    }

    /// How it came about, for whoever reads a failure.
    pub fn story(&self) -> String {
        let mut story = format!("JINKE_SEED={}", self.seed);
        for line in &self.told {
            story.push_str("\n  ");
            story.push_str(line);
        }
        story
    }

    /// Waits until pipeline has followed everything that customer has told.
    pub async fn settle(&mut self) {
        let (one, other) = self.buoy.numbers;
        let expected = match self.buoy.judgement.take() {
            Some(name) => {
                let request = RetractJudgementRequest {
                    name,
                    ..RetractJudgementRequest::default()
                };
                let done = self.api.stewards.retract_judgement(request).await;
                done.expect("the buoys part");
                other
            }
            None => {
                let judgement = Judgement {
                    decision: Decision::Positive.into(),
                    left: vec![key("buoy", "B1")],
                    right: vec![key("buoy", "B2")],
                    ..Judgement::default()
                };
                let request = CreateJudgementRequest {
                    judgement: Some(judgement),
                    ..CreateJudgementRequest::default()
                };
                let made = self.api.stewards.create_judgement(request).await;
                self.buoy.judgement = Some(made.expect("the buoys meet").into_inner().name);
                one
            }
        };
        let expected = format!("customers/{expected}");
        for _ in 0..1_500 {
            let request = pb::GetOpportunityRequest {
                name: self.buoy.opportunity.clone(),
            };
            let found = self.sales.opportunities.get_opportunity(request).await;
            if found.expect("the buoy").into_inner().current_customer == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("pipeline does not follow; {}", self.story());
    }

    /// Reads the three feeds to their ends.
    pub async fn sound(&mut self) {
        loop {
            let request = ListCustomerChangesRequest {
                page_size: 1_000,
                page_token: self.heads.tokens[0].clone(),
                ..ListCustomerChangesRequest::default()
            };
            let page = self.api.customers.list_customer_changes(request).await;
            let page = page.expect("the feed of customers").into_inner();
            let last = page.changes.last().map(|c| c.position);
            if !self.heads.reached(0, last, page.next_page_token) {
                break;
            }
        }
        loop {
            let request = ListTimelineChangesRequest {
                page_size: 1_000,
                page_token: self.heads.tokens[1].clone(),
            };
            let page = self.api.customers.list_timeline_changes(request).await;
            let page = page.expect("the feed of the timeline").into_inner();
            let last = page.changes.last().map(|c| c.position);
            if !self.heads.reached(1, last, page.next_page_token) {
                break;
            }
        }
        loop {
            let request = pb::ListPipelineChangesRequest {
                page_size: 1_000,
                page_token: self.heads.tokens[2].clone(),
                ..pb::ListPipelineChangesRequest::default()
            };
            let page = self.sales.pipelines.list_pipeline_changes(request).await;
            let page = page.expect("the feed of pipeline").into_inner();
            let last = page.changes.last().map(|c| c.position);
            if !self.heads.reached(2, last, page.next_page_token) {
                break;
            }
        }
    }
}

impl Heads {
    /// Notes a page; whether there may be more.
    fn reached(&mut self, feed: usize, last: Option<i64>, token: String) -> bool {
        let more = self.tokens[feed] != token;
        self.tokens[feed] = token;
        self.positions[feed] = last.unwrap_or(self.positions[feed]);
        more
    }
}
