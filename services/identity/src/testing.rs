//! A house with identity in it, for tests: the core on a fresh database, a clock that stands
//! still, and short ways to do what many tests need.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jinke_kit::{Access, Grant};
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{
    Database, Engine,
    keys::{KeyFiles, KeyRing},
    testing::{self, Folder},
};
use jinke_types::{Caller, Failure, FieldMask, ManualClock, RowScope, SeededEntropy, Timestamp};

use crate::{
    MIGRATIONS, bootstrap, config::Config, core::Core, domain::Member, rpc::testing as rpc,
    store::grants,
};

/// The password of every user that [`House::user`] makes.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Identity with everything around it.
pub(crate) struct House {
    pub(crate) core: Arc<Core>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) first_password: Option<String>,
}

/// Runs a case in a house on SQLite.
pub(crate) async fn on_sqlite(case: impl AsyncFn(&House)) {
    on(Engine::Sqlite, case).await;
}

/// Runs a case in a house on one engine.
pub(crate) async fn on(engine: Engine, case: impl AsyncFn(&House)) {
    let folder = Folder::fresh();
    testing::on_engine(engine, &MIGRATIONS, async |db: Database| {
        case(&House::new(db, &folder, 1).await).await;
    })
    .await;
}

impl House {
    /// A house with its keys and credentials in `folder`. Two of one folder and database are
    /// replicas, or one before and after a restart; `seed` tells their random numbers apart.
    pub(crate) async fn new(db: Database, folder: &Folder, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        Self::at(db, folder, seed, clock).await
    }

    /// The same with a clock that is given.
    pub(crate) async fn at(
        db: Database,
        folder: &Folder,
        seed: u64,
        clock: Arc<ManualClock>,
    ) -> Self {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let files = KeyFiles::in_folder(&folder.path().join("keys"));
        let ring = KeyRing::open_or_create(&files, entropy.as_ref()).expect("key files");
        let access = Access::new("identity", clock.clone(), None);
        let data_dir = folder.path().to_owned();
        let config = Config::for_tests();
        let core = Core::new(config, db, ring, clock.clone(), entropy, access, data_dir)
            .await
            .expect("the core");
        let first_password = bootstrap::run(&core).await.expect("the first start");
        Self {
            core: Arc::new(core),
            clock,
            first_password,
        }
    }

    pub(crate) fn access(&self) -> &Access {
        self.core.publisher.access()
    }

    /// Whether this process accepts a token.
    pub(crate) fn authenticate(&self, token: &str) -> Result<(), Failure> {
        self.access().authenticate(token).map(drop)
    }

    fn grant(caller: &str, permission: &str, scope: RowScope) -> Grant {
        Grant {
            caller: Caller {
                name: caller.to_owned(),
                actor: None,
            },
            permission: permission.to_owned(),
            scope,
            mask: FieldMask::all(),
        }
    }

    /// What an administrator is granted.
    pub(crate) fn admin(&self) -> Grant {
        Self::grant("users/admin", "*", RowScope::All)
    }

    /// What an administrator of these org units (by resource name) is granted.
    pub(crate) fn scoped(&self, units: &[&str]) -> Grant {
        let units = units
            .iter()
            .map(|u| (*u).to_owned())
            .collect::<BTreeSet<_>>();
        Self::grant("users/scoped", "*", RowScope::OrgUnits(units))
    }

    /// What a service is granted.
    pub(crate) fn service(&self, id: &str, permission: &str) -> Grant {
        Self::grant(&format!("serviceAccounts/{id}"), permission, RowScope::All)
    }

    /// What a follower of the access snapshot is granted.
    pub(crate) fn follower(&self) -> Grant {
        self.service("service-customer", "identity.access.follow")
    }

    /// Makes a user 李雷 with [`PASSWORD`].
    pub(crate) async fn user(&self, id: &str, org_unit: &str) {
        self.user_with(id, org_unit, PASSWORD).await;
    }

    /// Makes a user with a password, or without.
    pub(crate) async fn user_with(&self, id: &str, org_unit: &str, password: &str) {
        let request = pb::CreateUserRequest {
            user_id: id.to_owned(),
            user: Some(pb::User {
                display_name: "李雷".to_owned(),
                org_unit: crate::convert::org_unit_name(org_unit),
                ..pb::User::default()
            }),
            password: password.to_owned(),
            request_id: String::new(),
        };
        rpc::create_user(&self.core, &self.admin(), request)
            .await
            .expect("a user");
    }

    /// Disables a user.
    pub(crate) async fn disable(&self, id: &str) {
        let name = format!("users/{id}");
        let request = pb::DisableUserRequest {
            name,
            ..pb::DisableUserRequest::default()
        };
        rpc::disable_user(&self.core, &self.admin(), request)
            .await
            .expect("disabled");
    }

    /// Makes a user and gives him a one-time password.
    pub(crate) async fn reset(&self, id: &str) -> String {
        self.user(id, "").await;
        let request = pb::ResetPasswordRequest {
            name: format!("users/{id}"),
        };
        let reset = rpc::reset_password(&self.core, &self.admin(), request).await;
        reset.expect("a password").one_time_password
    }

    /// Makes an org unit.
    pub(crate) async fn org_unit(&self, id: &str, parent: &str) {
        let request = pb::CreateOrgUnitRequest {
            org_unit_id: id.to_owned(),
            org_unit: Some(pb::OrgUnit {
                display_name: format!("单位 {id}"),
                parent: crate::convert::org_unit_name(parent),
                ..pb::OrgUnit::default()
            }),
            request_id: String::new(),
        };
        rpc::create_org_unit(&self.core, &self.admin(), request)
            .await
            .expect("an org unit");
    }

    /// Gives a role; the binding's name.
    pub(crate) async fn bind(&self, member: &str, role: &str, org_unit: &str) -> String {
        let request = pb::CreateRoleBindingRequest {
            role_binding: Some(pb::RoleBinding {
                member: member.to_owned(),
                role: role.to_owned(),
                org_unit: org_unit.to_owned(),
                ..pb::RoleBinding::default()
            }),
            request_id: String::new(),
        };
        let binding = rpc::create_role_binding(&self.core, &self.admin(), request).await;
        binding.expect("a binding").name
    }

    /// The first role binding of a member.
    pub(crate) async fn binding_of(&self, member: &str) -> String {
        let member = Member::parse(member).expect("a member");
        let mut conn = self.core.db.read().await.expect("a connection");
        let bindings = grants::bindings_of(&mut conn, &member)
            .await
            .expect("bindings");
        format!("roleBindings/{}", bindings[0].id)
    }

    /// A key of a service account, which is made when missing.
    pub(crate) async fn key(&self, id: &str) -> String {
        let account = pb::CreateServiceAccountRequest {
            service_account_id: id.to_owned(),
            service_account: Some(pb::ServiceAccount::default()),
            request_id: String::new(),
        };
        match rpc::create_service_account(&self.core, &self.admin(), account).await {
            Ok(_) => {}
            Err(failure) => assert_eq!(failure.reason, "ALREADY_EXISTS"),
        }
        let request = pb::CreateServiceAccountKeyRequest {
            parent: format!("serviceAccounts/{id}"),
            key: None,
        };
        let made = rpc::create_service_account_key(&self.core, &self.admin(), request).await;
        made.expect("a key").secret
    }

    pub(crate) async fn login(&self, user: &str) -> Result<pb::TokenPair, Failure> {
        self.login_with(user, PASSWORD, "").await
    }

    pub(crate) async fn login_with(
        &self,
        user: &str,
        password: &str,
        new_password: &str,
    ) -> Result<pb::TokenPair, Failure> {
        let request = pb::LoginRequest {
            user: user.to_owned(),
            password: password.to_owned(),
            new_password: new_password.to_owned(),
            audiences: Vec::new(),
        };
        rpc::login(&self.core, request)
            .await
            .map(|answer| answer.tokens.expect("a pair"))
    }

    pub(crate) async fn login_with_key(&self, key: &str) -> Result<pb::TokenPair, Failure> {
        let request = pb::LoginWithKeyRequest {
            key: key.to_owned(),
            audiences: Vec::new(),
        };
        rpc::login_with_key(&self.core, request)
            .await
            .map(|answer| answer.tokens.expect("a pair"))
    }

    /// A policy that forbids a user everything.
    pub(crate) fn forbid(&self, id: &str) -> String {
        format!("forbid (principal == User::\"{id}\", action, resource);")
    }
}

/// The id of the key that signed a token.
pub(crate) fn kid(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = token.split('.').next().expect("a header");
    let header = URL_SAFE_NO_PAD.decode(header).expect("base64url");
    let header = String::from_utf8(header).expect("UTF-8");
    let (_, rest) = header.split_once("\"kid\":\"").expect("a kid");
    rest.split('"').next().expect("an end").to_owned()
}

/// Waits until `holds`, at most ten seconds of real time: for what another task does.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about in ten seconds");
}
