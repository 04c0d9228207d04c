//! How fast records come in. Not a test: run it by name with `--ignored --nocapture`.
//!
//! `JINKE_SPEED` records (20,000), in batches of 500 by two callers, on one engine.

use std::{sync::Arc, time::Duration};

use jinke_customer::{
    engine::{Engine, EngineConfig},
    store::MIGRATIONS,
};
use jinke_resolution::{Rules, SurvivorshipPolicy};
use jinke_store::{Database, Engine as Kind, keys::KeyRing, testing::Place};
use jinke_types::{Clock as _, ManualClock, OsEntropy, SourceRecord, SystemClock, Timestamp};

use crate::support::*;

const BRANDS: &str = "云峰蓝海天河锦江前海金客西湖东方瑞丰恒通华泰中信国联安邦宏图伟业百川汇海龙腾虎跃凤凰麒麟长城黄河泰山昆仑";
const TRADES: [&str; 8] = [
    "科技",
    "贸易",
    "餐饮管理",
    "物流",
    "信息技术",
    "建筑工程",
    "医疗器械",
    "食品",
];
const CITIES: [&str; 8] = [
    "上海", "北京", "广州", "深圳", "杭州", "成都", "武汉", "南京",
];

fn company(chance: &Chance, entity: usize, nth: usize) -> SourceRecord {
    let own = Chance::new(u64::try_from(entity).unwrap());
    let signs: Vec<char> = BRANDS.chars().collect();
    let brand: String = (0..3).map(|_| *own.pick(&signs)).collect();
    let (city, trade) = (*own.pick(&CITIES), *own.pick(&TRADES));
    let long = format!("{city}{brand}{trade}有限公司");
    let name = if chance.once_in(4) {
        format!("{brand}{trade}")
    } else {
        long
    };
    let phone = format!("13{:09}", (entity * 7_919) % 1_000_000_000);
    let mail = format!("sales@c{entity}.cn");
    let address = format!("{city}市中山路{}号", entity % 500);
    let code = uscc(u32::try_from(entity).unwrap());
    let mut said = vec![(NAME, name.as_str()), ("address", address.as_str())];
    if chance.once_in(2) {
        said.push((PHONE, phone.as_str()));
    }
    if chance.once_in(3) {
        said.push((EMAIL, mail.as_str()));
    }
    if chance.once_in(2) {
        said.push(("uscc", code.as_str()));
    }
    org(
        &format!("{}/{nth}", ["erp", "crm", "chat"][nth % 3]),
        1,
        &said,
    )
}

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
async fn measure(kind: Kind, total: usize) {
    let place = Place::new(kind).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let engine = Engine::new(
        db.clone(),
        Arc::new(KeyRing::in_memory(&OsEntropy)),
        Arc::new(Rules::embedded()),
        Arc::new(SurvivorshipPolicy::embedded()),
        Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000))),
        Arc::new(OsEntropy),
        EngineConfig {
            cached_records: 100_000,
            ..EngineConfig::default()
        },
    )
    .await
    .unwrap();
    sources(&engine).await;
    let chance = Chance::new(1);
    let records: Vec<SourceRecord> = (0..total)
        .map(|n| company(&chance, chance.below(total / 3 + 1), n))
        .collect();
    let mut last = SystemClock.now();
    for part in records.chunks(10_000) {
        let halves: Vec<_> = part
            .chunks(part.len().div_ceil(2))
            .map(|half| {
                let (engine, half) = (engine.clone(), half.to_vec());
                tokio::spawn(async move {
                    for batch in half.chunks(500) {
                        engine.ingest(batch.to_vec(), None).await.unwrap();
                    }
                })
            })
            .collect();
        for half in halves {
            half.await.unwrap();
        }
        let now = SystemClock.now();
        let took = Duration::from_micros(u64::try_from(now.0 - last.0).unwrap());
        last = now;
        let rate = f64::from(u32::try_from(part.len()).unwrap()) / took.as_secs_f64();
        println!(
            "{kind:?}: {} records in {took:?}, {rate:.0} a second",
            part.len()
        );
    }
    if total <= 20_000 {
        assert_sound(&engine).await;
    }
    drop(engine);
    db.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn ingest() {
    let total = std::env::var("JINKE_SPEED")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(20_000);
    for kind in [Kind::Postgres, Kind::Sqlite] {
        measure(kind, total).await;
    }
}
