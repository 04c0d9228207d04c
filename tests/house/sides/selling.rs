//! Leads, opportunities, tasks and visits of one history.

use jinke_proto::{google::r#type::Date, jinke::pipeline::v1 as pb};

use super::{
    model::{Attached, Sale},
    steps::{AS_OF, company, money, noon, phone},
    world::{World, name_of},
};

impl World {
    /// A lead of a customer by its address, or by what it says of itself.
    pub async fn lead(&mut self, one: i64) {
        let record = self.model.record(one);
        let (persona, deleted) = (record.persona, record.deleted);
        let mut alike = self.model.records.iter().filter(|r| r.persona == persona);
        let together = self.model.together(one);
        let told_by_name = !deleted && alike.all(|r| together.contains(&r.number) && !r.deleted);
        let named = !told_by_name || self.below(2) == 0;
        // Who owns the customer is asked of what the crosswalk knows.
        self.settle().await;
        let lead = pb::Lead {
            company: company(persona),
            phones: vec![phone(persona)],
            customer: if named {
                format!("customers/{one}")
            } else {
                String::new()
            },
            ..pb::Lead::default()
        };
        let request = pb::CreateLeadRequest {
            lead: Some(lead),
            ..pb::CreateLeadRequest::default()
        };
        let made = self.sales.leads.create_lead(request).await;
        let made = made.expect("a lead").into_inner();
        self.told(format!(
            "{} of {one}: named={named} at {}",
            made.name, made.customer
        ));
        let story = self.story();
        let holder = format!("customers/{}", self.model.holder(one));
        assert_eq!(made.current_customer, holder, "{story}");
        let address = name_of(&made.customer);
        if named {
            assert_eq!(address, one, "{story}");
        } else {
            // It stands at a record that says what the lead says, and goes where that goes.
            assert_eq!(made.match_result(), pb::lead::MatchResult::Known, "{story}");
            assert_eq!(self.model.record(address).persona, persona, "{story}");
        }
        assert_eq!(made.owner, self.model.owner(one).unwrap_or(""), "{story}");
        self.model.leads.push(Attached {
            name: made.name,
            address,
            owner: made.owner,
        });
    }

    pub async fn opportunity(&mut self, one: i64) {
        let (cents, owner) = (self.cents(), format!("users/o{}", self.below(5)));
        let opportunity = pb::Opportunity {
            display_name: format!("第 {} 号商机", self.model.sales.len()),
            customer: format!("customers/{one}"),
            amount: Some(money(cents)),
            close_date: Some(Date {
                year: 2026,
                month: 12,
                day: 31,
            }),
            owner: owner.clone(),
            ..pb::Opportunity::default()
        };
        let request = pb::CreateOpportunityRequest {
            opportunity: Some(opportunity),
            ..pb::CreateOpportunityRequest::default()
        };
        let made = self.sales.opportunities.create_opportunity(request).await;
        let made = made.expect("an opportunity").into_inner();
        self.told(format!("{} of {one}", made.name));
        self.model.sales.push(Sale {
            name: made.name,
            address: one,
            outcome: 1,
            probability: 10,
            cents,
            owner,
        });
    }

    /// An opportunity goes on, is won, lost, or open again.
    pub async fn moves(&mut self) {
        let count = self.model.sales.len();
        if count == 0 {
            return;
        }
        let place = self.below(count);
        let (name, outcome, stage) = {
            let sale = &self.model.sales[place];
            if self.model.erased.contains(&sale.address) {
                return;
            }
            // On, or back again.
            let stage = if sale.probability == 20 {
                "discovery"
            } else {
                "contact"
            };
            (sale.name.clone(), sale.outcome, stage)
        };
        let now = match (outcome, self.below(3)) {
            (1, 0) => self.sales.advance(&name, stage).await,
            (1, 1) => self.sales.lose(&name).await,
            (1, _) => self.sales.win(&name).await,
            _ => self.sales.reopen(&name, "discovery").await,
        };
        let sale = &mut self.model.sales[place];
        sale.outcome = now.outcome;
        sale.probability = i64::from(now.probability);
        self.told(format!("{name} is {:?} in {}", now.outcome(), now.stage));
    }

    pub async fn task(&mut self, one: i64) {
        self.settle().await;
        let owner = self.model.owner(one).map(str::to_owned);
        let task = pb::Task {
            subject: "回访".to_owned(),
            customer: format!("customers/{one}"),
            owner: if owner.is_some() { "" } else { "users/o9" }.to_owned(),
            due_time: Some(noon(AS_OF + 400)),
            ..pb::Task::default()
        };
        let request = pb::CreateTaskRequest {
            task: Some(task),
            ..pb::CreateTaskRequest::default()
        };
        let made = self.sales.tasks.create_task(request).await;
        let made = made.expect("a task").into_inner();
        self.told(format!("{} of {one}", made.name));
        let owner = owner.unwrap_or_else(|| "users/o9".to_owned());
        assert_eq!(made.owner, owner, "{}", self.story());
        self.model.tasks.push(Attached {
            name: made.name,
            address: one,
            owner,
        });
    }

    pub async fn visit(&mut self, one: i64) {
        let activity = pb::Activity {
            kind: pb::activity::Kind::Visit.into(),
            customer: format!("customers/{one}"),
            activity_time: Some(noon(AS_OF - 10)),
            text: "上门拜访".to_owned(),
            ..pb::Activity::default()
        };
        let request = pb::CreateActivityRequest {
            activity: Some(activity),
            ..pb::CreateActivityRequest::default()
        };
        let made = self.sales.activities.create_activity(request).await;
        let made = made.expect("an activity").into_inner();
        self.told(format!("{} of {one}", made.name));
        self.model.visits.push(Attached {
            name: made.name,
            address: one,
            owner: String::new(),
        });
    }
}
