//! Liveness and readiness.

use jinke_types::Failure;

/// Something that must hold for a service to be ready.
#[async_trait::async_trait]
pub trait Check: Send + Sync + 'static {
    /// Short name for `/readyz`, logs and metrics: `database`, `peer:identity`.
    fn name(&self) -> &str;
    /// Whether it holds now. Called every few seconds with a deadline of its own.
    ///
    /// # Errors
    /// Why it does not hold, without personal data.
    async fn check(&self) -> Result<(), Failure>;
}
