//! Sales in the running house: a lead of a known customer goes to his owner, becomes an opportunity,
//! is won; customers merge and part again, and everything stands where it belongs at each step.

use std::time::Duration;

use jinke_proto::jinke::{
    customer::v1::{MergeCustomersRequest, PartyKind, UnmergeCustomerRequest},
    pipeline::v1::{
        self as pb, lead_service_client::LeadServiceClient,
        opportunity_service_client::OpportunityServiceClient,
        pipeline_service_client::PipelineServiceClient, task_service_client::TaskServiceClient,
    },
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::suite::{Authed, Clients, Suite};

use crate::records::{ingest, key, party, text, uscc};

struct Sales {
    leads: LeadServiceClient<Authed>,
    opportunities: OpportunityServiceClient<Authed>,
    pipelines: PipelineServiceClient<Authed>,
    tasks: TaskServiceClient<Authed>,
}

impl Sales {
    async fn lead(&mut self, company: &str) -> pb::Lead {
        let request = pb::CreateLeadRequest {
            lead: Some(pb::Lead {
                company: company.to_owned(),
                person_name: "欧阳修远".to_owned(),
                phones: vec!["13755520841".to_owned()],
                first_touch: Some(pb::FirstTouch {
                    channel: "expo".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = self.leads.create_lead(request).await;
        answer.expect("the lead is taken").into_inner()
    }

    async fn get(&mut self, name: &str) -> pb::Opportunity {
        let request = pb::GetOpportunityRequest {
            name: name.to_owned(),
        };
        let answer = self.opportunities.get_opportunity(request).await;
        answer.expect("an opportunity").into_inner()
    }

    /// Waits until the follower has seen that `customer` holds it.
    async fn at(&mut self, name: &str, customer: &str) {
        for _ in 0..200 {
            if self.get(name).await.current_customer == customer {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is not at {customer}: {:?}", self.get(name).await);
    }

    async fn of(&mut self, customer: &str) -> Vec<String> {
        let request = pb::ListOpportunitiesRequest {
            filter: format!("customer = \"{customer}\""),
            ..Default::default()
        };
        let answer = self.opportunities.list_opportunities(request).await;
        let list = answer.expect("a list").into_inner().opportunities;
        list.into_iter().map(|o| o.name).collect()
    }
}

async fn story(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(engine).await;
    let server = (engine == Engine::Postgres).then(|| place.config().url);
    let suite = Suite::start(&dir.path().join("data"), server.as_deref())
        .await
        .expect("the suite starts");
    let channel = suite.login().await.expect("logged in");
    let mut api = Clients::new(&channel);
    let mut sales = Sales {
        leads: LeadServiceClient::new(channel.clone()),
        opportunities: OpportunityServiceClient::new(channel.clone()),
        pipelines: PipelineServiceClient::new(channel.clone()),
        tasks: TaskServiceClient::new(channel.clone()),
    };
    for source in ["erp", "finance"] {
        api.ensure_source(source).await.expect("a source");
    }
    let organization = PartyKind::Organization;
    let customers = ingest(
        &mut api,
        vec![
            party(
                "erp",
                "C1",
                organization,
                vec![
                    text("name", "杭州远山数智科技有限公司"),
                    uscc("91330106MA2ABCDE1G"),
                    text("owner", "users/li.lei"),
                ],
            ),
            party(
                "finance",
                "F9",
                organization,
                vec![text("name", "南昌清泉餐饮管理有限公司")],
            ),
        ],
    )
    .await;
    let (left, right) = (customers[0].clone(), customers[1].clone());

    // The golden owner gets the lead of the known customer; nobody knows the other one.
    let known = sales.lead("杭州远山数智科技有限公司").await;
    assert_eq!(
        (&known.current_customer, known.owner.as_str()),
        (&left, "users/li.lei")
    );
    let new = sales.lead("成都锦里文化传播有限公司").await;
    assert_eq!(new.match_result(), pb::lead::MatchResult::New);
    let convert = pb::ConvertLeadRequest {
        name: new.name.clone(),
        request_id: "convert".to_owned(),
        ..Default::default()
    };
    let made = sales.leads.convert_lead(convert.clone()).await;
    let made = made
        .expect("converted")
        .into_inner()
        .opportunity
        .expect("it");
    assert!(made.customer != left && made.customer != right);
    let again = sales
        .leads
        .convert_lead(convert)
        .await
        .expect("replayed")
        .into_inner();
    assert_eq!(again.opportunity.expect("it").name, made.name);
    // The new customer is a record of its own, known from now on.
    let twice = sales.lead("成都锦里文化传播有限公司").await;
    assert_eq!(twice.current_customer, made.current_customer);

    let mut opportunities = Vec::new();
    for customer in [&left, &right] {
        let request = pb::CreateOpportunityRequest {
            opportunity: Some(pb::Opportunity {
                display_name: "年度框架".to_owned(),
                customer: customer.clone(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = sales.opportunities.create_opportunity(request).await;
        opportunities.push(made.expect("made").into_inner().name);
    }
    let task = pb::CreateTaskRequest {
        task: Some(pb::Task {
            subject: "挽留".to_owned(),
            customer: right.clone(),
            origin: "churnEpisodes/1".to_owned(),
            due_time: Some(prost_types::Timestamp {
                seconds: 1_900_000_000,
                nanos: 0,
            }),
            ..Default::default()
        }),
        request_id: "episode".to_owned(),
    };
    let first = sales
        .tasks
        .create_task(task.clone())
        .await
        .expect("made")
        .into_inner();
    let second = sales
        .tasks
        .create_task(task)
        .await
        .expect("found")
        .into_inner();
    assert_eq!(first.name, second.name);

    merge_and_part(&mut api, &mut sales, (&left, &right), &opportunities).await;
    suite.kill().await.expect("it ends");
    place.remove().await;
}

async fn merge_and_part(
    api: &mut Clients,
    sales: &mut Sales,
    (left, right): (&str, &str),
    opportunities: &[String],
) {
    let merge = MergeCustomersRequest {
        customer: left.to_owned(),
        other_customer: right.to_owned(),
        ..Default::default()
    };
    let merged = api
        .customers
        .merge_customers(merge)
        .await
        .expect("merged")
        .into_inner();
    sales.at(&opportunities[1], &merged.name).await;
    sales.at(&opportunities[0], &merged.name).await;
    assert_eq!(sales.of(right).await, opportunities);
    let part = UnmergeCustomerRequest {
        name: merged.name,
        records: vec![key("finance", "F9")],
        ..Default::default()
    };
    api.customers.unmerge_customer(part).await.expect("parted");
    sales.at(&opportunities[1], right).await;
    sales.at(&opportunities[0], left).await;
    assert_eq!(sales.of(right).await, opportunities[1..]);
    assert_eq!(sales.of(left).await, opportunities[..1]);
    // Whoever follows the feed is told of both moves.
    let list = pb::ListPipelineChangesRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let answer = sales
        .pipelines
        .list_pipeline_changes(list)
        .await
        .expect("the feed");
    let moves = answer
        .into_inner()
        .changes
        .into_iter()
        .filter(|c| c.resource == opportunities[1])
        .filter(|c| c.kind() == pb::PipelineChangeKind::CustomerMoved)
        .count();
    assert!(moves >= 2, "{moves}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_follow_their_customers_on_sqlite() {
    story(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_follow_their_customers_on_postgres() {
    story(Engine::Postgres).await;
}
