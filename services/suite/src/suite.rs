//! Building and starting the chosen services in this process.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use jinke_customer::Customer;
use jinke_gateway::GatewayService;
use jinke_identity::Identity;
use jinke_kit::{Config, Host, Running};
use jinke_pipeline::Pipeline;
use jinke_reporting::Reporting;
use jinke_runner::Connectors;
use jinke_store::{Database, DatabaseConfig, Migrations, keys::KeyFiles};
use jinke_types::{Code, Failure};

/// The services of the suite, in the order they are started in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Area {
    /// Users, tokens, roles, policies
    Identity,
    /// Sources, golden customers, judgements
    Customer,
    /// Connections to foreign systems: runs, messages, callbacks
    Connector,
    /// Leads, opportunities, activities, tasks
    Pipeline,
    /// Measures, segments, churn warnings, reports
    Reporting,
}

impl Area {
    /// All services.
    pub const ALL: [Self; 5] = [
        Self::Identity,
        Self::Customer,
        Self::Connector,
        Self::Pipeline,
        Self::Reporting,
    ];

    /// Name of the service, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Customer => "customer",
            Self::Connector => "connector",
            Self::Pipeline => "pipeline",
            Self::Reporting => "reporting",
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the suite listens when nothing says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7420";

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// A configuration file.
    pub file: Option<PathBuf>,
    /// `section.key=value`, strongest.
    pub set: Vec<String>,
    /// Values that only replace the built-in defaults.
    pub weak: Vec<(&'static str, String)>,
}

/// Puts the configuration together: built-in defaults, `weak`, file, environment, flags.
///
/// # Errors
/// `CONFIG`, naming each wrong key with its place.
pub fn config(layers: &Layers) -> Result<Config, Failure> {
    let load = |set: Vec<String>| {
        let mut builder = Config::builder()
            .service::<Identity>()
            .service::<Customer>()
            .service::<Connectors>()
            .service::<Pipeline>()
            .service::<Reporting>()
            .service::<GatewayService>();
        if let Some(file) = &layers.file {
            builder = builder.file(file);
        }
        builder.env(std::env::vars()).set(set).load()
    };
    let config = load(layers.set.clone())?;
    let defaulted =
        |key: &str| matches!(config.origin(key), Some(jinke_kit::config::Origin::Default));
    let mut set: Vec<String> = layers
        .weak
        .iter()
        .filter(|(key, _)| defaulted(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if set.is_empty() {
        return Ok(config);
    }
    set.extend(layers.set.iter().cloned());
    load(set)
}

/// Starts the chosen services on one port, with the gateway before them when all are in this
/// process. One that serves only some is one of several, before which the gateway stands alone.
///
/// # Errors
/// As [`jinke_kit::host::HostBuilder::start`].
pub async fn start(config: Config, areas: &[Area]) -> Result<Running, Failure> {
    let mut host = Host::builder(config);
    for area in Area::ALL.iter().filter(|a| areas.contains(a)) {
        host = match area {
            Area::Identity => host.service::<Identity>(),
            Area::Customer => host.service::<Customer>(),
            Area::Connector => host.service::<Connectors>(),
            Area::Pipeline => host.service::<Pipeline>(),
            Area::Reporting => host.service::<Reporting>(),
        };
    }
    if areas == Area::ALL {
        host = host.service::<GatewayService>();
    }
    host.start().await
}

/// Where a service keeps its data.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its database.
    pub database: DatabaseConfig,
    /// Its keys.
    pub keys: KeyFiles,
    /// Its migrations.
    pub migrations: &'static Migrations,
}

impl Storage {
    /// Where `area` keeps its data under this configuration.
    ///
    /// # Errors
    /// `CONFIG` when the section does not fit.
    pub fn of(area: Area, config: &Config) -> Result<Self, Failure> {
        let dir = config.data_dir();
        Ok(match area {
            Area::Identity => {
                let section: jinke_identity::Config = config.section(area.as_str())?;
                Self {
                    database: section.database(&dir),
                    keys: section.key_files(&dir),
                    migrations: &jinke_identity::MIGRATIONS,
                }
            }
            Area::Customer => {
                let section: jinke_customer::config::CustomerConfig =
                    config.section(area.as_str())?;
                Self {
                    database: section.database(&dir),
                    keys: section.key_files(&dir),
                    migrations: &jinke_customer::store::MIGRATIONS,
                }
            }
            Area::Connector => {
                let section: jinke_runner::config::ConnectorConfig =
                    config.section(area.as_str())?;
                Self {
                    database: section.database(&dir),
                    keys: section.key_files(&dir),
                    migrations: &jinke_runner::store::MIGRATIONS,
                }
            }
            Area::Pipeline => {
                let section: jinke_pipeline::config::PipelineConfig =
                    config.section(area.as_str())?;
                Self {
                    database: section.database(&dir),
                    keys: section.key_files(&dir),
                    migrations: &jinke_pipeline::store::MIGRATIONS,
                }
            }
            Area::Reporting => {
                let section: jinke_reporting::config::ReportingConfig =
                    config.section(area.as_str())?;
                Self {
                    database: section.database(&dir),
                    keys: section.key_files(&dir),
                    migrations: &jinke_reporting::store::MIGRATIONS,
                }
            }
        })
    }

    /// The SQLite file, when the database is one.
    pub fn sqlite_file(&self) -> Option<&Path> {
        let path = self.database.url.strip_prefix("sqlite:")?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }

    /// The file whose lock the owner of a SQLite database holds.
    pub fn lock_file(&self) -> Option<PathBuf> {
        self.sqlite_file().map(lock_beside)
    }

    /// Opens the database, which brings it to this program's version.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open(&self) -> Result<Database, Failure> {
        Database::open(self.database.clone(), self.migrations).await
    }
}

/// The lock file of a SQLite database, as the storage kit names it.
pub fn lock_beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Who holds the lock `file`, if somebody does.
pub fn holder_of(file: &Path) -> Option<String> {
    let lock = std::fs::File::options().read(true).open(file).ok()?;
    match lock.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line: String = text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect();
            Some(if line.is_empty() {
                "an unknown process".to_owned()
            } else {
                line
            })
        }
        // Free, or not lockable at all: opening the database will tell.
        _ => None,
    }
}

/// The service the command line talks to must be started before the others need it.
///
/// # Errors
/// `INVALID_ARGUMENT` when no service was chosen.
pub fn chosen(areas: &[Area]) -> Result<Vec<Area>, Failure> {
    if areas.is_empty() {
        return Err(Failure::new(
            Code::InvalidArgument,
            "NO_SERVICE",
            "choose at least one service",
        ));
    }
    let mut areas = areas.to_vec();
    areas.sort_unstable();
    areas.dedup();
    Ok(areas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_values_replace_defaults_only() {
        let layers = Layers {
            weak: vec![("server.listen", "127.0.0.1:1".into())],
            ..Layers::default()
        };
        assert!(config(&layers).unwrap().show().contains("127.0.0.1:1"));
        let flagged = Layers {
            set: vec!["server.listen=127.0.0.1:2".into()],
            ..layers
        };
        let shown = config(&flagged).unwrap().show();
        assert!(
            shown.contains("127.0.0.1:2") && !shown.contains("127.0.0.1:1\""),
            "{shown}"
        );
    }

    #[test]
    fn a_held_lock_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock_beside(&dir.path().join("customer.db"));
        assert_eq!(holder_of(&path), None);
        std::fs::write(&path, "pid 7 on box\n").unwrap();
        assert_eq!(holder_of(&path), None);
        let file = std::fs::File::open(&path).unwrap();
        file.lock().unwrap();
        assert_eq!(holder_of(&path).as_deref(), Some("pid 7 on box"));
    }
}
