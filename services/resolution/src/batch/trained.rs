//! Resolving any table: standardize, block, learn, score, cluster.

use std::collections::BTreeMap;

use super::{
    At, Expert, Options, Outcome, Phase, Progress, TableError,
    blocks::unpack,
    cells::{self, Cells},
    group::{self, Scored},
    keys,
    levels::{Comparer, Pattern},
    model::{ColumnModel, Kin, Mode, Model},
    ordered,
    parallel::{self, Tally},
    survey,
    table::Table,
    train::{self, Rarity, STATES, Surroundings, Trained, Tree, milli},
};

/// Most values and words of a column that a model lists.
const LISTED: usize = 20_000;
/// Log2 of the odds (998 to 2) above which a machine may merge alone, in milli-bits.
const MERGE: i32 = 8_960;
/// Scores this far below the balance point are forgotten.
const FORGOTTEN: i32 = 4_000;
/// A score speaks for or against a group up to so far from the threshold.
const CAP: i32 = 9_000;

/// The weights of a model by column and level.
struct Weights<'m> {
    model: &'m Model,
    tree: Tree,
}

impl Weights<'_> {
    fn score(&self, comparer: &Comparer<'_>, side: u8, a: u32, b: u32, p: Pattern) -> i32 {
        let m = self.model;
        let s = usize::from(side);
        let each = m.columns.iter().enumerate();
        let levels: i32 = each
            .map(|(c, w)| w.weight(self.tree.state(p, c), p.level(c)))
            .sum();
        let rarity = comparer.rarity(p, &self.tree, a as usize, b as usize);
        let score = levels + m.priors[s] + rarity;
        if score < m.balance - FORGOTTEN {
            return score;
        }
        score - kinship(m, &self.tree, s, p, rarity)
    }
}

/// What speaks for the likeliest class of kin, at least nothing. Rare values that two rows share
/// are as rare among kin.
pub(super) fn kinship(m: &Model, tree: &Tree, side: usize, p: Pattern, rarity: i32) -> i32 {
    let of = |k: &super::model::Kin| {
        let each = k.weights.iter().enumerate();
        each.map(|(c, w)| w[tree.state(p, c).min(w.len() - 1)][p.level(c)])
            .sum::<i32>()
            + k.priors[side]
            + rarity
    };
    m.kin.iter().map(of).max().unwrap_or(0).max(0)
}

/// Resolves a table with the model given, or one learned from the table.
pub(super) fn resolve(
    table: &Table,
    model: Option<&Model>,
    expert: &Expert,
    options: &Options<'_>,
    progress: &Progress<'_>,
) -> Result<Outcome, TableError> {
    let blocking = columns_of(table, expert)?;
    let mode = mode_of(model, options)?;
    let rows = table.len();
    let threads = options.threads;
    let tell = |phase: Phase| move |done: u64, of: u64| progress(phase, done, of);
    let standardizing = tell(Phase::Standardize);
    let cell_count = (rows * table.columns.len()) as u64;
    let tally = Tally::new(cell_count, &standardizing);
    let mut columns = cells::columns(table, threads, &tally);
    let tables: Vec<ColumnModel> = match model {
        Some(m) => {
            if !m.columns.iter().map(|c| &c.column).eq(&table.columns) {
                let message = "the model was trained on other columns than the table has";
                return Err(TableError::Model(message.into()));
            }
            m.columns.clone()
        }
        None => columns
            .iter()
            .enumerate()
            .map(|(c, cells)| frequencies(table, c, cells))
            .collect(),
    };
    for (cells, t) in columns.iter_mut().zip(&tables) {
        cells.weigh_words(|w, _| t.words.get(w).copied().unwrap_or(t.rare_word));
    }
    let blocks = tell(Phase::Block);
    // Keys of rows, then blocks of one key, then of two.
    let tally = Tally::new(3 * rows as u64, &blocks);
    let ranks = table.ranks(threads);
    let side = |a: u32, b: u32| -> Option<u8> {
        let across = table.source_of(a as usize) != table.source_of(b as usize);
        match mode {
            Mode::Dedupe => Some(0),
            Mode::Link => across.then_some(1),
            Mode::Both => Some(u8::from(across)),
        }
    };
    let (pairs, blocking) = keys::candidates(
        &columns,
        &ranks,
        &blocking,
        &|a, b| side(a, b).is_some(),
        threads,
        &tally,
    );
    let training = tell(Phase::Train);
    let tally = Tally::new(pairs.len() as u64, &training);
    let patterns: Vec<Pattern> = {
        let comparer = Comparer::new(&columns);
        parallel::flat(threads, pairs.len(), 65_536, |range| {
            tally.add(range.len() as u64);
            let each = pairs[range].iter().map(|p| unpack(*p));
            each.map(|(a, b)| comparer.pattern(a as usize, b as usize))
                .collect()
        })
    };
    let model = match model {
        Some(m) => m.clone(),
        None => learn(
            table,
            &columns,
            tables,
            (&pairs, &patterns),
            &ranks,
            &side,
            mode,
            options,
        ),
    };
    let mut model = model;
    model.balance = options.balance.unwrap_or(model.balance);
    model.merge = options.merge.unwrap_or(model.merge);
    ordered((model.balance, model.merge))?;
    adjust(&mut model, expert)?;
    for (cells, c) in columns.iter_mut().zip(&model.columns) {
        let rare: Vec<i32> = (0..cells.len() as u32)
            .map(|v| c.rarity.get(cells.text(v)).copied().unwrap_or(c.rare))
            .collect();
        cells.rarity = rare;
    }
    let comparing = tell(Phase::Compare);
    let tally = Tally::new(pairs.len() as u64, &comparing);
    let comparer = Comparer::new(&columns);
    let weights = Weights {
        model: &model,
        tree: model.tree(),
    };
    let of_pair = |a: u32, b: u32| {
        let s = side(a, b).unwrap_or(0);
        weights.score(&comparer, s, a, b, comparer.pattern(a as usize, b as usize))
    };
    let scored: Vec<Scored> = parallel::flat(threads, pairs.len(), 65_536, |range| {
        tally.add(range.len() as u64);
        let mut out = Vec::new();
        for i in range {
            let (a, b) = unpack(pairs[i]);
            let score = weights.score(&comparer, side(a, b).unwrap_or(0), a, b, patterns[i]);
            if score >= model.balance - FORGOTTEN {
                out.push(Scored { a, b, score });
            }
        }
        out
    });
    let candidates = pairs.len() as u64;
    drop(patterns);
    let lists = [pairs];
    let least = model.balance - FORGOTTEN;
    let survey = options
        .survey
        .then(|| survey::survey(table, &lists, least, &of_pair, threads));
    let known = options.truth.map(|truth| {
        survey::known(
            &truth[..rows.min(truth.len())],
            &lists,
            rows.max(1),
            threads,
        )
    });
    drop(lists);
    let clustering = tell(Phase::Cluster);
    let tally = Tally::new(scored.len() as u64, &clustering);
    // Every row has about as many partners as the odds of two rows at random promise.
    let odds = |prior: i32| (f64::from(prior) / 1000.0).exp2();
    let [within, across] = model.priors.map(|prior| rows as f64 * odds(prior));
    let usual = match mode {
        Mode::Dedupe => 1.0 + within,
        Mode::Both => 1.0 + within / table.sources.len().max(1) as f64 + across,
        Mode::Link => 1.0,
    };
    let at = |threshold: i32, usual: f64| {
        let ask = group::Ask {
            ranks: &ranks,
            source: &|r| table.source_of(r as usize),
            link: mode == Mode::Link,
            score: &of_pair,
            threshold,
            balance: model.balance,
            cap: CAP,
            usual,
        };
        group::cluster(rows, &scored, &ask, threads, &tally)
    };
    // What a machine merges alone must be said by the pairs themselves.
    let merged = at(model.merge, 1.0);
    let reviews = group::reviews(&scored, &merged, model.balance, &ranks, threads);
    let heads = match options.at {
        At::Balance => at(model.balance, usual),
        At::Merge => merged.clone(),
    };
    Ok(Outcome {
        heads,
        merged,
        reviews,
        candidates,
        blocking,
        scored,
        survey,
        known,
        model: Some(model),
        ..Outcome::default()
    })
}

/// The mode asked for, which must be that of the model.
fn mode_of(model: Option<&Model>, options: &Options<'_>) -> Result<Mode, TableError> {
    match (model.map(|m| m.mode), options.mode) {
        (Some(learned), Some(asked)) if learned != asked => {
            let (learned, asked) = (learned.name(), asked.name());
            Err(TableError::Model(format!(
                "the model was learned in mode {learned}, and mode {asked} is asked for"
            )))
        }
        (learned, asked) => Ok(learned.or(asked).unwrap_or_default()),
    }
}

/// The places of the columns of an expert's blocking.
fn columns_of(table: &Table, expert: &Expert) -> Result<Vec<Vec<usize>>, TableError> {
    if !expert.limits.is_empty() {
        let message = "limits of keys are for tables of organizations";
        return Err(TableError::Expert(message.into()));
    }
    let at = |name: &String| {
        let found = table.columns.iter().position(|c| c.name == *name);
        found.ok_or_else(|| TableError::Expert(format!("blocking names no column {name:?}")))
    };
    let lists = expert.blocking.iter();
    lists
        .map(|list| match list.as_slice() {
            [] => Err(TableError::Expert("blocking has an empty list".into())),
            list => list.iter().map(at).collect(),
        })
        .collect()
}

/// Sets the weights an expert gave: over all, and whatever the column's parent does.
fn adjust(model: &mut Model, expert: &Expert) -> Result<(), TableError> {
    for (column, levels) in &expert.weights {
        let unknown = || TableError::Expert(format!("weights name no column {column:?}"));
        let found = model.columns.iter_mut().find(|c| c.column.name == *column);
        let c = found.ok_or_else(unknown)?;
        let names = c.column.semantic.levels();
        for (level, weight) in levels {
            let Some(l) = names.iter().position(|n| n == level).filter(|l| *l > 0) else {
                let known = names[1..].join(", ");
                return Err(TableError::Expert(format!(
                    "unknown level {level:?} of column {column:?}; known: {known}"
                )));
            };
            if weight.unsigned_abs() > 100_000 {
                let message = format!("the weight of {column:?} {level:?} must be within 100000");
                return Err(TableError::Expert(message));
            }
            c.weights[l] = *weight;
            c.given
                .iter_mut()
                .filter_map(|g| g.get_mut(l))
                .for_each(|w| *w = *weight);
        }
    }
    Ok(())
}

/// How rare values and words of a column are.
fn frequencies(table: &Table, c: usize, cells: &Cells) -> ColumnModel {
    let known = cells.known().max(1) as f64;
    let mut words: Vec<(u32, u32)> = (0..cells.word_rows.len() as u32)
        .map(|w| (cells.word_rows[w as usize], w))
        .filter(|x| x.0 > 1)
        .collect();
    words.sort_unstable_by(|x, y| y.0.cmp(&x.0).then(x.1.cmp(&y.1)));
    // Every word as frequent as the last one listed is left out with it.
    let least = words.get(LISTED).map_or(0, |x| x.0);
    words.retain(|x| x.0 > least);
    let text = |w: u32| cells.vocabulary.word(w).iter().collect::<String>();
    let weight = |rows: u32| milli(known / f64::from(rows)).max(0) as u32;
    ColumnModel {
        column: table.columns[c].clone(),
        weights: Vec::new(),
        parent: None,
        given: Default::default(),
        m: Vec::new(),
        u: Vec::new(),
        rare: 0,
        rarity: BTreeMap::new(),
        rare_word: weight(least.max(1)),
        words: words.iter().map(|(n, w)| (text(*w), weight(*n))).collect(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one call, all of it needed")]
fn learn(
    table: &Table,
    columns: &[Cells],
    mut tables: Vec<ColumnModel>,
    (pairs, patterns): (&[u64], &[Pattern]),
    ranks: &[u32],
    side: &(dyn Fn(u32, u32) -> Option<u8> + Sync),
    mode: Mode,
    options: &Options<'_>,
) -> Model {
    let threads = options.threads;
    let comparer = Comparer::new(columns);
    let source = |row: u32| table.source_of(row as usize);
    let source: Option<&(dyn Fn(u32) -> u32 + Sync)> = match mode {
        Mode::Link => Some(&source),
        Mode::Dedupe | Mode::Both => None,
    };
    let surroundings = Surroundings::new(pairs, patterns, side, source, ranks, threads);
    let mut by_rank = vec![0_u32; ranks.len()];
    for (row, r) in ranks.iter().enumerate() {
        by_rank[*r as usize] = row as u32;
    }
    let random = train::random_pairs(&comparer, &by_rank, side, threads);
    let n = table.len() as f64;
    let mut of_source = vec![0_f64; table.sources.len()];
    for row in 0..table.len() {
        of_source[table.source_of(row) as usize] += 1.0;
    }
    let all = n * (n - 1.0) / 2.0;
    let within: f64 = of_source.iter().map(|k| k * (k - 1.0) / 2.0).sum();
    let total = match mode {
        Mode::Dedupe => [all, 0.0],
        Mode::Link => [0.0, all - within],
        Mode::Both => [within, all - within],
    };
    let labels = train::labelled(&comparer, options.labels, side);
    let found = train::train(
        &comparer,
        &surroundings,
        (&random, labels),
        total,
        table.len(),
    );
    let weights = found.weights();
    let partners = found.partners(table.len());
    let millionths = |r: &Vec<f64>| r.iter().map(|x| (x * 1e6).round() as u32).collect();
    for (c, t) in tables.iter_mut().enumerate() {
        let [all, agrees, differs] = weights[c].clone();
        t.weights = all;
        t.parent = found.tree.parent(c);
        if t.parent.is_some() {
            t.given = [agrees, differs];
        }
        t.m = millionths(&found.m[c][0]);
        t.u = millionths(&found.u[c][0]);
        rarities(t, &columns[c], &found, c, partners);
    }
    let priors = found.priors();
    let kin = found.kin.iter().map(|k| {
        let (priors, of_kin) = found.kin_weights(k, &weights);
        let states = |(c, w): (usize, [Vec<i32>; STATES])| {
            let states = if found.tree.parent(c).is_some() {
                STATES
            } else {
                1
            };
            w.into_iter().take(states).collect()
        };
        let weights = of_kin.into_iter().enumerate().map(states).collect();
        let name = k
            .shares
            .map_or_else(|| "much".to_owned(), |c| table.columns[c].name.clone());
        Kin {
            name,
            priors,
            weights,
        }
    });
    Model {
        mode,
        priors,
        balance: 0,
        merge: MERGE,
        kin: kin.collect(),
        columns: tables,
    }
}

/// Term frequencies: an equal value weighs log2(m / its own share) instead of log2(m / u).
fn rarities(t: &mut ColumnModel, cells: &Cells, found: &Trained, c: usize, partners: f64) {
    let rarity = Rarity::new(cells, found.u[c][0][1], partners);
    let adjust = |rows: u32| rarity.of(rows);
    let mut values: Vec<(u32, u32)> = (1..cells.len() as u32)
        .map(|v| (cells.count[v as usize], v))
        .filter(|x| adjust(x.0) != adjust(1))
        .collect();
    values.sort_unstable_by(|x, y| y.0.cmp(&x.0).then(x.1.cmp(&y.1)));
    let least = values.get(LISTED).map_or(0, |x| x.0);
    values.retain(|x| x.0 > least);
    t.rare = adjust(least.max(1));
    t.rarity = values
        .iter()
        .map(|(n, v)| (cells.text(*v).to_owned(), adjust(*n)))
        .collect();
}
