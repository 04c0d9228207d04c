//! Real time equals batch: the same records through the service in random order, and as a table
//! through `jinke resolve --at merge`, end in the same clusters; so do they as a first load that is
//! resolved later. `make batch-equality` tries 100,000 records.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::batch::{
    self, At, Column, Engine as By, Options, Semantic, Table, organizations,
};
use jinke_types::{Body, Completeness, PartyKind, RecordKey, SourceRecord};

use crate::support::*;

const PLACES: [(&str, &str); 6] = [
    ("上海", "浦东新区世纪大道"),
    ("北京", "朝阳区建国路"),
    ("深圳市", "南山区科技园路"),
    ("杭州", "西湖区文三路"),
    ("成都市", "锦江区红星路"),
    ("苏州", "工业园区星湖街"),
];
const FIRST: &str = "云峰蓝海金客锦江粤华恒泰瑞安盛天宏达远博文启明联创";
const TRADES: [&str; 8] = [
    "科技",
    "餐饮管理",
    "软件",
    "物流",
    "食品",
    "建材",
    "电子商务",
    "医疗器械",
];
const FORMS: [&str; 3] = ["有限公司", "股份有限公司", "有限责任公司"];

/// One record of some company: its name in one of the ways people write it, a code or not, a phone
/// that may be a switchboard's or a wrong one.
fn row(chance: &Chance, companies: usize) -> [String; 5] {
    let company = chance.below(companies);
    let own = Chance::new(u64::try_from(company).unwrap());
    let signs: Vec<char> = FIRST.chars().collect();
    let brand: String = (0..2 + own.below(2)).map(|_| *own.pick(&signs)).collect();
    let (town, street) = *own.pick(&PLACES);
    let (trade, form) = (*own.pick(&TRADES), *own.pick(&FORMS));
    let name = match chance.below(10) {
        0 => format!("{brand}{trade}"),
        1 => format!("{town}{brand}{trade}"),
        2 => format!("{brand}（{town}）{trade}{form}"),
        3 => format!("{town}{brand}{trade}{form}第二分公司"),
        4 => brand.clone(),
        _ => format!("{town}{brand}{trade}{form}"),
    };
    let code = if chance.once_in(3) {
        String::new()
    } else {
        uscc(u32::try_from(company).unwrap())
    };
    let phone = match chance.below(6) {
        0 => String::new(),
        1 => "021-61234567".to_owned(),
        2 => format!("139{:08}", chance.below(100_000_000)),
        _ => format!("138{:08}", company * 7 + chance.below(2)),
    };
    let address = if chance.once_in(2) {
        format!("{town}{street}{}号", 1 + own.below(900))
    } else {
        String::new()
    };
    let email = if chance.once_in(4) {
        format!("sales@c{company}.com.cn")
    } else {
        String::new()
    };
    [name, code, phone, address, email]
}

#[tokio::test(flavor = "multi_thread")]
async fn real_time_equals_batch() {
    let many = std::env::var("JINKE_BATCH_RECORDS");
    let count: usize = many.map_or(3_000, |n| n.parse().expect("a number of records"));
    let chance = Chance::new(11);
    let columns = [
        ("name", Semantic::OrgName),
        ("uscc", Semantic::Uscc),
        ("phone", Semantic::Phone),
        ("address", Semantic::Address),
        ("email", Semantic::Email),
    ];
    let columns = columns.map(|(name, semantic)| Column {
        name: name.to_owned(),
        semantic,
    });
    let mut table = Table::new(columns.to_vec());
    for n in 0..count {
        let source = table.source(["erp", "crm", "chat"][n % 3]);
        let cells = row(&chance, count / 5);
        let id = n.to_string();
        table.push(source, &id, cells.iter().map(String::as_str));
    }
    let options = Options {
        at: At::Merge,
        threads: 2,
        engine: By::Organization,
        ..Options::default()
    };
    let found = batch::resolve_table(
        &table,
        None,
        &batch::Expert::default(),
        &options,
        &|_, _, _| {},
    )
    .unwrap();
    let mut expected: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let name = |row: usize| {
        let source = &table.sources[table.source_of(row) as usize];
        format!("{source}/{}", table.key(row))
    };
    for (row, head) in found.heads.iter().enumerate() {
        expected.entry(*head).or_default().insert(name(row));
    }
    let expected: BTreeSet<BTreeSet<String>> = expected.into_values().collect();
    assert!(expected.len() > count / 10 && expected.len() < count * 9 / 10);

    for later in [false, true] {
        let clusters = through_the_service(&table, &chance, later).await;
        let only_batch: Vec<_> = expected.difference(&clusters).take(5).collect();
        let only_service: Vec<_> = clusters.difference(&expected).take(5).collect();
        assert!(
            only_batch.is_empty() && only_service.is_empty(),
            "batch {only_batch:?}\nservice {only_service:?}, later: {later}"
        );
    }
}

/// The records of every customer, when the table goes through the service in random order: resolved
/// as they come, or `later`.
async fn through_the_service(
    table: &Table,
    chance: &Chance,
    later: bool,
) -> BTreeSet<BTreeSet<String>> {
    let count = table.len();
    let place = jinke_store::testing::Place::new(jinke_store::Engine::Sqlite).await;
    let db = jinke_store::Database::open(place.config(), &jinke_customer::store::MIGRATIONS)
        .await
        .unwrap();
    let house = House::new(db.clone());
    let engine = house.engine().await;
    sources(&engine).await;
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, chance.below(i + 1));
    }
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (now, after) = rest.split_at(rest.len().min(1 + chance.below(500)));
        rest = after;
        let records = now
            .iter()
            .map(|row| SourceRecord {
                key: RecordKey::new(
                    &table.sources[table.source_of(*row) as usize],
                    table.key(*row),
                ),
                source_revision: Some(1),
                update_time: None,
                completeness: Completeness::Full,
                deleted: false,
                body: Body::Party {
                    kind: PartyKind::Organization,
                    values: organizations::values(table, *row),
                },
            })
            .collect();
        if later {
            engine.ingest_later(records, None).await.unwrap();
        } else {
            ingest(&engine, records).await;
        }
    }
    engine.settle().await.unwrap();
    let mut reader = db.read().await.unwrap();
    let rows = reader
        .fetch_all("SELECT key, customer FROM records", Vec::new())
        .await
        .unwrap();
    drop(reader);
    let mut clusters: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for r in rows {
        let customer = r.i64("customer").unwrap();
        clusters
            .entry(customer)
            .or_default()
            .insert(r.text("key").unwrap());
    }
    drop(engine);
    db.close().await;
    place.remove().await;
    clusters.into_values().collect()
}
