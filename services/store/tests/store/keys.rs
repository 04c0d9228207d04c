//! Key files, wrapping, tokens, and the binding of keys to a database.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use jinke_store::{
    keys::{DataKey, KeyFiles, KeyRing},
    testing::{Folder, on_each_engine},
};
use jinke_types::{Code, SeededEntropy};

use crate::MIGRATIONS;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Adds key 2 to a file and makes it active.
fn rotate(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    document["keys"]
        .as_array_mut()
        .unwrap()
        .push(serde_json::json!({"id": 2, "secret": secret}));
    document["active"] = 2.into();
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn key_files_are_made_once_and_for_the_owner_alone() {
    let folder = Folder::fresh();
    let files = KeyFiles::in_folder(&folder.path().join("keys"));
    assert_eq!(KeyRing::open(&files).unwrap_err().reason, "KEY_FILE");
    let first = KeyRing::open_or_create(&files, &SeededEntropy::new(1)).unwrap();
    assert_eq!((mode(&files.sealing), mode(&files.tokens)), (0o600, 0o600));
    let again = KeyRing::open_or_create(&files, &SeededEntropy::new(2)).unwrap();
    assert_eq!(first.token("phone", "1"), again.token("phone", "1"));
    let names: Vec<_> = fs::read_dir(folder.path().join("keys")).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing is left beside them");

    for open in [0o640, 0o604, 0o644] {
        fs::set_permissions(&files.tokens, fs::Permissions::from_mode(open)).unwrap();
        let refused = KeyRing::open(&files).unwrap_err();
        assert_eq!(
            (refused.code, refused.reason),
            (Code::FailedPrecondition, "KEY_FILE_OPEN")
        );
        assert!(refused.message.contains("chmod 600"));
    }
}

#[test]
fn a_wrong_key_file_is_refused_without_telling_its_content() {
    let folder = Folder::fresh();
    let files = KeyFiles::in_folder(folder.path());
    KeyRing::open_or_create(&files, &SeededEntropy::new(1)).unwrap();
    let good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let key = |id: i64, secret: &str| format!(r#"{{"id":{id},"secret":"{secret}"}}"#);
    for (active, keys, what) in [
        (1, String::new(), "active"),
        (1, key(2, good), "active"),
        (1, key(1, "c2VjcmV0"), "32 bytes"),
        (1, key(1, "不是"), "32 bytes"),
        (0, key(0, good), "1 to 127"),
        (128, key(128, good), "1 to 127"),
        (1, format!("{},{}", key(1, good), key(1, good)), "twice"),
        (300, key(1, good), "not a key file"),
        (
            1,
            r#"{"id":1,"secret":"x","other":1}"#.to_owned(),
            "not a key file",
        ),
    ] {
        fs::write(
            &files.sealing,
            format!(r#"{{"active":{active},"keys":[{keys}]}}"#),
        )
        .unwrap();
        let failure = KeyRing::open(&files).unwrap_err();
        assert_eq!(failure.reason, "KEY_FILE");
        assert!(failure.message.contains(what), "{what}: {failure}");
        assert!(!failure.message.contains("c2Vj") && !failure.message.contains(good));
    }
    fs::write(&files.sealing, vec![b' '; 100_000]).unwrap();
    assert!(
        KeyRing::open(&files)
            .unwrap_err()
            .message
            .contains("too long")
    );
}

#[test]
fn rotation_keeps_old_records_and_tokens_in_reach() {
    let folder = Folder::fresh();
    let files = KeyFiles::in_folder(folder.path());
    let entropy = SeededEntropy::new(1);
    let old = KeyRing::open_or_create(&files, &entropy).unwrap();
    let key = DataKey::generate(&entropy);
    let (wrapped, sealed) = (
        old.wrap(&key, &entropy),
        key.seal(b"7", b"secret", &entropy),
    );
    let (token, tag) = (
        old.token("phone", "13800138000"),
        old.hmac("request", b"body"),
    );
    assert_eq!(token >> 56, 1);

    rotate(&files.sealing);
    rotate(&files.tokens);
    let new = KeyRing::open(&files).unwrap();
    assert_eq!(
        new.unwrap(&wrapped).unwrap().open(b"7", &sealed).unwrap(),
        b"secret"
    );
    assert!(new.is_stale(&wrapped) && !old.is_stale(&wrapped));
    let fresh = new.wrap(&new.unwrap(&wrapped).unwrap(), &entropy);
    assert!(!new.is_stale(&fresh));
    let lost = old.unwrap(&fresh).unwrap_err();
    assert_eq!((lost.code, lost.reason), (Code::DataLoss, "KEY_MISSING"));
    assert_eq!(lost.metadata["key_id"], "2");

    let active = new.token("phone", "13800138000");
    assert_eq!(active >> 56, 2);
    assert_eq!(
        new.tokens_for_lookup("phone", "13800138000"),
        [active, token]
    );
    assert_eq!(old.tokens_for_lookup("phone", "13800138000"), [token]);
    assert!(new.verify("request", b"body", &tag));
    assert!(!old.verify("request", b"body", &new.hmac("request", b"body")));
}

#[test]
fn tokens_and_hashes_depend_on_all_they_are_made_of() {
    let ring = KeyRing::in_memory(&SeededEntropy::new(1));
    let other = KeyRing::in_memory(&SeededEntropy::new(2));
    let token = ring.token("phone", "1");
    assert_eq!(token, ring.token("phone", "1"));
    for different in [
        ring.token("phone", "2"),
        ring.token("email", "1"),
        ring.token("phone1", ""),
        other.token("phone", "1"),
    ] {
        assert_ne!(token, different);
        assert!(different > 0);
    }
    let tag = ring.hmac("request", b"x");
    assert!(ring.verify("request", b"x", &tag));
    assert!(!ring.verify("page", b"x", &tag));
    assert!(!ring.verify("request", b"y", &tag));
    assert!(!other.verify("request", b"x", &tag));
    for cut in 0..tag.len() {
        assert!(!ring.verify("request", b"x", &tag[..cut]));
    }
    assert!(!format!("{ring:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_refuses_other_keys_than_its_own() {
    on_each_engine(&MIGRATIONS, async |db| {
        let folder = Folder::fresh();
        let files = KeyFiles::in_folder(folder.path());
        let ring = KeyRing::open_or_create(&files, &SeededEntropy::new(1)).unwrap();
        let check = async |ring: &KeyRing| {
            db.write(async |mut tx| ring.check(&mut tx).await)
                .await
                .map_err(|f| f.reason)
        };
        assert_eq!(check(&ring).await, Ok(()));
        assert_eq!(check(&ring).await, Ok(()));
        let other = KeyRing::in_memory(&SeededEntropy::new(9));
        assert_eq!(check(&other).await, Err("KEY_CHANGED"));
        rotate(&files.sealing);
        assert_eq!(
            check(&KeyRing::open(&files).unwrap()).await,
            Ok(()),
            "a new key is noted"
        );
        assert_eq!(
            check(&ring).await,
            Err("KEY_MISSING"),
            "and wanted from then on"
        );
    })
    .await;
}
