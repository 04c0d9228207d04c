//! Backing up a serving suite, and restoring it on an empty machine, on either engine.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use jinke_store::{Engine, testing::Place};
use serde_json::Value;

use crate::harness::{Home, text};

const CUSTOMERS: &str = "\
客户编码,客户名称,统一社会信用代码,电话,创建日期\r\n\
C001,杭州星河电子有限公司,91330100MA27XL3K5N,0571-88001122,2024-01-05\r\n\
C002,上海远山贸易有限公司,,021-66001234,2024/2/6\r\n";

const MAPPING: &str = "\
kind = 'organization'\n\
external_id = '客户编码'\n\
update_time = '创建日期'\n\
[[values]]\nattribute = 'name'\ncolumn = '客户名称'\n\
[[values]]\nattribute = 'identifier'\nscheme = { constant = 'uscc' }\ncolumn = '统一社会信用代码'\n\
[[values]]\nattribute = 'phone'\ncolumn = '电话'\n";

/// A home whose suite is serving has one customer more after each call.
fn import(home: &Home, nth: usize) {
    let name = format!("more{nth}.csv");
    home.file(&name, CUSTOMERS.replace("C00", &format!("D{nth}-")));
    let done = home.jinke(&[
        "import",
        &name,
        "--source",
        "erp",
        "--mapping",
        "mapping.toml",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
}

fn found(home: &Home) -> Value {
    home.json(&[
        "customers",
        "lookup",
        "--identifier",
        "uscc:91330100MA27XL3K5N",
    ])
}

fn hash(answer: &Value) -> &str {
    let hash = text(answer, "stateHash");
    assert_eq!(hash.len(), 64);
    hash
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serving_suite_is_backed_up_and_restored_on_an_empty_machine() {
    let home = Home::new();
    home.file("customers.csv", CUSTOMERS);
    home.file("mapping.toml", MAPPING);
    let serving = home.serve(&[]);
    import(&home, 0);
    // Beside the running services, and beside writes.
    let (backup, keys) = (home.path("backup"), home.path("keys"));
    let (backup, keys) = (backup.to_str().unwrap(), keys.to_str().unwrap());
    let taken = std::thread::scope(|scope| {
        let writes = scope.spawn(|| (1..4).for_each(|nth| import(&home, nth)));
        let taken = home.json(&["backup", "--out", backup, "--keys", keys]);
        writes.join().unwrap();
        taken
    });
    let before = found(&home);
    assert!(serving.stop().success());
    home.json(&["restore", "--check", "--from", backup]);

    // Another machine, where nothing is.
    let empty = Home::new();
    let restored = empty.json(&["restore", "--from", backup, "--keys", keys]);
    assert_eq!(hash(&restored), hash(&taken), "the same state");
    let again = empty.path("again");
    let again = empty.json(&["backup", "--out", again.to_str().unwrap()]);
    assert_eq!(hash(&again), hash(&taken), "and a backup of it says so too");
    let twice = empty.jinke(&["restore", "--from", backup, "--keys", keys]);
    assert!(
        twice.code != 0 && twice.err.contains("RESTORE_NOT_EMPTY"),
        "{twice:?}"
    );
    let serving = empty.serve(&[]);
    let name = |answer: &Value| answer.to_string().contains("杭州星河电子有限公司");
    assert!(name(&before) && name(&found(&empty)));
    let shown = empty.json(&["customers", "get", "customers/1"]).to_string();
    assert!(
        shown.contains("0571"),
        "sealed values open with the restored keys: {shown}"
    );
    assert!(serving.stop().success());

    // The same backup into PostgreSQL.
    let place = Place::new(Engine::Postgres).await;
    let server = Home::new();
    let url = place.config().url;
    let mut on_server: Vec<String> = Vec::new();
    for service in ["identity", "customer", "connector", "pipeline", "reporting"] {
        on_server.push(format!("--set={service}.database.url={url}"));
        on_server.push(format!("--set={service}.database.schema={service}"));
    }
    let on_server: Vec<&str> = on_server.iter().map(String::as_str).collect();
    let restored = server.json(
        &[
            &["restore", "--from", backup, "--keys", keys][..],
            &on_server,
        ]
        .concat(),
    );
    assert_eq!(hash(&restored), hash(&taken), "SQLite into PostgreSQL");
    let moved = server.path("moved");
    let moved = server.json(
        &[
            &["backup", "--out", moved.to_str().unwrap()][..],
            &on_server,
        ]
        .concat(),
    );
    assert_eq!(hash(&moved), hash(&taken), "and back");
    place.remove().await;

    // A byte that is not the one that was written.
    let file = home.path("backup").join("customer.jsonl.gz");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let damaged = Home::new().jinke(&["restore", "--from", backup, "--keys", keys]);
    assert!(
        damaged.code != 0 && damaged.err.contains("BACKUP_DAMAGED"),
        "{damaged:?}"
    );
}

#[test]
fn old_backups_go_and_half_ones_do_not_count() {
    let home = Home::new();
    home.serve(&[]).stop();
    let into = home.path("backups");
    fs::create_dir_all(into.join("jinke-2020-01-01T00-00-00Z.unfinished")).unwrap();
    // Of a backup that died long ago, and of one that is not its: the name says whose it is.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
    for name in ["jinke-2020-01-02T00-00-00Z.unfinished", "a.unfinished"] {
        fs::create_dir_all(into.join(name)).unwrap();
        let folder = fs::File::open(into.join(name)).unwrap();
        folder.set_modified(long_ago).unwrap();
    }
    for day in 1..4 {
        let old = into.join(format!("jinke-2020-01-0{day}T00-00-00Z"));
        fs::create_dir_all(&old).unwrap();
        fs::write(old.join("manifest.json"), "{}").unwrap();
    }
    fs::create_dir_all(into.join("somebody-elses")).unwrap();
    home.json(&["backup", "--into", into.to_str().unwrap(), "--keep", "2"]);
    let mut left: Vec<String> = fs::read_dir(&into)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left.len(), 5, "{left:?}");
    assert_eq!(left[0], "a.unfinished");
    assert_eq!(left[1], "jinke-2020-01-01T00-00-00Z.unfinished");
    assert_eq!(left[2], "jinke-2020-01-03T00-00-00Z");
    assert!(left[3].starts_with("jinke-20") && left[4] == "somebody-elses");
}
