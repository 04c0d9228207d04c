//! The word to stop, and the signals it comes from.

use tokio_util::sync::CancellationToken;

/// Tells tasks that the process is stopping. Clones share one state; a child can be stopped
/// without stopping its parent.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A token nobody has triggered yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Completes once stopping begins; at once if it has begun.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
    /// Whether stopping has begun.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }
    /// Begins stopping. Cannot be taken back.
    pub fn trigger(&self) {
        self.0.cancel();
    }
    /// A token that is triggered with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
    /// Runs `work` until it is done or stopping begins; `None` in the latter case.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.0.run_until_cancelled(work).await
    }
}

/// SIGTERM and SIGINT, heard from the moment this is made: what arrives before anybody asks is kept
/// for him, so that a process that was told to stop while it still started does not miss it.
#[derive(Debug)]
pub struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    /// Completes when a signal has come, and says which.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
