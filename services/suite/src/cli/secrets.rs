//! `jinke secrets …`: what separate processes need to know and nobody else may.

mod authority;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use jinke_kit::client::write_secret;
use jinke_store::keys::{KeyFiles, KeyRing};
use jinke_types::{Code, Entropy, Failure, OsEntropy};

use super::Outcome;
use crate::print::{Printer, Table};
use authority::Authority;

/// The commands on secrets.
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Make the keys, database passwords and certificates of a deployment in separate processes
    ///
    /// One folder per process, each file named as its configuration expects it, so that a folder
    /// becomes one Kubernetes Secret: kubectl create secret generic jinke-customer
    /// --from-file=DIR/customer. Existing files stay, so it may be run again after an upgrade
    /// that brings a new service. Keep a copy of DIR apart from the backups of the databases:
    /// without the key files they cannot be read.
    Make(MakeArgs),
}

/// Arguments of `secrets make`.
#[derive(Debug, Args)]
pub struct MakeArgs {
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// PostgreSQL server that will hold one database per service
    #[arg(long, default_value = "jinke-postgres:5432", value_name = "HOST:PORT")]
    postgres: String,
    /// Also make an authority and a certificate per process, for TLS between them
    #[arg(long)]
    tls: bool,
    /// Kubernetes namespace, for the names in the certificates
    #[arg(long, default_value = "jinke", value_name = "NAME")]
    namespace: String,
}

/// Processes with a database, and so with sealing keys.
const STATEFUL: [&str; 5] = ["identity", "customer", "connector", "pipeline", "reporting"];
const GATEWAY: &str = "gateway";

/// Makes or shows secrets.
///
/// # Errors
/// `FILE` when the folder cannot be written; `INVALID_FIELD` for a server or namespace that is
/// none.
pub fn secrets(command: SecretsCommand, printer: &mut Printer<'_>) -> Outcome {
    match command {
        SecretsCommand::Make(args) => make(&args, &OsEntropy, printer),
    }
}

fn make(args: &MakeArgs, entropy: &dyn Entropy, printer: &mut Printer<'_>) -> Outcome {
    check(args)?;
    let mut folder = Folder {
        root: &args.out,
        entropy,
        made: BTreeSet::new(),
        kept: BTreeSet::new(),
    };
    for service in STATEFUL {
        let dir = args.out.join(service);
        let files = KeyFiles::in_folder(&dir);
        let new = !files.sealing.exists() || !files.tokens.exists();
        KeyRing::open_or_create(&files, entropy)?;
        let set = if new {
            &mut folder.made
        } else {
            &mut folder.kept
        };
        set.extend(["sealing.key.json", "tokens.key.json"].map(|f| format!("{service}/{f}")));
        let password = folder.password(&format!("postgres/{service}.password"))?;
        folder.once(&format!("{service}/database-url"), || {
            format!(
                "postgres://jinke_{service}:{password}@{}/jinke_{service}",
                args.postgres
            )
        })?;
    }
    for account in jinke_identity::shipped_service_accounts() {
        let service = account.trim_start_matches("service-");
        let key = folder.account_key(&format!("identity/{account}.key"))?;
        folder.once(&format!("{service}/{account}.key"), || key)?;
    }
    let key = folder.account_key("identity/cli.key")?;
    folder.once("admin/admin.toml", || format!("key = \"{key}\"\n"))?;
    folder.password("postgres/POSTGRES_PASSWORD")?;
    roles(&mut folder)?;
    if args.tls {
        certificates(args, &mut folder)?;
    }
    report(&folder, printer)
}

fn check(args: &MakeArgs) -> Result<(), Failure> {
    let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if args.postgres.is_empty() || !args.postgres.chars().all(host) {
        return Err(Failure::field(
            "postgres",
            "must be HOST or HOST:PORT, without user, password or database",
        ));
    }
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.namespace.is_empty() || args.namespace.len() > 63 || !args.namespace.chars().all(label)
    {
        return Err(Failure::field(
            "namespace",
            "must be 1 to 63 lowercase letters, digits or hyphens",
        ));
    }
    Ok(())
}

/// One role and one database per service; nobody else may connect to it.
fn roles(folder: &mut Folder<'_>) -> Result<(), Failure> {
    let mut sql = String::from(
        "-- Written by jinke secrets make. Run once as superuser of an empty server.\n",
    );
    for service in STATEFUL {
        let password = folder.password(&format!("postgres/{service}.password"))?;
        let name = format!("jinke_{service}");
        let _ = writeln!(
            sql,
            "CREATE ROLE {name} LOGIN PASSWORD '{password}';\n\
             CREATE DATABASE {name} OWNER {name} ENCODING 'UTF8' TEMPLATE template0;\n\
             REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
        );
    }
    folder.once("postgres/roles.sql", || sql)
}

fn certificates(args: &MakeArgs, folder: &mut Folder<'_>) -> Result<(), Failure> {
    let processes: Vec<&str> = STATEFUL.into_iter().chain([GATEWAY]).collect();
    let wanted = |process: &str| ["ca.crt", "tls.crt", "tls.key"].map(|f| format!("{process}/{f}"));
    if processes
        .iter()
        .flat_map(|p| wanted(p))
        .all(|file| folder.root.join(file).exists())
    {
        folder.kept.extend(processes.iter().flat_map(|p| wanted(p)));
        return Ok(());
    }
    // The authority's key is not kept: a new process gets a certificate by making all anew.
    let authority = Authority::new()?;
    for process in processes {
        let name = format!("jinke-{process}");
        let names = [
            name.clone(),
            format!("{name}.{}", args.namespace),
            format!("{name}.{}.svc", args.namespace),
            format!("{name}.{}.svc.cluster.local", args.namespace),
            "localhost".to_owned(),
        ];
        let (certificate, key) = authority.issue(&names)?;
        let [ca, crt, pem] = wanted(process);
        folder.write(&ca, authority.pem())?;
        folder.write(&crt, &certificate)?;
        folder.write(&pem, &key)?;
    }
    folder.write("admin/ca.crt", authority.pem())
}

/// The folder, and what happened in it.
struct Folder<'a> {
    root: &'a Path,
    entropy: &'a dyn Entropy,
    made: BTreeSet<String>,
    kept: BTreeSet<String>,
}

impl Folder<'_> {
    fn read(&self, file: &str) -> Result<Option<String>, Failure> {
        let path = self.root.join(file);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(cannot(&path, &e)),
        }
    }

    fn write(&mut self, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.root.join(file);
        write_secret(&path, text.as_bytes()).map_err(|e| cannot(&path, &e))?;
        self.made.insert(file.to_owned());
        Ok(())
    }

    /// Writes a file that is not there yet.
    fn once(&mut self, file: &str, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.root.join(file).exists() {
            if !self.made.contains(file) {
                self.kept.insert(file.to_owned());
            }
            return Ok(());
        }
        self.write(file, &text())
    }

    /// The text of a file, which is made when missing.
    fn text(
        &mut self,
        file: &str,
        make: impl FnOnce(&dyn Entropy) -> String,
    ) -> Result<String, Failure> {
        let entropy = self.entropy;
        self.once(file, || make(entropy))?;
        Ok(self.read(file)?.unwrap_or_default().trim().to_owned())
    }

    fn account_key(&mut self, file: &str) -> Result<String, Failure> {
        self.text(file, jinke_identity::new_service_account_key)
    }

    /// 192 random bits, safe in SQL and in a URL.
    fn password(&mut self, file: &str) -> Result<String, Failure> {
        self.text(file, |entropy| {
            let mut bytes = [0; 24];
            entropy.fill(&mut bytes);
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        })
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "FILE",
        format!("{}: {}", path.display(), error.kind()),
    )
}

fn report(folder: &Folder<'_>, printer: &mut Printer<'_>) -> Outcome {
    let rows = || {
        let made = folder.made.iter().map(|f| (f, "新建 made"));
        let kept = folder.kept.iter().map(|f| (f, "保留 kept"));
        made.chain(kept)
    };
    let mut table = Table::new(["文件 file", "状态 state"]);
    for (file, state) in rows() {
        table.row([file.as_str(), state]);
    }
    printer.value(&serde_json::json!({"made": folder.made, "kept": folder.kept}))?;
    printer.table(&table)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;

    use super::*;

    fn run(dir: &Path, seed: u64, tls: bool) -> Result<serde_json::Value, Failure> {
        let args = MakeArgs {
            out: dir.to_owned(),
            postgres: "db.internal:5432".to_owned(),
            tls,
            namespace: "jinke".to_owned(),
        };
        let mut out = Vec::new();
        make(
            &args,
            &SeededEntropy::new(seed),
            &mut Printer::new(&mut out, true, None),
        )?;
        Ok(serde_json::from_slice(&out).expect("JSON"))
    }

    #[test]
    fn what_is_there_stays_and_what_belongs_together_agrees() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = run(dir.path(), 1, false).expect("made");
        assert!(first["made"].as_array().is_some_and(|m| m.len() > 20));
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).expect(file);
        let key = read("customer/service-customer.key");
        assert_eq!(key, read("identity/service-customer.key"));
        let url = read("customer/database-url");
        let password = read("postgres/customer.password");
        assert!(url.contains(&password) && read("postgres/roles.sql").contains(&password));
        assert_ne!(password, read("postgres/identity.password"));

        std::fs::remove_file(dir.path().join("customer/service-customer.key")).expect("removed");
        let second = run(dir.path(), 2, false).expect("made again");
        assert_eq!(
            second["made"],
            serde_json::json!(["customer/service-customer.key"])
        );
        assert_eq!(read("customer/service-customer.key"), key);
    }

    #[test]
    fn secrets_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let made = run(dir.path(), 3, true).expect("made");
        for file in made["made"].as_array().expect("a list") {
            let path = dir.path().join(file.as_str().expect("a name"));
            let mode = path.metadata().expect("the file").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        assert!(dir.path().join("gateway/tls.crt").exists());
    }

    #[test]
    fn a_server_with_a_password_in_it_is_refused() {
        let args = MakeArgs {
            out: PathBuf::from("unused"),
            postgres: "u:p@host/db".to_owned(),
            tls: false,
            namespace: "jinke".to_owned(),
        };
        assert_eq!(
            check(&args).expect_err("refused").violations[0].field,
            "postgres"
        );
    }
}
