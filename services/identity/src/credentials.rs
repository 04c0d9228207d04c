//! Credentials for this machine, in `<data_dir>/credentials`, readable by the owner alone.
//!
//! | file | what |
//! |---|---|
//! | `admin.toml` | the administrator's name and, until used, his one-time password; the key of `serviceAccounts/jinke-cli` for the command line |
//! | `service-<name>.key` | the key of `serviceAccounts/service-<name>`, nothing else |
//!
//! A file whose key was deleted, has expired or cannot be read gets a new key at the next start,
//! and the key it replaces is deleted.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use jinke_store::Tx;
use jinke_types::{Code, Failure};
use serde::{Deserialize, Serialize};

use crate::{
    access::{CLI, SERVICES},
    core::Core,
    domain::{MAX_KEYS, ServiceAccountKey},
    secret::{self, Kind},
    store::{accounts, sessions, users},
};

/// Tells the keys of these files from keys that people made.
const LOCAL: &str = "本机凭证文件 Credential file of this machine";

/// `admin.toml`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Admin {
    user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    one_time_password: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    service_account: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    key: String,
}

/// Where the administrator's credential is.
pub(crate) fn admin_path(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials").join("admin.toml")
}

fn read_admin(path: &Path) -> Admin {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    toml::from_str(&text).unwrap_or_default()
}

fn write_admin(path: &Path, admin: &Admin) -> Result<(), Failure> {
    let body = toml::to_string(admin).map_err(Failure::internal)?;
    let text = format!(
        "# Written by jinke for the command line on this machine. Whoever reads it is \
         administrator.\n{body}"
    );
    write_private(path, &text)
}

/// Keeps the administrator's first password, before it is committed: a crash in between leaves a
/// file that opens nothing, and not an administrator nobody can be.
pub(crate) fn keep_first_password(core: &Core, password: &str) -> Result<(), Failure> {
    let admin = Admin {
        user: "users/admin".to_owned(),
        one_time_password: password.to_owned(),
        ..Admin::default()
    };
    write_admin(&admin_path(&core.data_dir), &admin)
}

/// Makes the credentials of this machine that are missing, and takes a used one-time password
/// out of the file.
pub(crate) async fn ensure(core: &Core) -> Result<(), Failure> {
    let path = admin_path(&core.data_dir);
    let mut admin = read_admin(&path);
    let before = toml::to_string(&admin).map_err(Failure::internal)?;
    if !admin.one_time_password.is_empty() {
        let credential = users::credential(&mut *core.db.read().await?, "admin").await?;
        if !credential.is_some_and(|c| c.password_change) {
            admin.one_time_password.clear();
        }
    }
    if core.config.local_credentials {
        admin.user = "users/admin".to_owned();
        admin.service_account = format!("serviceAccounts/{}", CLI.id);
        if !holds(core, CLI.id, &admin.key).await? {
            let (made, key) = make(core, CLI.id);
            let old = std::mem::replace(&mut admin.key, made);
            write_admin(&path, &admin)?;
            replace(core, &key, &admin.key, &old).await?;
        }
    }
    if toml::to_string(&admin).map_err(Failure::internal)? != before {
        write_admin(&path, &admin)?;
    }
    if core.config.local_credentials {
        for service in SERVICES {
            let short = service
                .id
                .trim_start_matches(crate::access::RESERVED_PREFIX);
            let path = jinke_kit::client::service_key_file(&core.data_dir, short);
            let present = std::fs::read_to_string(&path).unwrap_or_default();
            if !holds(core, service.id, present.trim()).await? {
                let (text, key) = make(core, service.id);
                write_private(&path, &text)?;
                replace(core, &key, &text, present.trim()).await?;
            }
        }
    }
    Ok(())
}

/// Whether this text is a key of the account that still opens.
async fn holds(core: &Core, account: &str, text: &str) -> Result<bool, Failure> {
    let Some(secret) = secret::read(Kind::Key, text) else {
        return Ok(false);
    };
    let Some((key, mac)) = accounts::get_key(&mut *core.db.read().await?, &secret.id).await? else {
        return Ok(false);
    };
    let proven = core
        .vault
        .ring
        .verify(Kind::Key.purpose(), secret.text.as_bytes(), &mac);
    Ok(proven && key.account == account && key.expire_time.is_none_or(|end| core.now() < end))
}

fn make(core: &Core, account: &str) -> (String, ServiceAccountKey) {
    let made = secret::make(Kind::Key, core.entropy());
    let key = ServiceAccountKey {
        id: made.id,
        account: account.to_owned(),
        display_name: LOCAL.to_owned(),
        create_time: core.now(),
        expire_time: None,
    };
    (made.text, key)
}

/// Adds the key and deletes the one the file named before, `old`. Keys in the files of other
/// machines stay, unless the account would have too many. The file is written before.
async fn replace(
    core: &Core,
    key: &ServiceAccountKey,
    text: &str,
    old: &str,
) -> Result<(), Failure> {
    let mac = core.vault.ring.hmac(Kind::Key.purpose(), text.as_bytes());
    let old = secret::read(Kind::Key, old).map(|secret| secret.id);
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            if !accounts::hold(tx, &key.account).await? {
                // Disabled by an administrator: the file holds a key that does not open.
                return Ok(());
            }
            let keys = accounts::keys(tx, &key.account).await?;
            let oldest = keys
                .iter()
                .filter(|k| k.display_name == LOCAL && keys.len() >= MAX_KEYS)
                .min_by_key(|k| k.create_time)
                .map(|k| k.id.clone());
            for id in old.iter().chain(&oldest) {
                accounts::delete_key(tx, &key.account, id).await?;
                sessions::end_of_key(tx, id, "key replaced", core.now()).await?;
            }
            accounts::insert_key(tx, key, mac.clone()).await
        })
        .await
}

/// Writes a file for the owner alone, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| {
        Failure::new(
            Code::FailedPrecondition,
            "CREDENTIAL_FILE",
            format!("cannot write {}: {}", path.display(), e.kind()),
        )
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.create(folder).map_err(cannot)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // A left-over of a crash might have other rights.
    let _ = std::fs::remove_file(&beside);
    let mut file = options.open(&beside).map_err(cannot)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(cannot)
}
