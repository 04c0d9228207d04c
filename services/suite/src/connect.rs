//! Which server a command calls, and as whom.
//!
//! | | endpoint | credential |
//! |---|---|---|
//! | 1 | `--endpoint`, `JINKE_ENDPOINT` | `--credentials`, `JINKE_CREDENTIALS` |
//! | 2 | `<data dir>/endpoint`, when `--data-dir` or `JINKE_DATA_DIR` is given | `<data dir>/credentials/admin.toml`, likewise |
//! | 3 | the last `jinke login` | the last `jinke login`, when it was at this endpoint |
//! | 4 | `./data/endpoint` | `./data/credentials/admin.toml` |
//! | 5 | `http://127.0.0.1:7420` | |
//!
//! The key in a data folder is only sent to the server of that folder or to this machine: a
//! mistyped endpoint must not learn an administrator's key.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jinke_kit::{
    Peer,
    client::{self, Credential},
    tls::ClientTls,
};
use jinke_types::{Code, Failure, SystemClock};
use tonic::{Response, Status};

use crate::cli::Global;

/// Where a server is looked for when nothing says otherwise.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:7420";
/// The data folder when none is given.
pub const DEFAULT_DATA_DIR: &str = "data";

/// A file that is larger is not one of ours.
const MAX_FILE_BYTES: u64 = 65_536;

/// A server and a credential for it, and where each was found.
#[derive(Clone, Debug)]
pub struct Target {
    /// URL of the server.
    pub endpoint: String,
    /// What said so, for people.
    pub endpoint_from: String,
    /// What the caller proves himself with.
    pub credential: Credential,
    /// What said so; none when there is none.
    pub credential_from: Option<String>,
}

/// The user's folder for logins: `$XDG_CONFIG_HOME/jinke`, else `~/.config/jinke`, or
/// `%APPDATA%\jinke`. `JINKE_CONFIG_HOME` names another.
pub fn user_config_dir() -> Option<PathBuf> {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("JINKE_CONFIG_HOME")
        .or_else(|| var("XDG_CONFIG_HOME").map(|d| d.join("jinke")))
        .or_else(|| var("APPDATA").map(|d| d.join("jinke")))
        .or_else(|| var("HOME").map(|d| d.join(".config/jinke")))
}

/// Where `jinke login` keeps its tokens.
pub fn login_file() -> Result<PathBuf, Failure> {
    user_config_dir()
        .map(|d| d.join("login.json"))
        .ok_or_else(|| {
            Failure::new(
                Code::FailedPrecondition,
                "NO_HOME",
                "there is no home folder to keep a login in; set JINKE_CONFIG_HOME or HOME",
            )
        })
}

/// The file in a data folder that says where its server listens.
pub fn endpoint_file(data_dir: &Path) -> PathBuf {
    data_dir.join("endpoint")
}

/// The file in a data folder that the first start leaves a key in.
pub fn admin_file(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials").join("admin.toml")
}

/// The key that the first start left in a data folder.
///
/// # Errors
/// `CREDENTIALS_UNREADABLE` names the file.
pub fn admin_key(data_dir: &Path) -> Result<String, Failure> {
    let path = admin_file(data_dir);
    match read_credentials(&path)? {
        Credential::Key(key) => Ok(key),
        _ => Err(unreadable(&path, "holds no key")),
    }
}

/// Finds server and credential; see the table above.
///
/// # Errors
/// `CREDENTIALS_UNREADABLE` when a file that was named cannot be used.
pub fn discover(global: &Global) -> Result<Target, Failure> {
    discover_with(
        global,
        login_file()
            .ok()
            .and_then(|path| Some((client::load(&path).ok()?, path))),
    )
}

fn discover_with(
    global: &Global,
    login: Option<(client::Stored, PathBuf)>,
) -> Result<Target, Failure> {
    let data_dir = global.data_dir();
    let of_data = read_small(&endpoint_file(&data_dir)).map(|t| t.trim().to_owned());
    let data_said = || endpoint_file(&data_dir).display().to_string();
    let (endpoint, endpoint_from) = match (&global.endpoint, &of_data, &login) {
        (Some(given), _, _) => (normalized(given), "--endpoint or JINKE_ENDPOINT".to_owned()),
        (None, Some(of_data), _) if global.data_dir.is_some() => (of_data.clone(), data_said()),
        (None, _, Some((login, _))) => (login.endpoint.clone(), "jinke login".to_owned()),
        (None, Some(of_data), None) => (of_data.clone(), data_said()),
        (None, None, None) => (DEFAULT_ENDPOINT.to_owned(), "the default".to_owned()),
    };
    let target = |credential, from: Option<String>| Target {
        endpoint: endpoint.clone(),
        endpoint_from: endpoint_from.clone(),
        credential,
        credential_from: from,
    };
    if let Some(path) = &global.credentials {
        return Ok(target(
            read_credentials(path)?,
            Some(path.display().to_string()),
        ));
    }
    let admin = admin_file(&data_dir);
    let trusted = of_data.as_ref() == Some(&endpoint) || is_loopback(&endpoint);
    let of_folder = || -> Result<Option<Target>, Failure> {
        if trusted && admin.exists() {
            let from = Some(admin.display().to_string());
            return Ok(Some(target(read_credentials(&admin)?, from)));
        }
        Ok(None)
    };
    if global.data_dir.is_some()
        && let Some(found) = of_folder()?
    {
        return Ok(found);
    }
    if let Some((login, path)) = login
        && login.endpoint == endpoint
    {
        return Ok(target(
            Credential::File(path),
            Some("jinke login".to_owned()),
        ));
    }
    Ok(of_folder()?.unwrap_or_else(|| target(Credential::None, None)))
}

/// `host:port` becomes a URL.
fn normalized(endpoint: &str) -> String {
    if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("http://{endpoint}")
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    // Whatever stands before `@` is no host.
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// A credentials file: TOML with a `key`, as the first start writes it, or the JSON of a login.
fn read_credentials(path: &Path) -> Result<Credential, Failure> {
    let unreadable = |why: &str| unreadable(path, why);
    let text = match fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE_BYTES => {
            return Err(unreadable("is over 64 KiB"));
        }
        Ok(_) => fs::read_to_string(path).map_err(|e| unreadable(&e.kind().to_string()))?,
        Err(e) => return Err(unreadable(&e.kind().to_string())),
    };
    if text.trim_start().starts_with('{') {
        return Ok(Credential::File(path.to_owned()));
    }
    let table: toml::Table = text
        .parse()
        .map_err(|_| unreadable("is neither TOML nor JSON"))?;
    match table.get("key").and_then(toml::Value::as_str) {
        Some(key) => Ok(Credential::Key(key.to_owned())),
        None => Err(unreadable("has no text under `key`")),
    }
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::new(
        Code::Unauthenticated,
        "CREDENTIALS_UNREADABLE",
        format!("credentials file {}: {why}", path.display()),
    )
}

fn read_small(path: &Path) -> Option<String> {
    let len = fs::metadata(path).ok()?.len();
    (len <= MAX_FILE_BYTES).then(|| fs::read_to_string(path).ok())?
}

/// A channel to the server that proves who calls.
///
/// # Errors
/// `NO_CREDENTIALS` when nothing was found to log in with; see also [`discover`].
pub fn connect(global: &Global) -> Result<Peer, Failure> {
    let target = discover(global)?;
    if matches!(target.credential, Credential::None) {
        return Err(Failure::new(
            Code::Unauthenticated,
            "NO_CREDENTIALS",
            format!("not logged in at {}", target.endpoint),
        ));
    }
    open(global, &target.endpoint, target.credential)
}

/// A channel to `endpoint`.
///
/// # Errors
/// As [`client::connect`].
pub fn open(global: &Global, endpoint: &str, credential: Credential) -> Result<Peer, Failure> {
    let tls = global.tls_ca.as_ref().map(|ca| ClientTls {
        ca_file: ca.clone(),
        cert_file: global.tls_cert.clone().unwrap_or_default(),
        key_file: global.tls_key.clone().unwrap_or_default(),
        domain: String::new(),
    });
    client::connect(endpoint, credential, tls.as_ref(), Arc::new(SystemClock))
}

/// `?` after a call: the message, or what the server said as a failure.
pub trait Answer<T> {
    /// The message of the response.
    ///
    /// # Errors
    /// What the server answered.
    fn answer(self) -> Result<T, Failure>;
}

impl<T> Answer<T> for Result<Response<T>, Status> {
    fn answer(self) -> Result<T, Failure> {
        match self {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(jinke_kit::failure(&status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(endpoint: &str) -> Option<(client::Stored, PathBuf)> {
        let stored = client::Stored {
            endpoint: endpoint.into(),
            name: "users/li".into(),
            access_token: String::new(),
            refresh_token: String::new(),
            key: String::new(),
        };
        Some((stored, PathBuf::from("/home/li/login.json")))
    }

    fn data(endpoint: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(endpoint_file(dir.path()), format!("{endpoint}\n")).unwrap();
        fs::create_dir(dir.path().join("credentials")).unwrap();
        fs::write(admin_file(dir.path()), "key = 'secret'\n").unwrap();
        dir
    }

    fn global(endpoint: Option<&str>, data_dir: Option<&Path>) -> Global {
        Global {
            endpoint: endpoint.map(Into::into),
            data_dir: data_dir.map(Into::into),
            ..Global::default()
        }
    }

    fn key(target: &Target) -> Option<&str> {
        match &target.credential {
            Credential::Key(key) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn a_named_data_folder_wins_over_an_old_login() {
        let dir = data("http://127.0.0.1:9");
        let found =
            discover_with(&global(None, Some(dir.path())), login("https://prod:7420")).unwrap();
        assert_eq!(found.endpoint, "http://127.0.0.1:9");
        assert_eq!(key(&found), Some("secret"));
    }

    #[test]
    fn a_login_is_only_used_where_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let here = global(None, Some(dir.path()));
        let found = discover_with(&here, login("https://prod:7420")).unwrap();
        assert_eq!(found.endpoint, "https://prod:7420");
        assert!(matches!(found.credential, Credential::File(_)));
        let other = global(Some("https://other:7420"), Some(dir.path()));
        let found = discover_with(&other, login("https://prod:7420")).unwrap();
        assert!(matches!(found.credential, Credential::None));
    }

    #[test]
    fn the_key_of_a_data_folder_is_not_sent_elsewhere() {
        let dir = data("http://10.0.0.5:7420");
        let ask = |endpoint| discover_with(&global(Some(endpoint), Some(dir.path())), None);
        assert_eq!(key(&ask("http://10.0.0.5:7420").unwrap()), Some("secret"));
        assert_eq!(key(&ask("127.0.0.1:7420").unwrap()), Some("secret"));
        for elsewhere in [
            "https://example.com",
            "http://127.0.0.1.example.com:7420",
            "http://127.0.0.1@example.com",
            "http://localhost@example.com/",
        ] {
            let found = ask(elsewhere).unwrap();
            assert!(matches!(found.credential, Credential::None), "{elsewhere}");
        }
    }

    #[test]
    fn a_bad_credentials_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        fs::write(&path, "kei = 'x'").unwrap();
        let asked = Global {
            credentials: Some(path),
            ..Global::default()
        };
        let failure = discover_with(&asked, None).unwrap_err();
        assert_eq!(failure.reason, "CREDENTIALS_UNREADABLE");
        assert!(failure.message.contains("c.toml") && failure.message.contains("`key`"));
    }
}
