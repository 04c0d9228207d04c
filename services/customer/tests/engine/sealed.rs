//! Nothing personal is in the clear in the database files.

use std::path::Path;

use jinke_customer::{domain::Merge, store::MIGRATIONS};
use jinke_store::{Database, Engine as Kind, args, testing::Place};
use jinke_types::RowScope;

use crate::support::*;

const PLANTED: [&str; 6] = [
    "欧阳震华",
    "13877776666",
    "ouyang.zhenhua@example.com",
    "世纪大道八十八号",
    "6222021234567890123",
    "悄悄话内容",
];

fn scan(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for word in PLANTED {
            if bytes.windows(word.len()).any(|w| w == word.as_bytes()) {
                found.push(format!("{word} in {}", path.display()));
            }
        }
    }
    found
}

async fn fill(house: &House) {
    let engine = house.engine().await;
    sources(&engine).await;
    let said = [
        (NAME, PLANTED[0]),
        (PHONE, PLANTED[1]),
        (EMAIL, PLANTED[2]),
        ("address", PLANTED[3]),
        ("bank_account", PLANTED[4]),
        ("remark", PLANTED[5]),
    ];
    let (_, a) = one(&engine, person("chat/P", 1, &said)).await;
    let (_, b) = one(&engine, person("crm/P", 1, &[(NAME, PLANTED[0])])).await;
    let company = [
        (NAME, "明面上的公司"),
        ("contact_name", PLANTED[0]),
        (PHONE, PLANTED[1]),
    ];
    one(&engine, org("erp/A", 1, &company)).await;
    one(&engine, partial(org("erp/A", 2, &[(EMAIL, PLANTED[2])]))).await;
    if holder(&engine, "crm/P").await == b {
        let merge = Merge {
            comment: PLANTED[5].to_owned(),
            ..merge(a, b)
        };
        engine.merge(merge, &RowScope::All, None).await.unwrap();
    }
    let view = engine.golden(a, &RowScope::All).await.unwrap();
    assert_eq!(view.display_name, PLANTED[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_hold_no_planted_value() {
    let place = Place::new(Kind::Sqlite).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let house = House::new(db.clone());
    fill(&house).await;
    let file = place.file().unwrap();
    let folder = file.parent().unwrap();
    // The write-ahead log still holds what was written.
    assert_eq!(scan(folder), Vec::<String>::new());
    // The scan finds what is plain on purpose.
    let plain = std::fs::read_dir(folder).unwrap().any(|f| {
        let bytes = std::fs::read(f.unwrap().path()).unwrap();
        bytes
            .windows("明面上的公司".len())
            .any(|w| w == "明面上的公司".as_bytes())
    });
    assert!(plain);
    db.close().await;
    assert_eq!(scan(folder), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_tables_hold_no_planted_value() {
    let place = Place::new(Kind::Postgres).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    fill(&House::new(db.clone())).await;
    let mut reader = db.read().await.unwrap();
    let tables = reader
        .fetch_all(
            "SELECT table_name AS name FROM information_schema.tables \
             WHERE table_schema = current_schema()",
            args![],
        )
        .await
        .unwrap();
    let mut seen_plain = false;
    for table in tables {
        let name = table.text("name").unwrap();
        let sql = jinke_store::Sql::assembled(format!("SELECT t::text AS line FROM {name} t"));
        for row in reader.fetch_all(sql, args![]).await.unwrap() {
            let line = row.text("line").unwrap();
            seen_plain |= line.contains("明面上的公司");
            for word in PLANTED {
                assert!(!line.contains(word), "{word} in {name}");
                // Bytes are shown in hexadecimal.
                assert!(!line.contains(&hex::encode(word)), "{word} in {name}");
            }
        }
    }
    assert!(seen_plain);
    drop(reader);
    db.close().await;
    place.remove().await;
}
