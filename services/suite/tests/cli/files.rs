//! Importing a file of one's own: preview, errors, again, lookups.

use crate::harness::{Home, text};

const CUSTOMERS: &str = "\
客户编码,客户名称,统一社会信用代码,电话,创建日期\r\n\
C001,杭州星河电子有限公司,91330100MA27XL3K5N,0571-88001122,2024-01-05\r\n\
C002,上海远山贸易有限公司,,021-66001234,2024/2/6\r\n\
,没有编码的公司,,,2024-03-01\r\n\
C004,广州南粤食品有限公司,,13800138000,昨天\r\n";

const MAPPING: &str = "\
kind = 'organization'\n\
external_id = '客户编码'\n\
update_time = '创建日期'\n\
[[values]]\nattribute = 'name'\ncolumn = '客户名称'\n\
[[values]]\nattribute = 'identifier'\nscheme = { constant = 'uscc' }\ncolumn = '统一社会信用代码'\n\
[[values]]\nattribute = 'phone'\ncolumn = '电话'\n";

#[test]
fn a_messy_file_is_imported_and_its_rows_are_reported() {
    let home = Home::new();
    let (gbk, _, _) = encoding_rs::GBK.encode(CUSTOMERS);
    home.file("客户.csv", &gbk);
    home.file("mapping.toml", MAPPING);
    let serving = home.serve(&[]);

    let import = [
        "import",
        "客户.csv",
        "--source",
        "erp",
        "--mapping",
        "mapping.toml",
    ];
    let preview = home.jinke(&[&import[..], &["--preview"]].concat());
    assert_eq!(preview.code, 0, "{preview:?}");
    assert!(preview.out.contains("杭州星河电子有限公司"), "{preview:?}");
    assert_eq!(
        home.json(&["sources", "list"]).get("sources"),
        None,
        "a preview sends nothing"
    );

    let done = home.jinke(&[&import[..], &["--errors-out", "errors.csv"]].concat());
    assert_eq!(done.code, 7, "some rows were refused: {done:?}");
    let report = std::fs::read_to_string(home.path("errors.csv")).unwrap();
    assert!(report.starts_with('\u{feff}'), "{report}");
    assert!(
        report.contains("客户.csv,,4,"),
        "the row without an id is named: {report}"
    );
    assert!(
        !report.contains("13800138000"),
        "a report holds no personal data: {report}"
    );

    let sources = home.json(&["sources", "list"]);
    assert_eq!(text(&sources["sources"][0], "name"), "sources/erp");
    let again = home.jinke(&[&import[..], &["--json"]].concat());
    let again: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(again["counts"]["created"], 0, "{again:#}");
    assert_eq!(again["imported_before"], true);

    look_up(&home);
    assert!(serving.stop().success(), "{}", home.log());
}

fn look_up(home: &Home) {
    let one = |args: &[&str]| {
        let found = home.json(&[&["customers", "lookup"], args].concat());
        let list = found["customers"].as_array().cloned().unwrap_or_default();
        assert_eq!(list.len(), 1, "{args:?}: {found:#}");
        text(&list[0], "displayName").to_owned()
    };
    assert_eq!(one(&["--record", "erp/C001"]), "杭州星河电子有限公司");
    assert_eq!(
        one(&["--phone", "+86 571 8800 1122"]),
        "杭州星河电子有限公司"
    );
    let missing = home.jinke(&["customers", "get", "999999"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    let found = home.json(&["customers", "search", "远山"]);
    assert_eq!(
        text(&found["customers"][0], "displayName"),
        "上海远山贸易有限公司"
    );
    let table = home.jinke(&["customers", "search", "远山"]);
    assert!(
        table.out.contains("上海远山贸易有限公司  组织"),
        "{table:?}"
    );
    let bad = home.jinke(&["customers", "list", "--filter", "nonsense !", "--json"]);
    assert_eq!(bad.code, 2, "{bad:?}");
    let error: serde_json::Value = serde_json::from_str(&bad.err).unwrap();
    assert_eq!(error["error"]["code"], "INVALID_ARGUMENT");
}

#[test]
fn a_mapping_is_guessed_written_and_used() {
    let home = Home::new();
    home.file("客户.csv", CUSTOMERS);
    let guess = [
        "import",
        "客户.csv",
        "--source",
        "erp",
        "--write-mapping",
        "m.toml",
    ];
    let written = home.jinke(&guess);
    assert_eq!(written.code, 0, "{written:?}");
    let mapping = std::fs::read_to_string(home.path("m.toml")).unwrap();
    assert!(
        mapping.contains("客户名称") && mapping.contains("uscc"),
        "{mapping}"
    );
    let preview = home.jinke(&[
        "import",
        "客户.csv",
        "--source",
        "erp",
        "-m",
        "m.toml",
        "--preview",
    ]);
    assert_eq!(
        preview.code, 0,
        "no server is needed for a preview: {preview:?}"
    );
    assert!(preview.out.contains("上海远山贸易有限公司"), "{preview:?}");
}

#[test]
fn errors_say_what_to_do() {
    let home = Home::new();
    let away = home.jinke(&["customers", "list", "--endpoint", "127.0.0.1:1"]);
    assert_eq!(away.code, 4, "{away:?}");
    assert!(away.err.contains("jinke login"), "{away:?}");
    home.file("key.toml", "key = 'nonsense'");
    let args = [
        "customers",
        "list",
        "--endpoint",
        "127.0.0.1:1",
        "--credentials",
        "key.toml",
    ];
    let away = home.jinke(&args);
    assert_eq!(away.code, 6, "{away:?}");
    assert!(
        away.err.contains("jinke doctor") && away.err.contains("127.0.0.1:1"),
        "{away:?}"
    );
    let no_file = home.jinke(&["import", "none.csv", "--source", "erp", "--preview"]);
    assert!(
        no_file.code != 0 && no_file.err.contains("none.csv"),
        "{no_file:?}"
    );
    let usage = home.jinke(&["customers", "lookup"]);
    assert_eq!(usage.code, 2);
}
