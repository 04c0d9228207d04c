//! What must be there before the first call: an administrator, the shipped service accounts, a
//! signing key. Runs at every start and makes what is missing; replicas that start together take
//! turns.

use std::path::PathBuf;

use jinke_store::Tx;
use jinke_types::{Failure, RowScope, Timestamp};

use crate::{
    access::{self, ADMINISTRATOR, CLI, SERVICES, Shipped},
    core::Core,
    credentials,
    domain::{Member, RoleBinding, ServiceAccount, User, new_uid},
    provision, secret, signing,
    store::{self, accounts, grants, lock, signing_keys, state, users},
};

/// Makes what is missing, publishes the state of access and writes this machine's credentials.
/// On the first start of all: the administrator's one-time password.
///
/// # Errors
/// Those of the database and the key files (`KEY_MISSING`, `KEY_CHANGED`), `CREDENTIAL_FILE`.
pub(crate) async fn run(core: &Core) -> Result<Option<String>, Failure> {
    let now = core.now();
    let provisioned = PathBuf::from(&core.config.provisioned_keys);
    let first = core
        .db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            core.vault.ring.check(tx).await?;
            tx.lock(lock::BOOTSTRAP).await?;
            ensure_signing_key(core, tx, now).await?;
            for service in SERVICES {
                ensure_account(core, tx, service, now).await?;
            }
            if core.config.local_credentials || provision::names_cli(&provisioned) {
                ensure_account(core, tx, &CLI, now).await?;
            }
            note_roles(tx, now).await?;
            ensure_administrator(core, tx, now).await
        })
        .await?;
    core.publisher
        .refresh(&core.db, &core.vault, core.clock.as_ref(), None)
        .await?;
    if !provisioned.as_os_str().is_empty() {
        provision::adopt(core, &provisioned).await?;
    }
    credentials::ensure(core).await?;
    Ok(first)
}

async fn ensure_signing_key(core: &Core, tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
    if signing_keys::newest(tx).await?.is_some() {
        return Ok(());
    }
    let (key, private) = signing::generate(core.entropy(), now)?;
    signing_keys::insert(tx, &core.vault, &key, &private, now).await?;
    store::log(tx, format!("signingKeys/{}", key.kid), "created", 1, now);
    Ok(())
}

async fn ensure_account(
    core: &Core,
    tx: &mut Tx,
    shipped: &Shipped,
    now: Timestamp,
) -> Result<(), Failure> {
    if accounts::get(tx, &RowScope::All, shipped.id)
        .await?
        .is_some()
    {
        return Ok(());
    }
    let account = ServiceAccount {
        id: shipped.id.to_owned(),
        uid: new_uid(core.entropy()),
        display_name: shipped.display_name.to_owned(),
        org_unit: String::new(),
        disabled: false,
        revision: store::new_revision(tx).await?,
        create_time: now,
        update_time: now,
    };
    accounts::insert(tx, &account).await?;
    bind(
        core,
        tx,
        Member::ServiceAccount(account.id),
        shipped.role,
        now,
    )
    .await
}

async fn bind(
    core: &Core,
    tx: &mut Tx,
    member: Member,
    role: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let binding = RoleBinding {
        id: format!("b{}", new_uid(core.entropy())),
        member,
        role: role.to_owned(),
        org_unit: String::new(),
        create_time: now,
    };
    grants::insert_binding(tx, &binding).await?;
    store::log(
        tx,
        format!("roleBindings/{}", binding.id),
        "created",
        1,
        now,
    );
    Ok(())
}

/// Another version of the program may ship other roles; followers must hear of it.
async fn note_roles(tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
    let roles = access::roles_text();
    if state::note(tx, "roles").await?.as_deref() == Some(&roles) {
        return Ok(());
    }
    state::set_note(tx, "roles", &roles).await?;
    store::log(tx, "roles".to_owned(), "updated", 1, now);
    Ok(())
}

async fn ensure_administrator(
    core: &Core,
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    if users::any(tx).await? {
        return Ok(None);
    }
    let password = secret::one_time_password(core.entropy());
    let hash = core
        .passwords
        .hash(&core.passwords.admit()?, password.clone(), core.entropy())
        .await?;
    let admin = User {
        id: "admin".to_owned(),
        uid: new_uid(core.entropy()),
        display_name: "管理员".to_owned(),
        org_unit: String::new(),
        disabled: false,
        password_change: true,
        revision: store::new_revision(tx).await?,
        create_time: now,
        update_time: now,
    };
    users::insert(tx, &core.vault, &admin, &hash).await?;
    bind(core, tx, Member::User(admin.id), ADMINISTRATOR, now).await?;
    credentials::keep_first_password(core, &password)?;
    Ok(Some(password))
}
