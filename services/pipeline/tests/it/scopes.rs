//! Who sees which rows and which fields.

use jinke_pipeline::convert::pb;

use crate::house::{House, lead, money, on_each_engine, reason};

fn of_unit(unit: &str, owner: &str) -> pb::Opportunity {
    pb::Opportunity {
        display_name: format!("{unit} 的商机"),
        customer: "customers/7".to_owned(),
        org_unit: format!("orgUnits/{unit}"),
        owner: format!("users/{owner}"),
        amount: money("CNY", 100, 0),
        description: "含底价".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_units_do_not_exist() {
    on_each_engine(async |house: House| {
        let east = house.create("admin", of_unit("east", "ana")).await.unwrap();
        let west = house.create("admin", of_unit("west", "ana")).await.unwrap();
        // The west owner's own one in the east is seen by him.
        let own = house
            .create("admin", of_unit("east", "west"))
            .await
            .unwrap();
        let mut client = house.opportunities("west");
        let get = |name: &str| pb::GetOpportunityRequest {
            name: name.to_owned(),
        };
        assert!(client.get_opportunity(get(&west.name)).await.is_ok());
        assert!(client.get_opportunity(get(&own.name)).await.is_ok());
        let hidden = client.get_opportunity(get(&east.name)).await.unwrap_err();
        let missing = client
            .get_opportunity(get("opportunities/999"))
            .await
            .unwrap_err();
        assert_eq!(
            (hidden.code(), reason(&hidden)),
            (missing.code(), reason(&missing))
        );
        assert_eq!(hidden.message().replace("/1 ", "/999 "), missing.message());
        let list = client
            .list_opportunities(pb::ListOpportunitiesRequest::default())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(list.opportunities.len(), 2);
        let board = pb::GetBoardRequest {
            pipeline: "pipelines/default".to_owned(),
            cards_per_stage: 10,
            ..Default::default()
        };
        let board = client.get_board(board).await.unwrap().into_inner();
        assert_eq!(board.columns[0].count, 2);
        assert_eq!(board.columns[0].amounts, [money("CNY", 200, 0).unwrap()]);
        let forecast = client
            .get_forecast(pb::GetForecastRequest::default())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(forecast.months[0].count, 2);
        let advance = pb::AdvanceOpportunityRequest {
            name: east.name.clone(),
            stage: "contact".to_owned(),
            ..Default::default()
        };
        let refused = client.advance_opportunity(advance).await.unwrap_err();
        assert_eq!(reason(&refused), "NOT_FOUND");
        let refused = house
            .create("west", of_unit("east", "west"))
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "ORG_UNIT_DENIED");
        // Nor in the feed, and the feed goes on behind them.
        let (changes, token) = house.feed("west", String::new()).await;
        let seen: Vec<_> = changes
            .iter()
            .filter(|c| c.resource.starts_with("opportunities/"))
            .map(|c| c.resource.clone())
            .collect();
        assert_eq!(seen, [west.name.clone(), own.name.clone()]);
        let (all, same) = house.feed("admin", String::new()).await;
        assert_eq!(token, same);
        assert!(all.len() > changes.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_belongs_to_a_unit_of_its_maker() {
    on_each_engine(async |house: House| {
        let mut o = of_unit("", "");
        (o.org_unit, o.owner) = (String::new(), String::new());
        let made = house.create("west", o).await.unwrap();
        assert_eq!(
            (made.org_unit.as_str(), made.owner.as_str()),
            ("orgUnits/west", "users/west")
        );
        let request = pb::CreateLeadRequest {
            lead: Some(lead("丙公司")),
            ..Default::default()
        };
        let l = house
            .leads("west")
            .create_lead(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(l.org_unit, "orgUnits/west");
        let list = |role| {
            let house = house.clone();
            async move {
                let answer = house
                    .leads(role)
                    .list_leads(pb::ListLeadsRequest::default())
                    .await;
                answer.unwrap().into_inner().leads.len()
            }
        };
        assert_eq!(
            (list("west").await, list("east").await, list("admin").await),
            (1, 0, 1)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_classes_change_no_other_byte() {
    on_each_engine(async |house: House| {
        let o = house.create("admin", of_unit("east", "ana")).await.unwrap();
        let request = pb::CreateLeadRequest {
            lead: Some(lead("丙公司")),
            ..Default::default()
        };
        let l = house
            .leads("admin")
            .create_lead(request)
            .await
            .unwrap()
            .into_inner();
        let get = pb::GetLeadRequest {
            name: l.name.clone(),
        };
        let desk = house
            .leads("desk")
            .get_lead(get.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(desk.person_name, "张伟");
        assert!(desk.estimate.is_none() && desk.remark.is_empty());
        let blind = house
            .leads("blind")
            .get_lead(get)
            .await
            .unwrap()
            .into_inner();
        let text = format!("{blind:?}");
        for secret in ["丙公司", "张伟", "13812345678", "三台", "浙江", "50000"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let get = pb::GetOpportunityRequest {
            name: o.name.clone(),
        };
        let seen = house
            .opportunities("desk")
            .get_opportunity(get)
            .await
            .unwrap()
            .into_inner();
        let bare = pb::Opportunity {
            amount: None,
            description: String::new(),
            hidden_classes: seen.hidden_classes.clone(),
            ..o.clone()
        };
        assert_eq!(seen, bare);
        let (changes, _) = house.feed("blind", String::new()).await;
        let text = format!("{changes:?}");
        for secret in ["丙公司", "张伟", "含底价", "units: 100"] {
            assert!(!text.contains(secret), "{secret}");
        }
        // Looking for what one may not read is refused: the answer would tell.
        let list = pb::ListLeadsRequest {
            filter: "company = \"丙公司\"".to_owned(),
            ..Default::default()
        };
        let refused = house.leads("blind").list_leads(list).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_FIELD");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_serves_its_caller_alone() {
    on_each_engine(async |house: House| {
        for _ in 0..3 {
            house.opportunity("页").await;
        }
        let list = |token: String| pb::ListOpportunitiesRequest {
            page_size: 2,
            page_token: token,
            ..Default::default()
        };
        let mut admin = house.opportunities("admin");
        let first = admin
            .list_opportunities(list(String::new()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(first.opportunities.len(), 2);
        let token = first.next_page_token;
        let second = admin
            .list_opportunities(list(token.clone()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (second.opportunities.len(), second.next_page_token.as_str()),
            (1, "")
        );
        let stolen = house
            .opportunities("desk")
            .list_opportunities(list(token))
            .await;
        assert_eq!(reason(&stolen.unwrap_err()), "PAGE_TOKEN_INVALID");
    })
    .await;
}
