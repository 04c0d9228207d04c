//! The cases that both engines must pass, over the store alone. What is about one operation
//! stands with it.

use std::time::Duration;

use jinke_store::{Tx, changelog, testing::on_each_engine};
use jinke_types::{Clock as _, Failure, RowScope, SeededEntropy};

use super::{MIGRATIONS, grants, org_units, sessions, state, users};
use crate::{
    domain::{Member, check_parent},
    testing::{House, PASSWORD, kid, on, until},
};

/// Runs a case in a house on SQLite and in one on PostgreSQL.
async fn on_both(case: impl AsyncFn(&House)) {
    for engine in jinke_store::testing::ENGINES {
        on(engine, &case).await;
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    assert_eq!(jinke_store::same_numbers(&MIGRATIONS), Ok(()));
}

#[tokio::test]
async fn a_user_is_kept_and_his_name_is_sealed() {
    on_both(async |house: &House| {
        house.org_unit("east", "").await;
        house.user("li.lei", "east").await;
        let core = &house.core;
        let mut conn = core.db.read().await.unwrap();
        let user = users::get(&mut conn, &core.vault, &RowScope::All, "li.lei")
            .await
            .unwrap();
        let user = user.unwrap();
        assert_eq!(
            (user.display_name.as_str(), user.org_unit.as_str()),
            ("李雷", "east")
        );
        let row = conn
            .fetch_one(
                "SELECT display_name, data_key FROM users WHERE id = 'li.lei'",
                Vec::new(),
            )
            .await
            .unwrap();
        let sealed = row.bytes("display_name").unwrap();
        assert!(!sealed.windows(6).any(|w| w == "李雷".as_bytes()));
        // The seal names its place: another user's row cannot borrow it.
        let key = row.bytes("data_key").unwrap();
        assert!(
            core.vault
                .open("users/other/display_name", &key, &sealed)
                .is_err()
        );
        drop(conn);

        let mut moved = user.clone();
        moved.org_unit = String::new();
        moved.revision = user.revision + 1_000;
        let updated = core
            .db
            .write(async |mut tx: Tx| {
                let first = users::update(&mut tx, &core.vault, &moved, user.revision).await?;
                let stale = users::update(&mut tx, &core.vault, &moved, user.revision).await?;
                Ok((first, stale))
            })
            .await;
        assert_eq!(updated, Ok((true, false)));
    })
    .await;
}

#[tokio::test]
async fn lists_are_in_order_of_bytes_and_keep_to_the_scope() {
    on_both(async |house: &House| {
        for unit in ["east", "west"] {
            house.org_unit(unit, "").await;
        }
        for (id, unit) in [
            ("a-b", "east"),
            ("a.b", "west"),
            ("a_b", "east"),
            ("ab", ""),
        ] {
            house.user(id, unit).await;
        }
        let core = &house.core;
        let mut conn = core.db.read().await.unwrap();
        let mut ids = async |scope: &RowScope, after: &str, limit: usize| {
            let users = users::list(&mut conn, &core.vault, scope, after, limit)
                .await
                .unwrap();
            users.into_iter().map(|u| u.id).collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&RowScope::All, "", 9).await,
            ["a-b", "a.b", "a_b", "ab", "admin"]
        );
        assert_eq!(ids(&RowScope::All, "a.b", 2).await, ["a_b", "ab"]);
        let east = RowScope::OrgUnits(["orgUnits/east".to_owned()].into());
        assert_eq!(ids(&east, "", 9).await, ["a-b", "a_b"]);
        let enterprise = RowScope::OrgUnits([String::new()].into());
        assert_eq!(ids(&enterprise, "", 9).await, ["ab", "admin"]);
        assert!(ids(&RowScope::None, "", 9).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_same_role_twice_is_refused_by_the_database() {
    on_both(async |house: &House| {
        let core = &house.core;
        let admin = Member::User("admin".into());
        let copied = core
            .db
            .write(async |mut tx: Tx| {
                let mut binding = grants::bindings_of(&mut tx, &admin).await?.remove(0);
                binding.id = "another".into();
                grants::insert_binding(&mut tx, &binding).await
            })
            .await;
        assert_eq!(copied.unwrap_err().reason, "ALREADY_EXISTS");
        let mut conn = core.db.read().await.unwrap();
        assert_eq!(grants::administrators(&mut conn).await, Ok(1));
    })
    .await;
}

#[tokio::test]
async fn a_name_without_rows_is_counted_once_by_many_at_one_moment() {
    on_both(async |house: &House| {
        let core = &house.core;
        let attempts: Vec<_> = (0..12).map(|_| core.charge_login("nobody")).collect();
        let outcomes = futures::future::join_all(attempts).await;
        let passed = outcomes.iter().filter(|o| o.is_ok()).count();
        assert_eq!(passed, 6, "five are free and the sixth starts the pause");
        house.clock.advance(Duration::from_secs(2 * 86_400));
        let now = house.clock.now();
        let purged = core
            .db
            .write(async |mut tx: Tx| {
                state::purge_counts(&mut tx, now.minus(Duration::from_secs(86_400)), now).await
            })
            .await;
        assert_eq!(purged, Ok(2));
    })
    .await;
}

#[tokio::test]
async fn sessions_are_forgotten_only_when_nothing_of_them_lives() {
    on_both(async |house: &House| {
        house.user("li.lei", "").await;
        let core = &house.core;
        let first = house.login("li.lei").await.unwrap();
        let (_, claims) = house.access().authenticate(&first.access_token).unwrap();
        house.login("li.lei").await.unwrap();
        let now = house.clock.now();
        let purge = async |before| {
            core.db
                .write(async |mut tx: Tx| sessions::purge(&mut tx, before, 10).await)
                .await
        };
        let end = async || {
            core.db
                .write(async |mut tx: Tx| sessions::end(&mut tx, &claims.sid, "revoked", now).await)
                .await
        };
        assert_eq!((end().await, end().await), (Ok(true), Ok(false)));
        assert_eq!(purge(now.plus(Duration::from_secs(599))).await, Ok(0));
        assert_eq!(purge(now.plus(Duration::from_secs(601))).await, Ok(1));
        assert_eq!(
            purge(now.plus(Duration::from_secs(31 * 86_400))).await,
            Ok(1)
        );
        let mut conn = core.db.read().await.unwrap();
        let left = conn
            .fetch_one("SELECT COUNT(*) AS n FROM refresh_tokens", Vec::new())
            .await;
        assert_eq!(left.unwrap().i64("n"), Ok(0));
    })
    .await;
}

#[tokio::test]
async fn the_state_of_access_is_of_one_position() {
    on_both(async |house: &House| {
        house.org_unit("east", "").await;
        house.user("li.lei", "east").await;
        house.user("gone", "").await;
        house.disable("gone").await;
        let core = &house.core;
        let mut conn = core.db.snapshot().await.unwrap();
        let state = state::access(&mut conn, house.clock.now()).await.unwrap();
        assert_eq!(state.version, changelog::head(&mut conn).await.unwrap());
        assert_eq!(state, *core.publisher.state());
        assert_eq!(state.disabled, [Member::User("gone".into())].into());
        assert_eq!(
            state.member_org_units[&Member::User("li.lei".into())],
            "east"
        );
        let parents = org_units::parents(&mut conn).await.unwrap();
        assert_eq!(check_parent(&parents, "shanghai", "east"), Ok(()));
    })
    .await;
}

#[tokio::test]
async fn the_table_of_sessions_through_a_restart() {
    on_each_engine(&MIGRATIONS, async |db| {
        let folder = jinke_store::testing::Folder::fresh();
        let before = House::new(db.clone(), &folder, 1).await;
        let once = before
            .first_password
            .clone()
            .expect("the first start of all");
        before.user("li.lei", "").await;
        before.bind("users/li.lei", "roles/steward", "").await;
        let tokens = before.login("li.lei").await.unwrap();
        let key = before.key("erp-sync").await;

        let after = House::at(db, &folder, 2, before.clock.clone()).await;
        assert_eq!(
            after.first_password, None,
            "only the first start makes a password"
        );
        assert!(after.authenticate(&tokens.access_token).is_ok());
        assert!(after.login_with_key(&key).await.is_ok());
        let admin = after
            .login_with("admin", &once, "my own password")
            .await
            .unwrap();
        assert!(after.authenticate(&admin.access_token).is_ok());
        let snapshot = after.access().snapshot().unwrap();
        let steward = snapshot
            .decide("users/li.lei", "customer.customers.merge", "")
            .unwrap();
        assert!(steward.allowed);
    })
    .await;
}

#[tokio::test]
async fn credentials_of_this_machine_open_are_private_and_heal() {
    on_each_engine(&MIGRATIONS, async |db| {
        let folder = jinke_store::testing::Folder::fresh();
        let house = House::new(db.clone(), &folder, 1).await;
        let path = crate::credentials::admin_path(folder.path());
        let read = || {
            let text = std::fs::read_to_string(&path).expect("admin.toml");
            toml::from_str::<toml::Table>(&text).expect("is TOML")
        };
        let admin = read();
        let once = house.first_password.clone().unwrap();
        assert_eq!(admin["one_time_password"].as_str(), Some(once.as_str()));
        assert_eq!(admin["user"].as_str(), Some("users/admin"));
        assert_eq!(
            admin["service_account"].as_str(),
            Some("serviceAccounts/jinke-cli")
        );
        let key = admin["key"].as_str().unwrap().to_owned();
        let token = house.login_with_key(&key).await.unwrap().access_token;
        let (caller, _) = house.access().authenticate(&token).unwrap();
        assert!(
            house
                .access()
                .authorize(&caller, "identity.users.create")
                .is_ok()
        );

        let runner = jinke_kit::client::service_key_file(folder.path(), "connector");
        let secret = std::fs::read_to_string(&runner).unwrap();
        let token = house.login_with_key(&secret).await.unwrap().access_token;
        let (caller, _) = house.access().authenticate(&token).unwrap();
        assert_eq!(caller.name, "serviceAccounts/service-connector");
        assert!(
            house
                .access()
                .authorize(&caller, "identity.users.create")
                .is_err()
        );
        #[cfg(unix)]
        for file in [&path, &runner] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }

        house
            .login_with("admin", &once, "my own password")
            .await
            .unwrap();
        let damaged = format!("{}x", &secret[..secret.len() - 1]);
        std::fs::write(
            &runner,
            damaged.replace('x', if secret.ends_with('0') { "1" } else { "0" }),
        )
        .unwrap();
        let again = House::at(db, &folder, 2, house.clock.clone()).await;
        let healed = std::fs::read_to_string(&runner).unwrap();
        assert!(again.login_with_key(&healed).await.is_ok());
        let replaced = again.login_with_key(&secret).await.unwrap_err();
        assert_eq!(replaced.reason, "KEY_REFUSED");
        let admin = read();
        assert!(!admin.contains_key("one_time_password"), "it was used");
        assert_eq!(
            admin["key"].as_str(),
            Some(key.as_str()),
            "what opens stays"
        );
    })
    .await;
}

/// Two processes on one PostgreSQL database.
#[tokio::test]
async fn two_replicas_are_one_service() {
    use jinke_store::{
        Database, Engine,
        testing::{Folder, Place},
    };
    let place = Place::new(Engine::Postgres).await;
    let folder = Folder::fresh();
    let open = async || Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let (db_a, db_b) = (open().await, open().await);
    let clock = std::sync::Arc::new(jinke_types::ManualClock::new(
        jinke_types::Timestamp::from_secs(1_790_000_000),
    ));
    // Both start for the first time at one moment.
    let (a, b) = tokio::join!(
        House::at(db_a.clone(), &folder, 1, clock.clone()),
        House::at(db_b.clone(), &folder, 2, clock.clone())
    );
    let passwords = [a.first_password.is_some(), b.first_password.is_some()];
    assert_eq!(
        passwords.iter().filter(|p| **p).count(),
        1,
        "one administrator, one password"
    );

    let shutdown = jinke_kit::Shutdown::new();
    let tasks: Vec<_> = [&a, &b]
        .map(|house| {
            tokio::spawn(crate::tasks::follow(
                std::sync::Arc::clone(&house.core),
                shutdown.clone(),
            ))
        })
        .into_iter()
        .collect();
    a.user("li.lei", "").await;
    let tokens = a.login("li.lei").await.unwrap();
    until(|| b.authenticate(&tokens.access_token).is_ok()).await;
    assert_eq!(
        kid(&tokens.access_token),
        kid(&b.login("li.lei").await.unwrap().access_token)
    );

    a.disable("li.lei").await;
    until(|| b.authenticate(&tokens.access_token).is_err()).await;
    assert_eq!(
        b.login_with("li.lei", PASSWORD, "")
            .await
            .unwrap_err()
            .reason,
        "MEMBER_DISABLED"
    );

    // One name is slowed down over both.
    for n in 0..6 {
        let house = if n % 2 == 0 { &a } else { &b };
        let failed = house
            .login_with("nobody", "wrong password", "")
            .await
            .unwrap_err();
        assert_eq!(failed.reason, "LOGIN_FAILED");
    }
    for house in [&a, &b] {
        let slowed = house
            .login_with("nobody", "wrong password", "")
            .await
            .unwrap_err();
        assert_eq!(slowed.reason, "LOGIN_THROTTLED");
    }
    shutdown.trigger();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    for db in [db_a, db_b] {
        db.close().await;
    }
    place.remove().await;
}

/// Keys that do not belong to the database are refused before anything is written with them.
#[tokio::test]
async fn other_key_files_are_refused() {
    on_each_engine(&MIGRATIONS, async |db| {
        let folder = jinke_store::testing::Folder::fresh();
        House::new(db.clone(), &folder, 1).await;
        let other = jinke_store::keys::KeyRing::in_memory(&SeededEntropy::new(9));
        let refused: Result<(), Failure> = db
            .write(async |mut tx: Tx| other.check(&mut tx).await)
            .await;
        assert_eq!(refused.unwrap_err().reason, "KEY_CHANGED");
    })
    .await;
}
