//! What a connector says about itself and its configuration keys.

use std::collections::BTreeMap;

use jinke_types::{Code, Failure, Violation};

/// A connector's description: shown by `jinke`, and the only place its keys are defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Id of the connector, e.g. `file`.
    pub kind: &'static str,
    /// What it connects to, in Chinese, for people.
    pub display_name: &'static str,
    /// One or two sentences of documentation.
    pub about: &'static str,
    /// The configuration keys.
    pub keys: Vec<ConfigKey>,
    /// What it does, part by part, and how far each is proven; shown by `jinke connectors`.
    pub parts: Vec<Part>,
}

/// One part of a connector and how far it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of the stream, or a word for what else it does: `sweep`, `message`, `callback`.
    pub name: &'static str,
    /// What kind of thing it does.
    pub kind: PartKind,
    /// What it yields or does, in a few words.
    pub about: &'static str,
    /// How far it is proven.
    pub verification: Verification,
    /// Against what and which version, and what was not covered.
    pub evidence: &'static str,
}

/// What a part of a connector does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// A stream of records.
    Stream,
    /// A stream of departments and members.
    Directory,
    /// Finding deletions by comparing all ids.
    Sweep,
    /// Messages to people.
    Message,
    /// Records written there.
    Push,
    /// Calls from there.
    Callback,
}

/// How far something is proven against the system it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verification {
    /// Tests run it against the real server.
    RealServer,
    /// The vendor's own SDK agrees with our simulator, against which it is tested.
    OfficialSdk,
    /// Written by the vendor's documentation and tested against a simulator of it only.
    DocumentationOnly,
    /// Nothing of it was compared with the vendor.
    Unverified,
}

/// One configuration key of a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigKey {
    /// Name, lower snake case.
    pub name: &'static str,
    /// What it means, with its unit and limits.
    pub about: &'static str,
    /// What values it takes.
    pub value: ValueType,
    /// Whether it must be given.
    pub required: bool,
    /// Whether the value is a secret: sealed at rest and never shown.
    pub secret: bool,
    /// The value taken when it is not given.
    pub default: Option<&'static str>,
}

/// The type of a configuration value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Text of at most 65,536 bytes.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list of tables, each documented in [`ConfigKey::about`].
    Tables,
}

const MAX_TEXT_BYTES: usize = 65_536;

/// Settings that a [`Spec`] accepted: every key is known, of its type, and the required
/// ones are there.
#[derive(Clone, PartialEq)]
pub struct Settings(BTreeMap<String, toml::Value>);

// Settings hold secrets, so only the names of the keys are printed.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Spec {
    /// Checks `table` against the keys. All wrong keys are reported at once as violations
    /// `settings.<key>`, with reason `SETTINGS_INVALID`.
    pub fn read(&self, table: &toml::Table) -> Result<Settings, Failure> {
        let mut violations = Vec::new();
        let mut bad = |key: &str, why: String| {
            violations.push(Violation {
                field: format!("settings.{key}"),
                description: why,
            });
        };
        let mut settings = BTreeMap::new();
        for (name, value) in table {
            match self.keys.iter().find(|k| k.name == name) {
                None => bad(name, format!("the connector {} has no such key", self.kind)),
                Some(key) => match key.value.accepts(value) {
                    Ok(()) => {
                        settings.insert(name.clone(), value.clone());
                    }
                    Err(why) => bad(name, why.to_owned()),
                },
            }
        }
        for key in &self.keys {
            if key.required && !table.contains_key(key.name) {
                bad(key.name, "must be given".to_owned());
            }
        }
        if violations.is_empty() {
            return Ok(Settings(settings));
        }
        let mut failure = Failure::new(
            Code::InvalidArgument,
            "SETTINGS_INVALID",
            format!("{}: {}", violations[0].field, violations[0].description),
        );
        failure.violations = violations;
        Err(failure)
    }
}

impl ValueType {
    fn accepts(self, value: &toml::Value) -> Result<(), &'static str> {
        match (self, value) {
            (Self::Text, toml::Value::String(s)) if s.len() <= MAX_TEXT_BYTES => Ok(()),
            (Self::Text, toml::Value::String(_)) => Err("must be at most 65536 bytes"),
            (Self::Text, _) => Err("must be text"),
            (Self::Integer, toml::Value::Integer(_)) | (Self::Boolean, toml::Value::Boolean(_)) => {
                Ok(())
            }
            (Self::Integer, _) => Err("must be a whole number"),
            (Self::Boolean, _) => Err("must be true or false"),
            (Self::Tables, toml::Value::Array(list)) if list.iter().all(toml::Value::is_table) => {
                Ok(())
            }
            (Self::Tables, _) => Err("must be a list of tables"),
        }
    }
}

impl Settings {
    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(toml::Value::as_str)
    }
    /// The number of a key.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(toml::Value::as_integer)
    }
    /// The truth of a key.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.0.get(key).and_then(toml::Value::as_bool)
    }
    /// The tables of a key; none when it is not given.
    pub fn tables(&self, key: &str) -> Vec<&toml::Table> {
        let list = self.0.get(key).and_then(toml::Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(toml::Value::as_table)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        let key = |name, value, required| ConfigKey {
            name,
            about: "",
            value,
            required,
            secret: false,
            default: None,
        };
        Spec {
            kind: "demo",
            display_name: "演示",
            about: "",
            keys: vec![
                key("url", ValueType::Text, true),
                key("limit", ValueType::Integer, false),
                key("files", ValueType::Tables, false),
            ],
            parts: vec![],
        }
    }

    #[test]
    fn all_wrong_keys_are_named_at_once() {
        let table = "limit = 'x'\nurll = 'y'\nfiles = [1]"
            .parse::<toml::Table>()
            .unwrap();
        let failure = spec().read(&table).unwrap_err();
        let mut fields: Vec<_> = failure
            .violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "settings.files",
                "settings.limit",
                "settings.url",
                "settings.urll"
            ]
        );
        assert_eq!(failure.reason, "SETTINGS_INVALID");
    }

    #[test]
    fn debug_shows_no_values() {
        let table = "url = 'secret'".parse::<toml::Table>().unwrap();
        let settings = spec().read(&table).unwrap();
        assert_eq!(settings.text("url"), Some("secret"));
        assert_eq!(format!("{settings:?}"), r#"{"url"}"#);
    }
}
