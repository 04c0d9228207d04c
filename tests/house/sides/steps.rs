//! What may happen: each step is done to the running house and to the model.

use jinke_proto::{
    google::r#type::Money,
    jinke::customer::v1::{
        EraseCustomerRequest, IngestSourceRecordsRequest, MergeCustomersRequest, Party, PartyKind,
        SourceRecord, Transaction, UnmergeCustomerRequest, ingest_result::Outcome,
        source_record::Body, transaction,
    },
};
use jinke_types::Entropy as _;

use super::{
    model::{Fact, Record, pair},
    world::{World, name_of},
};
use crate::records::{key, party, text};

/// Days since 1970.
pub type Day = i64;

/// 2026-03-31, the day numbers are asked for.
pub const AS_OF: Day = 20_543;
/// 2025-01-01, when facts begin.
const FROM: Day = 20_089;
/// Where records come from.
pub const SOURCES: [&str; 2] = ["erp", "crm"];
/// Most parties of one history.
pub const MOST: usize = 40;

/// Four characters that no other company has.
pub fn brand(persona: usize) -> String {
    const CHARACTERS: &str = "瑞恒泰宏鑫盛达华康嘉信诚德润丰源隆兴旺茂凯博远航天翔宇腾飞云海星\
        辰光森林泉溪峰岭松柏梅兰竹菊荷莲桃李杏樱梧桐枫槐榕椿雁鹤鹰鸿鹏麒麟龙凤虎豹狮象骏驰骋骥\
        金银铜铁锡玉珠璧琼瑶琳琅珊瑚翡翠墨砚纸笔琴棋书画诗词歌赋春夏秋冬晨曦暮霞雷霆雨露霜雪虹\
        桥舟帆锚舵港湾洲屿礁潮汐浪涛汇津渡口岸堤坝闸渠井塘湖泊\
        山川江河岳崖谷原野田园庭院亭台楼阁轩榭廊";
    let all = CHARACTERS.chars().filter(|c| !c.is_whitespace());
    let brand: String = all.skip(persona * 4).take(4).collect();
    assert_eq!(brand.chars().count(), 4, "a company {persona}");
    brand
}

pub fn company(persona: usize) -> String {
    format!("上海{}贸易有限公司", brand(persona))
}

pub fn phone(persona: usize) -> String {
    let mixed = (persona as u64 + 1).wrapping_mul(7_919_317) % 100_000_000;
    format!("139{mixed:08}")
}

/// Noon in China.
pub fn noon(day: Day) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: day * 86_400 + 4 * 3_600,
        nanos: 0,
    }
}

pub fn money(cents: i64) -> Money {
    Money {
        currency_code: "CNY".to_owned(),
        units: cents / 100,
        nanos: i32::try_from(cents % 100).expect("cents") * 10_000_000,
    }
}

impl World {
    pub fn below(&self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % n as u64).expect("a small number")
    }

    fn some(&self) -> Option<i64> {
        let count = self.model.records.len();
        (count > 0).then(|| self.model.records[self.below(count)].number)
    }

    pub fn cents(&self) -> i64 {
        1 + self.below(2_000_000) as i64
    }

    /// One thing happens.
    pub async fn step(&mut self) {
        let Some(one) = self.some() else {
            return self.arrive().await;
        };
        match self.below(25) {
            0..3 => self.arrive().await,
            3..5 => self.rename(one).await,
            5 => self.delete(one).await,
            6..9 => self.merge(one).await,
            9..11 => self.unmerge(one).await,
            11..15 => self.order(one).await,
            15 => self.correct().await,
            16..18 => self.lead(one).await,
            18..20 => self.opportunity(one).await,
            20..22 => self.moves().await,
            22 => self.task(one).await,
            23 => self.visit(one).await,
            _ => self.erase(one).await,
        }
    }

    async fn send(&mut self, mut record: SourceRecord) -> String {
        self.revision += 1;
        record.source_revision = Some(self.revision);
        let request = IngestSourceRecordsRequest {
            records: vec![record],
            ..IngestSourceRecordsRequest::default()
        };
        let answer = self.api.sources.ingest_source_records(request).await;
        let result = answer.expect("ingest").into_inner().results.remove(0);
        assert!(
            matches!(result.outcome(), Outcome::Created | Outcome::Updated),
            "{:?} {:?}",
            result.outcome(),
            result.error
        );
        result.customer
    }

    fn stated(source: &str, id: &str, persona: usize) -> SourceRecord {
        let values = vec![
            text("name", &company(persona)),
            text("phone", &phone(persona)),
        ];
        party(source, id, PartyKind::Organization, values)
    }

    /// A company that nobody knew of.
    async fn arrive(&mut self) {
        let persona = self.model.arrived;
        if persona == MOST {
            return;
        }
        self.model.arrived += 1;
        let (source, id) = (SOURCES[persona % 2], format!("C{persona}"));
        let customer = self.send(Self::stated(source, &id, persona)).await;
        self.told(format!("{source}/{id} is {customer}"));
        self.model.records.push(Record {
            number: name_of(&customer),
            key: (source, id),
            persona,
            deleted: false,
        });
    }

    /// A record states to be another company than before, perhaps one we know.
    async fn rename(&mut self, number: i64) {
        let place = self.place(number);
        let other = self.below(self.model.arrived);
        let before = self.model.records[place].persona;
        self.model.records[place].persona = other;
        if self.model.records[place].deleted || before == other || self.model.contradicts() {
            self.model.records[place].persona = before;
            return;
        }
        let (source, id) = self.model.records[place].key.clone();
        self.send(Self::stated(source, &id, other)).await;
        self.told(format!("customers/{number} states to be {other}"));
    }

    fn place(&self, number: i64) -> usize {
        let all = &mut self.model.records.iter();
        all.position(|r| r.number == number).expect("a record")
    }

    /// A source deletes its record, or has it again.
    async fn delete(&mut self, number: i64) {
        let place = self.place(number);
        let record = &mut self.model.records[place];
        record.deleted = !record.deleted;
        let (deleted, (source, id)) = (record.deleted, record.key.clone());
        let mut stated = Self::stated(source, &id, record.persona);
        if deleted {
            stated.deleted = true;
            stated.body = Some(Body::Party(Party {
                kind: PartyKind::Organization.into(),
                values: Vec::new(),
            }));
        }
        self.send(stated).await;
        self.told(format!("customers/{number} deleted={deleted}"));
    }

    /// A person holds two to be one; the house refuses what contradicts.
    async fn merge(&mut self, one: i64) {
        let other = self.some().expect("there is one");
        if one == other {
            return;
        }
        let same = self.model.together(one).contains(&other);
        let both = pair(one, other);
        let refused = self.model.negatives.contains(&both);
        let new = self.model.positives.insert(both);
        // Which of several judgements gives way is for the customer service to say: here is done
        // what has one answer.
        let unclear = !refused && self.model.contradicts();
        if (refused || same || unclear) && new {
            self.model.positives.remove(&both);
        }
        if unclear {
            return;
        }
        let request = MergeCustomersRequest {
            customer: format!("customers/{one}"),
            other_customer: format!("customers/{other}"),
            ..MergeCustomersRequest::default()
        };
        let done = self.api.customers.merge_customers(request).await;
        self.told(format!(
            "merge {one} and {other}: same={same} refused={refused}"
        ));
        let expected = match (same, refused) {
            (true, _) => Err("SAME_CUSTOMER".to_owned()),
            (false, true) => Err("MERGE_CONFLICT".to_owned()),
            (false, false) => Ok(format!("customers/{}", self.model.holder(one))),
        };
        let mut held = Vec::new();
        let found = done
            .map(|c| {
                let customer = c.into_inner();
                held.extend(customer.records.into_iter().map(|r| r.address));
                customer.name
            })
            .map_err(|s| jinke_kit::failure(&s).reason.to_owned());
        let together = self.model.together(one);
        let story = self.story();
        assert_eq!(found, expected, "{held:?} for {together:?}; {story}");
    }

    /// A person takes some records out of a customer.
    async fn unmerge(&mut self, one: i64) {
        let all: Vec<i64> = self.model.together(one).into_iter().collect();
        let (mut leaving, mut staying) = (Vec::new(), Vec::new());
        for number in all {
            let side = if self.below(2) == 0 {
                &mut leaving
            } else {
                &mut staying
            };
            side.push(number);
        }
        if leaving.is_empty() || staying.is_empty() {
            return;
        }
        for l in &leaving {
            let pairs = staying.iter().map(|s| pair(*l, *s));
            self.model.negatives.extend(pairs);
        }
        let keys = leaving.iter().map(|n| {
            let (source, id) = &self.model.record(*n).key;
            key(source, id)
        });
        let request = UnmergeCustomerRequest {
            name: format!("customers/{one}"),
            records: keys.collect(),
            ..UnmergeCustomerRequest::default()
        };
        let done = self.api.customers.unmerge_customer(request).await;
        self.told(format!("{leaving:?} leave {staying:?}"));
        let found = done.expect("unmerge").into_inner().customers;
        let found: Vec<i64> = found.iter().map(|c| name_of(&c.name)).collect();
        let both = leaving.iter().chain(&staying);
        let mut expected: Vec<i64> = both.map(|n| self.model.holder(*n)).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(found, expected, "{}", self.story());
    }

    /// A customer is erased: all records that are one with this one, and what names them.
    async fn erase(&mut self, one: i64) {
        let gone = self.model.together(one);
        if 3 * gone.len() > self.model.records.len() {
            return;
        }
        let request = EraseCustomerRequest {
            name: format!("customers/{one}"),
            ..EraseCustomerRequest::default()
        };
        let done = self.api.customers.erase_customer(request).await;
        self.told(format!("{gone:?} are erased"));
        let records = done.expect("an erasure").into_inner().records;
        let story = self.story();
        assert_eq!(usize::try_from(records).ok(), Some(gone.len()), "{story}");
        self.model.erase(&gone);
    }

    async fn put_fact(&mut self, source: &'static str, id: &str, fact: &Fact) {
        let cancelled = fact.gone && !fact.deleted;
        let kind = if fact.refund {
            transaction::Kind::Refund
        } else {
            transaction::Kind::Order
        };
        let transaction = Transaction {
            kind: kind.into(),
            party: Some(key(fact.party.0, &fact.party.1)),
            number: id.to_owned(),
            time: Some(noon(fact.day)),
            amount: Some(money(fact.cents)),
            status: if cancelled { "已取消" } else { "已审核" }.to_owned(),
            ..Transaction::default()
        };
        let record = SourceRecord {
            key: Some(key(source, id)),
            deleted: fact.deleted,
            body: Some(Body::Transaction(transaction)),
            ..SourceRecord::default()
        };
        self.send(record).await;
        self.model
            .facts
            .insert((source, id.to_owned()), fact.clone());
    }

    /// An order or refund, now and then of a party that has not come yet.
    async fn order(&mut self, one: i64) {
        let party = if self.below(6) == 0 {
            let next = self.model.arrived;
            (SOURCES[next % 2], format!("C{next}"))
        } else {
            self.model.record(one).key.clone()
        };
        let fact = Fact {
            party,
            refund: self.below(5) == 0,
            day: FROM + self.below(520) as i64,
            cents: self.cents(),
            gone: false,
            deleted: false,
        };
        let (source, id) = (SOURCES[self.below(2)], format!("T{}", self.model.numbered));
        self.model.numbered += 1;
        self.told(format!("{source}/{id}: {} of {:?}", fact.cents, fact.party));
        self.put_fact(source, &id, &fact).await;
    }

    /// An order is corrected, cancelled or deleted.
    async fn correct(&mut self) {
        let count = self.model.facts.len();
        if count == 0 {
            return;
        }
        let at = self.below(count);
        let ((source, id), fact) = self.model.facts.iter().nth(at).expect("a fact");
        let ((source, id), mut fact) = ((*source, id.clone()), fact.clone());
        let how = self.below(3);
        (fact.gone, fact.deleted) = (how > 0, how > 1);
        fact.cents = self.cents();
        self.told(format!(
            "{source}/{id} is corrected: {} gone={how}",
            fact.cents
        ));
        self.put_fact(source, &id, &fact).await;
    }
}
