//! Configuration in layers: default file, file, environment, flags.
use crate::Service;
use jinke_types::Failure;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// The effective configuration, every value with its origin.
#[derive(Clone)]
pub struct Config {}

impl Config {
    /// Starts a configuration with the kit's own sections.
    pub fn builder() -> ConfigBuilder {
        unimplemented!()
    }
    /// One section, e.g. `customer`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming key and origin of a value that does not fit `T`.
    pub fn section<T: DeserializeOwned>(&self, _name: &str) -> Result<T, Failure> {
        unimplemented!()
    }
    /// The directory for files of this process: `server.data_dir`.
    pub fn data_dir(&self) -> PathBuf {
        unimplemented!()
    }
    /// The effective configuration as TOML with the origin of each value; secrets are hidden.
    pub fn show(&self) -> String {
        unimplemented!()
    }
}

/// Collects layers; later ones win: defaults, file, environment, flags.
#[derive(Clone, Default)]
pub struct ConfigBuilder {}

impl ConfigBuilder {
    /// Adds the section of a service.
    #[must_use]
    pub fn service<S: Service>(self) -> Self {
        self.defaults(S::NAME, S::DEFAULT_CONFIG)
    }
    /// Adds a section with documented defaults that is not a service's, e.g. `runner`.
    #[must_use]
    pub fn defaults(self, _section: &'static str, _toml: &'static str) -> Self {
        unimplemented!()
    }
    /// Reads a file.
    #[must_use]
    pub fn file(self, _path: &Path) -> Self {
        unimplemented!()
    }
    /// Variables to look for `JINKE_<SECTION>__<KEY>` in: `std::env::vars()`.
    #[must_use]
    pub fn env(self, _vars: impl IntoIterator<Item = (String, String)>) -> Self {
        unimplemented!()
    }
    /// Flags: `section.key=value`.
    #[must_use]
    pub fn set(self, _flags: impl IntoIterator<Item = String>) -> Self {
        unimplemented!()
    }
    /// Puts the layers together.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming each wrong key with file and line, variable or flag.
    pub fn load(self) -> Result<Config, Failure> {
        unimplemented!()
    }
}
