//! Sample leads, opportunities, activities and tasks, through the public API like anybody's.
//!
//! Everything has a request id or a foreign key of its own, so that a second run makes nothing
//! twice; what is there already is left as it is.

use jinke_kit::Peer;
use jinke_proto::{
    google::r#type::Money,
    jinke::{
        customer::v1::{self as cpb, customer_service_client::CustomerServiceClient},
        pipeline::v1::{
            self as pb, activity_service_client::ActivityServiceClient,
            lead_service_client::LeadServiceClient,
            opportunity_service_client::OpportunityServiceClient,
            task_service_client::TaskServiceClient,
        },
    },
};
use jinke_types::{Clock as _, Failure, SystemClock};

use crate::{connect::Answer, samples::dice::Dice};

/// The same choices on every machine.
const SEED: u64 = 7_424;
/// Opportunities with known customers.
const OPPORTUNITIES: usize = 60;
/// Leads of nobody we know.
const LEADS: usize = 24;
const DAY: i64 = 86_400;

const STAGES: [&str; 6] = [
    "discovery",
    "contact",
    "analysis",
    "proposal",
    "negotiation",
    "signing",
];
const OWNERS: [&str; 4] = [
    "users/zhang.min",
    "users/li.qiang",
    "users/wang.fang",
    "users/chen.jie",
];
const PRODUCTS: [&str; 5] = ["年度框架", "产线改造", "备件套餐", "服务续签", "扩容项目"];
const CHANNELS: [&str; 4] = ["web", "expo", "referral", "wecom"];
const REGIONS: [&str; 4] = [
    "浙江省杭州市",
    "江苏省苏州市",
    "广东省深圳市",
    "四川省成都市",
];
const BRANDS: [&str; 6] = ["启明", "恒远", "博瑞", "汇川", "锦程", "天工"];
const TRADES: [&str; 4] = ["精密机械", "新能源科技", "智能装备", "环保材料"];

/// What the samples made, for the summary.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seeded {
    /// Leads.
    pub(super) leads: usize,
    /// Opportunities.
    pub(super) opportunities: usize,
    /// Tasks.
    pub(super) tasks: usize,
}

/// Makes the samples.
///
/// # Errors
/// What the server answered.
pub(super) async fn seed(peer: &Peer) -> Result<Seeded, Failure> {
    let mut seeded = Seeded::default();
    let mut dice = Dice::new(SEED, "pipeline");
    let today = SystemClock.now().secs().div_euclid(DAY);
    rules(peer).await?;
    let request = cpb::ListCustomersRequest {
        page_size: 200,
        filter: "kind = ORGANIZATION".to_owned(),
        view: cpb::CustomerView::Basic.into(),
        ..Default::default()
    };
    let customers = CustomerServiceClient::new(peer.clone())
        .list_customers(request)
        .await
        .answer()?
        .customers;
    for (n, customer) in customers.iter().step_by(3).take(OPPORTUNITIES).enumerate() {
        seeded.opportunities += 1;
        seeded.tasks += opportunity(peer, &mut dice, n, customer, today).await?;
    }
    seeded.leads = leads(peer, &mut dice, customers.first()).await?;
    Ok(seeded)
}

async fn rules(peer: &Peer) -> Result<(), Failure> {
    let rule = pb::AssignmentRule {
        display_name: "华东轮流".to_owned(),
        priority: 1,
        regions: vec!["浙江省".to_owned(), "江苏省".to_owned()],
        strategy: pb::assignment_rule::Strategy::RoundRobin.into(),
        owners: OWNERS[..2].iter().map(|o| (*o).to_owned()).collect(),
        ..Default::default()
    };
    let rest = pb::AssignmentRule {
        display_name: "其他看负荷".to_owned(),
        priority: 2,
        regions: Vec::new(),
        strategy: pb::assignment_rule::Strategy::Load.into(),
        owners: OWNERS[2..].iter().map(|o| (*o).to_owned()).collect(),
        ..rule.clone()
    };
    for (id, rule) in [("east", rule), ("rest", rest)] {
        let request = pb::CreateAssignmentRuleRequest {
            assignment_rule_id: id.to_owned(),
            assignment_rule: Some(rule),
            request_id: format!("sample-rule-{id}"),
        };
        let made = LeadServiceClient::new(peer.clone())
            .create_assignment_rule(request)
            .await
            .answer();
        match made {
            Err(f) if f.code != jinke_types::Code::AlreadyExists => return Err(f),
            _ => {}
        }
    }
    Ok(())
}

/// One opportunity, brought as far as the dice say; how many tasks it got.
async fn opportunity(
    peer: &Peer,
    dice: &mut Dice,
    n: usize,
    customer: &cpb::Customer,
    today: i64,
) -> Result<usize, Failure> {
    let mut client = OpportunityServiceClient::new(peer.clone());
    let units = 20_000 + 5_000 * i64::try_from(dice.below(160)).unwrap_or_default();
    let (product, owner) = (*dice.pick(&PRODUCTS), *dice.pick(&OWNERS));
    let close = today + 10 + i64::try_from(dice.below(150)).unwrap_or_default();
    let (year, month, day) = crate::samples::dice::ymd(close);
    let title = format!("{} {product}", customer.display_name);
    // More begin than end: a funnel.
    let depth = if n % 5 == 2 {
        5
    } else {
        dice.below(6).min(dice.below(8))
    };
    let fate = dice.below(10);
    let request = pb::CreateOpportunityRequest {
        opportunity: Some(pb::Opportunity {
            display_name: title.chars().take(200).collect(),
            customer: customer.name.clone(),
            amount: Some(Money {
                currency_code: "CNY".to_owned(),
                units,
                nanos: 0,
            }),
            close_date: Some(jinke_proto::google::r#type::Date {
                year: i32::from(year),
                month: i32::from(month),
                day: i32::from(day),
            }),
            owner: owner.to_owned(),
            ..Default::default()
        }),
        request_id: format!("sample-opportunity-{n}"),
        ..Default::default()
    };
    let made = match client.create_opportunity(request).await.answer() {
        Ok(made) => made,
        // Another day's close date is another request; the first run made it.
        Err(f) if f.reason == "REQUEST_ID_REUSED" => return Ok(0),
        Err(f) => return Err(f),
    };
    if made.revision > 1 {
        return Ok(0);
    }
    let name = made.name.clone();
    for stage in &STAGES[1..=depth] {
        let request = pb::AdvanceOpportunityRequest {
            name: name.clone(),
            stage: (*stage).to_owned(),
            cause: "示例数据".to_owned(),
            ..Default::default()
        };
        check(&mut client, &name).await?;
        client.advance_opportunity(request).await.answer()?;
    }
    if depth == 5 || fate == 0 {
        finish(&mut client, &name, depth, fate).await?;
    }
    activity(peer, &name, n).await?;
    if !n.is_multiple_of(4) {
        return Ok(0);
    }
    let request = pb::CreateTaskRequest {
        task: Some(pb::Task {
            subject: format!("回访 {product} 进展"),
            opportunity: name,
            due_time: Some(prost_types::Timestamp {
                seconds: (today + 1 + i64::try_from(n % 9).unwrap_or_default()) * DAY + 6 * 3_600,
                nanos: 0,
            }),
            origin: format!("samples/{n}"),
            ..Default::default()
        }),
        request_id: String::new(),
    };
    TaskServiceClient::new(peer.clone())
        .create_task(request)
        .await
        .answer()?;
    Ok(1)
}

/// Ticks whatever the present stage asks for.
async fn check(client: &mut OpportunityServiceClient<Peer>, name: &str) -> Result<(), Failure> {
    let request = pb::GetOpportunityRequest {
        name: name.to_owned(),
    };
    let here = client.get_opportunity(request).await.answer()?.stage;
    let item = match here.as_str() {
        "contact" => "reached",
        "analysis" => "need-confirmed",
        "proposal" => "proposal-sent",
        "negotiation" => "terms-agreed",
        "signing" => "contract-signed",
        _ => return Ok(()),
    };
    let request = pb::CheckOpportunityItemRequest {
        name: name.to_owned(),
        item: item.to_owned(),
        ..Default::default()
    };
    client.check_opportunity_item(request).await.answer()?;
    Ok(())
}

/// Wins or loses it; some won ones go on to service.
async fn finish(
    client: &mut OpportunityServiceClient<Peer>,
    name: &str,
    depth: usize,
    fate: usize,
) -> Result<(), Failure> {
    if depth < 5 || fate < 3 {
        let reason = ["price", "competitor", "no_budget"][fate % 3];
        let request = pb::LoseOpportunityRequest {
            name: name.to_owned(),
            reason: reason.to_owned(),
            ..Default::default()
        };
        client.lose_opportunity(request).await.answer()?;
        return Ok(());
    }
    if fate == 9 {
        return Ok(());
    }
    check(client, name).await?;
    let request = pb::WinOpportunityRequest {
        name: name.to_owned(),
        reason: "service".to_owned(),
        ..Default::default()
    };
    client.win_opportunity(request).await.answer()?;
    if fate.is_multiple_of(2) {
        let request = pb::AdvanceOpportunityRequest {
            name: name.to_owned(),
            cause: "示例数据".to_owned(),
            ..Default::default()
        };
        client.advance_opportunity(request).await.answer()?;
    }
    Ok(())
}

async fn activity(peer: &Peer, opportunity: &str, n: usize) -> Result<(), Failure> {
    let kinds = [
        pb::activity::Kind::Call,
        pb::activity::Kind::Visit,
        pb::activity::Kind::Meeting,
    ];
    let request = pb::CreateActivityRequest {
        activity: Some(pb::Activity {
            kind: kinds[n % kinds.len()].into(),
            opportunity: opportunity.to_owned(),
            subject: "了解需求".to_owned(),
            text: "确认了预算和时间安排,下周给方案。".to_owned(),
            source: "sources/samples".to_owned(),
            external_id: format!("activity-{n}"),
            ..Default::default()
        }),
        request_id: String::new(),
    };
    ActivityServiceClient::new(peer.clone())
        .create_activity(request)
        .await
        .answer()?;
    Ok(())
}

/// Leads of companies nobody knows, and one of a known customer; how many there are.
async fn leads(
    peer: &Peer,
    dice: &mut Dice,
    known: Option<&cpb::Customer>,
) -> Result<usize, Failure> {
    let mut leads = Vec::new();
    for n in 0..LEADS {
        let region = *dice.pick(&REGIONS);
        let city: String = region.chars().skip(3).take(2).collect();
        let brand = format!("{}{}", dice.pick(&BRANDS), dice.pick(&BRANDS));
        let company = match known.filter(|_| n == 0) {
            Some(customer) => customer.display_name.clone(),
            None => format!("{city}{brand}{}有限公司", dice.pick(&TRADES)),
        };
        leads.push(pb::Lead {
            company,
            person_name: format!("{}经理", dice.pick(&["赵", "钱", "孙", "李"])),
            phones: vec![format!("199{}", dice.digits(8))],
            region: region.to_owned(),
            interest: format!("想了解{}", dice.pick(&PRODUCTS)),
            first_touch: Some(pb::FirstTouch {
                channel: (*dice.pick(&CHANNELS)).to_owned(),
                campaign: "示例活动".to_owned(),
                touch_time: None,
            }),
            source: "sources/samples".to_owned(),
            external_id: format!("lead-{n}"),
            ..Default::default()
        });
    }
    let request = pb::BatchCreateLeadsRequest {
        leads,
        request_id: String::new(),
    };
    let answer = LeadServiceClient::new(peer.clone())
        .batch_create_leads(request)
        .await
        .answer()?;
    Ok(answer.results.iter().filter(|r| r.error.is_none()).count())
}
