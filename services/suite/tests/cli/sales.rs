//! Pipeline, tasks, measures and the report on the command line, on the sample data.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{Home, text},
    samples::{number_behind, serve_samples},
};

/// Reporting follows the feeds; a slow machine needs its time.
const PATIENCE: Duration = Duration::from_secs(180);

/// The eight stages that are shipped, in order.
const STAGES: [&str; 8] = [
    "线索发现",
    "初步接触",
    "需求分析",
    "方案制定",
    "商务谈判",
    "签约",
    "服务",
    "复购",
];

#[test]
fn sales_and_reports_on_the_sample_data() {
    let home = Home::new();
    let (serving, lines) = serve_samples(&home);
    board(&home, number_behind(&lines, "商机 opportunities"));
    leads(&home, number_behind(&lines, "线索 leads"));
    tasks(&home, number_behind(&lines, "任务 tasks"));
    caught_up(&home);
    measures(&home);
    warnings_and_tags(&home);
    page(&home);
    book(&home);
    refusals(&home);
    assert!(serving.stop().success(), "{}", home.log());
}

/// A command that must succeed, as people read it.
fn shown(home: &Home, args: &[&str]) -> String {
    let answer = home.jinke(args);
    assert_eq!(answer.code, 0, "{args:?}: {answer:?}");
    answer.out
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// A whole number of the contract, which JSON writes as text; a zero is left out.
fn whole(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::String(digits) => digits.parse().unwrap(),
        number => number.as_u64().unwrap_or_else(|| panic!("{number}")),
    }
}

/// The funnel shows every stage once and in order, with the opportunities there are.
fn board(home: &Home, opportunities: u64) {
    let funnel = shown(home, &["pipeline", "board"]);
    assert!(funnel.starts_with("销售漏斗 "), "{funnel}");
    let bars: Vec<&str> = funnel
        .lines()
        .filter(|l| l.contains(" 单  到达 "))
        .collect();
    assert_eq!(bars.len(), STAGES.len(), "{funnel}");
    for (bar, stage) in bars.iter().zip(STAGES) {
        assert!(bar.starts_with(stage), "{stage}: {funnel}");
    }
    assert!(bars[0].contains('█'), "{funnel}");
    assert!(
        funnel.contains("赢单 won") && funnel.contains("赢单率 win rate"),
        "{funnel}"
    );
    let answer = home.json(&["pipeline", "board"]);
    // Won ones stand in the stages behind the win until these end, lost ones in none.
    let (mut open, mut reached) = (0, Vec::new());
    for column in list(&answer, "columns") {
        if !column["stage"]["afterWin"].as_bool().unwrap_or_default() {
            open += whole(&column["count"]);
        }
        reached.push(whole(&column["reachedCount"]));
    }
    let ended = whole(&answer["wonCount"]) + whole(&answer["lostCount"]);
    assert_eq!(open + ended, opportunities, "{answer:#}");
    assert_eq!(
        reached[0], opportunities,
        "all began at the first: {answer:#}"
    );
    let all = home.json(&["pipeline", "list", "--limit", "500"]);
    let all = list(&all, "opportunities");
    assert_eq!(all.len() as u64, opportunities);
    let one = text(&all[0], "name");
    let history = shown(home, &["pipeline", "show", one]);
    assert!(history.contains("创建"), "{history}");
    let stages = shown(home, &["pipeline", "stages"]);
    assert!(STAGES.iter().all(|s| stages.contains(s)), "{stages}");
    let months = shown(home, &["pipeline", "forecast"]);
    assert!(months.contains("加权 weighted"), "{months}");
}

fn leads(home: &Home, count: u64) {
    let answer = home.json(&["leads", "list", "--limit", "500"]);
    let all = list(&answer, "leads");
    assert_eq!(all.len() as u64, count);
    let table = shown(home, &["leads", "list", "--limit", "500"]);
    for head in ["线索 lead", "公司 company", "负责人 owner"] {
        assert!(table.contains(head), "{head}: {table}");
    }
    for lead in all {
        assert!(table.contains(text(lead, "name")), "{lead:#}: {table}");
    }
    // One of them is of a customer who is known already.
    let known = all.iter().any(|lead| lead["customer"].is_string());
    assert!(known, "{answer:#}");
}

fn tasks(home: &Home, count: u64) {
    let answer = home.json(&["tasks", "list", "--all", "--limit", "500"]);
    let all = list(&answer, "tasks");
    // Some of the samples may be closed, and churn warnings make tasks of their own.
    assert!(count > 0 && !all.is_empty(), "{answer:#}");
    let table = shown(home, &["tasks", "list", "--all", "--limit", "500"]);
    for head in ["任务 task", "到期 due", "事项 subject"] {
        assert!(table.contains(head), "{head}: {table}");
    }
    let one = text(&all[0], "name");
    assert!(table.contains(one), "{table}");
    let show = shown(home, &["tasks", "show", one]);
    assert!(show.contains(one), "{show}");
}

fn single(home: &Home, measure: &str) -> Option<String> {
    let answer = home.json(&["metrics", "query", measure]);
    let value = &list(&answer, "rows").first()?["values"][0]["value"]["value"];
    value.as_str().map(str::to_owned)
}

/// Waits until reporting knows every company and what was sold to it.
fn caught_up(home: &Home) {
    let filter = "kind = ORGANIZATION";
    let all = home.json(&["customers", "list", "--limit", "1000", "--filter", filter]);
    let right = list(&all, "customers").len().to_string();
    let begun = Instant::now();
    loop {
        let seen = ["customer_count", "stage_conversion_rate", "win_rate"].map(|m| single(home, m));
        if seen[0].as_deref() == Some(&right) && seen.iter().all(Option::is_some) {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{right} companies, but {seen:?}"
        );
        thread::sleep(Duration::from_millis(200));
    }
}

fn measures(home: &Home) {
    let all = shown(home, &["metrics", "list"]);
    for measure in [
        "net_revenue",
        "clv_discounted",
        "retention_rate",
        "客户终身价值",
    ] {
        assert!(all.contains(measure), "{measure}: {all}");
    }
    let by = [
        "metrics",
        "query",
        "customer_count",
        "net_revenue",
        "--by",
        "grade",
    ];
    let table = shown(home, &by);
    assert!(
        table.contains("期间 period") && table.contains("customer_count"),
        "{table}"
    );
    let answer = home.json(&by);
    let sum: u64 = list(&answer, "rows")
        .iter()
        .map(|row| whole(&row["values"][0]["value"]["value"]))
        .sum();
    let total = whole(&answer["totals"][0]["values"][0]["value"]["value"]);
    assert!(total > 0 && sum == total, "{answer:#}");
    let months = [
        "metrics",
        "query",
        "order_count",
        "--grain",
        "month",
        "--compare",
        "year",
    ];
    let answer = home.json(&months);
    assert!(list(&answer, "rows").len() >= 12, "{answer:#}");
    let compared = |row: &Value| row["values"][0]["compared"].is_object();
    assert!(list(&answer, "rows").iter().all(compared), "{answer:#}");
    assert!(shown(home, &months).contains('±'));
    let rows = shown(home, &["metrics", "rows", "net_revenue", "--limit", "5"]);
    assert!(rows.contains("合计 value"), "{rows}");
    let segment = shown(home, &["metrics", "segment", "order_count >= 1"]);
    assert!(segment.contains("位客户 customers"), "{segment}");
    let tables = shown(home, &["metrics", "projections"]);
    assert!(tables.contains("projections/1"), "{tables}");
}

fn warnings_and_tags(home: &Home) {
    let first = shown(home, &["metrics", "churn", "--evaluate"]);
    assert!(first.contains("新增 opened"), "{first}");
    let again = shown(home, &["metrics", "churn", "--evaluate"]);
    assert!(
        again.contains("新增 opened 0"),
        "an episode opens once: {again}"
    );
    let trial = home.json(&["metrics", "publish", "--dry-run"]);
    assert!(whole(&trial["customers"]) > 0, "{trial:#}");
}

/// The page has its sections with their pictures, in Chinese, and needs nothing from elsewhere.
fn page(home: &Home) {
    let path = home.path("x.html");
    let out = shown(home, &["report", "asset", "--out", path.to_str().unwrap()]);
    assert!(
        out.contains("客户资产报告") && out.contains("已保存 saved:"),
        "{out}"
    );
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!doctype html><html lang=\"zh-CN\">"));
    assert!(page.contains("<h1>客户资产报告</h1>"));
    for (title, words) in [
        ("趋势", &["净收入", "客户"][..]),
        ("销售漏斗", &["线索发现", "签约"]),
        ("RFM 矩阵", &["R", "F"]),
        ("同期群留存", &["%"]),
        ("客户等级", &["A 级"]),
        ("生命周期", &["沉睡"]),
        ("收入集中度", &[]),
    ] {
        let begin = format!("<div class=\"card\"><h2>{title}<small>");
        let at = page
            .find(&begin)
            .unwrap_or_else(|| panic!("no section {title}"));
        let card = &page[at + begin.len()..];
        let card = &card[..card.find("<div class=\"card\">").unwrap_or(card.len())];
        assert!(card.contains("<svg"), "{title} has no picture: {card}");
        for word in words {
            assert!(card.contains(word), "{title} does not say {word}: {card}");
        }
    }
    for title in ["流失预警", "数据质量", "方法说明"] {
        assert!(
            page.contains(&format!("<h2>{title}<small>")),
            "no section {title}"
        );
    }
    assert!(!page.contains("<script") && !page.contains("<link"));
    let english = home.path("en.html");
    let english = english.to_str().unwrap();
    shown(home, &["report", "asset", "--lang", "en", "--out", english]);
    let english = fs::read_to_string(english).unwrap();
    assert!(english.contains("Sales funnel") && !english.contains("<h2>销售漏斗"));
}

/// What a zip holds: names and contents.
fn unzip(bytes: &[u8]) -> BTreeMap<String, String> {
    let short = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let long = |at: usize| short(at) + (short(at + 2) << 16);
    let end = bytes
        .windows(4)
        .rposition(|w| w == b"PK\x05\x06")
        .expect("a zip");
    let (count, mut at) = (short(end + 10), long(end + 16));
    let mut files = BTreeMap::new();
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let (method, size, local) = (short(at + 10), long(at + 20), long(at + 42));
        let name = String::from_utf8(bytes[at + 46..at + 46 + short(at + 28)].to_vec()).unwrap();
        let from = local + 30 + short(local + 26) + short(local + 28);
        let packed = &bytes[from..from + size];
        let mut content = Vec::new();
        match method {
            0 => content.extend_from_slice(packed),
            8 => {
                let mut inflate = flate2::read::DeflateDecoder::new(packed);
                inflate.read_to_end(&mut content).unwrap();
            }
            other => panic!("{name}: method {other}"),
        }
        files.insert(name, String::from_utf8_lossy(&content).into_owned());
        at += 46 + short(at + 28) + short(at + 30) + short(at + 32);
    }
    files
}

/// The workbook has sheets in Chinese and charts that Excel draws itself.
fn book(home: &Home) {
    let path = home.path("x.xlsx");
    let args = ["report", "asset", "--out", path.to_str().unwrap()];
    shown(home, &args);
    let files = unzip(&fs::read(&path).unwrap());
    let charts: Vec<&String> = files
        .iter()
        .filter(|(name, _)| name.starts_with("xl/charts/chart") && name.ends_with(".xml"))
        .map(|(_, content)| content)
        .collect();
    assert!(charts.len() >= 4, "{:?}", files.keys());
    for chart in &charts {
        let drawn = [
            "<c:barChart>",
            "<c:lineChart>",
            "<c:pieChart>",
            "<c:doughnutChart>",
        ];
        let drawn = drawn.iter().any(|kind| chart.contains(kind));
        assert!(drawn && chart.contains("<c:ser>"), "{chart}");
    }
    let book = &files["xl/workbook.xml"];
    for sheet in ["趋势", "漏斗"] {
        assert!(book.contains(sheet), "{sheet}: {book}");
    }
    let reports = home.json(&["report", "list"]);
    let reports = list(&reports, "reports");
    assert_eq!(reports.len(), 3, "{reports:#?}");
    let same = |r: &Value| r["contentHash"] == reports[0]["contentHash"];
    assert!(reports.iter().all(same), "same day and data: {reports:#?}");
}

/// What is wrong is told with an exit code and a reason.
fn refusals(home: &Home) {
    for (args, code, reason) in [
        (&["metrics", "query", "no_such_measure"][..], 2, "measure"),
        (
            &["metrics", "query", "net_revenue", "--by", "stage"],
            2,
            "dimension",
        ),
        (
            &["pipeline", "show", "opportunities/999999"],
            3,
            "opportunities/999999",
        ),
        (
            &["report", "asset", "--out", "no/such/folder/x.html"],
            5,
            "OUTPUT_FILE",
        ),
        (
            &["report", "asset", "--date", "2026-02-30"],
            2,
            "2026-03-31",
        ),
    ] {
        let answer = home.jinke(args);
        assert_eq!(answer.code, code, "{args:?}: {answer:?}");
        assert!(answer.err.contains(reason), "{args:?}: {answer:?}");
    }
}
