//! Leads that connectors bring: once each, changed by later rows, refused one by one.

use jinke_pipeline::convert::pb::{self, ingest_leads_response::Outcome};

use crate::{
    follow::catch_up,
    house::{House, START, lead, money, on_each_engine, time},
};

fn row(id: &str, company: &str) -> pb::LeadRow {
    pb::LeadRow {
        lead: Some(pb::Lead {
            source: "sources/expo".to_owned(),
            external_id: id.to_owned(),
            ..lead(company)
        }),
        ..Default::default()
    }
}

/// The same row as its source changed it at a second.
fn changed(mut row: pb::LeadRow, second: i64, change: impl Fn(&mut pb::Lead)) -> pb::LeadRow {
    row.source_update_time = time(START + second);
    change(row.lead.as_mut().unwrap());
    row
}

async fn send(
    house: &House,
    role: &'static str,
    id: &str,
    rows: Vec<pb::LeadRow>,
) -> Vec<pb::ingest_leads_response::Result> {
    let request = pb::IngestLeadsRequest {
        rows,
        request_id: id.to_owned(),
    };
    let answer = house.leads(role).ingest_leads(request).await;
    answer.expect("the rows are taken").into_inner().results
}

async fn ingest(house: &House, rows: Vec<pb::LeadRow>) -> Vec<(Outcome, String)> {
    let results = send(house, "admin", "", rows).await;
    results.into_iter().map(|r| (r.outcome(), r.lead)).collect()
}

async fn get(house: &House, name: &str) -> pb::Lead {
    let request = pb::GetLeadRequest {
        name: name.to_owned(),
    };
    let found = house.leads("admin").get_lead(request).await;
    found.expect("the lead").into_inner()
}

async fn all(house: &House) -> Vec<pb::Lead> {
    let request = pb::ListLeadsRequest::default();
    let found = house.leads("admin").list_leads(request).await;
    found.expect("leads").into_inner().leads
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_leads_once_and_those_of_customers_go_to_their_owners() {
    on_each_engine(async |house: House| {
        house.customers.owner(8, "users/golden");
        let rows = || vec![row("1", "乙公司"), row("2", "丙公司"), row("1", "乙公司")];
        let first = send(&house, "admin", "batch", rows()).await;
        let outcomes: Vec<_> = first.iter().map(|r| r.outcome()).collect();
        let (created, known) = (Outcome::Created, Outcome::Unchanged);
        assert_eq!(outcomes, [created, created, known]);
        assert_eq!(first[0].lead, first[2].lead);
        let known = get(&house, &first[0].lead).await;
        assert_eq!(known.match_result(), pb::lead::MatchResult::Known);
        assert_eq!(
            (known.owner.as_str(), known.current_customer.as_str()),
            ("users/golden", "customers/8")
        );
        assert_eq!(known.first_touch.as_ref().unwrap().channel, "expo");
        assert_eq!(
            (known.source.as_str(), known.external_id.as_str()),
            ("sources/expo", "1")
        );
        // The same request, and the same rows in another one: nothing twice, nothing changed.
        for id in ["batch", "another", ""] {
            for result in send(&house, "admin", id, rows()).await {
                assert_eq!(result.outcome(), Outcome::Unchanged, "{id}");
            }
        }
        let leads = all(&house).await;
        assert_eq!(leads.len(), 2);
        assert!(leads.iter().all(|l| l.revision == 1), "{leads:?}");
        // Another body under a used id is no repeat.
        let reused = send(&house, "admin", "batch", vec![row("9", "丁公司")]).await;
        assert_eq!(reused[0].outcome(), Outcome::Rejected);
        // A row of a lead that is known already needs no request id to be known again.
        let again = send(&house, "admin", "batch", vec![row("1", "乙公司")]).await;
        assert_eq!(again[0].outcome(), Outcome::Unchanged);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_row_changes_an_open_lead_in_what_nobody_changed_here() {
    on_each_engine(async |house: House| {
        let first = changed(row("1", "丙公司"), 0, |_| {});
        let made = ingest(&house, vec![first.clone()]).await;
        let name = made[0].1.clone();
        // Somebody here corrects the phone.
        let request = pb::UpdateLeadRequest {
            lead: Some(pb::Lead {
                name: name.clone(),
                phones: vec!["13900000000".to_owned()],
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["phones".to_owned()],
            }),
            ..Default::default()
        };
        house.leads("admin").update_lead(request).await.unwrap();
        let second = changed(first.clone(), 60, |l| {
            l.phones = vec!["13811111111".to_owned()];
            l.remark = "想要五台设备".to_owned();
            l.estimate = money("CNY", 80_000, 0);
            l.first_touch = None;
        });
        let outcome = async |row: &pb::LeadRow| ingest(&house, vec![row.clone()]).await[0].0;
        assert_eq!(outcome(&second).await, Outcome::Updated);
        let lead = get(&house, &name).await;
        assert_eq!(lead.phones, ["13900000000"]);
        assert_eq!(lead.remark, "想要五台设备");
        assert_eq!(lead.estimate, money("CNY", 80_000, 0));
        // First touch is what it was first.
        assert_eq!(lead.first_touch.unwrap().channel, "expo");
        // Again, and the older one behind it.
        assert_eq!(outcome(&second).await, Outcome::Unchanged);
        assert_eq!(outcome(&first).await, Outcome::Superseded);
        let unstated = pb::LeadRow {
            source_update_time: None,
            ..first.clone()
        };
        assert_eq!(outcome(&unstated).await, Outcome::Superseded);
        // A version that only says what people have changed changes nothing.
        let phone = changed(second.clone(), 90, |l| {
            l.phones = vec!["13822222222".to_owned()]
        });
        assert_eq!(outcome(&phone).await, Outcome::Unchanged);
        assert_eq!(get(&house, &name).await.revision, lead.revision);
        // What the source deleted somebody may work on here.
        let gone = pb::LeadRow {
            deleted: true,
            lead: Some(pb::Lead {
                source: "sources/expo".to_owned(),
                external_id: "1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(
            ingest(&house, vec![gone.clone()]).await,
            [(Outcome::Unchanged, name.clone())]
        );
        let mut never = gone;
        never.lead.as_mut().unwrap().external_id = "never".to_owned();
        assert_eq!(
            ingest(&house, vec![never]).await,
            [(Outcome::Unchanged, String::new())]
        );
        // A closed lead is left alone.
        let request = pb::DisqualifyLeadRequest {
            name: name.clone(),
            reason: "no_need".to_owned(),
            ..Default::default()
        };
        house.leads("admin").disqualify_lead(request).await.unwrap();
        let late = changed(first, 120, |l| l.remark = "还想要".to_owned());
        assert_eq!(outcome(&late).await, Outcome::Unchanged);
        let closed = get(&house, &name).await;
        assert_eq!(closed.state(), pb::lead::State::Disqualified);
        assert_eq!(closed.remark, "想要五台设备");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_names_a_customer_at_last_takes_the_lead_out_of_the_pool() {
    on_each_engine(async |house: House| {
        house.customers.owner(8, "users/golden");
        let first = changed(row("1", "丙公司"), 0, |_| {});
        let held = changed(row("2", "丁公司"), 0, |_| {});
        let made = ingest(&house, vec![first.clone(), held.clone()]).await;
        let (pooled, owned) = (made[0].1.clone(), made[1].1.clone());
        assert_eq!(get(&house, &pooled).await.owner, "");
        let request = pb::AssignLeadRequest {
            name: owned.clone(),
            owner: "users/ana".to_owned(),
            ..Default::default()
        };
        house.leads("admin").assign_lead(request).await.unwrap();
        let named = |row, second| changed(row, second, |l| l.company = "乙公司".to_owned());
        let told = ingest(&house, vec![named(first, 60), named(held, 60)]).await;
        assert!(told.iter().all(|(o, _)| *o == Outcome::Updated), "{told:?}");
        let pooled = get(&house, &pooled).await;
        assert_eq!(pooled.match_result(), pb::lead::MatchResult::Known);
        assert_eq!(
            (pooled.owner.as_str(), pooled.current_customer.as_str()),
            ("users/golden", "customers/8")
        );
        // Whoever works on one keeps it.
        let owned = get(&house, &owned).await;
        assert_eq!(
            (owned.owner.as_str(), owned.current_customer.as_str()),
            ("users/ana", "customers/8")
        );
        // A customer once found stays found.
        let renamed = changed(row("1", "乙公司"), 120, |l| {
            l.company = "甲公司".to_owned()
        });
        ingest(&house, vec![renamed]).await;
        let still = get(&house, &pooled.name).await;
        assert_eq!(
            (still.company.as_str(), still.current_customer.as_str()),
            ("甲公司", "customers/8")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_says_why_and_stops_no_other() {
    on_each_engine(async |house: House| {
        let nobody = changed(row("2", ""), 0, |l| l.person_name.clear());
        let long = changed(row("3", "甲公司"), 0, |l| l.region = "x".repeat(101));
        let owned = changed(row("4", "甲公司"), 0, |l| {
            l.owner = "users/ana".to_owned()
        });
        let keyless = changed(row("", "甲公司"), 0, |l| l.source.clear());
        let rows = vec![
            row("1", "丙公司"),
            nobody,
            long,
            owned,
            keyless,
            row("6", "戊公司"),
        ];
        let results = send(&house, "admin", "batch", rows).await;
        let refused = |i: usize| {
            let result = &results[i];
            assert_eq!(result.outcome(), Outcome::Rejected, "{i}");
            let status = result.error.clone().unwrap();
            assert_eq!(status.code, tonic::Code::InvalidArgument as i32);
            // A connector keeps the reason beside the row.
            assert!(!status.details.is_empty(), "{status:?}");
            status.message
        };
        for (i, field) in [
            (1, "lead.company"),
            (2, "lead.region"),
            (3, "lead.owner"),
            (4, "lead.external_id"),
        ] {
            assert!(refused(i).contains(field), "{i}: {}", refused(i));
        }
        assert_eq!(results[0].outcome(), Outcome::Created);
        assert_eq!(results[5].outcome(), Outcome::Created);
        assert_eq!(all(&house).await.len(), 2);
        // What is wrong with the house is no row's fault.
        house.customers.away(true);
        let request = pb::IngestLeadsRequest {
            rows: vec![row("7", "己公司")],
            ..Default::default()
        };
        let away = house
            .leads("admin")
            .ingest_leads(request)
            .await
            .unwrap_err();
        assert_eq!(away.code(), tonic::Code::Unavailable);
        for rows in [vec![], vec![row("1", "x"); 201]] {
            let request = pb::IngestLeadsRequest {
                rows,
                ..Default::default()
            };
            let wrong = house
                .leads("admin")
                .ingest_leads(request)
                .await
                .unwrap_err();
            assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_never_used_for_two_bodies() {
    on_each_engine(async |house: House| {
        let first = row("1", "甲公司");
        let later = changed(first.clone(), 60, |l| l.remark = "改".to_owned());
        let made = send(&house, "admin", "first", vec![first]).await;
        assert_eq!(made[0].outcome(), Outcome::Created);
        // Of a lead that is to be made, and of one that is there.
        let stolen = send(&house, "admin", "first", vec![later.clone()]).await;
        assert_eq!(stolen[0].outcome(), Outcome::Rejected);
        let name = made[0].lead.clone();
        assert_ne!(get(&house, &name).await.remark, "改");
        let taken = send(&house, "admin", "second", vec![later.clone()]).await;
        assert_eq!(taken[0].outcome(), Outcome::Updated);
        let gone = pb::LeadRow {
            deleted: true,
            ..later.clone()
        };
        let stolen = send(&house, "admin", "second", vec![gone]).await;
        assert_eq!(stolen[0].outcome(), Outcome::Rejected);
        // The same again changes nothing.
        let again = send(&house, "admin", "second", vec![later]).await;
        assert_eq!(again[0].outcome(), Outcome::Unchanged);
        assert_eq!(get(&house, &name).await.remark, "改");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_stay_within_the_sight_of_who_brings_them_and_erased_ones_do_not_come_back() {
    on_each_engine(async |house: House| {
        let of = |unit: &'static str| {
            changed(row("1", "丙公司"), 0, |l| l.org_unit = unit.to_owned())
        };
        let east = send(&house, "east", "", vec![of("orgUnits/east")]).await;
        assert_eq!(east[0].outcome(), Outcome::Created);
        let name = east[0].lead.clone();
        assert_eq!(get(&house, &name).await.org_unit, "orgUnits/east");
        for unit in ["orgUnits/west", "orgUnits/east"] {
            let west = send(&house, "west", "", vec![of(unit)]).await;
            assert_eq!(west[0].outcome(), Outcome::Rejected, "{unit}");
        }
        // A deletion does not tell either which lead it is.
        let gone = pb::LeadRow {
            deleted: true,
            ..of("orgUnits/west")
        };
        let west = send(&house, "west", "", vec![gone]).await;
        assert_eq!(west[0].outcome(), Outcome::Rejected);
        assert_eq!(west[0].lead, "");
        // Erased: known by its key, and never filled again.
        let request = pb::EraseLeadRequest {
            name: name.clone(),
            ..Default::default()
        };
        house.leads("admin").erase_lead(request).await.unwrap();
        let later = changed(of("orgUnits/east"), 60, |l| l.remark = "又来了".to_owned());
        let again = ingest(&house, vec![later]).await;
        assert_eq!(again, [(Outcome::Unchanged, name.clone())]);
        assert_eq!(get(&house, &name).await.person_name, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_an_erased_customer_brings_nobody_back() {
    on_each_engine(async |house: House| {
        house.customers.add(20, "王小明工作室");
        catch_up(&house).await;
        let made = ingest(&house, vec![row("1", "王小明工作室"), row("2", "丙公司")]).await;
        assert_eq!(
            get(&house, &made[0].1).await.current_customer,
            "customers/20"
        );
        house.customers.erase(&[20]);
        catch_up(&house).await;
        let gone = get(&house, &made[0].1).await;
        assert!(gone.company.is_empty() && gone.external_id.is_empty());
        // The list that he stood in is read again, and again as it was changed.
        for second in [0, 60] {
            let again = changed(row("1", "王小明工作室"), second, |_| {});
            assert_eq!(
                ingest(&house, vec![again]).await,
                [(Outcome::Unchanged, String::new())]
            );
        }
        assert_eq!(all(&house).await.len(), 2);
        // Rows are kept to be compared with, and never in the clear.
        let mut reader = house.core.db.read().await.unwrap();
        let kept = reader
            .fetch_all("SELECT lead, sealed FROM lead_rows", jinke_store::args![])
            .await
            .unwrap();
        assert_eq!(kept.len(), 1);
        let sealed = kept[0].bytes("sealed").unwrap();
        let clear = "张伟".as_bytes();
        assert!(!sealed.windows(clear.len()).any(|w| w == clear));
    })
    .await;
}
