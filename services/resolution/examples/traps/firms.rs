//! Companies in German, Spanish and Japanese, and in a script of which nothing is known.

use jinke_resolution::batch::{Mode, Semantic as S};

use super::{
    dice::{Dice, capital},
    world::World,
};

struct Language {
    consonants: &'static [&'static str],
    vowels: &'static [&'static str],
    trades: &'static [&'static str],
    /// Long and short legal forms.
    forms: &'static [(&'static str, &'static str)],
    cities: &'static [&'static str],
    street: &'static [&'static str],
    before: bool,
    spaced: bool,
}

const GERMAN: Language = Language {
    consonants: &[
        "b", "d", "f", "g", "h", "k", "l", "m", "r", "sch", "st", "w",
    ],
    vowels: &["a", "e", "i", "o", "u", "ei", "au", "ü", "ö"],
    trades: &[
        "Maschinenbau",
        "Logistik",
        "Elektrotechnik",
        "Bau",
        "Verlag",
        "Handel",
        "Kunststoffe",
        "Möbel",
        "Systeme",
    ],
    forms: &[
        ("Gesellschaft mit beschränkter Haftung", "GmbH"),
        ("Aktiengesellschaft", "AG"),
        ("GmbH & Co. KG", "GmbH & Co KG"),
    ],
    cities: &[
        "Berlin",
        "Hamburg",
        "München",
        "Köln",
        "Stuttgart",
        "Leipzig",
    ],
    street: &["straße", "weg", "allee"],
    before: false,
    spaced: true,
};
const SPANISH: Language = Language {
    consonants: &[
        "b", "c", "d", "f", "l", "m", "n", "p", "r", "s", "t", "v", "ll",
    ],
    vowels: &["a", "e", "i", "o", "ó"],
    trades: &[
        "Construcciones",
        "Transportes",
        "Alimentos",
        "Servicios",
        "Textiles",
        "Distribuciones",
        "Industrias",
    ],
    forms: &[("Sociedad Anónima", "S.A."), ("Sociedad Limitada", "S.L.")],
    cities: &["Madrid", "Sevilla", "Valencia", "Bilbao", "Málaga"],
    street: &["Calle ", "Avenida "],
    before: true,
    spaced: true,
};
const JAPANESE: Language = Language {
    consonants: &[
        "山", "川", "田", "中", "東", "西", "高", "松", "竹", "石", "森", "小", "大", "三", "北",
        "南",
    ],
    vowels: &["本", "村", "島", "井", "野", "口", "原", "崎", "谷", "橋"],
    trades: &[
        "商事",
        "工業",
        "電機",
        "建設",
        "製作所",
        "運輸",
        "食品",
        "印刷",
    ],
    forms: &[("株式会社", "(株)"), ("有限会社", "(有)")],
    cities: &["東京都港区", "大阪市北区", "名古屋市中区", "横浜市西区"],
    street: &["丁目"],
    before: true,
    spaced: false,
};
/// Georgian letters: no rule of ours is made for them.
const UNKNOWN: Language = Language {
    consonants: &["ბ", "გ", "დ", "ვ", "კ", "ლ", "მ", "ნ", "რ", "ს", "ტ"],
    vowels: &["ა", "ე", "ი", "ო", "უ"],
    trades: &["ვაჭრობა", "მშენებლობა", "ლოჯისტიკა", "მედია"],
    forms: &[("შპს", "შპს"), ("სს", "სს")],
    cities: &["თბილისი", "ბათუმი", "ქუთაისი"],
    street: &["ქუჩა"],
    before: true,
    spaced: true,
};

const COLUMNS: &[(&str, S)] = &[
    ("name", S::OrgName),
    ("street", S::Address),
    ("city", S::City),
    ("postcode", S::Postcode),
    ("phone", S::Phone),
    ("web", S::Domain),
];

fn world(name: &'static str, l: &Language, count: usize, seed: u64) -> World {
    let mut w = World::new(name, Mode::Dedupe, COLUMNS);
    let mut d = Dice::new(seed);
    for n in 0..count {
        let syllables = if l.spaced { 2 + d.below(2) } else { 1 };
        let brand = capital(&d.word(syllables, l.consonants, l.vowels));
        let (trade, form, city) = (d.pick(l.trades), d.pick(l.forms), d.below(l.cities.len()));
        let road = |d: &mut Dice| {
            let syllables = if l.spaced { 2 } else { 1 };
            let word = capital(&d.word(syllables, l.consonants, l.vowels));
            let kind = d.pick(l.street);
            let word = if l.before {
                format!("{kind}{word}")
            } else {
                format!("{word}{kind}")
            };
            format!("{word} {}", 1 + d.below(140))
        };
        let (street, phone) = (road(&mut d), format!("0{}", d.digits(9)));
        let web = format!("firm{n}.example");
        let postcode = format!("{:05}", 10_000 + city * 1_300 + d.below(90));
        let mut say = |w: &mut World,
                       source: &'static str,
                       e: usize,
                       trap,
                       brand: &str,
                       trade: &str,
                       city: usize,
                       street: &str,
                       phone: &str| {
            let form = if d.one_in(50) { form.0 } else { form.1 };
            let (short, bare) = (d.one_in(15), d.one_in(15));
            let parts: Vec<&str> = match (l.before && !l.spaced, short, bare) {
                (_, true, _) => vec![brand, trade],
                (true, _, false) => vec![form, brand, trade],
                (_, _, true) => vec![brand, form],
                _ => vec![brand, trade, form],
            };
            let name = parts.join(if l.spaced { " " } else { "" });
            let cells = vec![
                d.maybe_slip(&name, 6),
                d.maybe(street, 25),
                l.cities[city].to_owned(),
                d.maybe(&postcode, 30),
                d.maybe(phone, 35),
                d.maybe(&web, 50),
            ];
            w.add(source, e, trap, cells);
        };
        let e = w.entity();
        match n % 100 {
            0..=2 => {
                let trap = w.trap("a sister company in another trade");
                let o = w.entity();
                say(&mut w, "crm", e, trap, &brand, trade, city, &street, &phone);
                say(&mut w, "erp", e, trap, &brand, trade, city, &street, &phone);
                let other = l.trades.iter().find(|t| **t != trade).unwrap_or(&"");
                let mut own = Dice::new(seed ^ n as u64);
                let (street, phone) = (road(&mut own), format!("0{}", own.digits(9)));
                say(&mut w, "crm", o, trap, &brand, other, city, &street, &phone);
            }
            3..=5 => {
                let trap = w.trap("the same name in another city");
                let o = w.entity();
                say(&mut w, "crm", e, trap, &brand, trade, city, &street, &phone);
                let mut own = Dice::new(seed ^ n as u64);
                let (street, phone) = (road(&mut own), format!("0{}", own.digits(9)));
                say(
                    &mut w,
                    "erp",
                    o,
                    trap,
                    &brand,
                    trade,
                    (city + 1) % l.cities.len(),
                    &street,
                    &phone,
                );
            }
            6..=11 => {
                let trap = w.trap("a moved company");
                say(&mut w, "crm", e, trap, &brand, trade, city, &street, &phone);
                let street = road(&mut Dice::new(seed ^ n as u64));
                say(&mut w, "erp", e, trap, &brand, trade, city, &street, &phone);
            }
            _ => {
                for source in ["crm", "erp", "shop"].iter().take(1 + n % 3) {
                    say(
                        &mut w, source, e, None, &brand, trade, city, &street, &phone,
                    );
                }
            }
        }
    }
    w
}

pub fn german(count: usize, seed: u64) -> World {
    world("companies-de", &GERMAN, count, seed)
}
pub fn spanish(count: usize, seed: u64) -> World {
    world("companies-es", &SPANISH, count, seed)
}
pub fn japanese(count: usize, seed: u64) -> World {
    world("companies-ja", &JAPANESE, count, seed)
}
pub fn unknown(count: usize, seed: u64) -> World {
    world("companies-ka", &UNKNOWN, count, seed)
}
