//! The trained model of a table: a readable, versioned file.

use std::{collections::BTreeMap, fmt::Write};

use serde::Deserialize;

use super::{
    kinds::Semantic,
    table::{Column, MAX_COLUMNS},
};

/// The version of the file's form.
pub const MODEL_VERSION: &str = "table-1";

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

/// A trained model.
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileColumn {
    name: String,
    semantic: String,
    level: Vec<FileLevel>,
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

impl Model {
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
                "\n[[column]]\nname = {}\nsemantic = \"{}\"\nrare = {}\nrare_word = {}\nlevel = [\n",
                quoted(&c.column.name),
                c.column.semantic.name(),
                c.rare,
                c.rare_word
            );
            for (l, name) in c.column.semantic.levels().iter().enumerate() {
                let _ = writeln!(
                    out,
                    "  {{ name = \"{name}\", weight = {}, m = {}, u = {} }},",
                    c.weights[l], c.m[l], c.u[l]
                );
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
        let mut columns = Vec::new();
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
            if c.level.iter().any(|l| l.weight.abs() > 100_000) {
                return Err(whole(format!(
                    "weights of column {:?} must be within 100000 milli-bits",
                    c.name
                )));
            }
            columns.push(ColumnModel {
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
        Ok(Self {
            mode,
            priors: [file.prior_within, file.prior_across].map(|p| p.clamp(-100_000, 100_000)),
            balance: file.balance.clamp(-100_000, 100_000),
            merge: file.merge.clamp(-100_000, 100_000),
            columns,
        })
    }
}
