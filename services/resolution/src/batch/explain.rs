//! Why two rows of a table score what they score.

use super::{
    Column, Mode, Model, Outcome, Table, cells, levels::Comparer, organizations, parallel::Tally,
    trained,
};
use crate::{NothingGeneric, RuleSet, Step, explain_pair};

/// The waterfall of two rows: the prior first, then a step per column; the last sum is the
/// score. By the rule set for organizations where the outcome was reached by it: which values are
/// generic in the table is known where a survey was asked for, else none is held to be.
pub fn explain_rows(table: &Table, outcome: &Outcome, a: u32, b: u32) -> Vec<Step> {
    match &outcome.model {
        Some(model) => by_model(table, model, a as usize, b as usize),
        None => {
            let embedded;
            let rules = match &outcome.rules {
                Some(rules) => rules,
                None => {
                    embedded = RuleSet::organization();
                    &embedded
                }
            };
            let of = |row: u32| organizations::record(table, row as usize, rules, &outcome.generic);
            explain_pair(&of(a), &of(b), &NothingGeneric, rules)
        }
    }
}

fn by_model(table: &Table, model: &Model, a: usize, b: usize) -> Vec<Step> {
    let columns: Vec<Column> = model.columns.iter().map(|c| c.column.clone()).collect();
    let width = columns.len();
    let mut two = Table::new(columns);
    for row in [a, b] {
        let source = two.source(&table.sources[table.source_of(row) as usize]);
        two.push(
            source,
            table.key(row),
            (0..width).map(|c| table.cell(row, c)),
        );
    }
    let mut all = cells::columns(&two, 1, &Tally::new(0, &|_, _| ()));
    for (cells, c) in all.iter_mut().zip(&model.columns) {
        cells.weigh_words(|w, _| c.words.get(w).copied().unwrap_or(c.rare_word));
        cells.rarity = (0..cells.len() as u32)
            .map(|v| c.rarity.get(cells.text(v)).copied().unwrap_or(c.rare))
            .collect();
    }
    let comparer = Comparer::new(&all);
    let pattern = comparer.pattern(0, 1);
    let in_all = comparer.agree_in_all(pattern);
    let across = table.source_of(a) != table.source_of(b) && model.mode != Mode::Dedupe;
    let tree = model.tree();
    let prior = model.priors[usize::from(across)];
    let mut sum = prior;
    let mut out = vec![Step {
        comparison: "prior".into(),
        level: if across { "across" } else { "within" }.into(),
        left: String::new(),
        right: String::new(),
        weight: prior,
        adjustment: 0,
        sum,
    }];
    for (i, c) in model.columns.iter().enumerate() {
        let level = pattern.level(i);
        let (x, y) = (all[i].of_row[0], all[i].of_row[1]);
        let state = tree.state(pattern, i);
        let adjustment = comparer.rarity_of(pattern, in_all, &tree, i, x, y);
        let weight = c.weight(state, level) + adjustment;
        sum += weight;
        out.push(Step {
            comparison: c.column.name.clone(),
            level: c.column.semantic.levels()[level].into(),
            left: all[i].text(x).into(),
            right: all[i].text(y).into(),
            weight,
            adjustment,
            sum,
        });
    }
    let rarity: i32 = out.iter().map(|s| s.adjustment).sum();
    let kin = -trained::kinship(model, &tree, usize::from(across), pattern, rarity);
    out.push(Step {
        comparison: "kin".into(),
        level: if kin < 0 { "likely" } else { "null" }.into(),
        left: String::new(),
        right: String::new(),
        weight: kin,
        adjustment: 0,
        sum: sum + kin,
    });
    out
}
