//! What is left of a customer who was erased.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jinke_pipeline::convert::pb;

use crate::{
    follow::catch_up,
    house::{House, START, lead, on_each_engine, reason, time},
    timers::Dice,
};

const SECRET: &str = "王小明要的机器";

/// What stands at one customer: a lead, an opportunity with its past, an activity with two
/// versions and a task with a message that waits.
struct Attached {
    lead: String,
    opportunity: String,
    activity: String,
    task: String,
}

async fn attach(house: &House, customer: i64) -> Attached {
    let customer = format!("customers/{customer}");
    let request = pb::CreateLeadRequest {
        lead: Some(pb::Lead {
            customer: customer.clone(),
            uscc: "91110108551385082Q".to_owned(),
            remark: SECRET.to_owned(),
            source: "sources/web".to_owned(),
            external_id: format!("wang-{customer}").replace('/', "-"),
            ..lead("王小明工作室")
        }),
        ..Default::default()
    };
    let lead = house.leads("admin").create_lead(request).await.unwrap();
    let o = pb::Opportunity {
        display_name: "王小明的设备".to_owned(),
        customer: customer.clone(),
        amount: crate::house::money("CNY", 700, 0),
        description: SECRET.to_owned(),
        contacts: vec![pb::opportunity::Contact {
            person: "customers/9".to_owned(),
            role: "user".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let o = house.create("admin", o).await.unwrap();
    let request = pb::AdvanceOpportunityRequest {
        name: o.name.clone(),
        stage: "contact".to_owned(),
        cause: SECRET.to_owned(),
        ..Default::default()
    };
    house
        .opportunities("admin")
        .advance_opportunity(request)
        .await
        .unwrap();
    // It names the opportunity alone and gets the customer from it.
    let request = pb::CreateActivityRequest {
        activity: Some(pb::Activity {
            kind: pb::activity::Kind::Call.into(),
            opportunity: o.name.clone(),
            subject: SECRET.to_owned(),
            text: SECRET.to_owned(),
            source: "sources/calls".to_owned(),
            external_id: format!("call-{}", o.name).replace('/', "-"),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut activities = house.activities("admin");
    let a = activities.create_activity(request).await.unwrap();
    let a = a.into_inner();
    let request = pb::AmendActivityRequest {
        activity: Some(pb::Activity {
            text: format!("{SECRET},又一次"),
            ..a.clone()
        }),
        ..Default::default()
    };
    activities.amend_activity(request).await.unwrap();
    let request = pb::CreateTaskRequest {
        task: Some(pb::Task {
            subject: SECRET.to_owned(),
            customer,
            due_time: time(START + 3_600),
            owner: "users/ana".to_owned(),
            escalations: vec![pb::task::Escalation {
                after: crate::house::lasting(7_200),
                to: "users/ben".to_owned(),
                reassign: false,
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let task = house.tasks("admin").create_task(request).await.unwrap();
    Attached {
        lead: lead.into_inner().name,
        opportunity: o.name,
        activity: a.name,
        task: task.into_inner().name,
    }
}

async fn opportunity(house: &House, name: &str) -> pb::Opportunity {
    let request = pb::GetOpportunityRequest {
        name: name.to_owned(),
    };
    let mut client = house.opportunities("admin");
    client.get_opportunity(request).await.unwrap().into_inner()
}

async fn lead_of(house: &House, name: &str) -> pb::Lead {
    let request = pb::GetLeadRequest {
        name: name.to_owned(),
    };
    let mut client = house.leads("admin");
    client.get_lead(request).await.unwrap().into_inner()
}

async fn task(house: &House, name: &str) -> pb::Task {
    let request = pb::GetTaskRequest {
        name: name.to_owned(),
    };
    let mut client = house.tasks("admin");
    client.get_task(request).await.unwrap().into_inner()
}

async fn versions(house: &House, name: &str) -> Vec<pb::Activity> {
    let request = pb::ListActivityVersionsRequest {
        parent: name.to_owned(),
        ..Default::default()
    };
    let mut client = house.activities("admin");
    let answer = client.list_activity_versions(request).await.unwrap();
    answer.into_inner().activities
}

/// Everything of these tables as text, to look for what must not be there.
async fn told(house: &House) -> String {
    let mut reader = house.core.db.read().await.unwrap();
    let mut all = String::new();
    for (text, columns) in [
        (
            "SELECT * FROM leads",
            &["company", "uscc", "source", "external_id"][..],
        ),
        ("SELECT * FROM opportunities", &["display_name"][..]),
        ("SELECT * FROM activities", &["source", "external_id"][..]),
    ] {
        for row in reader.fetch_all(text, Vec::new()).await.unwrap() {
            for column in columns {
                all += &row.opt_text(column).unwrap().unwrap_or_default();
                all.push('\n');
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_erased_customer_the_numbers_stay_and_who_it_was_goes() {
    on_each_engine(async |house: House| {
        house.customers.add(20, "王小明工作室");
        house.customers.add(21, "王小明");
        house.customers.merge(20, 21);
        catch_up(&house).await;
        let gone = attach(&house, 21).await;
        let stays = attach(&house, 7).await;
        // A reminder has fired, its message waits to be delivered.
        house.clock.advance(Duration::from_secs(5_000));
        while house.core.fire_due().await.unwrap() > 0 {}
        let (_, token) = house.feed("admin", String::new()).await;
        let keys = data_keys(&house).await;
        house.customers.erase(&[20, 21]);
        catch_up(&house).await;

        let o = opportunity(&house, &gone.opportunity).await;
        assert_eq!(o.amount, crate::house::money("CNY", 700, 0));
        assert_eq!(o.stage, "contact");
        assert_eq!(o.outcome(), pb::opportunity::Outcome::Lost);
        assert_eq!(o.outcome_reason, "customer_erased");
        assert!(o.erase_time.is_some() && o.description.is_empty() && o.contacts.is_empty());
        assert!(o.display_name.starts_with("商机 "), "{}", o.display_name);
        let request = pb::ListTransitionsRequest {
            parent: gone.opportunity.clone(),
            ..Default::default()
        };
        let mut client = house.opportunities("admin");
        let moves = client.list_transitions(request).await.unwrap().into_inner();
        let kinds: Vec<_> = moves.transitions.iter().map(|t| t.kind()).collect();
        use pb::transition::Kind;
        assert_eq!(kinds, [Kind::Created, Kind::Moved, Kind::Lost]);
        assert!(moves.transitions.iter().all(|t| t.cause.is_empty()));
        let l = lead_of(&house, &gone.lead).await;
        assert!(l.erase_time.is_some() && l.person_name.is_empty() && l.remark.is_empty());
        assert!(l.company.is_empty() && l.uscc.is_empty() && l.external_id.is_empty());
        assert_eq!(l.state(), pb::lead::State::Disqualified);
        assert_eq!(
            l.first_touch.as_ref().map(|t| t.channel.as_str()),
            Some("expo")
        );
        let both = versions(&house, &gone.activity).await;
        assert_eq!(both.len(), 2);
        assert!(
            both.iter()
                .all(|a| a.subject.is_empty() && a.text.is_empty() && a.erase_time.is_some())
        );
        let t = task(&house, &gone.task).await;
        assert!(t.subject.is_empty() && t.erase_time.is_some());
        assert_eq!(
            (t.state(), t.outcome.as_str()),
            (pb::task::State::Cancelled, "customer_erased")
        );
        let request = pb::ListFiringsRequest {
            parent: gone.task.clone(),
            ..Default::default()
        };
        let fired = house.tasks("admin").list_firings(request).await.unwrap();
        let fired = fired.into_inner().firings;
        assert_eq!(fired[0].delivery(), pb::firing::Delivery::Failed);
        assert_eq!(fired[0].delivery_error, "customer_erased");
        assert_eq!(fired[1].reason, "customer_erased");
        // No message of it leaves any more, that of the other task does.
        while house.core.deliver_due().await.unwrap() > 0 {}
        let sent = house.messenger.sent();
        let of = |name: &str| {
            format!(
                "pipeline-{}-firing-1",
                name.replace('/', "-").replace("tasks", "task")
            )
        };
        assert!(!sent.contains_key(&of(&gone.task)), "{sent:?}");
        assert!(sent.contains_key(&of(&stays.task)), "{sent:?}");

        // The feed says so of each, and the other customer's things are as they were.
        let (news, _) = house.feed("admin", token).await;
        let erased: BTreeSet<&str> = news
            .iter()
            .filter(|c| c.kind() == pb::PipelineChangeKind::Erased)
            .map(|c| c.resource.as_str())
            .collect();
        let names = [&gone.lead, &gone.opportunity, &gone.activity, &gone.task];
        assert_eq!(erased, names.iter().map(|n| n.as_str()).collect());
        assert_eq!(
            opportunity(&house, &stays.opportunity).await.description,
            SECRET
        );
        assert_eq!(lead_of(&house, &stays.lead).await.remark, SECRET);
        assert_eq!(task(&house, &stays.task).await.subject, SECRET);
        // The keys are others: what a backup of the sealed values holds is not opened by these rows.
        let after = data_keys(&house).await;
        for (name, key) in &keys {
            let ours = names.contains(&name);
            assert_eq!(after.get(name) == Some(key), !ours, "{name}");
        }
        let told = told(&house).await;
        assert_eq!(
            told.matches("王小明").count(),
            2,
            "those of customer 7: {told}"
        );

        let request = pb::ReopenOpportunityRequest {
            name: gone.opportunity.clone(),
            ..Default::default()
        };
        let refused = house
            .opportunities("admin")
            .reopen_opportunity(request)
            .await;
        assert_eq!(reason(&refused.unwrap_err()), "CUSTOMER_ERASED");
        // Nobody can attach anything to whoever is gone, nor is anything done twice.
        let refused = house
            .create(
                "admin",
                pb::Opportunity {
                    display_name: "再来".to_owned(),
                    customer: "customers/21".to_owned(),
                    ..Default::default()
                },
            )
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "CUSTOMER_ERASED");
        assert!(!house.core.follow_once().await.unwrap());
        assert_eq!(
            opportunity(&house, &gone.opportunity).await.revision,
            o.revision
        );
        // A foreign lead that comes again is a new one.
        let request = pb::CreateLeadRequest {
            lead: Some(pb::Lead {
                source: "sources/web".to_owned(),
                external_id: "wang-customers-21".to_owned(),
                ..lead("再来的公司")
            }),
            ..Default::default()
        };
        let again = house.leads("admin").create_lead(request).await.unwrap();
        assert_ne!(again.into_inner().name, gone.lead);
    })
    .await;
}

async fn data_keys(house: &House) -> BTreeMap<String, Vec<u8>> {
    let mut reader = house.core.db.read().await.unwrap();
    let mut all = BTreeMap::new();
    for (collection, text) in [
        (
            "leads",
            "SELECT id, data_key FROM leads WHERE data_key IS NOT NULL",
        ),
        ("opportunities", "SELECT id, data_key FROM opportunities"),
        ("activities", "SELECT id, data_key FROM activities"),
        ("tasks", "SELECT id, data_key FROM tasks"),
    ] {
        for row in reader.fetch_all(text, Vec::new()).await.unwrap() {
            let name = format!("{collection}/{}", row.i64("id").unwrap());
            all.insert(name, row.bytes("data_key").unwrap());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn when_others_of_its_records_remain_only_what_is_sealed_goes() {
    on_each_engine(async |house: House| {
        for (id, name) in [(20, "一"), (21, "二"), (22, "三")] {
            house.customers.add(id, name);
        }
        house.customers.merge(20, 21);
        house.customers.merge(20, 22);
        catch_up(&house).await;
        let at = attach(&house, 20).await;
        let other = attach(&house, 22).await;
        house.customers.erase(&[20]);
        catch_up(&house).await;
        let o = opportunity(&house, &at.opportunity).await;
        assert_eq!(
            (o.customer.as_str(), o.current_customer.as_str()),
            ("customers/20", "customers/21")
        );
        assert_eq!(o.outcome(), pb::opportunity::Outcome::Open);
        assert_eq!(o.display_name, "王小明的设备");
        assert!(o.description.is_empty() && o.erase_time.is_some() && !o.contacts.is_empty());
        let l = lead_of(&house, &at.lead).await;
        assert_eq!(l.company, "王小明工作室");
        assert!(l.remark.is_empty() && l.phones.is_empty());
        let t = task(&house, &at.task).await;
        assert_eq!(t.state(), pb::task::State::Open);
        assert!(t.subject.is_empty());
        assert_eq!(
            opportunity(&house, &other.opportunity).await.description,
            SECRET
        );
        // Its address goes on following what remains: through a merge, an unmerge and the rest.
        house.customers.merge(7, 21);
        catch_up(&house).await;
        assert_eq!(
            opportunity(&house, &at.opportunity).await.current_customer,
            "customers/7"
        );
        house.customers.unmerge(7);
        catch_up(&house).await;
        assert_eq!(
            opportunity(&house, &at.opportunity).await.current_customer,
            "customers/21"
        );
        house.customers.erase(&[21, 22]);
        catch_up(&house).await;
        for name in [&at.opportunity, &other.opportunity] {
            let o = opportunity(&house, name).await;
            assert_eq!(o.outcome_reason, "customer_erased", "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_nobodys_contact() {
    on_each_engine(async |house: House| {
        catch_up(&house).await;
        let at = attach(&house, 7).await;
        let before = opportunity(&house, &at.opportunity).await;
        house.clock.advance(Duration::from_secs(1_000));
        house.customers.erase(&[9]);
        catch_up(&house).await;
        let o = opportunity(&house, &at.opportunity).await;
        assert!(o.contacts.is_empty());
        assert_eq!(o.description, SECRET);
        assert_eq!(o.outcome(), pb::opportunity::Outcome::Open);
        assert_eq!(o.touch_time, before.touch_time, "nobody worked on it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_merges_and_erasures_leave_at_each_address_what_is_due() {
    on_each_engine(async |house: House| {
        let mut dice = Dice(20_261_123);
        let mut next = 20;
        // Opportunities with their address, and what the model says of each address.
        let mut at: Vec<(String, i64)> = Vec::new();
        let mut destroyed = BTreeSet::new();
        for round in 0..200 {
            let live = house.customers.records_from(20);
            let pick = |dice: &mut Dice| live[dice.below(live.len() as u64) as usize];
            if live.len() < 4 {
                house.customers.add(next, &format!("公司{next}"));
                next += 1;
                continue;
            }
            match dice.below(8) {
                0 => {
                    house.customers.add(next, &format!("公司{next}"));
                    next += 1;
                }
                1 | 2 => house.customers.merge(pick(&mut dice), pick(&mut dice)),
                3 => house.customers.unmerge(pick(&mut dice)),
                4 => {
                    let held = house.customers.holder(pick(&mut dice));
                    let mut records = house.customers.records_of(held);
                    if dice.below(2) == 0 {
                        records.truncate(1 + dice.below(records.len() as u64) as usize);
                    }
                    // What the follower has not heard of when something is attached is refused or
                    // destroyed all the same.
                    house.customers.erase(&records);
                    destroyed.extend(
                        at.iter()
                            .filter(|(_, a)| records.contains(a))
                            .map(|(n, _)| n.clone()),
                    );
                }
                _ => {
                    let a = pick(&mut dice);
                    let o = pb::Opportunity {
                        display_name: format!("商机{round}"),
                        customer: format!("customers/{a}"),
                        description: SECRET.to_owned(),
                        ..Default::default()
                    };
                    at.push((house.create("admin", o).await.unwrap().name, a));
                }
            }
            // The follower lags now and then.
            if dice.below(3) == 0 {
                house.core.follow_once().await.unwrap();
            }
        }
        catch_up(&house).await;
        assert!(destroyed.len() > 3 && destroyed.len() < at.len());
        for (name, address) in &at {
            let o = opportunity(&house, name).await;
            match house.customers.standing(*address) {
                Some(holder) => {
                    assert_eq!(o.current_customer, format!("customers/{holder}"), "{name}");
                    assert_eq!(o.outcome(), pb::opportunity::Outcome::Open);
                    assert_eq!(o.description.is_empty(), destroyed.contains(name), "{name}");
                }
                None => {
                    assert_eq!(o.outcome_reason, "customer_erased", "{name}");
                    assert!(o.description.is_empty());
                }
            }
        }
    })
    .await;
}
