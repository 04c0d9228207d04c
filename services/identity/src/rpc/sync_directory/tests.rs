//! What a directory can do here, and what it cannot.

use jinke_types::RowScope;

use super::*;
use crate::{
    rpc::{enable_user, link_user, list_directory_links, testing::reset_password},
    store::users,
    testing::{House, on},
};

const NEW: &str = "another good one";

fn department(id: &str, parent: &str, name: &str) -> pb::DirectoryEntry {
    entry(Entry::Department(pb::DirectoryDepartment {
        external_id: id.into(),
        parent_external_id: parent.into(),
        display_name: name.into(),
        active: true,
    }))
}

fn member(id: &str, name: &str, departments: &[&str]) -> pb::DirectoryEntry {
    entry(Entry::Member(pb::DirectoryMember {
        external_id: id.into(),
        display_name: name.into(),
        department_external_ids: departments.iter().map(|d| (*d).to_owned()).collect(),
        active: true,
    }))
}

fn leaver(id: &str) -> pb::DirectoryEntry {
    entry(Entry::Member(pb::DirectoryMember {
        external_id: id.into(),
        ..pb::DirectoryMember::default()
    }))
}

fn began() -> pb::DirectoryEntry {
    entry(Entry::RoundBegan(pb::DirectoryRoundBegan {}))
}

fn ended() -> pb::DirectoryEntry {
    entry(Entry::RoundEnded(pb::DirectoryRoundEnded {}))
}

fn entry(entry: Entry) -> pb::DirectoryEntry {
    pb::DirectoryEntry { entry: Some(entry) }
}

async fn try_sync(
    house: &House,
    entries: Vec<pb::DirectoryEntry>,
) -> Result<pb::SyncDirectoryResponse, Failure> {
    let request = pb::SyncDirectoryRequest {
        directory: "directories/wecom".into(),
        entries,
        max_leavers_percent: 0,
    };
    let grant = house.service("service-connector", "identity.directories.sync");
    run(&house.core, &grant, request).await
}

async fn sync(house: &House, entries: Vec<pb::DirectoryEntry>) -> pb::SyncDirectoryResponse {
    try_sync(house, entries).await.unwrap()
}

async fn user(house: &House, id: &str) -> crate::domain::User {
    let mut conn = house.core.db.read().await.unwrap();
    let user = users::get(&mut conn, &house.core.vault, &RowScope::All, id).await;
    user.unwrap().expect(id)
}

/// Both engines: this is as much SQL as rules.
async fn on_both(case: impl AsyncFn(&House)) {
    for engine in jinke_store::testing::ENGINES {
        on(engine, &case).await;
    }
}

/// He logs in for the first time; the token he has then.
async fn logged_in(house: &House, id: &str) -> String {
    let request = pb::ResetPasswordRequest {
        name: format!("users/{id}"),
    };
    let reset = reset_password(&house.core, &house.admin(), request).await;
    let first = reset.unwrap().one_time_password;
    let tokens = house.login_with(id, &first, NEW).await.unwrap();
    tokens.access_token
}

#[tokio::test]
async fn a_leaver_is_disabled_and_his_sessions_end() {
    on_both(async |house: &House| {
        let made = sync(
            house,
            vec![
                department("1", "", "金客集团"),
                department("2", "1", "华东销售部"),
                member("ZhangSan", "张三", &["2"]),
                member("lisi", "李四", &["9", "1"]),
            ],
        )
        .await;
        assert_eq!((made.org_units_created, made.users_created), (2, 2));
        let zhangsan = user(house, "zhangsan").await;
        assert_eq!(
            (zhangsan.display_name.as_str(), zhangsan.org_unit.as_str()),
            ("张三", "wecom-2")
        );
        assert_eq!(user(house, "lisi").await.org_unit, "wecom-1");
        let token = logged_in(house, "zhangsan").await;
        assert!(house.authenticate(&token).is_ok());

        let gone = sync(house, vec![leaver("ZhangSan")]).await;
        assert_eq!(gone.users_disabled, 1);
        let refused = house.authenticate(&token).unwrap_err();
        assert!(["CALLER_DISABLED", "SESSION_REVOKED"].contains(&refused.reason));
        let login = house.login_with("zhangsan", NEW, "").await.unwrap_err();
        assert_eq!(login.reason, "MEMBER_DISABLED");
        assert_eq!(
            sync(house, vec![leaver("ZhangSan")]).await,
            Default::default()
        );

        let back = sync(house, vec![member("ZhangSan", "张三", &["2"])]).await;
        assert_eq!((back.users_enabled, back.users_updated), (1, 0));
        let old = house.authenticate(&token).unwrap_err();
        assert_eq!(old.reason, "SESSION_REVOKED", "old sessions stay ended");
        assert!(house.login_with("zhangsan", NEW, "").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn whoever_a_round_does_not_name_is_gone() {
    on_both(async |house: &House| {
        let members = |skip: &[&str]| {
            let all = (0..20).map(|n| format!("u{n:02}"));
            all.filter(|id| !skip.contains(&id.as_str()))
                .map(|id| member(&id, "成员", &[]))
                .collect::<Vec<_>>()
        };
        let round = |skip: &[&str]| {
            let mut entries = vec![began()];
            entries.extend(members(skip));
            entries.push(ended());
            entries
        };
        assert_eq!(sync(house, round(&[])).await.users_created, 20);
        assert_eq!(sync(house, round(&[])).await, Default::default());
        // A round in several calls, with single news in between.
        sync(house, vec![began()]).await;
        sync(house, members(&["u03"])).await;
        sync(house, vec![member("new", "新人", &[])]).await;
        let end = sync(house, vec![ended()]).await;
        assert_eq!(end.users_disabled, 1);
        assert!(user(house, "u03").await.disabled && !user(house, "new").await.disabled);
        // An end without a begin, a repeated end, and a round begun anew say nothing.
        assert_eq!(sync(house, vec![ended()]).await, Default::default());
        sync(house, vec![began(), member("u00", "成员", &[])]).await;
        assert_eq!(sync(house, round(&["u03", "u04"])).await.users_disabled, 2);
        // Too many at once: nobody.
        let most: Vec<String> = (5..15).map(|n| format!("u{n:02}")).collect();
        let skip: Vec<&str> = most.iter().map(String::as_str).collect();
        let refused = try_sync(house, round(&skip)).await.unwrap_err();
        assert_eq!(refused.reason, "DIRECTORY_TOO_MANY_GONE");
        assert_eq!(refused.metadata["gone"], "10");
        assert!(!user(house, "u05").await.disabled);
        let request = pb::SyncDirectoryRequest {
            directory: "directories/wecom".into(),
            entries: round(&skip),
            max_leavers_percent: 100,
        };
        let agreed = run(&house.core, &house.admin(), request).await.unwrap();
        assert_eq!(agreed.users_disabled, 10, "a person agreed");
    })
    .await;
}

#[tokio::test]
async fn a_directory_takes_over_nobody_and_enables_nobody_else_disabled() {
    on_both(async |house: &House| {
        house.user("wangwu", "").await;
        sync(
            house,
            vec![
                member("wangwu", "另一位", &[]),
                member("admin", "假冒", &[]),
            ],
        )
        .await;
        assert_eq!(user(house, "wangwu").await.display_name, "李雷");
        assert_eq!(user(house, "wangwu.wecom").await.display_name, "另一位");
        sync(house, vec![leaver("admin")]).await;
        assert!(!user(house, "admin").await.disabled && user(house, "admin.wecom").await.disabled);
        // A person links him; from then on the directory decides.
        house.user("zhaoliu", "").await;
        let link = pb::LinkUserRequest {
            parent: "directories/wecom".into(),
            user: "users/zhaoliu".into(),
            external_id: "Zhao6".into(),
            request_id: "r1".into(),
        };
        let linked = link_user::run(&house.core, &house.admin(), link.clone())
            .await
            .unwrap();
        assert_eq!(linked.resource, "users/zhaoliu");
        let again = link_user::run(&house.core, &house.admin(), link.clone())
            .await
            .unwrap();
        assert_eq!(again, linked, "a retry");
        let other = pb::LinkUserRequest {
            user: "users/wangwu".into(),
            request_id: String::new(),
            ..link
        };
        let taken = link_user::run(&house.core, &house.admin(), other)
            .await
            .unwrap_err();
        assert_eq!(taken.reason, "ALREADY_EXISTS");
        sync(house, vec![leaver("Zhao6")]).await;
        assert!(user(house, "zhaoliu").await.disabled);
        // Disabled by a person: coming back to the directory does not open the door.
        house.disable("wangwu.wecom").await;
        sync(house, vec![leaver("wangwu")]).await;
        sync(house, vec![member("wangwu", "另一位", &[])]).await;
        assert!(user(house, "wangwu.wecom").await.disabled);
        let enable = pb::EnableUserRequest {
            name: "users/wangwu.wecom".into(),
            ..pb::EnableUserRequest::default()
        };
        enable_user::run(&house.core, &house.admin(), enable)
            .await
            .unwrap();
        sync(house, vec![member("wangwu", "另一位", &[])]).await;
        assert!(!user(house, "wangwu.wecom").await.disabled);
    })
    .await;
}

#[tokio::test]
async fn the_last_administrator_stays_and_the_rest_goes_on() {
    on_both(async |house: &House| {
        let link = pb::LinkUserRequest {
            parent: "directories/wecom".into(),
            user: "users/admin".into(),
            external_id: "boss".into(),
            request_id: String::new(),
        };
        link_user::run(&house.core, &house.admin(), link)
            .await
            .unwrap();
        sync(house, vec![member("lisi", "李四", &[])]).await;
        let told = sync(house, vec![leaver("boss"), leaver("lisi")]).await;
        assert_eq!(told.users_disabled, 1);
        assert_eq!(told.skipped[0].external_id, "boss");
        assert_eq!(told.skipped[0].reason, "LAST_ADMINISTRATOR");
        assert!(!user(house, "admin").await.disabled);
    })
    .await;
}

#[tokio::test]
async fn departments_move_and_are_never_below_themselves() {
    on_both(async |house: &House| {
        let tree = vec![
            department("1", "", "甲"),
            department("2", "1", "乙"),
            department("3", "2", "丙"),
        ];
        assert_eq!(sync(house, tree.clone()).await.org_units_created, 3);
        assert_eq!(sync(house, tree).await, Default::default());
        let moved = sync(house, vec![department("3", "1", "丙部")]).await;
        assert_eq!(moved.org_units_updated, 1);
        let circle = sync(house, vec![department("1", "3", "甲")]).await;
        assert_eq!(circle.skipped[0].reason, "ORG_UNIT_CYCLE");
        let pages = |token: String| pb::ListDirectoryLinksRequest {
            parent: "directories/wecom".into(),
            page_size: 2,
            page_token: token,
            resource: String::new(),
        };
        let first = list_directory_links::run(&house.core, &house.admin(), pages(String::new()))
            .await
            .unwrap();
        let rest = list_directory_links::run(
            &house.core,
            &house.admin(),
            pages(first.next_page_token.clone()),
        )
        .await
        .unwrap();
        assert_eq!((first.links.len(), rest.links.len()), (2, 1));
        assert_eq!(rest.links[0].resource, "orgUnits/wecom-3");
        assert!(rest.next_page_token.is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_a_user_is_in_a_directory_is_asked_by_his_name() {
    on_both(async |house: &House| {
        house.user("zhangsan", "").await;
        let team = vec![
            department("1", "", "甲"),
            member("zhangsan", "张三", &["1"]),
            member("10086", "李四", &["1"]),
            member("Leaver", "王五", &["1"]),
        ];
        sync(house, team).await;
        sync(house, vec![leaver("Leaver")]).await;
        let asked = |directory: &str, resource: &str, token: &str| pb::ListDirectoryLinksRequest {
            parent: format!("directories/{directory}"),
            page_size: 1,
            page_token: token.into(),
            resource: resource.into(),
        };
        let grant = house.service("service-connector", "identity.directoryLinks.list");
        for (directory, resource, expected) in [
            // The id is taken by somebody else, who is nobody there.
            ("wecom", "users/zhangsan", None),
            ("wecom", "users/zhangsan.wecom", Some(("zhangsan", false))),
            ("wecom", "users/wecom-10086", Some(("10086", false))),
            ("wecom", "users/leaver", Some(("Leaver", true))),
            ("wecom", "orgUnits/wecom-1", Some(("1", false))),
            ("wecom", "users/wecom-1", None),
            ("dingtalk", "users/wecom-10086", None),
        ] {
            let request = asked(directory, resource, "");
            let found = list_directory_links::run(&house.core, &grant, request).await;
            let found = found.unwrap();
            assert!(found.next_page_token.is_empty());
            let links: Vec<_> = found.links.iter().collect();
            let told = links.iter().map(|l| (l.external_id.as_str(), l.gone));
            assert_eq!(
                told.collect::<Vec<_>>(),
                Vec::from_iter(expected),
                "{resource}"
            );
            assert!(links.iter().all(|l| l.resource == resource));
        }
        for (resource, token, field) in [
            ("zhangsan", "", "resource"),
            ("groups/zhangsan", "", "resource"),
            ("users/", "", "resource"),
            ("users/lisi", "00", "page_token"),
            ("users/lisi", "322f7a", "page_token"),
        ] {
            let request = asked("wecom", resource, token);
            let wrong = list_directory_links::run(&house.core, &grant, request).await;
            assert_eq!(wrong.unwrap_err().violations[0].field, field, "{resource}");
        }
    })
    .await;
}

#[tokio::test]
async fn everything_wrong_is_named() {
    crate::testing::on_sqlite(async |house: &House| {
        let failure = try_sync(house, Vec::new()).await.unwrap_err();
        assert_eq!(failure.violations[0].field, "entries");
        let wrong = vec![
            pb::DirectoryEntry::default(),
            member("张三", "", &[]),
            department("1", " ", ""),
        ];
        let failure = try_sync(house, wrong).await.unwrap_err();
        let fields: Vec<_> = failure
            .violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "entries[0].entry",
                "entries[1].member.external_id",
                "entries[2].department.parent_external_id"
            ]
        );
        let scoped = house.scoped(&["orgUnits/east"]);
        let request = pb::SyncDirectoryRequest {
            directory: "directories/wecom".into(),
            entries: vec![began()],
            max_leavers_percent: 0,
        };
        assert_eq!(
            run(&house.core, &scoped, request).await.unwrap_err().reason,
            "OUTSIDE_SCOPE"
        );
    })
    .await;
}
