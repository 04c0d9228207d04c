//! References to customers through merges and unmerges.

use std::collections::BTreeSet;

use jinke_pipeline::convert::pb;

use crate::{
    house::{House, START, lead, on_each_engine, time},
    timers::Dice,
};

pub async fn catch_up(house: &House) {
    while house
        .core
        .follow_once()
        .await
        .expect("the feed is followed")
    {}
}

async fn listed(house: &House, customer: i64) -> BTreeSet<String> {
    let request = pb::ListOpportunitiesRequest {
        filter: format!("customer = \"customers/{customer}\""),
        ..Default::default()
    };
    let answer = house
        .opportunities("admin")
        .list_opportunities(request)
        .await;
    let list = answer.expect("a list").into_inner().opportunities;
    list.into_iter().map(|o| o.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_shown_at_the_customer_that_holds_them() {
    on_each_engine(async |house: House| {
        catch_up(&house).await;
        let mut b = pb::Opportunity {
            display_name: "乙的".to_owned(),
            customer: "customers/8".to_owned(),
            ..Default::default()
        };
        b.contacts = vec![pb::opportunity::Contact {
            person: "customers/9".to_owned(),
            role: "user".to_owned(),
            ..Default::default()
        }];
        let a = house.opportunity("甲的").await;
        let b = house.create("admin", b).await.unwrap();
        for (n, touch) in [(8, START - 100), (7, START - 50)] {
            let request = pb::CreateLeadRequest {
                lead: Some(pb::Lead {
                    customer: format!("customers/{n}"),
                    first_touch: Some(pb::FirstTouch {
                        channel: format!("channel-{n}"),
                        touch_time: time(touch),
                        ..Default::default()
                    }),
                    ..lead("任意")
                }),
                ..Default::default()
            };
            house.leads("admin").create_lead(request).await.unwrap();
        }
        let touch = async |customer: i64| {
            let request = pb::GetFirstTouchRequest {
                customer: format!("customers/{customer}"),
            };
            let answer = house.leads("admin").get_first_touch(request).await.unwrap();
            answer.into_inner().first_touch.unwrap().channel
        };
        let get = async |name: &str| {
            let request = pb::GetOpportunityRequest {
                name: name.to_owned(),
            };
            house
                .opportunities("admin")
                .get_opportunity(request)
                .await
                .unwrap()
                .into_inner()
        };
        let (_, token) = house.feed("admin", String::new()).await;
        house.customers.merge(7, 8);
        catch_up(&house).await;
        let merged = get(&b.name).await;
        assert_eq!(
            (merged.customer.as_str(), merged.current_customer.as_str()),
            ("customers/8", "customers/7")
        );
        assert_eq!(merged.revision, b.revision, "nothing was written to it");
        let both = BTreeSet::from([a.name.clone(), b.name.clone()]);
        assert_eq!(
            (listed(&house, 7).await, listed(&house, 8).await),
            (both.clone(), both)
        );
        assert_eq!(
            (touch(7).await.as_str(), touch(8).await.as_str()),
            ("channel-8", "channel-8")
        );
        let (moved, token) = house.feed("admin", token).await;
        let names: BTreeSet<_> = moved.iter().map(|c| c.resource.clone()).collect();
        assert!(names.contains(&b.name) && !names.contains(&a.name));
        assert!(
            moved
                .iter()
                .all(|c| c.kind() == pb::PipelineChangeKind::CustomerMoved)
        );
        let Some(pb::pipeline_change::Snapshot::Opportunity(o)) = &moved
            .iter()
            .find(|c| c.resource == b.name)
            .unwrap()
            .snapshot
        else {
            panic!("a snapshot was asked for")
        };
        assert_eq!(o.current_customer, "customers/7");
        house.customers.unmerge(8);
        catch_up(&house).await;
        assert_eq!(get(&b.name).await.current_customer, "customers/8");
        assert_eq!(listed(&house, 7).await, BTreeSet::from([a.name.clone()]));
        assert_eq!(
            (touch(7).await.as_str(), touch(8).await.as_str()),
            ("channel-7", "channel-8")
        );
        let (back, _) = house.feed("admin", token).await;
        assert!(back.iter().any(|c| c.resource == b.name));
        // Nothing new leaves the cursor where it is.
        assert!(!house.core.follow_once().await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_merges_and_unmerges_end_at_the_right_customers() {
    on_each_engine(async |house: House| {
        let mut dice = Dice(20_261_122);
        let ids: Vec<i64> = (20..32).collect();
        for id in &ids {
            house.customers.add(*id, &format!("公司{id}"));
        }
        let mut at = Vec::new();
        for round in 0..60 {
            let a = ids[dice.below(12) as usize];
            match dice.below(4) {
                0 => {
                    let b = ids[dice.below(12) as usize];
                    house.customers.merge(a, b);
                }
                1 => house.customers.unmerge(a),
                _ => {
                    let o = pb::Opportunity {
                        display_name: format!("商机{round}"),
                        customer: format!("customers/{a}"),
                        ..Default::default()
                    };
                    at.push((house.create("admin", o).await.unwrap().name, a));
                }
            }
            // The follower lags now and then.
            if dice.below(3) == 0 {
                let _ = house.core.follow_once().await.unwrap();
            }
        }
        catch_up(&house).await;
        for (name, address) in &at {
            let request = pb::GetOpportunityRequest { name: name.clone() };
            let o = house
                .opportunities("admin")
                .get_opportunity(request)
                .await
                .unwrap();
            let o = o.into_inner();
            let holder = house.customers.holder(*address);
            assert_eq!(o.current_customer, format!("customers/{holder}"));
            assert_eq!(o.customer, format!("customers/{address}"));
        }
        for id in &ids {
            let expected: BTreeSet<String> = at
                .iter()
                .filter(|(_, a)| house.customers.holder(*a) == house.customers.holder(*id))
                .map(|(name, _)| name.clone())
                .collect();
            assert_eq!(listed(&house, *id).await, expected, "customers/{id}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_followers_take_each_page_once() {
    on_each_engine(async |house: House| {
        for id in 20..60 {
            house.customers.add(id, &format!("公司{id}"));
        }
        let both = [house.clone(), house.clone()].map(|h| async move { catch_up(&h).await });
        futures::future::join_all(both).await;
        let o = house.opportunity("一").await;
        house.customers.merge(7, 59);
        catch_up(&house).await;
        assert_eq!(listed(&house, 59).await, BTreeSet::from([o.name]));
    })
    .await;
}
