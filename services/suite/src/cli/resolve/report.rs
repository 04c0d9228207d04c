//! The report for people: one HTML file that needs nothing else.

use std::{collections::BTreeMap, fmt::Write};

use jinke_resolution::{
    RuleSet, Step,
    batch::{Outcome, Scored, Table, explain_rows},
};

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;\
padding:0 1rem;color:#222}table{border-collapse:collapse;margin:.5rem 0 1.5rem}\
td,th{padding:.15rem .6rem;border-bottom:1px solid #ddd;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
.bar{display:inline-block;height:.8rem;background:#3a7}.bar.minus{background:#c54}\
details{margin:.4rem 0}summary{cursor:pointer}";

/// Most example pairs of each kind.
const EXAMPLES: usize = 8;

/// Text that cannot break out of where it stands.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(300) {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn bits(milli: i32) -> String {
    format!("{:+.1}", f64::from(milli) / 1000.0)
}

fn bar(milli: i32) -> String {
    let class = if milli < 0 { "bar minus" } else { "bar" };
    let width = (milli.unsigned_abs() / 100).min(240);
    format!("<span class=\"{class}\" style=\"width:{width}px\"></span>")
}

/// The report.
pub fn html(table: &Table, outcome: &Outcome) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"zh\"><meta charset=\"utf-8\"><title>Jinke resolve</title>\
         <style>{STYLE}</style><h1>归并报告 Resolution report</h1>"
    );
    let clusters = (0..).zip(&outcome.heads).filter(|(r, h)| r == *h).count();
    let by = outcome
        .rules
        .as_ref()
        .map_or_else(|| "trained".into(), RuleSet::full_version);
    let _ = write!(
        out,
        "<p>{} 条记录 records, {clusters} 个簇 clusters, {} 对候选 candidate pairs, {}</p>",
        table.len(),
        outcome.candidates,
        escape(&by)
    );
    weights(&mut out, outcome);
    histogram(&mut out, &outcome.scored);
    sizes(&mut out, &outcome.heads);
    let rows = table.len().max(1);
    let _ = write!(
        out,
        "<h2>合并与复核 Merging and reviews</h2><p>自动合并后 after automatic merging: {} 个簇 clusters; \
         复核 reviews: {} ({:.1} / 1000)</p>",
        (0..).zip(&outcome.merged).filter(|(r, h)| r == *h).count(),
        outcome.reviews.len(),
        1000.0 * outcome.reviews.len() as f64 / rows as f64
    );
    blocking(&mut out, outcome);
    examples(&mut out, table, outcome);
    out.push_str("</html>\n");
    out
}

fn weights(out: &mut String, outcome: &Outcome) {
    out.push_str("<h2>权重 Match weights (bits)</h2><table><tr><th>column<th>level<th>weight<th>");
    let mut row = |column: &str, level: &str, weight: i32| {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td class=\"n\">{}<td>{}",
            escape(column),
            escape(level),
            bits(weight),
            bar(weight)
        );
    };
    match &outcome.model {
        Some(model) => {
            for (side, prior) in ["within", "across"].iter().zip(model.priors) {
                row("prior", side, prior);
            }
            for c in &model.columns {
                for (level, weight) in c.column.semantic.levels().iter().zip(&c.weights) {
                    row(&c.column.name, level, *weight);
                }
            }
        }
        None => {
            let rules = outcome.rules.clone().unwrap_or_else(RuleSet::organization);
            for c in rules.comparisons {
                for level in &c.levels {
                    row(&c.name, &level.name, level.weight);
                }
            }
        }
    }
    out.push_str("</table>");
}

fn counts(out: &mut String, title: &str, unit: &str, list: &BTreeMap<i64, u64>) {
    let most = list.values().copied().max().unwrap_or(1).max(1);
    let _ = write!(out, "<h2>{title}</h2><table><tr><th>{unit}<th>number<th>");
    for (value, n) in list {
        let width = (n * 240).div_ceil(most);
        let _ = write!(
            out,
            "<tr><td class=\"n\">{value}<td class=\"n\">{n}<td>\
             <span class=\"bar\" style=\"width:{width}px\"></span>"
        );
    }
    out.push_str("</table>");
}

fn histogram(out: &mut String, scored: &[Scored]) {
    let mut list = BTreeMap::new();
    for s in scored {
        *list
            .entry(i64::from(s.score.div_euclid(2000) * 2))
            .or_default() += 1;
    }
    counts(out, "得分 Scores of compared pairs", "bits from", &list);
}

fn sizes(out: &mut String, heads: &[u32]) {
    let mut size: BTreeMap<u32, i64> = BTreeMap::new();
    for h in heads {
        *size.entry(*h).or_default() += 1;
    }
    let mut list = BTreeMap::new();
    for n in size.values() {
        *list.entry(*n).or_default() += 1;
    }
    counts(out, "簇的大小 Cluster sizes", "records", &list);
}

fn blocking(out: &mut String, outcome: &Outcome) {
    let b = &outcome.blocking;
    out.push_str("<h2>分块 Blocking</h2><table>");
    for (name, n) in [
        ("blocks of two and more", b.blocks),
        ("blocks too large, refined", b.refined),
        ("values of too many names, no evidence", b.generic),
        ("neighbourhoods", b.neighbourhoods),
        ("rows of the largest block", b.largest),
        ("distinct pairs", b.pairs),
    ] {
        let _ = write!(out, "<tr><td>{name}<td class=\"n\">{n}");
    }
    out.push_str("</table>");
}

fn examples(out: &mut String, table: &Table, outcome: &Outcome) {
    let same = |s: &Scored| outcome.heads[s.a as usize] == outcome.heads[s.b as usize];
    let mut sorted: Vec<&Scored> = outcome.scored.iter().collect();
    sorted.sort_unstable_by_key(|s| (s.score, s.a, s.b));
    let together: Vec<&Scored> = sorted.iter().copied().filter(|s| same(s)).collect();
    let apart: Vec<&Scored> = sorted.iter().rev().copied().filter(|s| !same(s)).collect();
    let groups = [
        (
            "最弱的合并 Weakest pairs in one cluster",
            together.iter().take(EXAMPLES).collect::<Vec<_>>(),
        ),
        (
            "最强的合并 Strongest pairs",
            together.iter().rev().take(EXAMPLES / 2).collect(),
        ),
        (
            "未合并的最高分 Best pairs kept apart",
            apart.iter().take(EXAMPLES).collect(),
        ),
    ];
    for (title, list) in groups {
        let _ = write!(out, "<h2>{title}</h2>");
        for s in list {
            let name = |row: u32| {
                let source = &table.sources[table.source_of(row as usize) as usize];
                escape(&format!("{source}/{}", table.key(row as usize)))
            };
            let _ = write!(
                out,
                "<details><summary>{} bits: {} — {}</summary>",
                bits(s.score),
                name(s.a),
                name(s.b)
            );
            waterfall(out, &explain_rows(table, outcome, s.a, s.b));
            out.push_str("</details>");
        }
    }
}

fn waterfall(out: &mut String, steps: &[Step]) {
    out.push_str("<table><tr><th>comparison<th>level<th>left<th>right<th>weight<th>sum<th>");
    for s in steps {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td>{}",
            escape(&s.comparison),
            escape(&s.level),
            escape(&s.left),
            escape(&s.right),
            bits(s.weight),
            bits(s.sum),
            bar(s.weight)
        );
    }
    out.push_str("</table>");
}
