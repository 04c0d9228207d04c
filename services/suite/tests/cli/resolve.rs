//! Tables on one machine: resolving, models, changes, labels, and what is wrong with them.

use serde_json::Value;

use crate::harness::Home;

/// Companies twice each, in two systems, and who only looks like another.
fn customers(home: &Home) {
    let brands = [
        "金客", "云峰", "蓝海", "锦江", "明远", "华顺", "瑞德", "天宝", "宏图", "长青",
    ];
    let (mut erp, mut crm) = (String::new(), String::new());
    let mut truth = String::from("source,source_id,entity_id\n");
    for (i, brand) in brands.iter().enumerate() {
        erp.push_str(&format!(
            "E{i},杭州{brand}科技有限公司,0571-8552{i:04},文三路{}号\n",
            i + 10
        ));
        crm.push_str(&format!("C{i},{brand}科技,0571 8552 {i:04},\n"));
        truth.push_str(&format!("erp,E{i},{i}\ncrm,C{i},{i}\n"));
    }
    // The same brand in another city and trade is another company.
    crm.push_str("C90,成都金客餐饮管理有限公司,028-66001234,\n");
    truth.push_str("crm,C90,90\n");
    home.file("erp.csv", format!("编号,名称,电话,地址\n{erp}"));
    let (gbk, _, _) = encoding_rs::GBK.encode("编号,名称,电话,地址\n");
    let (rows, _, _) = encoding_rs::GBK.encode(&crm);
    home.file("crm.csv", [gbk, rows].concat());
    home.file("truth.csv", truth);
    home.file("spec.toml", spec(""));
}

fn spec(more: &str) -> String {
    format!(
        "inputs = [\"erp.csv\", \"crm.csv\"]\nkey = \"编号\"\n{more}\n[columns]\n\
         \"名称\" = \"org_name\"\n\"电话\" = \"phone\"\n\"地址\" = \"address\"\n"
    )
}

fn line(out: &str) -> Value {
    let line = out.lines().find(|l| l.starts_with('{'));
    serde_json::from_str(line.expect("a line of JSON")).unwrap()
}

#[test]
fn two_systems_become_one_list_and_its_quality_is_told() {
    let home = Home::new();
    customers(&home);
    let resolve = ["resolve", "--spec", "spec.toml", "--out"];
    let more = [
        "--truth",
        "truth.csv",
        "--report",
        "report.html",
        "--threads",
        "2",
    ];
    let done = home.jinke(&[&resolve[..], &["a.csv"], &more[..]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let told = line(&done.out);
    assert_eq!(told["records"], 21);
    assert_eq!(told["clusters"], 11);
    assert_eq!(told["pairwise"]["f1"], 1.0);
    assert_eq!(told["merge"]["precision"], 1.0);
    assert_eq!(told["steward"]["pairwise"]["f1"], 1.0);
    assert!(told["reviews_per_1000"].is_number() && told["seconds"]["total"].is_number());
    let clusters = std::fs::read_to_string(home.path("a.csv")).unwrap();
    assert!(
        clusters.starts_with("source,source_id,cluster_id\n"),
        "{clusters}"
    );
    assert_eq!(clusters.lines().count(), 22);
    let report = std::fs::read_to_string(home.path("report.html")).unwrap();
    assert!(
        report.contains("<h2>") && !report.contains("<script src"),
        "one file by itself"
    );

    // The rule set it used, read back, gives the same; another one says what it would change.
    let out = home.jinke(&[&resolve[..], &["b.csv", "--model-out", "rules.toml"]].concat());
    assert_eq!(out.code, 0, "{out:?}");
    let again = home.jinke(
        &[
            &resolve[..],
            &["c.csv", "--model", "rules.toml", "--compare", "a.csv"],
        ]
        .concat(),
    );
    assert!(again.out.contains("0 处合并"), "{again:?}");
    let bytes = |name: &str| std::fs::read(home.path(name)).unwrap();
    assert_eq!(bytes("a.csv"), bytes("c.csv"));
    home.file(
        "strict.toml",
        spec("") + "[weights.phone]\nequal = -20000\n",
    );
    let changed = home.jinke(&[
        "resolve",
        "--spec",
        "strict.toml",
        "--out",
        "d.csv",
        "--compare",
        "a.csv",
        "--changes",
        "changes.csv",
    ]);
    assert!(changed.out.contains("10 处拆分"), "{changed:?}");
    let changes = std::fs::read_to_string(home.path("changes.csv")).unwrap();
    assert_eq!(changes.lines().count(), 21, "{changes}");
    assert!(changes.contains(",split,"));
}

#[test]
fn a_model_is_the_same_for_any_number_of_threads_and_order_of_rows() {
    let home = Home::new();
    let mut rows: Vec<String> = Vec::new();
    for i in 0..120 {
        let (a, b) = (i * 7_919 % 97, i * 104_729 % 89);
        for (source, slip) in [("x", ""), ("y", "e")] {
            rows.push(format!(
                "{source},{i},Bran{a}do{slip} Item M{i}X{b},{}\n",
                100 + a
            ));
        }
    }
    let head = "source,id,title,price\n";
    home.file("a.csv", head.to_owned() + &rows.concat());
    rows.reverse();
    home.file("b.csv", head.to_owned() + &rows.concat());
    for name in ["a", "b"] {
        home.file(
            &format!("{name}.toml"),
            format!("inputs = [\"{name}.csv\"]\nsource = \"source\"\nkey = \"id\"\nblocking = [[\"price\"]]\n[columns]\ntitle = \"text\"\nprice = \"number\"\n"),
        );
    }
    for (name, threads) in [("a", "1"), ("b", "3")] {
        let (spec, out, model) = (
            format!("{name}.toml"),
            format!("{name}.out"),
            format!("{name}.model"),
        );
        let done = home.jinke(&[
            "resolve",
            "--spec",
            &spec,
            "--out",
            &out,
            "--model-out",
            &model,
            "--threads",
            threads,
        ]);
        assert_eq!(done.code, 0, "{done:?}");
    }
    let text = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
    assert_eq!(text("a.model"), text("b.model"));
    let sorted = |name: &str| {
        let mut lines: Vec<String> = text(name).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted("a.out"), sorted("b.out"));
    let again = home.jinke(&[
        "resolve", "--spec", "b.toml", "--out", "c.out", "--model", "a.model",
    ]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(sorted("a.out"), sorted("c.out"));
}

#[test]
fn labels_say_how_good_the_clusters_are() {
    let home = Home::new();
    customers(&home);
    let drawn = home.jinke(&[
        "assess",
        "--spec",
        "spec.toml",
        "--pairs",
        "pairs.csv",
        "--sample",
        "40",
    ]);
    assert_eq!(drawn.code, 0, "{drawn:?}");
    let pairs = std::fs::read_to_string(home.path("pairs.csv")).unwrap();
    assert!(
        pairs.starts_with("same,stratum,pairs,reviews,score,left,right,"),
        "{pairs}"
    );
    let labelled: String = pairs
        .lines()
        .enumerate()
        .map(|(i, l)| {
            if i == 0 {
                format!("{l}\n")
            } else {
                format!("是{l}\n")
            }
        })
        .collect();
    home.file("labelled.csv", labelled);
    let told = home.jinke(&["assess", "--labels", "labelled.csv"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("precision: 1.0000"), "{told:?}");
    assert!(told.out.contains("steward hours"), "{told:?}");
    // The same pairs are drawn again; answers typed at once count the same.
    let answers = "y\n".repeat(60);
    let asked = home.jinke_with_input(
        &[
            "assess",
            "--spec",
            "spec.toml",
            "--pairs",
            "again.csv",
            "--sample",
            "40",
            "--ask",
        ],
        &answers,
    );
    assert!(asked.out.contains("precision: 1.0000"), "{asked:?}");
}

#[test]
fn what_is_wrong_is_named_and_nothing_panics() {
    let home = Home::new();
    customers(&home);
    let fails = |spec: &str, reason: &str| {
        home.file("bad.toml", spec);
        let done = home.jinke(&["resolve", "--spec", "bad.toml", "--out", "x.csv"]);
        assert_ne!(done.code, 0, "{spec}: {done:?}");
        assert!(done.err.contains(reason), "{spec}: {done:?}");
        assert!(!done.err.contains("panicked"), "{done:?}");
    };
    fails("inputs = [", "SPEC_INVALID");
    fails(&spec("mode = \"sideways\""), "SPEC_INVALID");
    fails(
        &spec("engine = \"trained\"\nblocking = [[\"nothing\"]]"),
        "SPEC_INVALID",
    );
    fails(
        &(spec("") + "[weights.nothing]\nequal = 1\n"),
        "SPEC_INVALID",
    );
    fails(
        &(spec("") + "[keys.nothing]\nmax_records = 5\nmax_cores = 5\n"),
        "SPEC_INVALID",
    );
    fails(&spec("").replace("erp.csv", "none.csv"), "INPUT_UNREADABLE");
    for (name, bytes) in [
        ("zip.csv", &b"PK\x03\x04rest"[..]),
        ("pq.parquet", b"PAR1\x00\x01\x02PAR1"),
        ("wide.csv", b"\xff\xfe1\x00"),
        ("empty.csv", b""),
    ] {
        home.file(name, bytes);
        fails(&spec("").replace("erp.csv", name), "INPUT_INVALID");
    }
    home.file("broken.toml", "version = \"table-2\"\nmode = 7\n");
    let model = home.jinke(&[
        "resolve",
        "--spec",
        "spec.toml",
        "--out",
        "x.csv",
        "--model",
        "broken.toml",
    ]);
    assert!(model.err.contains("MODEL_INVALID"), "{model:?}");
    home.file("half.csv", "same,stratum,pairs\nyes,joined,many\n");
    let labels = home.jinke(&["assess", "--labels", "half.csv"]);
    assert!(labels.err.contains("INPUT_INVALID"), "{labels:?}");
}
