//! The way through the other services: a connection runs, a lead of one of its customers becomes an
//! opportunity and is won, measures and a report are asked for.

use std::time::Duration;

use jinke_proto::{
    google::r#type::{Date, Money},
    jinke::{
        connector::v1::{self as connector, run::State},
        pipeline::v1::{
            self as pipeline, lead_service_client::LeadServiceClient,
            opportunity_service_client::OpportunityServiceClient,
        },
        reporting::v1::{
            self as reporting, analytics_service_client::AnalyticsServiceClient,
            insight_service_client::InsightServiceClient,
            projection_service_client::ProjectionServiceClient,
            report_service_client::ReportServiceClient,
        },
    },
};
use jinke_runner::simulate::Simulation;
use jinke_tests::{
    state::golden,
    suite::{Authed, Clients},
    transcript::Transcript,
};

use crate::runs::{Connector, SOURCE, delivered};

/// Customers of the foreign system.
pub const ROWS: usize = 6;
/// One of them, by the simulator's seed.
const COMPANY: &str = "长沙信诚信食品有限公司";
/// The last day that the report counts: the newest of the simulator's seed.
const DAY: Date = Date {
    year: 2026,
    month: 11,
    day: 20,
};
/// Within this reporting has followed.
const FOLLOWS: Duration = Duration::from_secs(180);

/// The clients of the connector service, pipeline and reporting.
pub struct Services {
    connector: Connector,
    leads: LeadServiceClient<Authed>,
    opportunities: OpportunityServiceClient<Authed>,
    analytics: AnalyticsServiceClient<Authed>,
    insights: InsightServiceClient<Authed>,
    projections: ProjectionServiceClient<Authed>,
    reports: ReportServiceClient<Authed>,
}

impl Services {
    /// Each over the channel to its service.
    pub fn new(to: impl Fn(&str) -> Authed) -> Self {
        let (pipeline, reporting) = (to("pipeline"), to("reporting"));
        Self {
            connector: Connector::new(&to("connector")),
            leads: LeadServiceClient::new(pipeline.clone()),
            opportunities: OpportunityServiceClient::new(pipeline),
            analytics: AnalyticsServiceClient::new(reporting.clone()),
            insights: InsightServiceClient::new(reporting.clone()),
            projections: ProjectionServiceClient::new(reporting.clone()),
            reports: ReportServiceClient::new(reporting),
        }
    }

    /// Everything that is done, and what was answered, noted behind what was told before.
    pub async fn story(
        &mut self,
        api: &mut Clients,
        simulation: &Simulation,
        told: &mut Transcript,
    ) {
        self.a_connection_runs(api, simulation, told).await;
        self.a_lead_is_won(told).await;
        self.measures_tell(api, told).await;
    }

    async fn a_connection_runs(
        &mut self,
        api: &mut Clients,
        simulation: &Simulation,
        told: &mut Transcript,
    ) {
        let before = delivered(api).await.expect("a count");
        self.connector
            .create(simulation, &simulation.url, 100)
            .await;
        let run = self.connector.begin().await;
        let mut run = self.connector.ended(&run).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
        let new = delivered(api).await.expect("a count") - before;
        let created: i64 = run.streams.iter().map(|s| s.created).sum();
        assert!(created >= 4 * ROWS as i64, "{run:?}");
        assert_eq!(new, created, "{run:?}");
        // How often a call was repeated is the network's affair.
        (run.attempts, run.retries) = (0, 0);
        let full = |message: &str| format!("jinke.connector.v1.{message}");
        told.note("run", &full("Run"), &run);
        let parent = format!("connections/{SOURCE}");
        let request = connector::GetConnectionRequest {
            name: parent.clone(),
        };
        let found = self.connector.client.get_connection(request).await;
        let found = found.expect("a connection").into_inner();
        told.note("connection", &full("Connection"), &found);
        let request = connector::ListCursorsRequest { parent };
        let cursors = self.connector.client.list_cursors(request).await;
        let cursors = cursors.expect("cursors").into_inner();
        assert!(cursors.cursors.len() >= 4, "{cursors:?}");
        told.note("cursors", &full("ListCursorsResponse"), &cursors);
        let state = golden(api).await.expect("state");
        assert!(
            state.values().any(|text| text.contains(COMPANY)),
            "{state:?}"
        );
        told.note_json("customers of the connection", serde_json::json!(state));
    }

    async fn a_lead_is_won(&mut self, told: &mut Transcript) {
        let full = |message: &str| format!("jinke.pipeline.v1.{message}");
        let yuan = |units| Money {
            currency_code: "CNY".to_owned(),
            units,
            nanos: 0,
        };
        let request = pipeline::CreateLeadRequest {
            lead: Some(pipeline::Lead {
                company: COMPANY.to_owned(),
                person_name: "欧阳修远".to_owned(),
                phones: vec!["13755520841".to_owned()],
                estimate: Some(yuan(88_000)),
                first_touch: Some(pipeline::FirstTouch {
                    channel: "expo".to_owned(),
                    ..pipeline::FirstTouch::default()
                }),
                ..pipeline::Lead::default()
            }),
            request_id: "lead".to_owned(),
            ..pipeline::CreateLeadRequest::default()
        };
        let lead = self.leads.create_lead(request).await;
        let lead = lead.expect("a lead").into_inner();
        assert_eq!(lead.match_result(), pipeline::lead::MatchResult::Known);
        told.note("lead", &full("Lead"), &lead);
        let request = pipeline::ConvertLeadRequest {
            name: lead.name.clone(),
            close_date: Some(DAY),
            request_id: "convert".to_owned(),
            ..pipeline::ConvertLeadRequest::default()
        };
        let made = self.leads.convert_lead(request).await;
        let made = made.expect("converted").into_inner();
        told.note("convert", &full("ConvertLeadResponse"), &made);
        let opportunity = made.opportunity.expect("an opportunity");
        assert_eq!(opportunity.current_customer, lead.current_customer);
        // It is won where contracts are signed, once what the stages ask for is done.
        for (stage, item) in [("contact", "reached"), ("signing", "contract-signed")] {
            let request = pipeline::AdvanceOpportunityRequest {
                name: opportunity.name.clone(),
                stage: stage.to_owned(),
                ..pipeline::AdvanceOpportunityRequest::default()
            };
            let moved = self.opportunities.advance_opportunity(request).await;
            let moved = moved.expect("moved").into_inner();
            assert_eq!(moved.stage, stage);
            told.note(stage, &full("Opportunity"), &moved);
            let request = pipeline::CheckOpportunityItemRequest {
                name: opportunity.name.clone(),
                item: item.to_owned(),
                ..pipeline::CheckOpportunityItemRequest::default()
            };
            let checked = self.opportunities.check_opportunity_item(request).await;
            let checked = checked.expect("checked").into_inner();
            told.note(item, &full("Opportunity"), &checked);
        }
        let request = pipeline::WinOpportunityRequest {
            name: opportunity.name.clone(),
            reason: "product".to_owned(),
            amount: Some(yuan(90_000)),
            request_id: "win".to_owned(),
            ..pipeline::WinOpportunityRequest::default()
        };
        let won = self.opportunities.win_opportunity(request).await;
        let won = won.expect("won").into_inner();
        assert_eq!(won.outcome(), pipeline::opportunity::Outcome::Won);
        told.note("win", &full("Opportunity"), &won);
        let request = pipeline::ListTransitionsRequest {
            parent: opportunity.name,
            ..pipeline::ListTransitionsRequest::default()
        };
        let way = self.opportunities.list_transitions(request).await;
        let mut way = way.expect("transitions").into_inner();
        for step in &mut way.transitions {
            step.transition_time = None;
        }
        told.note("transitions", &full("ListTransitionsResponse"), &way);
    }

    /// Waits until reporting has seen everything that pipeline and the customer service have.
    async fn followed(&mut self, api: &mut Clients) {
        let transactions = {
            let stats = jinke_proto::jinke::customer::v1::GetCustomerStatsRequest {};
            let stats = api.customers.get_customer_stats(stats).await;
            let stats = stats.expect("a count").into_inner();
            stats.sources.iter().map(|s| s.transactions).sum::<i64>()
        };
        let waited = tokio::time::timeout(FOLLOWS, async {
            loop {
                let request = reporting::ListProjectionsRequest {};
                let found = self.projections.list_projections(request).await;
                let found = found.expect("projections").into_inner().projections;
                let serving = found
                    .iter()
                    .find(|p| p.state() == reporting::projection::State::Serving);
                if let Some(p) = serving
                    && p.transactions == transactions
                    && p.opportunities == 1
                    && self.won().await
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        waited.await.expect("reporting follows");
    }

    /// Whether the win is known there.
    async fn won(&mut self) -> bool {
        let answer = self.ask(&["win_rate"], &[]).await;
        let mut values = answer.totals.iter().flat_map(|row| &row.values);
        values.any(|v| v.value.is_some())
    }

    async fn ask(
        &mut self,
        measures: &[&str],
        dimensions: &[&str],
    ) -> reporting::QueryMetricsResponse {
        let owned = |all: &[&str]| all.iter().map(|a| (*a).to_owned()).collect();
        let request = reporting::QueryMetricsRequest {
            measures: owned(measures),
            dimensions: owned(dimensions),
            ..reporting::QueryMetricsRequest::default()
        };
        let answer = self.analytics.query_metrics(request).await;
        let mut answer = answer.expect("measures").into_inner();
        // Positions depend on how the customer service cut what it wrote.
        answer.basis = None;
        answer
    }

    async fn measures_tell(&mut self, api: &mut Clients, told: &mut Transcript) {
        let full = |message: &str| format!("jinke.reporting.v1.{message}");
        self.followed(api).await;
        for (measures, dimensions) in [
            (&["net_revenue", "order_count"][..], &["province"][..]),
            (&["win_rate"], &[]),
        ] {
            let answer = self.ask(measures, dimensions).await;
            assert!(!answer.rows.is_empty() || !answer.totals.is_empty());
            told.note(&measures.join(" "), &full("QueryMetricsResponse"), &answer);
        }
        let request = reporting::ListCustomerInsightsRequest {
            as_of: Some(DAY),
            ..reporting::ListCustomerInsightsRequest::default()
        };
        let list = self.insights.list_customer_insights(request).await;
        let mut list = list.expect("insights").into_inner();
        assert!(list.insights.len() >= ROWS, "{list:?}");
        for insight in &mut list.insights {
            insight.basis = None;
        }
        told.note("insights", &full("ListCustomerInsightsResponse"), &list);
        let request = reporting::CreateReportRequest {
            date: Some(DAY),
            request_id: "report".to_owned(),
            ..reporting::CreateReportRequest::default()
        };
        let report = self.reports.create_report(request).await;
        let mut report = report.expect("a report").into_inner();
        let request = reporting::DownloadReportRequest {
            name: report.name.clone(),
            format: reporting::ReportFormat::Html.into(),
            language: reporting::ReportLanguage::Zh.into(),
        };
        let file = self.reports.download_report(request).await;
        let file = file.expect("a file").into_inner();
        let text = String::from_utf8(file.content).expect("text");
        assert!(text.contains(COMPANY), "the report names its customers");
        assert!(!report.values.is_empty());
        report.basis = None;
        told.note("report", &full("Report"), &report);
    }
}
