//! Keys made elsewhere, for services that run apart: an operator makes them with
//! `jinke secrets make`, gives each process its own (a Kubernetes Secret, say) and identity all of
//! them in the folder `identity.provisioned_keys`.
//!
//! | file | whose key |
//! |---|---|
//! | `service-<name>.key` | `serviceAccounts/service-<name>` |
//! | `cli.key` | `serviceAccounts/jinke-cli`, an administrator for the command line; made by this |
//!
//! A file that is missing leaves its account as it is. To change a key: replace it here and start
//! identity again, then give it to its service; the key before stays good until the change after.

use std::{io::Read as _, path::Path};

use jinke_store::Tx;
use jinke_types::{Code, Failure};

use crate::{
    access::{CLI, SERVICES},
    core::Core,
    domain::ServiceAccountKey,
    secret::{self, Kind, Secret},
    store::{accounts, sessions},
};

/// Tells these keys from those of other origin.
const PROVISIONED: &str = "部署时提供 Provisioned with the deployment";

/// How many provisioned keys an account keeps: the present one and the one before.
const KEPT: usize = 2;

/// A key is 84 bytes; more than this is no key file.
const MAX_FILE: u64 = 1024;

/// Whether the command line has a key among them.
pub(crate) fn names_cli(folder: &Path) -> bool {
    // No folder is not the working directory.
    !folder.as_os_str().is_empty() && folder.join(CLI_FILE).exists()
}

const CLI_FILE: &str = "cli.key";

/// Takes the keys that are not known yet.
///
/// # Errors
/// `CREDENTIAL_FILE` naming a file that cannot be read, holds no key, or holds the id of another
/// key.
pub(crate) async fn adopt(core: &Core, folder: &Path) -> Result<(), Failure> {
    let files = SERVICES
        .iter()
        .map(|service| (format!("{}.key", service.id), service.id))
        .chain([(CLI_FILE.to_owned(), CLI.id)]);
    for (file, account) in files {
        let path = folder.join(file);
        if let Some(secret) = read(&path)? {
            take(core, &path, account, &secret).await?;
        }
    }
    Ok(())
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> Failure {
    let message = format!("{}: {what}", path.display());
    Failure::new(Code::FailedPrecondition, "CREDENTIAL_FILE", message)
}

fn read(path: &Path) -> Result<Option<Secret>, Failure> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(wrong(path, e.kind())),
    };
    let mut text = String::new();
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|e| wrong(path, e.kind()))?;
    secret::read(Kind::Key, text.trim())
        .map(Some)
        .ok_or_else(|| wrong(path, "holds no key of a service account"))
}

async fn take(core: &Core, path: &Path, account: &str, secret: &Secret) -> Result<(), Failure> {
    let ring = &core.vault.ring;
    let mac = ring.hmac(Kind::Key.purpose(), secret.text.as_bytes());
    let now = core.now();
    core.db
        .write(async |mut tx: Tx| {
            let tx = &mut tx;
            if !accounts::hold(tx, account).await? {
                // Disabled by an administrator, and so it stays.
                return Ok(());
            }
            if let Some((known, mac)) = accounts::get_key(tx, &secret.id).await? {
                let same = known.account == account
                    && ring.verify(Kind::Key.purpose(), secret.text.as_bytes(), &mac);
                return match same {
                    true => Ok(()),
                    false => Err(wrong(path, "holds the id of another key")),
                };
            }
            let mut before: Vec<ServiceAccountKey> = accounts::keys(tx, account)
                .await?
                .into_iter()
                .filter(|key| key.display_name == PROVISIONED)
                .collect();
            before.sort_by(|a, b| (a.create_time, &a.id).cmp(&(b.create_time, &b.id)));
            let surplus = (before.len() + 1).saturating_sub(KEPT);
            for old in before.iter().take(surplus) {
                accounts::delete_key(tx, account, &old.id).await?;
                sessions::end_of_key(tx, &old.id, "key replaced", now).await?;
            }
            let key = ServiceAccountKey {
                id: secret.id.clone(),
                account: account.to_owned(),
                display_name: PROVISIONED.to_owned(),
                create_time: now,
                expire_time: None,
            };
            accounts::insert_key(tx, &key, mac.clone()).await
        })
        .await
}

#[cfg(test)]
mod tests {
    use jinke_store::testing::Folder;
    use jinke_types::SeededEntropy;

    use super::*;
    use crate::testing::{House, on_sqlite};

    fn put(folder: &Folder, file: &str, seed: u64) -> String {
        let made = secret::make(Kind::Key, &SeededEntropy::new(seed));
        std::fs::write(folder.path().join(file), format!("{}\n", made.text)).expect("the file");
        made.id
    }

    async fn keys(house: &House, account: &str) -> Vec<String> {
        let mut conn = house.core.db.read().await.expect("a connection");
        let keys = accounts::keys(&mut conn, account).await.expect("keys");
        keys.into_iter()
            .filter(|k| k.display_name == PROVISIONED)
            .map(|k| k.id)
            .collect()
    }

    #[tokio::test]
    async fn provisioned_keys_are_taken_once_and_the_last_two_are_kept() {
        on_sqlite(async |house| {
            let folder = Folder::fresh();
            let mut ids = Vec::new();
            for seed in [11, 11, 12, 13] {
                let id = put(&folder, "service-customer.key", seed);
                adopt(&house.core, folder.path()).await.expect("taken");
                house.clock.advance(std::time::Duration::from_secs(1));
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            let mut kept = ids.split_off(ids.len() - 2);
            kept.sort();
            assert_eq!(keys(house, "service-customer").await, kept);
            assert!(keys(house, "service-connector").await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn a_file_that_is_no_key_or_anothers_is_refused_by_name() {
        on_sqlite(async |house| {
            let folder = Folder::fresh();
            let path = folder.path().join("service-customer.key");
            for bad in ["", "jk_1_2", &"jk_".repeat(5_000), "\u{fffd}"] {
                std::fs::write(&path, bad).expect("the file");
                let failure = adopt(&house.core, folder.path())
                    .await
                    .expect_err("refused");
                assert_eq!(failure.reason, "CREDENTIAL_FILE");
                assert!(failure.message.contains("service-customer.key"));
            }
            put(&folder, "service-customer.key", 21);
            put(&folder, "service-connector.key", 21);
            let failure = adopt(&house.core, folder.path())
                .await
                .expect_err("refused");
            assert!(failure.message.contains("id of another key"), "{failure:?}");
        })
        .await;
    }
}
