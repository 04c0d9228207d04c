//! The spec of a table to be resolved.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jinke_resolution::batch::{
    Column, Engine, Expert, MAX_COLUMNS, MAX_THRESHOLD, Mode, SEMANTICS, Semantic,
};
use jinke_types::{Code, Failure};
use serde::Deserialize;
use toml::Spanned;

/// What to resolve and how.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Files, relative paths resolved against the folder of the spec.
    pub inputs: Vec<PathBuf>,
    /// Column that names the source; none when the file name is the source.
    pub source: Option<String>,
    /// Column with the key within the source; none when the row number is the key.
    pub key: Option<String>,
    /// Which rows may be one thing, where it is said.
    pub mode: Option<Mode>,
    /// By which weights.
    pub engine: Engine,
    /// Columns that take part, ordered by name.
    pub columns: Vec<Column>,
    /// Balance point and merge threshold in milli-bits, where set by hand.
    pub thresholds: (Option<i32>, Option<i32>),
    /// Weights and blocking set by hand.
    pub expert: Expert,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    inputs: Spanned<Vec<Spanned<String>>>,
    source: Option<String>,
    key: Option<String>,
    mode: Option<Spanned<String>>,
    engine: Option<Spanned<String>>,
    columns: Spanned<BTreeMap<Spanned<String>, Spanned<String>>>,
    #[serde(default)]
    thresholds: FileThresholds,
    /// Column (or comparison), level, milli-bits.
    #[serde(default)]
    weights: BTreeMap<String, BTreeMap<String, i32>>,
    /// Lists of columns whose values together block.
    #[serde(default)]
    blocking: Vec<Vec<String>>,
    /// Limits of the blocking keys of organizations.
    #[serde(default)]
    keys: BTreeMap<String, FileKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    max_records: usize,
    max_cores: usize,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileThresholds {
    balance: Option<Spanned<i32>>,
    merge: Option<Spanned<i32>>,
}

impl Spec {
    /// Reads a spec; what is wrong is named with its line.
    ///
    /// # Errors
    /// `SPEC_INVALID`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Failure> {
        let bad = |at: usize, message: String| {
            let line = text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
            Failure::new(
                Code::InvalidArgument,
                "SPEC_INVALID",
                format!("spec, line {line}: {message}"),
            )
            .with("line", line)
        };
        let text_without_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file: File = toml::from_str(text_without_mark)
            .map_err(|e| bad(e.span().map_or(0, |s| s.start), e.message().to_owned()))?;
        if file.inputs.as_ref().is_empty() {
            return Err(bad(file.inputs.span().start, "inputs names no file".into()));
        }
        let inputs: Vec<PathBuf> = file
            .inputs
            .into_inner()
            .into_iter()
            .map(|i| folder.join(i.into_inner()))
            .collect();
        let mode = match &file.mode {
            None => None,
            Some(m) => Some(Mode::parse(m.as_ref()).ok_or_else(|| {
                let message = format!("unknown mode {:?}; known: dedupe, link, both", m.as_ref());
                bad(m.span().start, message)
            })?),
        };
        let engine = match &file.engine {
            None => Engine::default(),
            Some(e) => match e.as_ref().as_str() {
                "auto" => Engine::Auto,
                "organization" if mode != Some(Mode::Link) => Engine::Organization,
                "organization" => {
                    let message = "engine organization does not know mode link";
                    return Err(bad(e.span().start, message.into()));
                }
                "trained" => Engine::Trained,
                other => {
                    let message =
                        format!("unknown engine {other:?}; known: auto, organization, trained");
                    return Err(bad(e.span().start, message));
                }
            },
        };
        let thresholds = [&file.thresholds.balance, &file.thresholds.merge];
        for threshold in thresholds.into_iter().flatten() {
            if threshold.as_ref().unsigned_abs() > MAX_THRESHOLD.unsigned_abs() {
                let message = format!("a threshold must be within {MAX_THRESHOLD} milli-bits");
                return Err(bad(threshold.span().start, message));
            }
        }
        if let [Some(balance), Some(merge)] = thresholds
            && merge.as_ref() < balance.as_ref()
        {
            let message = "merge is below balance: a machine merges only what is more likely one \
                           thing than not";
            return Err(bad(merge.span().start, message.into()));
        }
        let at = file.columns.span().start;
        let mut columns = Vec::new();
        for (name, semantic) in file.columns.into_inner() {
            let Some(found) = Semantic::parse(semantic.as_ref()) else {
                let known: Vec<&str> = SEMANTICS.iter().map(|s| s.0).collect();
                let message = format!(
                    "unknown type {:?} of column {:?}; known: {}",
                    semantic.as_ref(),
                    name.as_ref(),
                    known.join(", ")
                );
                return Err(bad(semantic.span().start, message));
            };
            columns.push(Column {
                name: name.into_inner(),
                semantic: found,
            });
        }
        if columns.is_empty() || columns.len() > MAX_COLUMNS {
            let message = format!(
                "[columns] needs 1 to {MAX_COLUMNS} columns, it has {}",
                columns.len()
            );
            return Err(bad(at, message));
        }
        Ok(Self {
            inputs,
            source: file.source,
            key: file.key,
            mode,
            engine,
            columns,
            thresholds: (
                file.thresholds.balance.map(Spanned::into_inner),
                file.thresholds.merge.map(Spanned::into_inner),
            ),
            expert: Expert {
                rules: None,
                weights: file.weights,
                blocking: file.blocking,
                limits: file
                    .keys
                    .into_iter()
                    .map(|(name, k)| (name, (k.max_records, k.max_cores)))
                    .collect(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Spec::parse(text, Path::new("/x")).unwrap_err().message
    }

    #[test]
    fn reads_a_spec() {
        let text = "inputs = [\"a.csv\", \"/abs/b.csv\"]\nsource = \"s\"\nkey = \"k\"\nmode = \"link\"\n\
                    [columns]\n\"名称\" = \"org_name\"\nphone = \"phone\"\n";
        let spec = Spec::parse(text, Path::new("/x")).unwrap();
        assert_eq!(
            spec.inputs,
            [Path::new("/x/a.csv"), Path::new("/abs/b.csv")]
        );
        assert_eq!(spec.mode, Some(Mode::Link));
        assert_eq!(spec.columns.len(), 2);
    }

    #[test]
    fn reads_what_an_expert_sets() {
        let text = "inputs = [\"a.csv\"]\nblocking = [[\"phone\"], [\"name\", \"city\"]]\n\
                    [columns]\nname = \"text\"\nphone = \"phone\"\ncity = \"city\"\n\
                    [weights.name]\nelse = -9000\n[keys.phone]\nmax_records = 9\nmax_cores = 2\n";
        let expert = Spec::parse(text, Path::new("/x")).unwrap().expert;
        assert_eq!(expert.weights["name"]["else"], -9000);
        assert_eq!(expert.blocking.len(), 2);
        assert_eq!(expert.limits["phone"], (9, 2));
    }

    #[test]
    fn names_the_line_of_what_is_wrong() {
        let head = "inputs = [\"a.csv\"]\n";
        assert!(
            wrong(&format!(
                "{head}mode = \"merge\"\n[columns]\na = \"text\"\n"
            ))
            .starts_with("spec, line 2: unknown mode \"merge\"")
        );
        assert!(
            wrong(&format!("{head}[columns]\na = \"text\"\nb = \"colour\"\n"))
                .starts_with("spec, line 4: unknown type \"colour\" of column \"b\"")
        );
        assert!(wrong(&format!("{head}[columns]\n")).starts_with("spec, line 2: [columns] needs"));
        let thresholds = format!("{head}[columns]\na = \"text\"\n[thresholds]\nbalance = 9000\n");
        assert!(
            wrong(&format!("{thresholds}merge = 8000\n"))
                .starts_with("spec, line 6: merge is below balance")
        );
        assert!(
            wrong(&format!("{thresholds}merge = 100001\n"))
                .starts_with("spec, line 6: a threshold must be within 100000")
        );
        assert!(wrong("inputs = []\n[columns]\na = \"text\"\n").contains("line 1"));
        assert!(
            wrong(&format!("{head}nonsense = 1\n[columns]\na = \"text\"\n")).contains("line 2")
        );
        assert!(wrong("inputs = [").contains("line 1"));
    }
}
