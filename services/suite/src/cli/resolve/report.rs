//! The report for people: one HTML file that needs nothing else.

mod pairs;

use std::{collections::BTreeMap, fmt::Write};

use jinke_resolution::{
    RuleSet,
    batch::{
        Outcome, Table,
        mistakes::{Kind, OfKind},
    },
};

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;\
padding:0 1rem;color:#222}table{border-collapse:collapse;margin:.5rem 0 1.5rem}\
td,th{padding:.15rem .6rem;border-bottom:1px solid #ddd;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
.bar{display:inline-block;height:.8rem;background:#3a7}.bar.minus{background:#c54}\
details{margin:.4rem 0}summary{cursor:pointer}";

/// Most example pairs of each kind.
pub const EXAMPLES: usize = 8;

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

/// The report. `threshold` is that of the clusters, in milli-bits; `wrong` are mistakes by kind,
/// where the truth is known.
pub fn html(
    table: &Table,
    outcome: &Outcome,
    threshold: i32,
    wrong: Option<&BTreeMap<Kind, OfKind>>,
) -> String {
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
    histogram(&mut out, outcome);
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
    if let Some(wrong) = wrong {
        pairs::mistakes(&mut out, table, outcome, wrong);
    }
    pairs::weakest(&mut out, table, outcome, threshold);
    pairs::examples(&mut out, table, outcome);
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

/// Counts of scores, two bits together. Pairs below what is kept are counted from those drawn.
fn histogram(out: &mut String, outcome: &Outcome) {
    let mut list: BTreeMap<i64, u64> = BTreeMap::new();
    let mut add = |score: i32, n: u64| {
        *list
            .entry(i64::from(score.div_euclid(2000) * 2))
            .or_default() += n;
    };
    for s in &outcome.scored {
        add(s.score, 1);
    }
    let mut title = "得分 Scores of compared pairs".to_owned();
    if let Some(survey) = &outcome.survey {
        for s in &survey.below {
            add(s.score, survey.rate);
        }
        if survey.rate > 1 {
            let _ = write!(
                title,
                "（低分为估计，每 {0} 对取一 low ones estimated from one in {0}）",
                survey.rate
            );
        }
    }
    counts(out, &title, "bits from", &list);
}

fn sizes(out: &mut String, heads: &[u32]) {
    let mut size: BTreeMap<u32, i64> = BTreeMap::new();
    for h in heads {
        *size.entry(*h).or_default() += 1;
    }
    let mut list: BTreeMap<i64, u64> = BTreeMap::new();
    for n in size.values() {
        *list.entry(*n).or_default() += 1;
    }
    counts(out, "簇的大小 Cluster sizes", "records", &list);
}

fn blocking(out: &mut String, outcome: &Outcome) {
    let b = &outcome.blocking;
    out.push_str("<h2>分块 Blocking</h2><table>");
    for (name, n) in [
        ("块（两条以上） blocks of two and more", b.blocks),
        ("过大而细分的块 blocks too large, refined", b.refined),
        (
            "名称过多、不作证据的值 values of too many names, no evidence",
            b.generic,
        ),
        ("邻域 neighbourhoods", b.neighbourhoods),
        ("最大块的记录数 rows of the largest block", b.largest),
        ("不同的候选对 distinct pairs", b.pairs),
    ] {
        let _ = write!(out, "<tr><td>{name}<td class=\"n\">{n}");
    }
    if let Some(known) = &outcome.known {
        let _ = write!(
            out,
            "<tr><td>已知同一的对 pairs known to be one thing<td class=\"n\">{}\
             <tr><td>其中被比较的 of these compared (recall of blocking)<td class=\"n\">{:.4}",
            known.pairs,
            known.recall()
        );
    }
    out.push_str("</table>");
    let sizes = (0_u32..).zip(b.sizes).filter(|(_, n)| *n > 0);
    let list = sizes.map(|(i, n)| (1_i64 << i, n)).collect();
    counts(
        out,
        "块的大小 Block sizes (before refinement)",
        "rows from",
        &list,
    );
}
