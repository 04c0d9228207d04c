//! One process of the house.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use super::{Kind, http};
use crate::suite::binary;

/// A process, running or not.
#[derive(Debug)]
pub struct Process {
    /// `customer-0`.
    pub name: String,
    /// What it serves.
    pub kind: &'static Kind,
    /// Port of gRPC.
    pub grpc: u16,
    /// Port of metrics and health.
    pub admin: u16,
    /// Port of HTTP, of a gateway.
    pub http: Option<u16>,
    /// Its settings, `section.key=value`.
    pub set: Vec<String>,
    /// Its log.
    pub log: PathBuf,
    /// Not reached by a Ctrl-C on the terminal: whoever started it stops it in its turn.
    pub aloof: bool,
    /// File of the clock it goes by; see [`crate::clock`].
    pub clock: Option<PathBuf>,
    child: Option<Child>,
}

impl Process {
    pub(super) fn new(
        name: String,
        kind: &'static Kind,
        grpc: u16,
        admin: u16,
        http: Option<u16>,
        dir: &Path,
    ) -> Self {
        let log = dir.join(format!("{name}.log"));
        Self {
            name,
            kind,
            grpc,
            admin,
            http,
            set: Vec::new(),
            log,
            aloof: false,
            clock: None,
            child: None,
        }
    }

    /// Starts it. It is not ready yet.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn spawn(&mut self) -> Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let program = binary().with_file_name(self.kind.binary);
        let mut command = Command::new(&program);
        for setting in &self.set {
            command.arg("--set").arg(setting);
        }
        if self.aloof {
            command.process_group(0);
        }
        if let Some(file) = &self.clock {
            command.env(crate::clock::VARIABLE, file);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Writes a line into its log, between its own.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn log_line(&self, line: &str) -> Result<()> {
        let mut log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        Ok(writeln!(log, "== {line}")?)
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// What `/readyz` says; an error when nobody answers within ten seconds
    /// (a machine may be busy, so less would not tell a slow process from a stopped one).
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn readyz(&self) -> Result<(u16, String)> {
        let asked = http::get_plain(self.admin, "/readyz");
        tokio::time::timeout(Duration::from_secs(10), asked).await?
    }

    /// Whether nobody answers, as when it is stopped or dead. Only for a process that is known to be
    /// so: on a busy machine one that runs may be silent for as long.
    pub async fn is_silent(&self) -> bool {
        let asked = http::get_plain(self.admin, "/readyz");
        !matches!(
            tokio::time::timeout(Duration::from_secs(2), asked).await,
            Ok(Ok(_))
        )
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        matches!(self.readyz().await, Ok((200, _)))
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it is not within that time, or ends; with its log.
    pub async fn until_ready(&mut self, within: Duration) -> Result<()> {
        self.until(within, true).await
    }

    /// Waits until it says that it is not ready, or says nothing.
    ///
    /// # Errors
    /// When it is ready all the time.
    pub async fn until_not_ready(&mut self, within: Duration) -> Result<()> {
        self.until(within, false).await
    }

    async fn until(&mut self, within: Duration, ready: bool) -> Result<()> {
        let waited = async {
            loop {
                if self.is_ready().await == ready {
                    return Ok(());
                }
                if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok()?) {
                    if !ready {
                        return Ok(());
                    }
                    bail!("it ended with {status}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let outcome = tokio::time::timeout(within, waited).await;
        let why = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("{:?}", self.readyz().await),
        };
        bail!(
            "{}: ready={ready} did not come within {within:?}: {why}\n{}",
            self.name,
            self.log_tail()
        )
    }

    /// How it ended, when it did by itself.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        Some(format!(
            "{} ended with {status}:\n{}",
            self.name,
            self.log_tail()
        ))
    }

    /// Kills it as `kill -9` does and waits for its end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Sends a signal, `STOP` or `CONT`.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.child.as_ref().and_then(Child::id);
        let pid = pid.context("it does not run")?.to_string();
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status()
            .await?;
        anyhow::ensure!(status.success(), "kill -{signal} {pid}: {status}");
        if signal == "STOP" {
            // Its threads stop one after the other, on a busy machine not at once.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal("TERM").await?;
        self.ends().await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub async fn ends(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("it does not run")?;
        match tokio::time::timeout(Duration::from_secs(60), child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} does not end:\n{}", self.name, self.log_tail()),
        }
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }
}
