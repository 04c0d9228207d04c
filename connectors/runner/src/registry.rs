//! Every kind of connector, in one table. To add one: a line in [`kinds`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jinke_sdk::{Connector, Settings, Spec};
use jinke_types::{Code, Failure};

use crate::sinks::{LogSink, Webhook};

/// A kind of connector: what it says about itself and how one is opened.
#[derive(Clone)]
pub struct Kind {
    /// Its description.
    pub spec: Spec,
    open: fn(&Settings) -> Result<Arc<dyn Connector>, Failure>,
    paths: fn(&Settings) -> Vec<PathBuf>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kind").field(&self.spec.kind).finish()
    }
}

/// The kinds this program has, in the order they are shown in.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<jinke_file::FileConnector>().reading(file_paths),
        kind::<jinke_tryton::TrytonConnector>(),
        kind::<jinke_kingdee::KingdeeConnector>(),
        kind::<jinke_sap::SapConnector>(),
        kind::<jinke_wecom::WecomConnector>(),
        kind::<jinke_dingtalk::DingtalkConnector>(),
        kind::<LogSink>().reading(|settings| {
            settings
                .text("path")
                .map(PathBuf::from)
                .into_iter()
                .collect()
        }),
        kind::<Webhook>(),
    ]
}

/// The kind of a connector type.
pub fn kind<C: Connector>() -> Kind {
    Kind {
        spec: C::spec(),
        open: |settings| Ok(Arc::new(C::open(settings)?)),
        paths: |_| Vec::new(),
    }
}

impl Kind {
    /// Local paths that its settings name: they must lie below the folders of the configuration.
    #[must_use]
    pub const fn reading(mut self, paths: fn(&Settings) -> Vec<PathBuf>) -> Self {
        self.paths = paths;
        self
    }
}

fn file_paths(settings: &Settings) -> Vec<PathBuf> {
    let tables = settings.tables("files").into_iter();
    tables
        .flat_map(|table| ["path", "mapping"].map(|key| table.get(key).and_then(|v| v.as_str())))
        .flatten()
        .map(PathBuf::from)
        .collect()
}

/// The table, and what every connection is held to.
#[derive(Clone, Debug)]
pub struct Registry {
    kinds: Vec<Kind>,
    folders: Vec<PathBuf>,
}

impl Registry {
    /// Of some kinds; files must lie below one of `folders`.
    pub const fn new(kinds: Vec<Kind>, folders: Vec<PathBuf>) -> Self {
        Self { kinds, folders }
    }

    /// All kinds.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// One kind.
    ///
    /// # Errors
    /// `CONNECTOR_UNKNOWN`.
    pub fn get(&self, kind: &str) -> Result<&Kind, Failure> {
        self.kinds
            .iter()
            .find(|k| k.spec.kind == kind)
            .ok_or_else(|| {
                Failure::new(
                    Code::NotFound,
                    "CONNECTOR_UNKNOWN",
                    "this program has no connector of this kind",
                )
                .with("connector", format!("connectors/{kind}"))
            })
    }

    /// Checks settings and opens a connector by them. `source` is the source of its records.
    ///
    /// # Errors
    /// `SETTINGS_INVALID` or the connector's own, with violations `settings.<key>`;
    /// `FILE_FOLDER` for a path outside of the folders.
    pub fn open(
        &self,
        kind: &str,
        source: &str,
        mut table: toml::Table,
    ) -> Result<Arc<dyn Connector>, Failure> {
        let kind = self.get(kind)?;
        if kind.spec.keys.iter().any(|k| k.name == "source") {
            table
                .entry("source")
                .or_insert_with(|| toml::Value::String(source.to_owned()));
            if table.get("source").and_then(|v| v.as_str()) != Some(source) {
                return Err(Failure::field(
                    "connection.settings.source",
                    "is the source of the connection; leave it out",
                ));
            }
        }
        let settings = kind.spec.read(&table)?;
        for path in (kind.paths)(&settings) {
            self.within_folders(&path)?;
        }
        (kind.open)(&settings)
    }

    /// Links are followed first, so that none leads out of the folders.
    fn within_folders(&self, path: &Path) -> Result<(), Failure> {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        // What does not exist yet is judged by where it would be.
        let found = real(path).or_else(|| Some(real(path.parent()?)?.join(path.file_name()?)));
        let within = found.is_some_and(|found| {
            self.folders
                .iter()
                .filter_map(|folder| real(folder))
                .any(|folder| found.starts_with(folder))
        });
        if within {
            return Ok(());
        }
        Err(Failure::new(
            Code::FailedPrecondition,
            "FILE_FOLDER",
            "a file does not lie below a folder of connector.files.folders",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_once_and_their_specs_are_whole() {
        let kinds = kinds();
        for (i, kind) in kinds.iter().enumerate() {
            let spec = &kind.spec;
            assert!(
                !spec.parts.is_empty(),
                "{} says nothing of itself",
                spec.kind
            );
            assert!(!spec.about.is_empty() && !spec.display_name.is_empty());
            assert!(kinds[..i].iter().all(|k| k.spec.kind != spec.kind));
            for key in &spec.keys {
                assert!(!key.about.is_empty(), "{}.{}", spec.kind, key.name);
            }
            for part in &spec.parts {
                assert!(!part.evidence.is_empty(), "{}/{}", spec.kind, part.name);
            }
        }
    }

    #[test]
    fn only_files_below_the_folders_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        for folder in [&inside, &outside] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("a.csv"), "编码,名称\n1,甲\n").unwrap();
            std::fs::write(
                folder.join("a.toml"),
                "kind = 'organization'\nexternal_id = '编码'\n\
                 [[values]]\nattribute = 'name'\ncolumn = '名称'\n",
            )
            .unwrap();
        }
        std::os::unix::fs::symlink(outside.join("a.csv"), inside.join("link.csv")).unwrap();
        let registry = Registry::new(kinds(), vec![inside.clone()]);
        let open = |path: PathBuf| {
            let mapping = inside.join("a.toml");
            let text = format!(
                "[[files]]\npath = '{}'\nmapping = '{}'\n",
                path.display(),
                mapping.display()
            );
            registry
                .open("file", "erp", text.parse().unwrap())
                .map(|_| ())
                .map_err(|f| f.reason)
        };
        assert_eq!(open(inside.join("a.csv")), Ok(()));
        for path in [
            outside.join("a.csv"),
            inside.join("link.csv"),
            inside.join("../out/a.csv"),
            PathBuf::from("/etc/passwd"),
        ] {
            assert_eq!(open(path), Err("FILE_FOLDER"));
        }
        assert_eq!(
            registry.get("sap-r2").unwrap_err().reason,
            "CONNECTOR_UNKNOWN"
        );
    }
}
