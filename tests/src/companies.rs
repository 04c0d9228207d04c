//! A repeatable stream of invented companies with duplicates across sources, for benchmarks and
//! kill tests. Not meant to measure accuracy: labelled data does that.

use jinke_proto::jinke::customer::v1::{
    Party, PartyKind, RecordKey, SourceRecord, Value, source_record::Body, value::Datum,
};
use jinke_types::{Entropy, SeededEntropy};

const REGIONS: &[&str] = &[
    "北京", "上海", "广州", "深圳", "杭州", "苏州", "南京", "成都", "武汉", "西安", "重庆", "天津",
    "青岛", "大连", "厦门", "宁波", "长沙", "郑州", "济南", "合肥", "福州", "昆明", "南昌", "太原",
];
const TRADES: &[&str] = &[
    "科技",
    "贸易",
    "电子",
    "机械",
    "食品",
    "医药",
    "物流",
    "建材",
    "服饰",
    "化工",
    "信息技术",
    "环保",
    "能源",
    "文化传媒",
    "餐饮管理",
    "装饰工程",
    "自动化设备",
    "精密制造",
];
const LEGAL: &[&str] = &["有限公司", "有限责任公司", "股份有限公司"];
const SYLLABLES: &str = "瑞恒泰宏鑫盛达华康嘉信诚德润丰源隆兴旺茂凯博远航天翔宇腾飞云海星辰光\
    明朗睿智慧博雅文轩和美安宁静思进创新立业维森林木松柏竹兰梅菊春夏秋冬晨曦锦绣山河江湖岳峰";
const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗";
const GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰";

/// The sources the stream uses.
pub const SOURCES: [&str; 3] = ["bench-erp", "bench-finance", "bench-chat"];

/// Record `number` of the stream of `seed`: every company has two to three records.
pub fn record(seed: u64, number: u64) -> SourceRecord {
    // 5 records make 2 companies, so that clusters have two or three members.
    let company = number / 5 * 2 + u64::from(number % 5 >= 3);
    let variant = if number % 5 >= 3 {
        number % 5 - 3
    } else {
        number % 5
    };
    let mut dice = Dice::new(seed, company);
    let syllables: Vec<char> = SYLLABLES.chars().filter(|c| !c.is_whitespace()).collect();
    let brand: String = (0..3)
        .map(|_| syllables[dice.below(syllables.len())])
        .collect();
    let region = REGIONS[dice.below(REGIONS.len())];
    let trade = TRADES[dice.below(TRADES.len())];
    let legal = LEGAL[dice.below(LEGAL.len())];
    let uscc = uscc(&mut dice);
    let mobile = format!("1{}{:09}", 3 + dice.below(7), dice.below(1_000_000_000));
    let surname: Vec<char> = SURNAMES.chars().collect();
    let given: Vec<char> = GIVEN.chars().collect();
    let contact = format!(
        "{}{}{}",
        surname[dice.below(surname.len())],
        given[dice.below(given.len())],
        given[dice.below(given.len())]
    );
    let bank = format!("6222{:015}", dice.below(1_000_000_000_000_000));
    let street = format!("{brand}路{}号", 1 + dice.below(900));
    let name = match variant {
        0 => format!("{region}{brand}{trade}{legal}"),
        1 => format!("{region}市{brand}{trade}{legal}"),
        _ => format!("{brand}（{region}）{trade}{legal}"),
    };
    let mut values = vec![text("name", &name)];
    match variant {
        0 => {
            values.push(identifier("uscc", &uscc));
            values.push(text("phone", &mobile));
            values.push(text("address", &format!("{region}市{street}")));
        }
        1 => {
            values.push(identifier("uscc", &uscc));
            values.push(text("bank_account", &bank));
        }
        _ => {
            values.push(text("phone", &format!("+86 {mobile}")));
            values.push(text("contact_name", &contact));
        }
    }
    values.push(text("email", &format!("office@company{company}.example")));
    SourceRecord {
        key: Some(RecordKey {
            source: format!("sources/{}", SOURCES[variant as usize]),
            external_id: format!("{company:08}"),
        }),
        body: Some(Body::Party(Party {
            kind: PartyKind::Organization.into(),
            values,
        })),
        ..SourceRecord::default()
    }
}

fn text(attribute: &str, text: &str) -> Value {
    Value {
        attribute: attribute.to_owned(),
        datum: Some(Datum::Text(text.to_owned())),
        ..Value::default()
    }
}

fn identifier(scheme: &str, value: &str) -> Value {
    Value {
        scheme: scheme.to_owned(),
        ..text("identifier", value)
    }
}

/// A USCC with its check character (GB 32100-2015: weights 3^i mod 31 over 31 characters).
fn uscc(dice: &mut Dice) -> String {
    const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let mut code = format!("91{:06}", 110_000 + dice.below(500_000)).into_bytes();
    while code.len() < 17 {
        code.push(ALPHABET[dice.below(31)]);
    }
    let mut weight = 1;
    let mut sum = 0;
    for c in &code {
        let digit = ALPHABET.iter().position(|a| a == c).unwrap_or(0);
        sum += digit * weight;
        weight = weight * 3 % 31;
    }
    code.push(ALPHABET[(31 - sum % 31) % 31]);
    String::from_utf8(code).unwrap_or_default()
}

/// Repeatable numbers for one company.
struct Dice(SeededEntropy);

impl Dice {
    fn new(seed: u64, company: u64) -> Self {
        Self(SeededEntropy::new(
            seed ^ company.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ))
    }
    fn below(&mut self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % n as u64) as usize
    }
}
