//! Configuration in layers: documented defaults built into the program, then a file, then the
//! environment, then flags. Every value knows where it came from, and a wrong one is refused with
//! that place.
//!
//! - The default text of each section is its documentation and its schema: a key that is not in
//!   it is refused, and so is a value of another type. Below a table that is empty in the defaults
//!   any key is taken.
//! - Environment: `JINKE_<SECTION>__<KEY>`, `__` between the levels, e.g.
//!   `JINKE_CUSTOMER__DATABASE__URL`. A variable without `__` is not configuration.
//! - Flags: `--set section.key=value`.
//! - Values that hold a secret (keys named `password`, `secret`, `token` or ending in
//!   `_password`, `_secret`, `_token`; the password within a URL) are hidden by [`Config::show`].

mod layer;
mod show;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jinke_types::{Code, Failure, Violation};
use serde::de::DeserializeOwned;
use toml::Value;

use crate::Service;
use layer::Leaf;
pub use layer::Origin;

/// The defaults of the kit's own sections.
pub const DEFAULTS: &str = include_str!("default.toml");

/// A key: the tables above it, then its name.
type Key = Vec<String>;

/// The effective configuration, every value with its origin.
#[derive(Clone, Debug)]
pub struct Config {
    values: BTreeMap<Key, (Value, Origin)>,
    /// Tables that are empty in the defaults; they exist though nothing is in them.
    open: BTreeSet<Key>,
    texts: Vec<&'static str>,
}

impl Config {
    /// Starts a configuration with the kit's own sections.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder {
            defaults: vec![("", DEFAULTS)],
            ..ConfigBuilder::default()
        }
    }

    /// One section, e.g. `customer`, or `server.tls`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming the key and origin of a value that does not fit
    /// `T`.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let prefix: Key = name.split('.').map(str::to_owned).collect();
        // Written out with one key a line, so that the place the reader complains of leads back to
        // the key.
        let (text, keys) = show::section(&self.values, &self.open, &prefix);
        toml::from_str(&text).map_err(|e| {
            let line = e
                .span()
                .map_or(0, |s| text[..s.start].matches('\n').count());
            let key = keys
                .get(line)
                .filter(|_| e.span().is_some_and(|s| !s.is_empty()));
            let (field, place) = match key.and_then(|k| self.values.get_key_value(k)) {
                Some((key, (_, origin))) => (key.join("."), origin.to_string()),
                None => (name.to_owned(), "the effective configuration".to_owned()),
            };
            refuse(vec![(field, place, e.message().to_owned())])
        })
    }

    /// Where a key's value came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        let key: Key = key.split('.').map(str::to_owned).collect();
        self.values.get(&key).map(|(_, o)| o)
    }

    /// The directory for files of this process: `server.data_dir`.
    pub fn data_dir(&self) -> PathBuf {
        let key = ["server".to_owned(), "data_dir".to_owned()];
        self.values
            .get(key.as_slice())
            .and_then(|(v, _)| v.as_str())
            .unwrap_or("data")
            .into()
    }

    /// The effective configuration as TOML with the origin of each value; secrets are hidden.
    pub fn show(&self) -> String {
        show::all(&self.values, &self.open)
    }

    /// The documented defaults of every section.
    pub fn documentation(&self) -> String {
        self.texts.join("\n")
    }
}

/// Collects layers; later ones win: defaults, file, environment, flags.
#[derive(Clone, Debug, Default)]
pub struct ConfigBuilder {
    defaults: Vec<(&'static str, &'static str)>,
    files: Vec<PathBuf>,
    env: Vec<(String, String)>,
    flags: Vec<String>,
}

impl ConfigBuilder {
    /// Adds the section of a service.
    #[must_use]
    pub fn service<S: Service>(self) -> Self {
        self.defaults(S::NAME, S::DEFAULT_CONFIG)
    }
    /// Adds a section with documented defaults that is not a service's, e.g. `runner`. All its keys
    /// are below `[section]`.
    #[must_use]
    pub fn defaults(mut self, section: &'static str, toml: &'static str) -> Self {
        self.defaults.push((section, toml));
        self
    }
    /// Reads a file when loading. Of several, later ones win.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        self.files.push(path.to_owned());
        self
    }
    /// Variables to look for `JINKE_<SECTION>__<KEY>` in: `std::env::vars()`.
    #[must_use]
    pub fn env(mut self, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(vars);
        self
    }
    /// Flags: `section.key=value`.
    #[must_use]
    pub fn set(mut self, flags: impl IntoIterator<Item = String>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Puts the layers together.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`: every wrong key with file and line, variable or flag;
    /// a file that cannot be read. `INTERNAL` when a default text is wrong.
    pub fn load(self) -> Result<Config, Failure> {
        let mut config = Config {
            values: BTreeMap::new(),
            open: BTreeSet::new(),
            texts: Vec::new(),
        };
        for (section, text) in self.defaults {
            let (leaves, open) = layer::toml(text, |_| Origin::Default)
                .map_err(|(line, e)| Failure::internal(format!("defaults line {line}: {e}")))?;
            let inside = |k: &Key| section.is_empty() || k[0] == section;
            if let Some(stray) = leaves
                .iter()
                .map(|l| &l.key)
                .chain(&open)
                .find(|k| !inside(k))
            {
                let stray = stray.join(".");
                return Err(Failure::internal(format!(
                    "default {stray} is not in {section}"
                )));
            }
            config
                .values
                .extend(leaves.into_iter().map(|l| (l.key, (l.value, l.origin))));
            config.open.extend(open);
            config.texts.push(text);
        }
        let mut wrong = Vec::new();
        for path in &self.files {
            match layer::file(path) {
                Ok((leaves, tables)) => {
                    leaves
                        .into_iter()
                        .for_each(|leaf| config.lay(leaf, &mut wrong));
                    wrong.extend(
                        tables
                            .into_iter()
                            .filter_map(|t| config.stray_table(path, &t)),
                    );
                }
                Err(e) => wrong.push(e),
            }
        }
        for (name, text) in self.env {
            if let Some(leaf) = layer::variable(&name, text, |key| config.kind(key)) {
                config.lay(leaf, &mut wrong);
            }
        }
        for flag in self.flags {
            match layer::flag(&flag, |key| config.kind(key)) {
                Ok(leaf) => config.lay(leaf, &mut wrong),
                Err(e) => wrong.push(e),
            }
        }
        if wrong.is_empty() {
            Ok(config)
        } else {
            Err(refuse(wrong))
        }
    }
}

/// A key, the place it stands at, and what is wrong with it.
type Wrong = (String, String, String);

impl Config {
    /// The value that stands at a key now, which says what type it must have.
    fn kind(&self, key: &[String]) -> Option<&Value> {
        self.values.get(key).map(|(v, _)| v)
    }

    fn in_open_table(&self, key: &[String]) -> bool {
        (1..key.len()).any(|n| self.open.contains(&key[..n]))
    }

    fn lay(&mut self, leaf: Leaf, wrong: &mut Vec<Wrong>) {
        let mut complain = |why: String| {
            wrong.push((leaf.key.join("."), leaf.origin.to_string(), why));
        };
        match self.values.get(&leaf.key) {
            Some((present, _))
                if self.in_open_table(&leaf.key) || layer::fits(present, &leaf.value) => {}
            Some((present, _)) => {
                let (want, got) = (present.type_str(), leaf.value.type_str());
                return complain(format!("must be of type {want}, not {got}"));
            }
            None if self.in_open_table(&leaf.key) => {}
            None if self.values.keys().any(|k| k.starts_with(&leaf.key)) => {
                return complain("is a table of settings, not one setting".to_owned());
            }
            None => {
                let near = layer::nearest(&leaf.key, self.values.keys());
                let hint = near
                    .map(|n| format!("; did you mean {n}?"))
                    .unwrap_or_default();
                return complain(format!("is not a setting{hint}"));
            }
        }
        self.values.insert(leaf.key, (leaf.value, leaf.origin));
    }

    /// An empty table in a file says nothing, but a wrong name is a mistake all the same.
    fn stray_table(&self, path: &Path, table: &Key) -> Option<Wrong> {
        let known = self.open.contains(table)
            || self.in_open_table(table)
            || self.values.keys().any(|k| k.starts_with(table));
        (!known).then(|| {
            (
                table.join("."),
                path.display().to_string(),
                "is not a table of settings".to_owned(),
            )
        })
    }
}

fn refuse(wrong: Vec<Wrong>) -> Failure {
    let lines: Vec<_> = wrong
        .iter()
        .map(|(key, place, why)| format!("{place}: {key} {why}"))
        .collect();
    let mut failure = Failure::new(Code::InvalidArgument, "CONFIG", lines.join("\n"));
    failure.violations = wrong
        .into_iter()
        .map(|(field, place, why)| Violation {
            field,
            description: format!("{why} ({place})"),
        })
        .collect();
    failure
}
