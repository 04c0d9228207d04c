//! What contacts become, one by one and in rounds.

use std::time::Duration;

use jinke_sdk::{Connector as _, Effect, PullErrorKind, testing::pull};
use jinke_types::{Body, Datum, PartyKind, SourceRecord, Timestamp};
use jinke_wecom::simulator::NOW;
use serde_json::json;

use crate::support::Wecom;

fn values(record: &SourceRecord) -> Vec<String> {
    let values = match &record.body {
        Body::Party { values, .. } => values,
        Body::Relationship(link) => &link.values,
        other => panic!("{other:?}"),
    };
    let text = |datum: &Datum| datum.text().expect("a text").to_owned();
    values
        .iter()
        .map(|v| format!("{}/{}={}", v.attribute, v.scheme, text(&v.datum)))
        .collect()
}

async fn one(wecom: &Wecom, id: &str) -> Vec<SourceRecord> {
    let pulled = pull(&wecom.wecom(), &format!("contacts/{id}"), None).await;
    assert_eq!(pulled.error, None);
    pulled.records()
}

#[tokio::test]
async fn a_contact_of_a_company_is_a_person_an_organization_and_a_link() {
    let wecom = Wecom::start(0).await;
    let sim = &wecom.simulator;
    let contact = json!({
        "name": "王敏", "type": 2, "gender": 2, "position": "采购经理", "unionid": "ozynqsulJFCZ2z1aYeS8h-nuasdAAA",
        "corp_name": "星河电子", "corp_full_name": "深圳市星河电子有限公司",
    });
    let first = json!({
        "remark": "星河王敏", "description": "展会认识", "remark_mobiles": ["13800001111", "13900002222"],
        "remark_corp_name": "星河", "tag_id": ["et00000000000001", "et00000000000003"],
        "createtime": NOW - 60, "state": "expo", "add_way": 1,
    });
    let second =
        json!({"remark": "王经理", "remark_mobiles": ["13800001111"], "tag_id": [], "add_way": 3});
    sim.follow("zhangsan", "wmA", contact, first);
    sim.follow("lisi", "wmA", json!({}), second);
    let got = one(&wecom, "wmA").await;
    let ids: Vec<_> = got.iter().map(|r| r.key.to_string()).collect();
    assert_eq!(ids, ["wecom/wmA", "wecom/wmA#corp", "wecom/wmA#contact_of"]);
    assert!(matches!(
        got[0].body,
        Body::Party {
            kind: PartyKind::Person,
            ..
        }
    ));
    assert!(matches!(
        got[1].body,
        Body::Party {
            kind: PartyKind::Organization,
            ..
        }
    ));
    assert_eq!(
        values(&got[0]),
        [
            "name/=王敏",
            "title/=采购经理",
            "employer/=深圳市星河电子有限公司",
            "x_gender/=女",
            "identifier/foreign:wecom=wmA",
            "identifier/foreign:wechat=ozynqsulJFCZ2z1aYeS8h-nuasdAAA",
            "role/=contact",
            "owner/=lisi",
            "phone/mobile=13800001111",
            "remark/name=王经理",
            "x_add_way/=名片分享",
            "owner/=zhangsan",
            "phone/mobile=13900002222",
            "employer/=星河",
            "tag/=展会",
            "tag/=重要客户",
            "remark/name=星河王敏",
            "remark/description=展会认识",
            "x_add_way/=扫描二维码",
            "x_state/=expo",
        ]
    );
    assert_eq!(
        values(&got[1]),
        ["name/=深圳市星河电子有限公司", "short_name/=星河电子"]
    );
    let Body::Party { values: all, .. } = &got[0].body else {
        panic!()
    };
    let owner = all
        .iter()
        .find(|v| v.datum.text() == Some("zhangsan"))
        .unwrap();
    assert_eq!(owner.valid_from, Some(Timestamp::from_secs(NOW - 60)));
    let Body::Relationship(link) = &got[2].body else {
        panic!()
    };
    assert_eq!(
        (
            link.kind.as_str(),
            link.from.to_string(),
            link.to.to_string()
        ),
        (
            "contact_of",
            "wecom/wmA".to_owned(),
            "wecom/wmA#corp".to_owned()
        )
    );
    // Versions are ordered by arrival: WeCom tells no time of change.
    assert!(
        got.iter()
            .all(|r| r.update_time.is_none() && r.source_revision.is_none())
    );
    // A round says the same as a single pull, byte for byte.
    let round = pull(&wecom.wecom(), "contacts", None).await.records();
    assert_eq!(round, got);
}

#[tokio::test]
async fn a_contact_that_nobody_follows_is_deleted_and_may_come_back() {
    let wecom = Wecom::start(0).await;
    let sim = &wecom.simulator;
    sim.follow("lisi", "wmB", json!({"name": "赵军"}), json!({}));
    sim.follow("wangwu", "wmB", json!({}), json!({}));
    sim.unfollow("lisi", "wmB");
    let got = one(&wecom, "wmB").await;
    assert!(!got[0].deleted && values(&got[0]).contains(&"owner/=wangwu".to_owned()));
    sim.unfollow("wangwu", "wmB");
    let got = one(&wecom, "wmB").await;
    assert_eq!((got.len(), got[0].deleted), (1, true));
    assert_eq!(got[0].key.external_id, "wmB");
    sim.follow("lisi", "wmB", json!({"name": "赵军"}), json!({}));
    assert!(!one(&wecom, "wmB").await[0].deleted);
}

#[tokio::test]
async fn a_round_is_not_made_again_before_its_time() {
    let mut wecom = Wecom::start(40).await;
    let first = pull(&wecom.wecom(), "contacts", None).await;
    let server = wecom.simulator.server();
    server.script([]);
    let idle = pull(&wecom.wecom(), "contacts", first.cursor(None)).await;
    assert!(idle.pages.is_empty() && idle.error.is_none());
    assert_eq!(server.requests(), 0, "WeCom is not even asked");
    wecom.config.round = Duration::ZERO;
    let again = pull(&wecom.wecom(), "contacts", first.cursor(None)).await;
    assert_eq!(again.records(), first.records());
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    let wecom = Wecom::start(10).await;
    let sim = &wecom.simulator;
    sim.follow(
        "lisi",
        "wmC",
        json!({"name": ["x"], "gender": "f"}),
        json!({"remark_mobiles": [1], "createtime": "gestern"}),
    );
    let pulled = pull(&wecom.wecom(), "contacts", None).await;
    assert_eq!(pulled.error, None);
    let errors = pulled.row_errors();
    let told: Vec<_> = errors.iter().map(|e| e.column.clone().unwrap()).collect();
    assert_eq!(told, ["createtime", "gender", "name", "remark_mobiles"]);
    assert!(errors.iter().all(|e| e.effect == Effect::ValueLeftOut));
    let record = pulled
        .records()
        .into_iter()
        .find(|r| r.key.external_id == "wmC")
        .unwrap();
    assert!(values(&record).contains(&"owner/=lisi".to_owned()));
}

#[tokio::test]
async fn codes_within_a_200_are_errors() {
    let wecom = Wecom::start(40).await;
    let sim = &wecom.simulator;
    let want = pull(&wecom.wecom(), "contacts", None).await.records();
    // Busy, throttled and expired pass by themselves.
    let logins = sim.logins();
    sim.refuse([-1, 45009, 42001]);
    let got = pull(&wecom.wecom(), "contacts", None).await;
    assert_eq!(got.error, None);
    assert_eq!(got.records(), want);
    assert_eq!(sim.logins(), logins + 1, "one new token");
    sim.refuse([48002]);
    let error = pull(&wecom.wecom(), "contacts", None).await.error.unwrap();
    assert_eq!(
        (error.kind, error.failure.reason),
        (PullErrorKind::Unauthorized, "FOREIGN_FORBIDDEN")
    );
    sim.refuse([40058]);
    let error = pull(&wecom.wecom(), "contacts", None).await.error.unwrap();
    assert_eq!(
        (error.kind, error.failure.reason),
        (PullErrorKind::Unreadable, "FOREIGN_REFUSED")
    );
    assert_eq!(error.failure.metadata["errcode"], "40058");
    sim.refuse([45009; 4]);
    let error = pull(&wecom.wecom(), "contacts", None).await.error.unwrap();
    assert_eq!(
        (error.kind, error.failure.reason),
        (PullErrorKind::Unavailable, "FOREIGN_THROTTLED")
    );
}

#[tokio::test]
async fn wrong_credentials_are_told_after_one_try() {
    let mut wecom = Wecom::start(1).await;
    wecom.config.secret = "wrong-one".to_owned();
    let connector = wecom.wecom();
    let failure = connector.check().await.unwrap_err();
    assert_eq!(failure.reason, "FOREIGN_UNAUTHORIZED");
    assert_eq!(wecom.simulator.server().requests(), 1);
    assert!(!format!("{failure:?} {connector:?}").contains("wrong-one"));
}
