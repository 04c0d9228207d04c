//! Whole tables: what is learned, what is promised.

use std::collections::BTreeMap;

use jinke_resolution::{
    RuleSet,
    batch::{
        At, Column, Engine, Expert, Mode, Model, Options, Outcome, Semantic, Table, explain_rows,
        organizations, resolve_table,
    },
    resolve_kind, standardize,
};
use jinke_types::{PartyKind, RecordKey};
use proptest::prelude::*;

/// A source of numbers that is the same on every run.
struct Dice(u64);
impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = jinke_resolution::batch::parallel::mix(self.0);
        (self.0 % below as u64) as usize
    }
}

type Row = (String, String, Vec<String>);

/// A table of rows: source, key, cells.
pub fn table<S: AsRef<str>>(
    columns: &[(&str, Semantic)],
    rows: &[(S, String, Vec<String>)],
) -> Table {
    let columns = columns.iter().map(|(n, s)| Column {
        name: (*n).to_owned(),
        semantic: *s,
    });
    let mut out = Table::new(columns.collect());
    for (source, key, cells) in rows {
        let source = out.source(source.as_ref());
        out.push(source, key, cells.iter().map(String::as_str));
    }
    out
}

fn run(table: &Table, mode: Mode, threads: usize, model: Option<&Model>) -> Outcome {
    let options = Options {
        mode: Some(mode),
        threads,
        ..Options::default()
    };
    resolve_table(table, model, &Expert::default(), &options, &|_, _, _| {}).unwrap()
}

/// Clusters as sets of row names, whatever the order of rows.
fn named(table: &Table, outcome: &Outcome) -> BTreeMap<String, Vec<String>> {
    let name = |r: usize| {
        format!(
            "{}/{}",
            table.sources[table.source_of(r) as usize],
            table.key(r)
        )
    };
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (row, head) in outcome.heads.iter().enumerate() {
        out.entry(name(*head as usize)).or_default().push(name(row));
    }
    out.values_mut().for_each(|v| v.sort());
    out
}

const PEOPLE: &[(&str, Semantic)] = &[
    ("given", Semantic::GivenName),
    ("surname", Semantic::Surname),
    ("born", Semantic::DateOfBirth),
    ("number", Semantic::Identifier),
    ("town", Semantic::City),
];

/// A made-up word of a syllable count, by number.
fn word(n: usize, syllables: usize) -> String {
    let (c, v) = (b"bdfgklmnprstvz", b"aeiou");
    let mut x = jinke_resolution::batch::parallel::mix(n as u64) as usize;
    let mut out = String::new();
    for _ in 0..syllables {
        out.push(char::from(c[x % c.len()]));
        x /= c.len();
        out.push(char::from(v[x % v.len()]));
        x /= v.len();
    }
    out
}

/// People twice each, in two sources: a town agrees in 90 of 100, a number in 80.
fn people(count: usize) -> Vec<Row> {
    let mut dice = Dice(7);
    let mut out = Vec::new();
    for i in 0..count {
        let born = format!(
            "19{:02}-{:02}-{:02}",
            dice.next(90),
            1 + dice.next(12),
            1 + dice.next(28)
        );
        let (town, number) = (dice.next(50), 100_000 + i * 37);
        let (given, surname) = (word(dice.next(200), 2), word(1000 + dice.next(400), 3));
        for source in ["left", "right"] {
            let moved = source == "right" && dice.next(10) == 0;
            let lost = source == "right" && dice.next(5) == 0;
            let town = if moved { dice.next(50) } else { town };
            let number = if lost {
                900_000 + dice.next(90_000)
            } else {
                number
            };
            out.push((
                source.to_owned(),
                format!("{i:05}"),
                vec![
                    given.clone(),
                    surname.clone(),
                    born.clone(),
                    number.to_string(),
                    word(5000 + town, 4),
                ],
            ));
        }
    }
    out
}

#[test]
fn learning_finds_the_rates_that_were_planted() {
    let rows = people(1500);
    let t = table(PEOPLE, &rows);
    let found = run(&t, Mode::Dedupe, 2, None);
    let model = found.model.clone().unwrap();
    let share = |column: &str, rates: fn(&jinke_resolution::batch::ColumnModel) -> &Vec<u32>| {
        let c = model
            .columns
            .iter()
            .find(|c| c.column.name == column)
            .unwrap();
        f64::from(rates(c)[1]) / 1e6
    };
    let (town, number) = (share("town", |c| &c.m), share("number", |c| &c.m));
    assert!((town - 0.902).abs() < 0.03, "town {town}");
    assert!((number - 0.8).abs() < 0.03, "number {number}");
    let town_by_chance = share("town", |c| &c.u);
    assert!((town_by_chance - 0.02).abs() < 0.005, "{town_by_chance}");
    // 1,500 pairs of one person among 4,498,500: log2 of 1 in 2,998.
    assert!((model.priors[0] + 11_550).abs() < 200, "{:?}", model.priors);
    let together = named(&t, &found).values().filter(|c| c.len() == 2).count();
    assert!(together >= 1490, "{together}");
}

#[test]
fn neither_threads_nor_the_order_of_rows_show() {
    let mut rows = people(400);
    let first = table(PEOPLE, &rows);
    let one = run(&first, Mode::Both, 1, None);
    let text = one.model.as_ref().unwrap().to_toml();
    let clusters = named(&first, &one);
    let mut dice = Dice(3);
    for threads in [2, 5] {
        for i in (1..rows.len()).rev() {
            rows.swap(i, dice.next(i + 1));
        }
        let other = table(PEOPLE, &rows);
        let found = run(&other, Mode::Both, threads, None);
        assert_eq!(found.model.as_ref().unwrap().to_toml(), text);
        assert_eq!(named(&other, &found), clusters);
    }
}

#[test]
fn a_model_read_back_gives_the_same_clusters() {
    let t = table(PEOPLE, &people(300));
    let learned = run(&t, Mode::Dedupe, 2, None);
    let text = learned.model.as_ref().unwrap().to_toml();
    let model = Model::parse(&text).unwrap();
    assert_eq!(model.to_toml(), text);
    let again = run(&t, Mode::Dedupe, 1, Some(&model));
    assert_eq!(again.heads, learned.heads);
    let other = table::<String>(&PEOPLE[1..], &[]);
    let refused = resolve_table(
        &other,
        Some(&model),
        &Expert::default(),
        &Options::default(),
        &|_, _, _| {},
    );
    assert!(refused.is_err());
}

#[test]
fn the_model_file_is_golden() {
    let t = table(PEOPLE, &people(60));
    let text = run(&t, Mode::Dedupe, 2, None).model.unwrap().to_toml();
    let golden = include_str!("data/people.model.toml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(
            concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/it/data/people.model.toml"
            ),
            &text,
        )
        .unwrap();
        return;
    }
    assert_eq!(text, golden, "--- learned now:\n{text}");
}

/// Tables of persons without an address or a phone have no kin; a file may.
#[test]
fn kin_in_a_model_file_are_read_back() {
    let golden = include_str!("data/people.model.toml");
    let levels: Vec<String> = (PEOPLE.iter().map(|(_, s)| s.levels().len()))
        .map(|n| format!("[{:?}]", vec![0; n]))
        .collect();
    let kin = |weights: &[String]| {
        let weights = weights.join(", ");
        let name = "[[kin]]\nname = \"much\"\nprior_within = -9000\nprior_across = 0";
        format!("{golden}\n{name}\nweights = [{weights}]\n")
    };
    let model = Model::parse(&kin(&levels)).unwrap();
    assert_eq!(model.kin.len(), 1);
    assert_eq!(Model::parse(&model.to_toml()).unwrap(), model);
    let refused = Model::parse(&kin(&levels[1..])).unwrap_err();
    assert!(refused.message.contains("kin"), "{refused}");
}

#[test]
fn a_broken_model_is_refused_by_line() {
    let good = include_str!("data/people.model.toml");
    let wrong = good.replacen("mode = \"dedupe\"", "mood = \"dedupe\"", 1);
    let e = Model::parse(&wrong).unwrap_err();
    assert!(e.line > 0 && e.message.contains("mood"), "{e}");
    let wrong = good.replacen("\"swapped\"", "\"turned\"", 1);
    assert!(Model::parse(&wrong).unwrap_err().message.contains("levels"));
    let wrong = good.replacen("table-2", "table-9", 1);
    assert!(
        Model::parse(&wrong)
            .unwrap_err()
            .message
            .contains("table-9")
    );
}

#[test]
fn in_a_link_no_cluster_holds_two_rows_of_a_source() {
    // Each person is there twice in the left source too.
    let mut rows = people(200);
    let twins: Vec<Row> = rows
        .iter()
        .filter(|r| r.0 == "left")
        .map(|r| (r.0.clone(), format!("{}b", r.1), r.2.clone()))
        .collect();
    rows.extend(twins);
    let t = table(PEOPLE, &rows);
    let found = run(&t, Mode::Link, 2, None);
    let clusters = named(&t, &found);
    for c in clusters.values() {
        let lefts = c.iter().filter(|n| n.starts_with("left/")).count();
        assert!(lefts <= 1 && c.len() <= 2, "{c:?}");
    }
    assert!(clusters.values().filter(|c| c.len() == 2).count() > 190);
}

#[test]
fn a_title_alone_is_enough() {
    let title = |i: usize| -> String {
        let words: Vec<String> = (0..6).map(|k| word((i * 7 + k * 131) % 900, 3)).collect();
        words.join(" ")
    };
    let mut rows: Vec<Row> = Vec::new();
    for i in 0..300 {
        rows.push(("left".into(), format!("{i}"), vec![title(i)]));
        if i % 2 == 0 {
            let other = title(i).replacen(' ', "  ", 1).to_uppercase();
            rows.push(("right".into(), format!("{i}"), vec![other]));
        }
    }
    let t = table(&[("title", Semantic::Text)], &rows);
    for mode in [Mode::Link, Mode::Dedupe, Mode::Both] {
        let clusters = named(&t, &run(&t, mode, 2, None));
        let right = (0..300)
            .step_by(2)
            .filter(|i| {
                let pair = vec![format!("left/{i}"), format!("right/{i}")];
                clusters.values().any(|c| *c == pair)
            })
            .count();
        assert!(right >= 140, "{mode:?}: {right} of 150");
    }
}

/// One company under one name in 300 rows is no common name; the candidates of its crowd are a few
/// for each row, and must not pass for all there are.
#[test]
fn a_company_with_a_crowd_of_rows_is_one() {
    let mut rows: Vec<Row> = Vec::new();
    for i in 0..40 {
        let name = format!("{} {} Ltd.", word(i * 3 + 1, 3), word(i * 5 + 2, 3));
        for k in 0..if i == 0 { 300 } else { 1 + i % 7 * 4 } {
            let name = if k % 3 == 0 {
                name.to_uppercase()
            } else {
                name.clone()
            };
            rows.push(("s".into(), format!("{i}-{k}"), vec![name]));
        }
    }
    let t = table(&[("name", Semantic::OrgName)], &rows);
    let clusters = named(&t, &run(&t, Mode::Dedupe, 2, None));
    let largest = clusters.values().map(Vec::len).max();
    assert_eq!((largest, clusters.len()), (Some(300), 40));
}

/// Sources that describe a product in other words share its model number, if little else.
#[test]
fn a_model_number_is_enough() {
    let mut dice = Dice(11);
    let mut rows: Vec<Row> = Vec::new();
    let kinds = [
        "camera",
        "stereo",
        "microwave",
        "phone",
        "router",
        "printer",
    ];
    for i in 0..400 {
        let (brand, kind) = (word(i % 12, 2), kinds[i % 6]);
        let code = format!("{}{}", word(i, 1), 1000 + dice.next(9000));
        rows.push((
            "left".into(),
            format!("{i}"),
            vec![format!("{brand} silver {kind} {code}"), String::new()],
        ));
        let extra: Vec<String> = (0..3).map(|_| word(5000 + dice.next(60), 2)).collect();
        let price = if i % 2 == 0 {
            format!("{}", 20 + i)
        } else {
            String::new()
        };
        if i % 4 != 0 {
            let name = format!("{} {code} {}", word(i % 12, 2), extra.join(" "));
            rows.push(("right".into(), format!("{i}"), vec![name, price]));
        }
    }
    let t = table(
        &[("name", Semantic::Text), ("price", Semantic::Number)],
        &rows,
    );
    let clusters = named(&t, &run(&t, Mode::Link, 2, None));
    let right = (0..400)
        .filter(|i| {
            let pair = vec![format!("left/{i}"), format!("right/{i}")];
            clusters.values().any(|c| *c == pair)
        })
        .count();
    assert!(right >= 280, "{right} of 300");
}

#[test]
fn one_column_and_odd_tables_resolve() {
    let text = &[("title", Semantic::Text)];
    let row = |k: &str, v: &str| ("s".to_owned(), k.to_owned(), vec![v.to_owned()]);
    for rows in [
        vec![],
        vec![row("1", "only")],
        vec![row("1", ""), row("2", ""), row("3", "")],
        vec![
            row("1", "\u{0}"),
            row("1", "😀😀"),
            row("", "ไทย ภาษา"),
            row("x", &"é".repeat(9000)),
        ],
    ] {
        let t = table(text, &rows);
        assert_eq!(run(&t, Mode::Dedupe, 3, None).heads.len(), rows.len());
    }
}

#[test]
fn the_waterfall_of_two_rows_ends_in_their_score() {
    let t = table(PEOPLE, &people(300));
    let found = run(&t, Mode::Dedupe, 2, None);
    assert!(found.scored.len() > 250);
    for s in found.scored.iter().step_by(17) {
        let steps = explain_rows(&t, &found, s.a, s.b);
        assert_eq!(steps.last().unwrap().sum, s.score);
        // The prior before, kin behind.
        assert_eq!(steps.len(), PEOPLE.len() + 2);
    }
}

const FIRMS: &[(&str, Semantic)] = &[
    ("name", Semantic::OrgName),
    ("uscc", Semantic::Uscc),
    ("phone", Semantic::Phone),
    ("email", Semantic::Email),
    ("city", Semantic::City),
    ("address", Semantic::Address),
    ("contact", Semantic::PersonName),
];

fn firm() -> impl Strategy<Value = Vec<String>> {
    let pick = |list: &'static [&'static str]| prop::sample::select(list).prop_map(str::to_owned);
    (
        pick(&[
            "杭州金客科技有限公司",
            "金客科技",
            "杭州金客科技有限公司北京分公司",
            "上海明远贸易有限公司",
            "明远贸易",
            "明源贸易(上海)",
            "深圳蓝海电子",
            "蓝海电子有限公司",
            "Jinke Technology Co., Ltd.",
            "",
        ]),
        pick(&[
            "",
            "91330106MA2ABCDE0X",
            "91110105100000000X",
            "9133010600000000",
            "913301060000000001",
        ]),
        pick(&[
            "",
            "13812345670",
            "138 1234 5670",
            "0571-85523328",
            "400-800-1234",
            "13900001111",
        ]),
        pick(&["", "info@jinke.cn", "wang@mingyuan.com", "noreply@a.com"]),
        pick(&["", "杭州市", "上海", "深圳市"]),
        pick(&["", "文三路12号", "南京东路88号", "科技园路1号"]),
        pick(&["", "王芳", "李伟", "王总"]),
    )
        .prop_map(|(a, b, c, d, e, f, g)| vec![a, b, c, d, e, f, g])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The batch is the service's way of resolving, at its merge threshold.
    #[test]
    fn a_batch_of_organizations_gives_the_clusters_of_the_service(
        firms in prop::collection::vec(firm(), 1..90),
        threads in 1_usize..4,
    ) {
        let rows: Vec<Row> = firms
            .into_iter()
            .enumerate()
            .map(|(i, cells)| (if i % 3 == 0 { "erp" } else { "crm" }.to_owned(), format!("{i}"), cells))
            .collect();
        let t = table(FIRMS, &rows);
        let rules = RuleSet::organization();
        let options = Options { at: At::Merge, threads, engine: Engine::Organization, ..Options::default() };
        let batch = organizations::resolve(&t, &rules, &options, &|_, _, _| {});
        let keys: Vec<RecordKey> = rows.iter().map(|r| RecordKey::new(r.0.clone(), r.1.clone())).collect();
        let refs: Vec<&RecordKey> = keys.iter().collect();
        let records: Vec<_> = (0..rows.len())
            .map(|r| standardize(PartyKind::Organization, &organizations::values(&t, r), &rules))
            .collect();
        let service = resolve_kind(&refs, &records, &[], &rules);
        let mut ours: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (row, head) in batch.heads.iter().enumerate() {
            ours.entry(*head).or_default().push(row);
        }
        let sorted = |mut all: Vec<Vec<usize>>| {
            all.iter_mut().for_each(|c| c.sort_unstable());
            all.sort();
            all
        };
        prop_assert_eq!(sorted(ours.into_values().collect()), sorted(service.clustering.clusters));
        prop_assert_eq!(batch.candidates as usize, service.candidates);
    }
}
