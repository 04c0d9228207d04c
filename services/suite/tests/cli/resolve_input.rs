//! What `jinke resolve` says of files that are damaged, odd, or not what was meant.

use serde_json::Value;

use crate::harness::{Answer, Home};

const HEAD: &str = "编号,名称,电话\n";

/// So many companies.
fn rows(count: usize) -> String {
    let row = |i: usize| format!("{i},杭州金客{i}科技有限公司,0571-8552{i:04}\n");
    (0..count).map(row).collect()
}

/// Resolves files that lie in the home.
fn resolved(home: &Home, files: &[&str], more: &[&str]) -> Answer {
    home.file(
        "spec.toml",
        format!(
            "inputs = {files:?}\nkey = \"编号\"\n[columns]\n\"名称\" = \"org_name\"\n\"电话\" = \"phone\"\n"
        ),
    );
    let resolve = ["resolve", "--spec", "spec.toml", "--out", "out.csv"];
    home.jinke(&[&resolve[..], more].concat())
}

/// What is said of a file that is not read.
fn refused(bytes: impl AsRef<[u8]>) -> String {
    let home = Home::new();
    home.file("a.csv", bytes);
    let done = resolved(&home, &["a.csv"], &[]);
    assert_ne!(done.code, 0, "{done:?}");
    assert!(done.err.contains("INPUT_INVALID"), "{done:?}");
    assert!(done.err.contains("a.csv"), "{done:?}");
    assert!(!home.path("out.csv").exists(), "nothing is written");
    done.err
}

#[test]
fn one_broken_byte_does_not_turn_a_file_into_another() {
    let mut bytes = format!("{HEAD}{}", rows(30_000)).into_bytes();
    let at = bytes.windows(6).position(|w| w == b"\n25000").unwrap() + 8;
    bytes[at] = b'x';
    let told = refused(&bytes);
    for part in ["UTF-8", "line 25002,", "broken sequences: 2,"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (gbk, _, _) = encoding_rs::GBK.encode(HEAD);
    let told = refused([&gbk[..], b"1,\xff,2\n"].concat());
    assert!(told.contains("line 2,"), "{told}");
}

#[test]
fn a_quote_left_open_swallows_no_rows() {
    let told = refused(format!("{HEAD}{}7,\"open,2\n{}", rows(5), rows(9)));
    assert!(
        told.contains("a quote opened in line 7 is never closed"),
        "{told}"
    );
}

#[test]
fn what_is_odd_is_told_on_standard_error_alone() {
    let home = Home::new();
    home.file("a.csv", format!("{HEAD}{}7,a,b,c\n8\n,x,\n", rows(5)));
    let done = resolved(&home, &["a.csv"], &[]);
    assert_eq!(done.code, 0, "{done:?}");
    for part in [
        "more fields than the header: 1, the first in line 7",
        "fewer fields than the header: 1, the first in line 8",
        "key is empty: 1, the first in line 9",
    ] {
        assert!(done.err.contains(part), "{part}: {done:?}");
        assert!(!done.out.contains(part), "{done:?}");
    }
}

#[test]
fn a_file_or_column_that_is_there_twice_is_refused() {
    let home = Home::new();
    home.file("a.csv", format!("{HEAD}{}", rows(5)));
    let done = resolved(&home, &["a.csv", "./a.csv"], &[]);
    assert!(done.err.contains("is named twice"), "{done:?}");
    let told = refused(format!("编号,名称,电话,名称\n{}", rows(5)));
    assert!(told.contains("two columns \"名称\""), "{told}");
}

/// The line of JSON.
fn line(answer: &Answer) -> Value {
    let line = answer.out.lines().find(|l| l.starts_with('{'));
    serde_json::from_str(line.expect("a line of JSON")).unwrap()
}

#[test]
fn a_truth_that_is_not_of_these_rows_is_not_measured() {
    let home = Home::new();
    home.file("a.csv", format!("{HEAD}{}", rows(5)));
    let with = |truth: &str| {
        home.file("truth.csv", truth);
        resolved(&home, &["a.csv"], &["--truth", "truth.csv"])
    };
    let done = with("source,source_id,entity_id\na,0,x\na,1,y\nb,7,z\n");
    assert_eq!(done.code, 0, "{done:?}");
    let counts = &line(&done)["truth"];
    assert_eq!(counts["matched"], 2);
    assert_eq!(counts["rows_without"], 3);
    assert_eq!(counts["lines_without"], 1);
    assert!(done.err.contains("without a line: 3"), "{done:?}");
    let done = with("entity_id,source_id\nv,0\nw,1\nx,2\ny,3\nz,4\n");
    assert_eq!(line(&done)["truth"]["matched"], 5);
    assert!(!done.err.contains("without a line"), "{done:?}");
    for (truth, part) in [
        ("source,source_id,name\na,0,x\n", "no column entity_id"),
        ("source,source_id,entity_id\nb,0,x\n", "none of the rows"),
        (
            "source,source_id,entity_id\na,0,x\na,0,y\n",
            "names one record twice",
        ),
    ] {
        let done = with(truth);
        assert_ne!(done.code, 0, "{truth}: {done:?}");
        assert!(done.err.contains("INPUT_INVALID"), "{done:?}");
        assert!(done.err.contains(part), "{part}: {done:?}");
    }
}

#[test]
fn clusters_have_names_of_their_own_whatever_the_order() {
    let home = Home::new();
    let mut lines: Vec<&str> = vec![
        "a,b/c,one",
        "a/b,c,two",
        "a,k,three",
        "a,k,four",
        "a,k#2,five",
    ];
    home.file(
        "spec.toml",
        "inputs = [\"a.csv\"]\nsource = \"s\"\nkey = \"k\"\n[columns]\nname = \"text\"\n",
    );
    let mut run = |turn: bool| {
        if turn {
            lines.reverse();
        }
        home.file("a.csv", format!("s,k,name\n{}\n", lines.join("\n")));
        let done = home.jinke(&["resolve", "--spec", "spec.toml", "--out", "out.csv"]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(
            done.err.contains("source and key with another: 2,"),
            "{done:?}"
        );
        let out = std::fs::read_to_string(home.path("out.csv")).unwrap();
        let mut out: Vec<String> = out.lines().skip(1).map(str::to_owned).collect();
        out.sort();
        out
    };
    let names = run(false);
    assert_eq!(
        names,
        [
            "a,b/c,a/b/c",
            "a,k#2,a/k#2",
            "a,k,a/k",
            "a,k,a/k#3",
            "a/b,c,a%2Fb/c"
        ]
    );
    assert_eq!(run(true), names);
    // Clusters of records that share a name are compared all the same.
    std::fs::copy(home.path("out.csv"), home.path("earlier.csv")).unwrap();
    let done = home.jinke(&[
        "resolve",
        "--spec",
        "spec.toml",
        "--out",
        "out.csv",
        "--compare",
        "earlier.csv",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.out.contains("0 处合并 merge, 0 处拆分 split"),
        "{done:?}"
    );
}

#[test]
fn letters_of_western_languages_are_read_and_told() {
    let home = Home::new();
    let rows = b"id;name\n1;Caf\xe9 M\xfcller\n2;Cafe Muller\n3;Stra\xdfenbau S\xf6hne\n";
    home.file("latin.csv", rows);
    home.file(
        "latin.toml",
        "inputs = [\"latin.csv\"]\nkey = \"id\"\n[columns]\nname = \"text\"\n",
    );
    let done = home.jinke(&["resolve", "--spec", "latin.toml", "--out", "out.csv"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("read as Windows-1252"), "{done:?}");
    let out = std::fs::read_to_string(home.path("out.csv")).unwrap();
    assert_eq!(out.lines().count(), 4, "{out}");
    assert!(!out.contains('\u{fffd}'), "{out}");
}
