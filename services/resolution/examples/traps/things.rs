//! Products, restaurants, papers.

use jinke_resolution::batch::{Mode, Semantic as S};

use super::{
    dice::{Dice, capital},
    world::World,
};

const BRANDS: &[&str] = &[
    "Sonaxa", "Kandor", "Philbro", "Lumatek", "Nordvik", "Casiqo", "Velanto", "Braxon", "Miralux",
    "Tefora", "Zentra", "Okuma", "Haldane", "Rivetti",
];
const KINDS: &[(&str, &str, &str)] = &[
    ("digital camera", "Digital Camera", "cameras"),
    ("wireless headphones", "Bluetooth Headphones", "audio"),
    ("laser printer", "Mono Laser Printer", "printers"),
    ("lcd tv", "LCD HDTV", "television"),
    ("microwave oven", "Countertop Microwave", "kitchen"),
    ("cordless phone", "Cordless Telephone", "phones"),
    ("vacuum cleaner", "Bagless Vacuum", "home"),
    ("router", "Wireless Router", "network"),
];
const WORDS: &[&str] = &[
    "black",
    "silver",
    "white",
    "pack",
    "with remote",
    "series",
    "new",
    "bundle",
    "for home",
    "energy star",
    "refurbished",
];

/// Products of two shops: titles in two styles, model numbers one digit apart.
pub fn products(count: usize, seed: u64) -> World {
    let mut w = World::new(
        "products",
        Mode::Dedupe,
        &[
            ("title", S::Text),
            ("brand", S::Category),
            ("price", S::Number),
        ],
    );
    let mut d = Dice::new(seed);
    for _ in 0..count {
        let (brand, kind) = (d.common(BRANDS), d.pick(KINDS));
        let letters: String = (0..2)
            .map(|_| char::from(b'A' + d.below(26) as u8))
            .collect();
        let number = 100 + d.below(8_000);
        let price = 2_000 + d.below(90_000);
        let trap = w.trap("models of one series, a number apart");
        let models = if d.one_in(10) { 2 } else { 1 };
        for model in 0..models {
            let e = w.entity();
            let code = format!("{letters}{}", number + model * 10);
            let trap = if models > 1 { trap } else { None };
            let cents = |p: usize| format!("{}.{:02}", p / 100, p % 100);
            let both = d.one_in(60);
            let colour = d.pick(WORDS);
            if both || d.one_in(50) {
                let title = format!("{brand} {} - {code} {colour}", capital(kind.1));
                w.add(
                    "north",
                    e,
                    trap,
                    vec![
                        d.maybe_slip(&title, 6),
                        d.maybe(brand, 20),
                        d.maybe(&cents(price), 30),
                    ],
                );
            }
            if both || d.one_in(50) {
                let spaced = format!("{letters}-{}", &code[2..]);
                let shown = if d.one_in(30) { spaced } else { code.clone() };
                let title = format!(
                    "{} {shown} {} {}",
                    brand.to_lowercase(),
                    kind.0,
                    d.pick(WORDS)
                );
                let near = price * (92 + d.below(16)) / 100;
                w.add(
                    "south",
                    e,
                    trap,
                    vec![
                        d.maybe_slip(&title, 6),
                        d.maybe(&brand.to_uppercase(), 40),
                        d.maybe(&cents(near), 30),
                    ],
                );
            }
        }
    }
    w
}

const DISHES: &[&str] = &[
    "Café",
    "Bistro",
    "Trattoria",
    "Grill",
    "Kitchen",
    "Diner",
    "Bar",
    "House",
    "Palace",
    "Garden",
];
const CITIES: &[&str] = &[
    "new york",
    "los angeles",
    "chicago",
    "boston",
    "san francisco",
    "atlanta",
];
const CUISINES: &[&str] = &[
    "italian",
    "french",
    "american",
    "chinese",
    "mexican",
    "steakhouses",
    "seafood",
    "indian",
];

/// Restaurants of three guides: chains with several houses, new owners at one address.
pub fn restaurants(count: usize, seed: u64) -> World {
    let mut w = World::new(
        "restaurants",
        Mode::Dedupe,
        &[
            ("name", S::OrgName),
            ("addr", S::Address),
            ("city", S::City),
            ("phone", S::Phone),
            ("type", S::Category),
        ],
    );
    let mut d = Dice::new(seed);
    let one =
        |d: &mut Dice, name: &str, no: usize, street: &str, city: &str, phone: &str, kind: &str| {
            let style = d.below(3);
            let name = match style {
                0 => name.to_owned(),
                1 => format!("The {name}"),
                _ => {
                    name.split(' ')
                        .next()
                        .map_or_else(String::new, str::to_owned)
                        + if d.one_in(50) { " Restaurant" } else { "" }
                }
            };
            let kinds = ["Street", "St.", "St"];
            let (a, b, c) = (&phone[..3], &phone[3..6], &phone[6..]);
            let phone = match d.below(3) {
                0 => format!("{a}-{b}-{c}"),
                1 => format!("{a}/{b}-{c}"),
                _ => format!("({a}) {b} {c}"),
            };
            let city = if city == "new york" && d.one_in(30) {
                "new york city"
            } else {
                city
            };
            vec![
                d.maybe_slip(&name, 6),
                format!("{no} {street} {}", d.pick(&kinds)),
                city.to_owned(),
                d.maybe(&phone, 10),
                if d.one_in(30) {
                    d.pick(CUISINES).to_owned()
                } else {
                    kind.to_owned()
                },
            ]
        };
    let consonants = &["b", "c", "d", "f", "l", "m", "n", "p", "r", "s", "t", "v"];
    for _ in 0..count {
        let name = format!(
            "{} {}",
            capital(&d.word(2, consonants, &["a", "e", "i", "o"])),
            d.pick(DISHES)
        );
        let house = |d: &mut Dice| {
            let street = capital(&d.word(2, &["w", "m", "l", "p", "b"], &["a", "e", "i", "o"]))
                + d.pick(&["", "wood", "son"]);
            (
                1 + d.below(900),
                street,
                d.pick(CITIES),
                d.digits(10),
                d.pick(CUISINES),
            )
        };
        let (no, street, city, phone, kind) = house(&mut d);
        let chain = d.one_in(8);
        let trap = if chain {
            w.trap("a chain's houses")
        } else {
            None
        };
        for branch in 0..if chain { 2 + d.below(3) } else { 1 } {
            let e = w.entity();
            let (no, street, city, phone, _) = if branch == 0 {
                (no, street.clone(), city, phone.clone(), kind)
            } else {
                house(&mut d)
            };
            w.add(
                "guide",
                e,
                trap,
                one(&mut d, &name, no, &street, city, &phone, kind),
            );
            if d.one_in(45) {
                w.add(
                    "survey",
                    e,
                    trap,
                    one(&mut d, &name, no, &street, city, &phone, kind),
                );
            }
            if d.one_in(15) {
                w.add(
                    "maps",
                    e,
                    trap,
                    one(&mut d, &name, no, &street, city, &phone, kind),
                );
            }
        }
        if d.one_in(5) {
            let trap = w.trap("another restaurant at the address of one that closed");
            let (e, o) = (w.entity(), w.entity());
            let (no, street, city, phone, kind) = house(&mut d);
            let old = capital(&d.word(3, consonants, &["a", "o"]));
            w.add(
                "guide",
                e,
                trap,
                one(&mut d, &old, no, &street, city, &phone, kind),
            );
            let new = capital(&d.word(3, consonants, &["e", "u"]));
            let phone = d.digits(10);
            w.add(
                "survey",
                o,
                trap,
                one(&mut d, &new, no, &street, city, &phone, kind),
            );
        }
    }
    w
}

const TOPICS: &[&str] = &[
    "query",
    "optimization",
    "distributed",
    "systems",
    "learning",
    "graphs",
    "streams",
    "index",
    "structures",
    "parallel",
    "joins",
    "semantic",
    "web",
    "data",
    "mining",
    "spatial",
    "temporal",
    "transaction",
    "processing",
    "views",
    "caching",
    "recovery",
    "privacy",
    "ranking",
    "sampling",
    "approximate",
    "efficient",
    "scalable",
    "adaptive",
    "large",
    "databases",
];
const VENUES: &[(&str, &str)] = &[
    (
        "SIGMOD",
        "ACM International Conference on Management of Data",
    ),
    ("VLDB", "Very Large Data Bases"),
    ("ICDE", "International Conference on Data Engineering"),
    ("TODS", "ACM Transactions on Database Systems"),
    ("KDD", "Knowledge Discovery and Data Mining"),
];

/// Papers of three libraries: a journal's longer version, columns that appear every year.
pub fn papers(count: usize, seed: u64) -> World {
    let mut w = World::new(
        "papers",
        Mode::Dedupe,
        &[
            ("title", S::Text),
            ("authors", S::PersonName),
            ("venue", S::Text),
            ("year", S::Year),
        ],
    );
    let mut d = Dice::new(seed);
    let people: Vec<(String, String)> = (0..count / 2 + 10)
        .map(|_| {
            let consonants = &["k", "r", "s", "t", "m", "n", "l", "ch"];
            (
                capital(&d.word(2, consonants, &["a", "i", "o"])),
                capital(&d.word(3, consonants, &["a", "e", "u"])),
            )
        })
        .collect();
    let cells = |d: &mut Dice, title: &str, by: &[usize], venue: usize, year: usize| {
        let short = d.one_in(45);
        let names: Vec<String> = by
            .iter()
            .map(|i| {
                let (g, s) = &people[*i];
                match (short, d.one_in(20)) {
                    (true, _) => format!("{}. {s}", &g[..1]),
                    (false, true) => format!("{s}, {g}"),
                    _ => format!("{g} {s}"),
                }
            })
            .collect();
        let venue = if d.one_in(50) {
            VENUES[venue].0
        } else {
            VENUES[venue].1
        };
        let title = if d.one_in(10) {
            title.to_lowercase()
        } else {
            title.to_owned()
        };
        vec![
            d.maybe_slip(&title, 8),
            names.join(if d.one_in(50) { ", " } else { "; " }),
            d.maybe(venue, 12),
            d.maybe(&year.to_string(), 12),
        ]
    };
    for _ in 0..count {
        let n = 4 + d.below(5);
        let title: Vec<String> = (0..n).map(|_| capital(d.pick(TOPICS))).collect();
        let title = title.join(" ");
        let by: Vec<usize> = (0..1 + d.below(4)).map(|_| d.below(people.len())).collect();
        let (venue, year) = (d.below(VENUES.len()), 1990 + d.below(20));
        let e = w.entity();
        match d.below(100) {
            0..=2 => {
                let trap = w.trap("the journal's version of a paper");
                let o = w.entity();
                w.add("dblp", e, trap, cells(&mut d, &title, &by, 0, year));
                w.add("acm", e, trap, cells(&mut d, &title, &by, 0, year));
                let long = format!("{title} Revisited With Proofs");
                w.add("dblp", o, trap, cells(&mut d, &long, &by, 3, year + 2));
            }
            3..=5 => {
                let trap = w.trap("a column that appears every year");
                let editor = [d.below(people.len())];
                let title = d.pick(&[
                    "Editor's Notes",
                    "Chair's Message",
                    "Guest Editor's Introduction",
                    "Report on the Workshop",
                ]);
                for k in 0..3 {
                    let o = if k == 0 { e } else { w.entity() };
                    w.add(
                        "dblp",
                        o,
                        trap,
                        cells(&mut d, title, &editor, venue, year + k),
                    );
                    if d.one_in(50) {
                        w.add(
                            "acm",
                            o,
                            trap,
                            cells(&mut d, title, &editor, venue, year + k),
                        );
                    }
                }
            }
            6..=40 => w.add("dblp", e, None, cells(&mut d, &title, &by, venue, year)),
            _ => {
                w.add("dblp", e, None, cells(&mut d, &title, &by, venue, year));
                w.add("acm", e, None, cells(&mut d, &title, &by, venue, year));
                if d.one_in(40) {
                    w.add("scholar", e, None, cells(&mut d, &title, &by, venue, year));
                }
            }
        }
    }
    w
}
