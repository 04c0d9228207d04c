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

/// Completes when the process receives SIGTERM or SIGINT.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    })
}
