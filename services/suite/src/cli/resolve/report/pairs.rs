//! Pairs in the report: examples, mistakes by kind, and what holds the weakest clusters together.

use std::{collections::BTreeMap, fmt::Write};

use jinke_resolution::{
    Step,
    batch::{
        Outcome, Scored, Table, cohesion, explain_rows,
        mistakes::{Kind, OfKind},
    },
};

use super::{EXAMPLES, bar, bits, escape};

/// Most rows of a side, and pairs that hold a cluster, that are listed.
const LISTED: usize = 12;

fn name(table: &Table, row: u32) -> String {
    let source = &table.sources[table.source_of(row as usize) as usize];
    escape(&format!("{source}/{}", table.key(row as usize)))
}

/// One pair, its waterfall below it.
fn pair(out: &mut String, table: &Table, outcome: &Outcome, s: &Scored) {
    let _ = write!(
        out,
        "<details><summary>{} bits: {} — {}</summary>",
        bits(s.score),
        name(table, s.a),
        name(table, s.b)
    );
    waterfall(out, &explain_rows(table, outcome, s.a, s.b));
    out.push_str("</details>");
}

/// The weakest pairs together, the strongest, and the best apart.
pub(super) fn examples(out: &mut String, table: &Table, outcome: &Outcome) {
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
            pair(out, table, outcome, s);
        }
    }
}

/// What each kind means to a reader.
const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::NeverCompared => "漏：从未比较 one thing, never compared",
        Kind::ScoredLow => "漏：得分低于阈值 one thing, scored below the threshold",
        Kind::KeptApart => "漏：得分够而簇不合 one thing, kept apart by the rest of their clusters",
        Kind::ScoredHigh => "误：得分达到阈值 two things, reached the threshold",
        Kind::JoinedByOthers => "误：经由他人相连 two things, joined by others",
    }
}

/// Mistakes by kind: how many, what spoke loudest for them, and examples.
pub(super) fn mistakes(
    out: &mut String,
    table: &Table,
    outcome: &Outcome,
    wrong: &BTreeMap<Kind, OfKind>,
) {
    out.push_str(
        "<h2>错误 Mistakes by kind</h2><table><tr><th>kind<th>pairs<th>what spoke loudest for the mistake",
    );
    for (kind, of) in wrong {
        let asked: u64 = of.decisive.iter().map(|d| d.1).sum();
        let shares = of.decisive.iter().take(5).map(|(what, n)| {
            let percent = 100 * n / asked.max(1);
            format!("{} {percent} %", escape(what))
        });
        let _ = write!(
            out,
            "<tr><td>{}<td class=\"n\">{}<td>{}",
            meaning(*kind),
            of.pairs,
            shares.collect::<Vec<_>>().join(", ")
        );
    }
    out.push_str("</table>");
    for (kind, of) in wrong {
        let _ = write!(out, "<h3>{}</h3>", meaning(*kind));
        for s in &of.examples {
            pair(out, table, outcome, s);
        }
    }
}

/// The clusters of three and more whose weakest link is weakest, and what would split them.
pub(super) fn weakest(out: &mut String, table: &Table, outcome: &Outcome, threshold: i32) {
    out.push_str("<h2>最弱的簇 Weakest clusters</h2>");
    let names = |rows: &[u32]| {
        let mut all: Vec<String> = rows.iter().take(LISTED).map(|r| name(table, *r)).collect();
        if rows.len() > LISTED {
            all.push(format!("… ({})", rows.len()));
        }
        all.join(", ")
    };
    for c in cohesion::weakest(table, outcome, threshold, EXAMPLES) {
        let [near, far] = &c.sides;
        let _ = write!(
            out,
            "<details><summary>{} bits: {} + {} 条记录 records</summary>\
             <p>最弱一环 weakest link: {} — {}</p><p>断开后 without it: {{{}}} | {{{}}}</p>\
             <p>拆开须使下列各对低于阈值，或判定两边不同 it falls apart when all of these fall below \
             the threshold, or the sides are judged to differ:</p><ul>",
            bits(c.weakest.score),
            near.len(),
            far.len(),
            name(table, c.weakest.a),
            name(table, c.weakest.b),
            names(near),
            names(far)
        );
        for s in c.holding.iter().take(LISTED) {
            let (a, b) = (name(table, s.a), name(table, s.b));
            let _ = write!(out, "<li>{} bits: {a} — {b}", bits(s.score));
        }
        if c.holding.len() > LISTED {
            let _ = write!(out, "<li>… ({})", c.holding.len());
        }
        out.push_str("</ul>");
        let steps = explain_rows(table, outcome, c.weakest.a, c.weakest.b);
        waterfall(out, &steps);
        out.push_str("</details>");
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
