//! The trained model of a table: a readable, versioned file.

use std::{collections::BTreeMap, fmt::Write};

use serde::Deserialize;

use super::{
    kinds::Semantic,
    table::{Column, MAX_COLUMNS},
    train::Tree,
};

/// The version of the file's form.
pub const MODEL_VERSION: &str = "table-2";

/// Which rows may be one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Any two rows; sources do not matter.
    #[default]
    Dedupe,
    /// Sources are free of duplicates: at most one row per source and cluster.
    Link,
    /// Any two rows, with one prior within and another across sources.
    Both,
}

impl Mode {
    /// The mode of a name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "dedupe" => Some(Self::Dedupe),
            "link" => Some(Self::Link),
            "both" => Some(Self::Both),
            _ => None,
        }
    }
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dedupe => "dedupe",
            Self::Link => "link",
            Self::Both => "both",
        }
    }
}

/// The weights of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnModel {
    /// The column.
    pub column: Column,
    /// Weight of each level in milli-bits, null first.
    pub weights: Vec<i32>,
    /// The column this one depends on, by its place.
    pub parent: Option<usize>,
    /// The weights where the parent agrees, and where it differs; empty without a parent.
    pub given: [Vec<i32>; 2],
    /// Share of pairs of one thing at each level, in millionths.
    pub m: Vec<u32>,
    /// Share of other pairs at each level, in millionths.
    pub u: Vec<u32>,
    /// Adjustment of an equal value that is not listed, in milli-bits.
    pub rare: i32,
    /// Adjustments of equal frequent values, in milli-bits.
    pub rarity: BTreeMap<String, i32>,
    /// What a word that is not listed weighs, in milli-bits.
    pub rare_word: u32,
    /// What frequent words weigh, in milli-bits.
    pub words: BTreeMap<String, u32>,
}

/// Pairs that have much in common without being one thing: a household, papers of one author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    /// What they share, for people to read.
    pub name: String,
    /// Log2 of the prior odds within and across sources, in milli-bits.
    pub priors: [i32; 2],
    /// Weight of each level of each column in milli-bits, null first: over all, and, where the
    /// column has a parent, where that agrees and where it differs.
    pub weights: Vec<Vec<Vec<i32>>>,
}

/// A trained model.
///
/// The score of two rows is the prior plus the weights of the levels their columns reach, less
/// what speaks for the likeliest class of [`Kin`] where that is above 0: what a household
/// explains as well is no evidence for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Which rows may be one thing.
    pub mode: Mode,
    /// Log2 of the prior odds within and across sources, in milli-bits.
    pub priors: [i32; 2],
    /// From here on a pair is more likely one thing than not.
    pub balance: i32,
    /// From here on a machine may merge alone.
    pub merge: i32,
    /// Columns in order.
    pub columns: Vec<ColumnModel>,
    /// Classes of kin.
    pub kin: Vec<Kin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    mode: String,
    prior_within: i32,
    prior_across: i32,
    balance: i32,
    merge: i32,
    column: Vec<FileColumn>,
    #[serde(default)]
    kin: Vec<FileKin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKin {
    name: String,
    prior_within: i32,
    prior_across: i32,
    weights: Vec<Vec<Vec<i32>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileColumn {
    name: String,
    semantic: String,
    level: Vec<FileLevel>,
    parent: Option<String>,
    rare: i32,
    rare_word: u32,
    #[serde(default)]
    rarity: BTreeMap<String, i32>,
    #[serde(default)]
    words: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLevel {
    name: String,
    weight: i32,
    agrees: Option<i32>,
    differs: Option<i32>,
    m: u32,
    u: u32,
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl ColumnModel {
    /// The weight of a level, given what the parent does: unknown 0, agrees 1, differs 2.
    pub(super) fn weight(&self, state: usize, level: usize) -> i32 {
        match state.checked_sub(1) {
            Some(given) => self.given[given][level],
            None => self.weights[level],
        }
    }
}

impl Model {
    /// Which columns depend on which.
    pub(super) fn tree(&self) -> Tree {
        let widths = self.columns.iter().map(|c| c.weights.len());
        Tree::new(widths, self.columns.iter().map(|c| c.parent).collect())
    }

    /// The file.
    pub fn to_toml(&self) -> String {
        let mut out = format!(
            "# What was learned from a table. Weights are log2 odds in milli-bits; m and u are the\n\
             # shares, in millionths, of pairs of one thing and of other pairs that reach a level.\n\
             version = \"{MODEL_VERSION}\"\nmode = \"{}\"\nprior_within = {}\nprior_across = {}\n\
             balance = {}\nmerge = {}\n",
            self.mode.name(),
            self.priors[0],
            self.priors[1],
            self.balance,
            self.merge
        );
        for c in &self.columns {
            let _ = write!(
                out,
                "\n[[column]]\nname = {}\nsemantic = \"{}\"\n",
                quoted(&c.column.name),
                c.column.semantic.name()
            );
            if let Some(parent) = c.parent.and_then(|p| self.columns.get(p)) {
                let _ = writeln!(out, "parent = {}", quoted(&parent.column.name));
            }
            let _ = writeln!(
                out,
                "rare = {}\nrare_word = {}\nlevel = [",
                c.rare, c.rare_word
            );
            for (l, name) in c.column.semantic.levels().iter().enumerate() {
                let _ = write!(out, "  {{ name = \"{name}\", weight = {}", c.weights[l]);
                if c.parent.is_some() {
                    let _ = write!(
                        out,
                        ", agrees = {}, differs = {}",
                        c.given[0][l], c.given[1][l]
                    );
                }
                let _ = writeln!(out, ", m = {}, u = {} }},", c.m[l], c.u[l]);
            }
            out.push_str("]\n");
            if !c.rarity.is_empty() {
                out.push_str("[column.rarity]\n");
                for (k, v) in &c.rarity {
                    let _ = writeln!(out, "{} = {v}", quoted(k));
                }
            }
            if !c.words.is_empty() {
                out.push_str("[column.words]\n");
                for (k, v) in &c.words {
                    let _ = writeln!(out, "{} = {v}", quoted(k));
                }
            }
        }
        for k in &self.kin {
            let _ = write!(
                out,
                "\n# Pairs that share {} without being one thing; weights by column and level.\n\
                 [[kin]]\nname = {}\nprior_within = {}\nprior_across = {}\nweights = [\n",
                k.name.escape_debug(),
                quoted(&k.name),
                k.priors[0],
                k.priors[1]
            );
            for w in &k.weights {
                let _ = writeln!(out, "  {w:?},");
            }
            out.push_str("]\n");
        }
        out
    }

    /// Reads a file; what is wrong comes with its line where it has one.
    pub fn parse(text: &str) -> Result<Self, crate::RuleError> {
        let line_of = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        let whole = |message: String| crate::RuleError { line: 0, message };
        let file: File = toml::from_str(text).map_err(|e| crate::RuleError {
            line: e.span().map_or(0, |s| line_of(s.start)),
            message: e.message().to_owned(),
        })?;
        if file.version != MODEL_VERSION {
            return Err(whole(format!(
                "version {:?} is not {MODEL_VERSION:?}",
                file.version
            )));
        }
        let mode = Mode::parse(&file.mode)
            .ok_or_else(|| whole(format!("unknown mode {:?}", file.mode)))?;
        if file.column.is_empty() || file.column.len() > MAX_COLUMNS {
            return Err(whole(format!("a model has 1 to {MAX_COLUMNS} columns")));
        }
        let (mut columns, mut parents) = (Vec::new(), Vec::new());
        for c in file.column {
            let semantic = Semantic::parse(&c.semantic)
                .ok_or_else(|| whole(format!("unknown type {:?}", c.semantic)))?;
            if !c
                .level
                .iter()
                .map(|l| l.name.as_str())
                .eq(semantic.levels().iter().copied())
            {
                return Err(whole(format!(
                    "column {:?} needs the levels {}",
                    c.name,
                    semantic.levels().join(", ")
                )));
            }
            let wide = |l: &FileLevel| {
                let all = [Some(l.weight), l.agrees, l.differs];
                all.into_iter()
                    .flatten()
                    .any(|w| w.unsigned_abs() > 100_000)
            };
            if c.level.iter().any(wide) {
                return Err(whole(format!(
                    "weights of column {:?} must be within 100000 milli-bits",
                    c.name
                )));
            }
            let given = |of: fn(&FileLevel) -> Option<i32>| -> Result<Vec<i32>, crate::RuleError> {
                if c.parent.is_none() {
                    return Ok(Vec::new());
                }
                let list: Option<Vec<i32>> = c.level.iter().map(of).collect();
                list.ok_or_else(|| {
                    whole(format!(
                        "column {:?} has a parent: each level needs agrees and differs",
                        c.name
                    ))
                })
            };
            let given = [given(|l| l.agrees)?, given(|l| l.differs)?];
            parents.push(c.parent);
            columns.push(ColumnModel {
                parent: None,
                given,
                column: Column {
                    name: c.name,
                    semantic,
                },
                weights: c.level.iter().map(|l| l.weight).collect(),
                m: c.level.iter().map(|l| l.m).collect(),
                u: c.level.iter().map(|l| l.u).collect(),
                rare: c.rare.clamp(-100_000, 100_000),
                rarity: c
                    .rarity
                    .into_iter()
                    .map(|(k, v)| (k, v.clamp(-100_000, 100_000)))
                    .collect(),
                rare_word: c.rare_word.min(100_000),
                words: c
                    .words
                    .into_iter()
                    .map(|(k, v)| (k, v.min(100_000)))
                    .collect(),
            });
        }
        for (i, parent) in parents.into_iter().enumerate() {
            let Some(parent) = parent else { continue };
            let found = columns
                .iter()
                .position(|c: &ColumnModel| c.column.name == parent);
            columns[i].parent = found.filter(|p| *p != i);
            if columns[i].parent.is_none() {
                return Err(whole(format!("unknown parent {parent:?}")));
            }
        }
        let mut kin = Vec::new();
        for k in file.kin {
            let fits = |(w, c): (&Vec<Vec<i32>>, &ColumnModel)| {
                w.len() == if c.parent.is_some() { 3 } else { 1 }
                    && w.iter().all(|w| w.len() == c.weights.len())
            };
            let wide = k
                .weights
                .iter()
                .flatten()
                .flatten()
                .any(|w| w.unsigned_abs() > 100_000);
            if k.weights.len() != columns.len() || !k.weights.iter().zip(&columns).all(fits) || wide
            {
                let name = k.name;
                return Err(whole(format!(
                    "kin {name:?} needs a weight within 100000 milli-bits for each level of each column"
                )));
            }
            kin.push(Kin {
                name: k.name,
                priors: [k.prior_within, k.prior_across].map(|p| p.clamp(-100_000, 100_000)),
                weights: k.weights,
            });
        }
        if kin.len() > MAX_COLUMNS + 1 {
            return Err(whole(format!(
                "a model has at most {} kin",
                MAX_COLUMNS + 1
            )));
        }
        Ok(Self {
            mode,
            kin,
            priors: [file.prior_within, file.prior_across].map(|p| p.clamp(-100_000, 100_000)),
            balance: file.balance.clamp(-100_000, 100_000),
            merge: file.merge.clamp(-100_000, 100_000),
            columns,
        })
    }
}
