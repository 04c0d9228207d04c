//! What a person's labels say about clusters, and what is learned from them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::Home;

/// Sixty brands of which no two are alike.
fn brand(i: usize) -> String {
    let first = "金云蓝锦明华瑞天宏长永星".chars().nth(i % 12);
    let second = "宇泽盛凯鼎".chars().nth(i / 12 % 5);
    first.into_iter().chain(second).collect()
}

const TRADES: [&str; 5] = ["科技", "贸易", "餐饮管理", "医疗器械", "物流"];

/// Sixty companies twice each; of every third the second record goes by a name that only its phone
/// says is the same. Gives the truth by record.
fn renamed(home: &Home) -> BTreeMap<String, usize> {
    let mut rows = String::from("source,id,name,phone,address\n");
    let mut truth = BTreeMap::new();
    for i in 0..60 {
        let (own, trade) = (brand(i), TRADES[i % 5]);
        let phone = format!("1381234{:04}", i * 37);
        rows.push_str(&format!(
            "erp,E{i},杭州{own}{trade}有限公司,{phone},文三路{}号\n",
            100 + i
        ));
        let name = if i % 3 == 0 {
            format!("{}{}商行", brand(i + 7), TRADES[(i + 2) % 5])
        } else {
            format!("{own}{trade}")
        };
        rows.push_str(&format!("crm,C{i},{name},{phone},\n"));
        truth.insert(format!("erp/E{i}"), i);
        truth.insert(format!("crm/C{i}"), i);
    }
    home.file("firms.csv", rows);
    home.file(
        "firms.toml",
        "inputs = [\"firms.csv\"]\nsource = \"source\"\nkey = \"id\"\n[columns]\n\
         name = \"org_name\"\nphone = \"phone\"\naddress = \"address\"\n",
    );
    truth
}

/// Fills the column `same` by the truth.
fn labelled(home: &Home, pairs: &str, to: &str, truth: &BTreeMap<String, usize>) {
    let text = std::fs::read_to_string(home.path(pairs)).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let (left, right) = (at("left"), at("right"));
    let mut out = text.lines().next().unwrap().to_owned() + "\n";
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let same = truth[cells[left]] == truth[cells[right]];
        out.push_str(if same { "是" } else { "否" });
        out.push_str(line);
        out.push('\n');
    }
    home.file(to, out);
}

/// A figure of the answer, as in `recall …: 0.7500（…`.
fn figure(out: &str, name: &str) -> f64 {
    let line = out.lines().find(|l| l.contains(name)).expect(name);
    let after = line.rsplit_once(": ").unwrap().1;
    after.split('（').next().unwrap().parse().unwrap()
}

#[test]
fn labels_show_what_a_table_of_organizations_missed() {
    let home = Home::new();
    let truth = renamed(&home);
    let assess = |more: &[&str]| {
        let all = ["assess", "--spec", "firms.toml", "--threads", "2"];
        home.jinke(&[&all[..], more].concat())
    };
    let drawn = assess(&["--pairs", "pairs.csv", "--sample", "5000"]);
    assert_eq!(drawn.code, 0, "{drawn:?}");
    assert!(drawn.out.contains("are not drawn"), "{drawn:?}");
    labelled(&home, "pairs.csv", "labelled.csv", &truth);
    let told = home.jinke(&["assess", "--labels", "labelled.csv"]);
    assert_eq!(told.code, 0, "{told:?}");
    // Twenty of sixty pairs are in two clusters, or those of them that are compared.
    let recall = figure(&told.out, "recall");
    assert!((0.6..0.9).contains(&recall), "{told:?}");

    // By a rule set that joins what shares a phone, nothing is missed.
    home.file(
        "eager.toml",
        std::fs::read_to_string(home.path("firms.toml")).unwrap()
            + "[weights.phone]\nequal_other_name = 30000\n",
    );
    let eager = home.jinke(&[
        "resolve",
        "--spec",
        "eager.toml",
        "--out",
        "eager.csv",
        "--model-out",
        "rules.toml",
    ]);
    assert_eq!(eager.code, 0, "{eager:?}");
    let eager = [
        "--pairs",
        "eager-pairs.csv",
        "--model",
        "rules.toml",
        "--sample",
        "5000",
    ];
    let drawn = assess(&eager);
    assert_eq!(drawn.code, 0, "{drawn:?}");
    labelled(&home, "eager-pairs.csv", "eager-labelled.csv", &truth);
    let told = home.jinke(&["assess", "--labels", "eager-labelled.csv"]);
    assert!(figure(&told.out, "recall") > 0.95, "{told:?}");
}

#[test]
fn the_report_says_what_went_wrong_and_what_holds_clusters() {
    let home = Home::new();
    let truth = renamed(&home);
    let mut file = String::from("source,source_id,entity_id\n");
    for (record, entity) in &truth {
        file.push_str(&format!("{},{entity}\n", record.replace('/', ",")));
    }
    home.file("truth.csv", file);
    let done = home.jinke(&[
        "resolve",
        "--spec",
        "firms.toml",
        "--out",
        "out.csv",
        "--truth",
        "truth.csv",
        "--report",
        "report.html",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    let line = done.out.lines().find(|l| l.starts_with('{')).unwrap();
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!(told["known_pairs"], 60);
    assert_eq!(told["blocking_recall"], 1.0, "{told}");
    let wrong = &told["mistakes"];
    assert_eq!(wrong["scored_low"], 20, "{told}");
    assert_eq!(wrong["never_compared"], 0, "{told}");
    let report = std::fs::read_to_string(home.path("report.html")).unwrap();
    for title in [
        "Mistakes by kind",
        "scored below the threshold",
        "Block sizes",
        "recall of blocking",
        "Weakest clusters",
    ] {
        assert!(report.contains(title), "{title}");
    }
    assert!(report.contains("name different"), "what spoke loudest");
}

#[test]
fn labels_are_learned_from_where_weights_are() {
    let home = Home::new();
    let truth = renamed(&home);
    home.file(
        "trained.toml",
        "engine = \"trained\"\n".to_owned()
            + &std::fs::read_to_string(home.path("firms.toml")).unwrap(),
    );
    let drawn = home.jinke(&[
        "assess",
        "--spec",
        "trained.toml",
        "--pairs",
        "pairs.csv",
        "--sample",
        "60",
    ]);
    assert_eq!(drawn.code, 0, "{drawn:?}");
    labelled(&home, "pairs.csv", "labelled.csv", &truth);
    let resolve = |spec: &str, more: &[&str]| {
        let all = ["resolve", "--spec", spec, "--out", "out.csv"];
        home.jinke(&[&all[..], more].concat())
    };
    let model = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
    let plain = resolve("trained.toml", &["--model-out", "plain.toml"]);
    assert_eq!(plain.code, 0, "{plain:?}");
    let labels = ["--labels", "labelled.csv", "--model-out", "taught.toml"];
    let taught = resolve("trained.toml", &labels);
    assert_eq!(taught.code, 0, "{taught:?}");
    assert!(
        taught.err.contains("labelled pairs were learned from"),
        "{taught:?}"
    );
    assert_ne!(model("plain.toml"), model("taught.toml"));
    // A rule set is not learned.
    let rules = home.jinke(&[
        "resolve",
        "--spec",
        "firms.toml",
        "--out",
        "out.csv",
        "--labels",
        "labelled.csv",
        "--model",
        "plain.toml",
    ]);
    assert_eq!(rules.code, 2, "{rules:?}");
    home.file("other.csv", "same,left,right\nyes,a/1,b/2\n");
    let other = resolve("trained.toml", &["--labels", "other.csv"]);
    assert!(
        other.err.contains("none of its 1 labelled pairs"),
        "{other:?}"
    );
}

#[test]
fn a_model_and_a_spec_that_disagree_are_refused() {
    let home = Home::new();
    renamed(&home);
    let spec = std::fs::read_to_string(home.path("firms.toml")).unwrap();
    home.file("trained.toml", format!("engine = \"trained\"\n{spec}"));
    home.file("link.toml", format!("mode = \"link\"\n{spec}"));
    home.file(
        "rules-spec.toml",
        format!("engine = \"organization\"\n{spec}"),
    );
    home.file("low.toml", format!("{spec}[thresholds]\nbalance = 99000\n"));
    let resolve = |spec: &str, more: &[&str]| {
        let all = ["resolve", "--spec", spec, "--out", "out.csv"];
        home.jinke(&[&all[..], more].concat())
    };
    assert_eq!(
        resolve("firms.toml", &["--model-out", "rules.toml"]).code,
        0
    );
    assert_eq!(
        resolve("trained.toml", &["--model-out", "model.toml"]).code,
        0
    );
    for (spec, model, words) in [
        ("link.toml", "rules.toml", "mode link"),
        ("link.toml", "model.toml", "mode dedupe, and mode link"),
        ("trained.toml", "rules.toml", "is a rule set"),
        ("rules-spec.toml", "model.toml", "one of a table"),
        ("low.toml", "rules.toml", "is below the balance point"),
    ] {
        let done = resolve(spec, &["--model", model]);
        assert_eq!(done.code, 2, "{spec} {model}: {done:?}");
        assert!(done.err.contains(words), "{spec} {model}: {done:?}");
    }
}
