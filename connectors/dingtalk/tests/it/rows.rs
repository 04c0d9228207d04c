//! What CRM rows become.

use jinke_dingtalk::{DingtalkConnector, simulator::OPERATOR};
use jinke_sdk::{
    Connector as _, PullErrorKind,
    testing::{Fault, pull},
};
use jinke_types::{Body, Datum, PartyKind, SourceRecord};
use serde_json::json;

use crate::support::{Dingtalk, at};

fn values(record: &SourceRecord) -> Vec<String> {
    let Body::Party { values, .. } = &record.body else {
        panic!("no party")
    };
    values
        .iter()
        .map(|v| {
            let text = match &v.datum {
                Datum::Text(text) => text.clone(),
                Datum::Address(address) => address.text.clone(),
                other => format!("{other:?}"),
            };
            format!("{}/{}={text}", v.attribute, v.scheme)
        })
        .collect()
}

#[tokio::test]
async fn a_company_a_person_and_a_contact() {
    let dingtalk = Dingtalk::start(0).await;
    let sim = &dingtalk.simulator;
    let company = json!({
        "customer_name": "深圳市星河电子有限公司", "TextField-USCC01": "91440300708461136T",
        "customer_phone": "0755-88886666", "customer_address": "深圳市南山区科技路1号",
        "customer_source": ["展会", "老客户"], "Odd-Field": 7, "empty": "",
    });
    sim.row("crm_customer", "c1", company, at(1));
    sim.row(
        "crm_contact",
        "p1",
        json!({"contact_name": "王敏", "contact_phone": "13800001111"}),
        at(2),
    );
    sim.belongs("p1", "c1");
    let connector = dingtalk.dingtalk();
    let got = pull(&connector, "customers", None).await.records();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].update_time, Some(at(1)));
    let mut have = values(&got[0]);
    have.sort();
    let mut want = vec![
        "name/=深圳市星河电子有限公司".to_owned(),
        "identifier/uscc=91440300708461136T".to_owned(),
        "phone/phone=0755-88886666".to_owned(),
        "address/=深圳市南山区科技路1号".to_owned(),
        "x_customer_source/=展会、老客户".to_owned(),
        "x_odd_field/=7".to_owned(),
        format!("owner/={OPERATOR}"),
    ];
    want.sort();
    assert_eq!(have, want);
    let got = pull(&connector, "contacts", None).await.records();
    let ids: Vec<_> = got.iter().map(|r| r.key.to_string()).collect();
    assert_eq!(ids, ["dingtalk/p1", "dingtalk/p1#contact_of"]);
    assert!(matches!(
        got[0].body,
        Body::Party {
            kind: PartyKind::Person,
            ..
        }
    ));
    let Body::Relationship(link) = &got[1].body else {
        panic!()
    };
    assert_eq!(
        (link.kind.as_str(), link.to.to_string()),
        ("contact_of", "dingtalk/c1".to_owned())
    );
}

#[tokio::test]
async fn settings_say_what_a_field_is() {
    let dingtalk = Dingtalk::start(0).await;
    dingtalk.simulator.row(
        "crm_customer",
        "c1",
        json!({"customer_source": "S-1"}),
        at(1),
    );
    let text = format!(
        "source = 'd'\napp_key = 'dingdummyappkey'\napp_secret = 'dummysecret0000'\nurl = '{0}'\nold_url = '{0}'\n\
         operator_user_id = 'manager01'\nprivate_network = true\n\
         [[fields]]\nobject = 'crm_customer'\nfield = 'customer_source'\nattribute = 'industry'\n",
        dingtalk.simulator.server().url()
    );
    let settings = DingtalkConnector::spec()
        .read(&text.parse().unwrap())
        .unwrap();
    let connector = DingtalkConnector::open(&settings).unwrap();
    let got = pull(&connector, "customers", None).await.records();
    assert!(values(&got[0]).contains(&"industry/=S-1".to_owned()));
}

#[tokio::test]
async fn codes_of_both_kinds_of_interfaces() {
    let dingtalk = Dingtalk::start(40).await;
    let sim = &dingtalk.simulator;
    let want = pull(&dingtalk.dingtalk(), "customers", None)
        .await
        .records();
    let logins = sim.logins();
    // Throttled and expired pass by themselves, though the first is a 403.
    sim.refuse([
        (403, "Forbidden.AccessDenied.QpsLimitForApi"),
        (401, "InvalidAuthentication"),
    ]);
    let got = pull(&dingtalk.dingtalk(), "customers", None).await;
    assert_eq!((got.error.clone(), got.records()), (None, want));
    assert_eq!(sim.logins(), logins + 1, "one new token");
    for (answer, kind, reason) in [
        (
            (403, "Forbidden.AccessDenied.AccessTokenPermissionDenied"),
            PullErrorKind::Unauthorized,
            "FOREIGN_FORBIDDEN",
        ),
        (
            (403, "Forbidden"),
            PullErrorKind::Unauthorized,
            "FOREIGN_FORBIDDEN",
        ),
    ] {
        sim.refuse([answer]);
        let error = pull(&dingtalk.dingtalk(), "customers", None)
            .await
            .error
            .unwrap();
        assert_eq!((error.kind, error.failure.reason), (kind, reason));
    }
    sim.refuse([(403, "Throttling.Api"); 4]);
    let error = pull(&dingtalk.dingtalk(), "customers", None)
        .await
        .error
        .unwrap();
    assert_eq!(error.failure.reason, "FOREIGN_THROTTLED");
    let directory = || async { pull(&dingtalk.dingtalk(), "directory", None).await };
    let want = directory().await.pages;
    sim.refuse([(200, "-1"), (200, "90018"), (200, "42001")]);
    let got = directory().await;
    assert_eq!(got.error, None);
    assert_eq!(got.pages.len(), want.len());
    sim.refuse([(200, "60011")]);
    assert_eq!(
        directory().await.error.unwrap().kind,
        PullErrorKind::Unauthorized
    );
}

#[tokio::test]
async fn a_token_over_its_time_begins_the_round_again() {
    let dingtalk = Dingtalk::start(40).await;
    let first = pull(&dingtalk.dingtalk(), "customers", None).await;
    let place = first.pages[0].cursor.clone();
    // The first call is for the form, the second carries the saved token.
    dingtalk
        .simulator
        .refuse([(400, "x"), (400, "nextToken.invalid")]);
    let rest = pull(&dingtalk.dingtalk(), "customers", place).await;
    assert_eq!(rest.error, None);
    let mut ids: Vec<_> = first.pages[0]
        .records
        .iter()
        .chain(&rest.records())
        .map(|r| r.key.external_id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40, "none is lost");
}

#[tokio::test]
async fn wrong_credentials_are_told_after_one_try() {
    let mut dingtalk = Dingtalk::start(1).await;
    dingtalk.config.app_secret = "wrong-one".to_owned();
    let connector = dingtalk.dingtalk();
    let failure = connector.check().await.unwrap_err();
    assert_eq!(failure.reason, "FOREIGN_UNAUTHORIZED");
    assert_eq!(dingtalk.simulator.server().requests(), 1);
    assert!(!format!("{failure:?} {connector:?}").contains("wrong-one"));
}

/// Pages whose tokens lead round in a ring end the pull with a word, not never.
#[tokio::test]
async fn pages_that_lead_in_a_ring_are_told() {
    let dingtalk = Dingtalk::start(30).await;
    let connector = dingtalk.dingtalk();
    for stream in ["customers", "contacts"] {
        let whole = pull(&connector, stream, None).await;
        assert_eq!(whole.error, None, "{stream}");
        // The form first, then pages: empty ones, whose next is the one before.
        let contacts = stream == "contacts";
        dingtalk.simulator.server().script_every(move |n| {
            let next = if n % 2 == 0 { "even" } else { "odd" };
            let page = json!({"values": [], "hasMore": true, "nextToken": next});
            let page = if contacts {
                json!({"result": page})
            } else {
                page
            };
            (n > 1).then(|| Fault::Body(page.to_string().into_bytes()))
        });
        let ring = pull(&connector, stream, None);
        let ring = tokio::time::timeout(std::time::Duration::from_secs(60), ring).await;
        let error = ring.expect("it ends").error.expect("it is told");
        assert_eq!(
            error.failure.message, "the pages lead back to an earlier one",
            "{stream}"
        );
        dingtalk.simulator.server().script([]);
    }
}
