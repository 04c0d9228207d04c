//! From a lead to a won opportunity, and what is kept on the way.

use jinke_pipeline::convert::pb;

use crate::house::{DAY, House, START, date, lead, money, on_each_engine, reason, time};

async fn take(house: &House, lead: pb::Lead) -> pb::Lead {
    let request = pb::CreateLeadRequest {
        lead: Some(lead),
        ..Default::default()
    };
    let answer = house.leads("admin").create_lead(request).await;
    answer.expect("the lead is taken").into_inner()
}

async fn convert(
    house: &House,
    name: &str,
    customer: &str,
) -> Result<pb::ConvertLeadResponse, tonic::Status> {
    let request = pb::ConvertLeadRequest {
        name: name.to_owned(),
        customer: customer.to_owned(),
        close_date: date(2026, 2, 28),
        request_id: format!("convert-{}", name.replace('/', "-")),
        ..Default::default()
    };
    let mut client = house.leads("admin");
    Ok(client.convert_lead(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_of_a_known_customer_goes_to_his_owner() {
    on_each_engine(async |house: House| {
        house.customers.owner(8, "users/golden");
        let golden = take(&house, lead("乙公司")).await;
        assert_eq!(golden.match_result(), pb::lead::MatchResult::Known);
        assert_eq!(golden.current_customer, "customers/8");
        assert_eq!(golden.owner, "users/golden");
        // Without a golden owner it is whoever has an open opportunity with him.
        house.opportunity("老客户扩容").await;
        let known = take(&house, lead("甲公司")).await;
        assert_eq!(known.owner, "users/ana");
        let assignment = known.assignment.unwrap();
        assert_eq!(
            assignment.cause(),
            pb::lead::assignment::Cause::CustomerOwner
        );
        // Nobody's lead waits in the pool.
        let new = take(&house, lead("丙公司")).await;
        assert_eq!(
            (new.owner.as_str(), new.match_result()),
            ("", pb::lead::MatchResult::New)
        );
        assert_eq!(
            house.customers.registered(),
            0,
            "matching makes no customers"
        );
        // Without the customer service nothing is taken.
        house.customers.away(true);
        let request = pb::CreateLeadRequest {
            lead: Some(lead("丁公司")),
            ..Default::default()
        };
        let refused = house.leads("admin").create_lead(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_lead_becomes_a_customer_and_an_opportunity_once() {
    on_each_engine(async |house: House| {
        let new = take(&house, lead("丙公司")).await;
        let made = convert(&house, &new.name, "").await.expect("converted");
        let (l, o) = (made.lead.unwrap(), made.opportunity.unwrap());
        assert_eq!(l.state(), pb::lead::State::Converted);
        assert_eq!(
            (l.opportunity.as_str(), l.customer.as_str()),
            (o.name.as_str(), o.customer.as_str())
        );
        assert_eq!((o.stage.as_str(), o.probability), ("discovery", 10));
        assert_eq!(o.amount, money("CNY", 50_000, 0));
        assert_eq!(o.first_touch.as_ref().unwrap().channel, "expo");
        assert_eq!(house.customers.registered(), 1);
        // The same call again is the same opportunity; another one is refused.
        let again = convert(&house, &new.name, "").await.expect("replayed");
        assert_eq!(again.opportunity.unwrap().name, o.name);
        let request = pb::ConvertLeadRequest {
            name: new.name.clone(),
            ..Default::default()
        };
        let refused = house
            .leads("admin")
            .convert_lead(request)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "LEAD_CLOSED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsure_lead_waits_for_a_person() {
    on_each_engine(async |house: House| {
        house.customers.unsure("甲公司(杭州)", 7);
        let l = take(&house, lead("甲公司(杭州)")).await;
        assert_eq!(l.match_result(), pb::lead::MatchResult::Unsure);
        assert_eq!(l.candidates[0].customer, "customers/7");
        let refused = convert(&house, &l.name, "").await.unwrap_err();
        assert_eq!(reason(&refused), "MATCH_UNSURE");
        let made = convert_as(&house, &l.name, "customers/7").await;
        assert_eq!(made.opportunity.unwrap().customer, "customers/7");
        let other = take(&house, lead("甲公司(杭州)")).await;
        let made = convert_as(&house, &other.name, "new").await;
        assert_ne!(made.opportunity.unwrap().customer, "customers/7");
    })
    .await;
}

async fn convert_as(house: &House, name: &str, customer: &str) -> pb::ConvertLeadResponse {
    let request = pb::ConvertLeadRequest {
        name: name.to_owned(),
        customer: customer.to_owned(),
        ..Default::default()
    };
    let answer = house.leads("admin").convert_lead(request).await;
    answer.expect("converted").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_assign_by_region_turn_and_load() {
    on_each_engine(async |house: House| {
        use pb::assignment_rule::Strategy;
        for (id, priority, regions, strategy, owners) in [
            (
                "zhejiang",
                1,
                vec!["浙江省"],
                Strategy::RoundRobin,
                ["users/a", "users/b"],
            ),
            ("rest", 2, vec![], Strategy::Load, ["users/c", "users/d"]),
        ] {
            let rule = pb::AssignmentRule {
                priority,
                regions: regions.into_iter().map(str::to_owned).collect(),
                strategy: strategy.into(),
                owners: owners.map(str::to_owned).to_vec(),
                org_unit: "orgUnits/east".to_owned(),
                ..Default::default()
            };
            let request = pb::CreateAssignmentRuleRequest {
                assignment_rule_id: id.to_owned(),
                assignment_rule: Some(rule),
                ..Default::default()
            };
            let made = house.leads("admin").create_assignment_rule(request).await;
            made.expect("the rule is made");
        }
        let mut owners = Vec::new();
        for n in 0..3 {
            owners.push(take(&house, lead(&format!("新公司{n}"))).await.owner);
        }
        assert_eq!(owners, ["users/a", "users/b", "users/a"]);
        let far = |n: i32| pb::Lead {
            region: "广东省".to_owned(),
            owner: if n == 0 {
                "users/c".to_owned()
            } else {
                String::new()
            },
            ..lead(&format!("南方公司{n}"))
        };
        let mut owners = Vec::new();
        for n in 0..4 {
            let l = take(&house, far(n)).await;
            owners.push(l.owner.clone());
        }
        // The first was given to c by hand; then the least loaded, the first among equals.
        assert_eq!(owners, ["users/c", "users/d", "users/c", "users/d"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_foreign_key_is_one_lead() {
    on_each_engine(async |house: House| {
        let of = |n: usize| pb::Lead {
            source: "sources/web".to_owned(),
            external_id: format!("form-{n}"),
            ..lead(&format!("表单公司{n}"))
        };
        let bad = pb::Lead::default();
        let request = pb::BatchCreateLeadsRequest {
            leads: vec![of(1), bad, of(2), of(1)],
            request_id: "file-1".to_owned(),
        };
        let mut client = house.leads("admin");
        let first = client
            .batch_create_leads(request.clone())
            .await
            .unwrap()
            .into_inner();
        let names = |r: &pb::BatchCreateLeadsResponse| -> Vec<String> {
            let name = |r: &pb::batch_create_leads_response::Result| {
                r.lead.as_ref().map(|l| l.name.clone()).unwrap_or_default()
            };
            r.results.iter().map(name).collect()
        };
        let made = names(&first);
        assert_eq!(made[0], made[3]);
        assert_ne!(made[0], made[2]);
        assert_eq!(first.results[1].error.as_ref().unwrap().code, 3);
        assert!(!first.results[0].existing && first.results[3].existing);
        let again = client
            .batch_create_leads(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(names(&again), made);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_without_what_its_stage_needs_is_refused_by_name() {
    on_each_engine(async |house: House| {
        let bare = pb::Opportunity {
            display_name: "无金额".to_owned(),
            customer: "customers/7".to_owned(),
            ..Default::default()
        };
        let o = house.create("admin", bare).await.unwrap();
        let refused = house.advance(&o.name, "signing").await.unwrap_err();
        let failure = jinke_kit::failure(&refused);
        assert_eq!(failure.reason, "STAGE_REQUIREMENTS");
        assert_eq!(failure.metadata["missing_fields"], "amount,close_date");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        house.advance(&o.name, "contact").await.unwrap();
        let refused = house.advance(&o.name, "").await.unwrap_err();
        assert_eq!(
            jinke_kit::failure(&refused).metadata["open_items"],
            "reached"
        );
        house.check(&o.name, "reached").await.unwrap();
        assert_eq!(house.advance(&o.name, "").await.unwrap().stage, "analysis");
        let unknown = house.check(&o.name, "reached").await.unwrap_err();
        assert_eq!(reason(&unknown), "INVALID_FIELD");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_is_kept_with_actor_time_and_cause() {
    on_each_engine(async |house: House| {
        let o = house.opportunity("年度框架").await;
        house.clock.advance(DAY);
        house.won(&o.name).await;
        house.clock.advance(DAY);
        let served = house.advance(&o.name, "").await.unwrap();
        assert_eq!(
            (served.stage.as_str(), served.probability),
            ("service", 100)
        );
        let reopen = pb::ReopenOpportunityRequest {
            name: o.name.clone(),
            cause: "客户反悔".to_owned(),
            ..Default::default()
        };
        let mut client = house.opportunities("admin");
        let open = client
            .reopen_opportunity(reopen)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (open.stage.as_str(), open.outcome()),
            ("signing", pb::opportunity::Outcome::Open)
        );
        let lose = pb::LoseOpportunityRequest {
            name: o.name.clone(),
            reason: "competitor".to_owned(),
            comment: "低价竞争".to_owned(),
            ..Default::default()
        };
        client.lose_opportunity(lose).await.unwrap();
        let list = pb::ListTransitionsRequest {
            parent: o.name.clone(),
            ..Default::default()
        };
        let all = client
            .list_transitions(list)
            .await
            .unwrap()
            .into_inner()
            .transitions;
        let kinds: Vec<_> = all
            .iter()
            .map(|t| (t.kind, t.from_stage.as_str(), t.to_stage.as_str()))
            .collect();
        assert_eq!(
            kinds,
            [
                (1, "", "discovery"),
                (2, "discovery", "signing"),
                (3, "signing", "signing"),
                (2, "signing", "service"),
                (5, "service", "signing"),
                (4, "signing", "signing"),
            ]
        );
        assert!(all.iter().all(|t| t.actor == "users/admin"));
        assert_eq!(all[1].cause, "客户同意");
        assert_eq!(all[1].transition_time, time(START + 86_400));
        assert_eq!(all[5].reason, "competitor");
        assert_eq!(all[2].amount, money("CNY", 1_000, 500_000_000));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_opportunity_stays_on_its_version_until_moved() {
    on_each_engine(async |house: House| {
        let o = house.opportunity("旧流程").await;
        let get = pb::GetPipelineRequest {
            name: "pipelines/default".to_owned(),
            version: 0,
        };
        let mut client = house.pipelines("admin");
        let mut pipeline = client.get_pipeline(get).await.unwrap().into_inner();
        pipeline.stages.retain(|s| s.stage != "contact");
        pipeline.stages[0].probability = 15;
        let update = pb::UpdatePipelineRequest {
            pipeline: Some(pipeline),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["stages".to_owned()],
            }),
            ..Default::default()
        };
        let updated = client.update_pipeline(update).await.unwrap().into_inner();
        assert_eq!((updated.version, updated.stages.len()), (2, 7));
        let moved = house.advance(&o.name, "contact").await.unwrap();
        assert_eq!(
            (moved.pipeline_version, moved.stage.as_str()),
            (1, "contact")
        );
        assert_eq!(house.opportunity("新流程").await.pipeline_version, 2);
        let migrate = |stage: &str| pb::MigrateOpportunityRequest {
            name: o.name.clone(),
            stage: stage.to_owned(),
            ..Default::default()
        };
        let mut sales = house.opportunities("admin");
        let refused = sales.migrate_opportunity(migrate("")).await.unwrap_err();
        assert_eq!(reason(&refused), "STAGE_UNKNOWN");
        let there = sales
            .migrate_opportunity(migrate("analysis"))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (there.pipeline_version, there.stage.as_str()),
            (2, "analysis")
        );
        let board = pb::GetBoardRequest {
            pipeline: "pipelines/default".to_owned(),
            ..Default::default()
        };
        let board = sales.get_board(board).await.unwrap().into_inner();
        let counts: Vec<_> = board.columns.iter().map(|c| c.count).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forecast_is_exact_and_stale_ones_are_found() {
    on_each_engine(async |house: House| {
        house.opportunity("一").await;
        let second = house.opportunity("二").await;
        house.advance(&second.name, "signing").await.unwrap();
        let usd = pb::Opportunity {
            display_name: "三".to_owned(),
            customer: "customers/8".to_owned(),
            line_items: vec![pb::opportunity::LineItem {
                product: "设备".to_owned(),
                quantity: Some(jinke_proto::google::r#type::Decimal {
                    value: "3".to_owned(),
                }),
                unit_price: money("USD", 0, 100_000_001),
                ..Default::default()
            }],
            ..Default::default()
        };
        let usd = house.create("admin", usd).await.unwrap();
        assert_eq!(usd.amount, money("USD", 0, 300_000_003));
        let won = house.opportunity("四").await;
        house.won(&won.name).await;
        let mut client = house.opportunities("admin");
        let months = client
            .get_forecast(pb::GetForecastRequest::default())
            .await
            .unwrap()
            .into_inner()
            .months;
        // March: 1000.5 at 10 % and at 90 %; January: one won; without a date: 0.300000003 at 10 %.
        let march = months.iter().find(|m| m.month == "2026-03").unwrap();
        assert_eq!(
            (march.count, march.amount.clone()),
            (2, money("CNY", 2_001, 0))
        );
        assert_eq!(march.weighted_amount, money("CNY", 1_000, 500_000_000));
        let january = months.iter().find(|m| m.month == "2026-01").unwrap();
        assert_eq!(
            (january.won_count, january.won_amount.clone()),
            (1, money("CNY", 1_000, 500_000_000))
        );
        let open = months.last().unwrap();
        assert_eq!(
            (open.month.as_str(), open.weighted_amount.clone()),
            ("", money("USD", 0, 30_000_000))
        );
        // Nobody touches them for two weeks.
        house.clock.advance(DAY * 15);
        house.check(&second.name, "contract-signed").await.unwrap();
        let list = pb::ListOpportunitiesRequest {
            filter: "stale = true AND outcome = OPEN".to_owned(),
            order_by: "stage_time desc".to_owned(),
            ..Default::default()
        };
        let stale = client
            .list_opportunities(list)
            .await
            .unwrap()
            .into_inner()
            .opportunities;
        let names: Vec<_> = stale.iter().map(|o| o.display_name.as_str()).collect();
        assert_eq!(names, ["三", "一"]);
        assert!(stale.iter().all(|o| o.stale && o.overdue));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_lead_holds_no_person_any_more() {
    on_each_engine(async |house: House| {
        let l = take(&house, lead("丙公司")).await;
        let request = pb::EraseLeadRequest {
            name: l.name.clone(),
            ..Default::default()
        };
        let erased = house
            .leads("admin")
            .erase_lead(request)
            .await
            .unwrap()
            .into_inner();
        assert!(erased.person_name.is_empty() && erased.phones.is_empty());
        assert!(erased.erase_time.is_some());
        assert_eq!(erased.company, "丙公司");
        let refused = convert(&house, &l.name, "").await.unwrap_err();
        assert_eq!(reason(&refused), "LEAD_ERASED");
        let (changes, _) = house.feed("admin", String::new()).await;
        let last = changes.iter().rfind(|c| c.resource == l.name).unwrap();
        assert_eq!(last.kind(), pb::PipelineChangeKind::Erased);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_values_are_sealed_at_rest() {
    on_each_engine(async |house: House| {
        take(&house, lead("丙公司")).await;
        let mut reader = house.core.db.read().await.unwrap();
        let row = reader
            .fetch_one("SELECT * FROM leads", Vec::new())
            .await
            .unwrap();
        let sealed = row.bytes("sealed").unwrap();
        for secret in ["张伟", "13812345678", "三台设备"] {
            let found = sealed.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} can be read");
        }
        for column in [
            "company",
            "region",
            "channel",
            "candidates",
            "reason",
            "uscc",
        ] {
            assert!(!row.text(column).unwrap().contains("张伟"));
        }
    })
    .await;
}
