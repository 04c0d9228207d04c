//! `jinke connections add`

use std::path::{Path, PathBuf};

use clap::Args;
use jinke_proto::jinke::connector::v1 as pb;
use jinke_types::{Code, Failure};
use prost_types::{Struct, Value, value::Kind};

use super::{args::connector, argument};
use crate::cli::page::request_id;

/// A file of settings or a mapping is at most this long.
const MAX_FILE: u64 = 1_048_576;

/// Arguments of `add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Id: 1 to 63 of a-z 0-9 -, starting with a letter
    id: String,
    /// Kind, e.g. tryton
    #[arg(long, value_parser = connector)]
    connector: String,
    /// Name for people
    #[arg(long, default_value = "")]
    display_name: String,
    /// A TOML file with settings; no secrets
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// One setting: KEY=VALUE, where true, false and whole numbers are taken as such
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A secret setting, read from a file: KEY=FILE
    #[arg(long, value_name = "KEY=FILE")]
    secret_file: Vec<String>,
    /// A secret setting, read from an environment variable: KEY=VARIABLE
    #[arg(long, value_name = "KEY=VARIABLE")]
    secret_env: Vec<String>,
    /// Source of the records [default: the connection's id]
    #[arg(long, default_value = "")]
    source: String,
    /// 0 to 100; values of a more trusted source are preferred [default: 50]
    #[arg(long)]
    trust: Option<i32>,
    /// Org unit it belongs to: orgUnits/ID
    #[arg(long, default_value = "")]
    org_unit: String,
    /// Only callers with a role in the org unit see its records
    #[arg(long)]
    walled: bool,
    /// Pull only this stream; may be given several times
    #[arg(long = "stream")]
    streams: Vec<String>,
    /// Pull so often: 30s, 10m, 6h, 1d
    #[arg(long, value_parser = seconds, conflicts_with = "cron")]
    every: Option<i64>,
    /// Pull at these times: five fields of a cron line
    #[arg(long)]
    cron: Option<String>,
    /// Look for deletions at these times: five fields of a cron line
    #[arg(long)]
    sweep_cron: Option<String>,
    /// Time zone of the cron lines [default: Asia/Shanghai]
    #[arg(long, default_value = "")]
    time_zone: String,
    /// Check only
    #[arg(long)]
    dry_run: bool,
}

/// A number and `s`, `m`, `h` or `d`. For clap.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || "write a number and s, m, h or d, e.g. 10m".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A small text file.
///
/// # Errors
/// `INPUT_UNREADABLE` names it.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |why: String| {
        let message = format!("{} cannot be read: {why}", path.display());
        Failure::new(Code::NotFound, "INPUT_UNREADABLE", message)
    };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.kind().to_string()))?;
    if size.len() > MAX_FILE {
        return Err(unreadable("it is over 1 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map_err(|e| unreadable(e.kind().to_string()))
}

fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| argument("set", "is written KEY=VALUE"))
}

fn value(found: &toml::Value) -> Value {
    let kind = match found {
        toml::Value::String(text) => Kind::StringValue(text.clone()),
        toml::Value::Integer(n) => Kind::NumberValue(*n as f64),
        toml::Value::Float(n) => Kind::NumberValue(*n),
        toml::Value::Boolean(truth) => Kind::BoolValue(*truth),
        toml::Value::Datetime(time) => Kind::StringValue(time.to_string()),
        toml::Value::Array(list) => Kind::ListValue(prost_types::ListValue {
            values: list.iter().map(value).collect(),
        }),
        toml::Value::Table(table) => Kind::StructValue(object(table)),
    };
    Value { kind: Some(kind) }
}

/// Settings as the server takes them.
pub(in crate::cli) fn object(table: &toml::Table) -> Struct {
    Struct {
        fields: table.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
    }
}

impl AddArgs {
    /// The request.
    ///
    /// # Errors
    /// `INVALID_FIELD` and `INPUT_UNREADABLE`.
    pub(super) fn request(self) -> Result<pb::CreateConnectionRequest, Failure> {
        let mut table = match &self.settings {
            Some(path) => read(path)?
                .parse::<toml::Table>()
                .map_err(|e| argument("settings", &format!("is no TOML: {}", e.message())))?,
            None => toml::Table::new(),
        };
        for text in &self.set {
            let (key, text) = pair(text)?;
            let found = match text {
                "true" => toml::Value::Boolean(true),
                "false" => toml::Value::Boolean(false),
                _ => match text.parse::<i64>() {
                    Ok(n) if n.to_string() == text => toml::Value::Integer(n),
                    _ => toml::Value::String(text.to_owned()),
                },
            };
            table.insert(key.to_owned(), found);
        }
        let mut secrets = std::collections::HashMap::new();
        for text in &self.secret_file {
            let (key, path) = pair(text)?;
            let secret = read(Path::new(path))?;
            secrets.insert(
                key.to_owned(),
                secret.trim_end_matches(['\r', '\n']).to_owned(),
            );
        }
        for text in &self.secret_env {
            let (key, variable) = pair(text)?;
            let secret = std::env::var(variable)
                .map_err(|_| argument("secret-env", "names a variable that is not set"))?;
            secrets.insert(key.to_owned(), secret);
        }
        let schedule = |when| pb::Schedule {
            when: Some(when),
            time_zone: self.time_zone.clone(),
        };
        let cron = |line: &String| schedule(pb::schedule::When::Cron(line.clone()));
        let every = self.every.map(|seconds| {
            schedule(pb::schedule::When::Interval(prost_types::Duration {
                seconds,
                nanos: 0,
            }))
        });
        let source = match self.source.as_str() {
            "" => String::new(),
            id => format!("sources/{}", id.strip_prefix("sources/").unwrap_or(id)),
        };
        Ok(pb::CreateConnectionRequest {
            connection_id: self.id,
            connection: Some(pb::Connection {
                display_name: self.display_name,
                connector: format!(
                    "connectors/{}",
                    self.connector.trim_start_matches("connectors/")
                ),
                settings: Some(object(&table)),
                secrets: secrets.into_iter().collect(),
                source: Some(pb::connection::SourceSettings {
                    source,
                    display_name: String::new(),
                    trust: self.trust,
                    walled: self.walled,
                }),
                org_unit: self.org_unit,
                schedule: every.or_else(|| self.cron.as_ref().map(cron)),
                sweep: Some(pb::connection::SweepSettings {
                    schedule: self.sweep_cron.as_ref().map(cron),
                    ..pb::connection::SweepSettings::default()
                }),
                streams: self.streams,
                ..pb::Connection::default()
            }),
            request_id: request_id(),
            validate_only: self.dry_run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1d"), Ok(86_400));
        for wrong in ["", "m", "10", "10分", "9999999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
