//! Search and look-up.

use jinke_customer::convert::pb;
use tonic::{Code, Status};

use crate::house::{House, identifier, key, on_each_engine, organization, person, reason, text};

/// A valid 统一社会信用代码 of nobody.
const USCC: &str = "91330106MA00000000";

async fn search(house: &House, role: &'static str, query: &str) -> Vec<String> {
    let request = pb::SearchCustomersRequest {
        query: query.to_owned(),
        ..Default::default()
    };
    let found = house
        .customers(role)
        .search_customers(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.next_page_token, "");
    found.customers.into_iter().map(|c| c.name).collect()
}

async fn lookup(
    house: &House,
    role: &'static str,
    by: pb::lookup_customers_request::By,
) -> Result<Vec<String>, Status> {
    let request = pb::LookupCustomersRequest {
        by: Some(by),
        view: 0,
    };
    let found = house
        .customers(role)
        .lookup_customers(request)
        .await?
        .into_inner();
    Ok(found.customers.into_iter().map(|c| c.name).collect())
}

async fn furnished(house: &House) -> Vec<String> {
    house
        .ingest(vec![
            organization(
                "erp",
                "C-1",
                vec![
                    text("name", "杭州西溪精密机械有限公司"),
                    text("former_name", "余杭五金厂"),
                    text("phone", "0571-88001234"),
                    text("email", "Sales@Xixi-Example.cn"),
                    identifier("duns", "544832117"),
                ],
            ),
            organization(
                "erp",
                "C-2",
                vec![text("name", "苏州金鸡湖纺织股份有限公司")],
            ),
            person(
                "crm",
                "P-1",
                vec![text("name", "欧阳西溪"), text("phone", "13957164820")],
            ),
            organization(
                "west",
                "W-1",
                vec![
                    text("name", "成都西溪物流有限公司"),
                    text("phone", "028-66001234"),
                ],
            ),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_by_two_characters_or_pinyin_initials() {
    on_each_engine(async |house| {
        let ids = furnished(&house).await;
        let [xixi, jinji, ouyang, chengdu] = &ids[..] else {
            panic!("{ids:?}")
        };
        assert_eq!(
            search(&house, "admin", "精密").await,
            std::slice::from_ref(xixi)
        );
        assert_eq!(
            search(&house, "admin", "jjh").await,
            std::slice::from_ref(jinji)
        );
        assert_eq!(
            search(&house, "admin", "五金厂").await,
            std::slice::from_ref(xixi)
        );
        assert_eq!(search(&house, "admin", "精机").await, Vec::<String>::new());
        let all = [xixi.clone(), ouyang.clone(), chengdu.clone()];
        assert_eq!(search(&house, "admin", "西溪").await, all);
        // Without the class no person is found by name, without the org unit no walled record.
        assert_eq!(
            search(&house, "reader", "西溪").await,
            std::slice::from_ref(xixi)
        );
        assert_eq!(
            search(&house, "sales", "西溪").await,
            [xixi.clone(), ouyang.clone()]
        );
        assert_eq!(search(&house, "reader", "欧阳").await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_paged_and_each_customer_shows_once() {
    on_each_engine(async |house| {
        let record = |n: usize| {
            let name = format!("示例连锁第{n}分店");
            organization(
                "erp",
                &format!("L-{n}"),
                vec![text("name", &name), text("short_name", &name)],
            )
        };
        let mut names = house.ingest((0..25).map(record).collect()).await;
        names.sort();
        names.dedup();
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let request = pb::SearchCustomersRequest {
                query: "示例连锁".to_owned(),
                page_size: 4,
                page_token: token,
                view: 0,
            };
            let page = house
                .customers("admin")
                .search_customers(request)
                .await
                .unwrap()
                .into_inner();
            seen.extend(page.customers.into_iter().map(|c| c.name));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, names);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_found_in_any_format_by_those_who_may_read_them() {
    use pb::lookup_customers_request::{By, Identifier};
    on_each_engine(async |house| {
        let ids = furnished(&house).await;
        for phone in [
            "139 5716 4820",
            "+86 139-5716-4820",
            "13957164820",
            "0086 13957164820",
        ] {
            let found = lookup(&house, "admin", By::Phone(phone.to_owned()))
                .await
                .unwrap();
            assert_eq!(found, [ids[2].clone()], "{phone}");
        }
        for phone in ["(0571)88001234", "+86 571 8800 1234"] {
            let found = lookup(&house, "sales", By::Phone(phone.to_owned()))
                .await
                .unwrap();
            assert_eq!(found, [ids[0].clone()], "{phone}");
        }
        let walled = By::Phone("02866001234".to_owned());
        assert_eq!(
            lookup(&house, "west", walled.clone()).await.unwrap(),
            [ids[3].clone()]
        );
        assert_eq!(
            lookup(&house, "sales", walled).await.unwrap(),
            Vec::<String>::new()
        );

        let email = By::Email("sales@xixi-example.CN".to_owned());
        assert_eq!(
            lookup(&house, "sales", email.clone()).await.unwrap(),
            [ids[0].clone()]
        );
        for by in [email, By::Phone("1".to_owned()), By::Phone("\0".to_owned())] {
            let denied = lookup(&house, "reader", by).await.unwrap_err();
            assert_eq!(denied.code(), Code::PermissionDenied, "{denied:?}");
            assert_eq!(reason(&denied), "FIELD_CLASS_DENIED");
        }
        let of = |scheme: &str, value: &str| {
            By::Identifier(Identifier {
                scheme: scheme.to_owned(),
                value: value.to_owned(),
            })
        };
        assert_eq!(
            lookup(&house, "reader", of("duns", "54-483-2117"))
                .await
                .unwrap(),
            [ids[0].clone()]
        );
        assert_eq!(
            lookup(&house, "reader", of("uscc", USCC)).await.unwrap(),
            Vec::<String>::new()
        );
        let denied = lookup(&house, "sales", of("id_card", "11010519491231002X"))
            .await
            .unwrap_err();
        assert_eq!(reason(&denied), "FIELD_CLASS_DENIED");

        let record = |source, id| By::Record(key(source, id));
        assert_eq!(
            lookup(&house, "reader", record("erp", "C-2"))
                .await
                .unwrap(),
            [ids[1].clone()]
        );
        assert_eq!(
            lookup(&house, "reader", record("west", "W-1"))
                .await
                .unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(
            lookup(&house, "admin", record("erp", "nobody"))
                .await
                .unwrap(),
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_by_name_compares_the_name_the_caller_sees() {
    on_each_engine(async |house| {
        let ids = furnished(&house).await;
        let list = async |role: &'static str, filter: &str| {
            let request = pb::ListCustomersRequest {
                filter: filter.to_owned(),
                ..Default::default()
            };
            let page = house
                .customers(role)
                .list_customers(request)
                .await
                .unwrap()
                .into_inner();
            page.customers
                .into_iter()
                .map(|c| c.name)
                .collect::<Vec<_>>()
        };
        let person = "display_name = \"欧阳西溪\"";
        assert_eq!(list("admin", person).await, [ids[2].clone()]);
        assert_eq!(list("reader", person).await, Vec::<String>::new());
        assert_eq!(
            list("admin", "display_name = \"西溪\"").await,
            Vec::<String>::new()
        );
        let both = "kind = PERSON AND display_name = \"杭州西溪精密机械有限公司\"";
        assert_eq!(list("admin", both).await, Vec::<String>::new());
        assert_eq!(
            list("west", "source = \"sources/west\"").await,
            [ids[3].clone()]
        );
        assert_eq!(
            list("sales", "source = \"sources/west\"").await,
            Vec::<String>::new()
        );
        assert_eq!(list("nobody", "").await, Vec::<String>::new());
    })
    .await;
}
