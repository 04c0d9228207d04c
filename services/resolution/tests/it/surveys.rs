//! What is asked beyond clusters: pairs below the threshold, what blocking missed, labels, and
//! settings that contradict each other.

use jinke_resolution::{
    RuleSet,
    batch::{
        Column, Engine, Expert, Mode, Model, Options, Outcome, Semantic, Table, TableError,
        explain_rows, resolve_table,
    },
};

use crate::tables::table;

const FIRMS: &[(&str, Semantic)] = &[
    ("name", Semantic::OrgName),
    ("phone", Semantic::Phone),
    ("address", Semantic::Address),
];

const BRANDS: [&str; 12] = [
    "金客", "云峰", "蓝海", "锦江", "明远", "华顺", "瑞德", "天宝", "宏图", "长青", "永泰", "星河",
];
const TRADES: [&str; 5] = ["科技", "贸易", "餐饮管理", "医疗器械", "物流"];

/// Sixty firms of one switchboard, and of each second one a record under another name which only
/// its own phone and address say is the same.
fn firms() -> (Table, Vec<usize>) {
    let mut rows = Vec::new();
    let mut truth = Vec::new();
    for i in 0..60 {
        let name = format!("杭州{}{}有限公司", BRANDS[i % 12], TRADES[i / 12]);
        let (phone, address) = (
            format!("1381234{:04}", i * 37),
            format!("文三路{}号", 100 + i),
        );
        let both = format!("{phone} / 0571-85520000");
        rows.push(("erp", format!("E{i}"), vec![name, both, address.clone()]));
        truth.push(i);
        if i % 2 == 0 {
            let other = format!(
                "宁波{}{}商行",
                BRANDS[(i + 5) % 12],
                TRADES[(i / 12 + 2) % 5]
            );
            rows.push(("crm", format!("C{i}"), vec![other, phone, String::new()]));
            truth.push(i);
        }
    }
    (table(FIRMS, &rows), truth)
}

fn surveyed(table: &Table, truth: &[usize], engine: Engine) -> Outcome {
    let options = Options {
        engine,
        survey: true,
        truth: Some(truth),
        threads: 2,
        ..Options::default()
    };
    resolve_table(table, None, &Expert::default(), &options, &|_, _, _| {}).unwrap()
}

#[test]
fn pairs_below_the_threshold_are_there_to_be_drawn() {
    let (t, truth) = firms();
    let found = surveyed(&t, &truth, Engine::Organization);
    let joined = |a: u32, b: u32| found.heads[a as usize] == found.heads[b as usize];
    let below = &found.survey.as_ref().unwrap().below;
    let missed = below
        .iter()
        .filter(|s| truth[s.a as usize] == truth[s.b as usize] && !joined(s.a, s.b));
    assert_eq!(missed.count(), 30, "all the planted ones");
    assert_eq!(found.survey.as_ref().unwrap().rate, 1);
    let known = found.known.as_ref().unwrap();
    assert_eq!(
        (known.pairs, known.compared),
        (30, 30),
        "their phone brings them together"
    );
    let blocks: u64 = found.blocking.sizes.iter().sum();
    assert_eq!(blocks, found.blocking.blocks);
    assert!(
        found.blocking.sizes[5] > 0,
        "sixty rows of one word or switchboard"
    );
}

/// A value that is generic in the table is no evidence, and the waterfall says so too.
#[test]
fn the_waterfall_of_two_firms_of_one_switchboard_ends_in_their_score() {
    let (t, truth) = firms();
    let found = surveyed(&t, &truth, Engine::Organization);
    assert!(!found.generic.is_empty(), "the switchboard");
    let below = &found.survey.as_ref().unwrap().below;
    let mut shared = 0;
    for s in found.scored.iter().chain(below) {
        let steps = explain_rows(&t, &found, s.a, s.b);
        assert_eq!(steps.last().map_or(0, |s| s.sum), s.score, "{steps:?}");
        let phone = steps.iter().find(|s| s.comparison == "phone");
        let both = |r: u32| t.cell(r as usize, 1).contains("85520000");
        if let Some(phone) = phone.filter(|_| both(s.a) && both(s.b)) {
            assert_ne!(phone.level, "equal");
            shared += 1;
        }
    }
    assert!(shared > 0);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let (t, truth) = firms();
    let rules = || Expert {
        rules: Some(RuleSet::organization()),
        ..Expert::default()
    };
    let trained = surveyed(&t, &truth, Engine::Trained).model.unwrap();
    let model = Model::parse(&trained.to_toml()).unwrap();
    let none = Expert::default();
    let ask = |model: Option<&Model>, expert: &Expert, options: Options<'_>| {
        resolve_table(&t, model, expert, &options, &|_, _, _| {})
    };
    let of = |mode: Option<Mode>, engine: Engine| Options {
        mode,
        engine,
        ..Options::default()
    };
    let refused = |found: Result<Outcome, TableError>, words: &str| {
        let message = found.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    let (link, both) = (Some(Mode::Link), Some(Mode::Both));
    refused(ask(None, &rules(), of(link, Engine::Auto)), "mode link");
    refused(
        ask(None, &rules(), of(None, Engine::Trained)),
        "is a rule set",
    );
    refused(
        ask(Some(&model), &none, of(None, Engine::Organization)),
        "one of a table",
    );
    refused(
        ask(Some(&model), &none, of(link, Engine::Auto)),
        "mode dedupe, and mode link",
    );
    refused(
        ask(Some(&model), &none, of(both, Engine::Auto)),
        "mode dedupe, and mode both",
    );
    refused(
        ask(None, &none, of(link, Engine::Organization)),
        "mode link",
    );
    assert!(ask(Some(&model), &none, of(None, Engine::Auto)).is_ok());
    assert!(ask(Some(&model), &none, of(Some(Mode::Dedupe), Engine::Trained)).is_ok());
    let thresholds = |engine: Engine, balance: i32, merge: Option<i32>| {
        let options = Options {
            engine,
            balance: Some(balance),
            merge,
            ..Options::default()
        };
        ask(None, &none, options)
    };
    for engine in [Engine::Organization, Engine::Trained] {
        refused(
            thresholds(engine, 90_000, None),
            "is below the balance point",
        );
        refused(thresholds(engine, 100_001, Some(100_001)), "within 100000");
        refused(thresholds(engine, i32::MIN, None), "within 100000");
    }
    let labels = [(0, 1, true)];
    let labelled = Options {
        engine: Engine::Organization,
        labels: &labels,
        ..Options::default()
    };
    refused(ask(None, &none, labelled), "no labels");
}

/// What was set by hand is in the rule set that is written, thresholds too.
#[test]
fn a_rule_set_written_gives_the_same_clusters_when_read() {
    let (t, _) = firms();
    let of = |balance: Option<i32>, merge: Option<i32>, rules: Option<RuleSet>| {
        let options = Options {
            balance,
            merge,
            ..Options::default()
        };
        let expert = Expert {
            rules,
            ..Expert::default()
        };
        resolve_table(&t, None, &expert, &options, &|_, _, _| {}).unwrap()
    };
    let plain = of(None, None, None);
    let eager = of(Some(-3_000), Some(0), None);
    assert_ne!(plain.heads, eager.heads);
    let written = eager.rules.as_ref().unwrap().to_toml();
    let read = RuleSet::parse(written).unwrap();
    assert_eq!((read.thresholds.review, read.thresholds.merge), (-3_000, 0));
    let again = of(None, None, Some(read));
    assert_eq!((again.heads, again.merged), (eager.heads, eager.merged));
}

/// Books in two shops, and of each a later edition under the same title, which is another thing.
fn editions() -> (Table, Vec<(u32, u32)>) {
    let mut rows = Vec::new();
    let mut others = Vec::new();
    for i in 0..200_usize {
        let word = |k: usize| {
            let letter = |n: usize| char::from(b'a' + ((i * 7 + k * 11 + n * (i + 5)) % 26) as u8);
            (0..6).map(letter).collect::<String>()
        };
        let title = format!("{} {}", word(1), word(2));
        let at = rows.len() as u32;
        for (shop, year) in [("a", 1960), ("b", 1960), ("a", 2003), ("b", 2003)] {
            let year = (year + i % 20).to_string();
            rows.push((shop, format!("{i}-{year}"), vec![title.clone(), year]));
        }
        others.extend([
            (at, at + 2),
            (at, at + 3),
            (at + 1, at + 2),
            (at + 1, at + 3),
        ]);
    }
    let columns = [("title", Semantic::Text), ("year", Semantic::Year)];
    (table(&columns, &rows), others)
}

#[test]
fn labels_move_weights_whatever_their_order() {
    let (t, others) = editions();
    let of = |labels: &[(u32, u32, bool)]| {
        let options = Options {
            engine: Engine::Trained,
            labels,
            ..Options::default()
        };
        resolve_table(&t, None, &Expert::default(), &options, &|_, _, _| {}).unwrap()
    };
    let label = |same: bool| -> Vec<(u32, u32, bool)> {
        let some = others.iter().step_by(20);
        some.map(|(a, b)| (*a, *b, same)).collect()
    };
    let (apart, same) = (label(false), label(true));
    let (plain, taught, misled) = (of(&[]), of(&apart), of(&same));
    let wrong = |o: &Outcome| {
        let joined = |p: &&(u32, u32)| o.heads[p.0 as usize] == o.heads[p.1 as usize];
        others.iter().filter(joined).count()
    };
    let differs = |o: &Outcome| *o.model.as_ref().unwrap().columns[1].weights.last().unwrap();
    let told = [&plain, &taught, &misled].map(|o| (wrong(o), differs(o)));
    assert!(differs(&taught) < differs(&misled), "{told:?}");
    assert_eq!(wrong(&taught), 0, "{told:?}");
    assert_eq!(wrong(&misled), others.len(), "{told:?}");
    let text = |o: &Outcome| o.model.as_ref().unwrap().to_toml();
    let mut turned: Vec<(u32, u32, bool)> = apart.iter().rev().map(|l| (l.1, l.0, l.2)).collect();
    turned.push(apart[0]);
    assert!(text(&taught) == text(&of(&turned)));
    assert!(text(&taught) != text(&misled));
}

/// A name for every row as its source is found without looking through all.
#[test]
fn every_row_may_have_its_own_source() {
    let mut t = Table::new(vec![Column {
        name: "x".into(),
        semantic: Semantic::Text,
    }]);
    for i in 0..200_000 {
        let s = t.source(&format!("source {}", i % 150_000));
        t.push(s, "k", std::iter::once(""));
    }
    assert_eq!(t.sources.len(), 150_000);
    assert_eq!(t.source_of(150_007), 7);
}
