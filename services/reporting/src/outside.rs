//! What this service does to others, as a trait, so that tests can look.

use jinke_types::{Failure, Timestamp};

/// A retention task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// `customers/{n}` the episode was opened at.
    pub customer: String,
    /// What to do.
    pub subject: String,
    /// Why, with the numbers.
    pub text: String,
    /// Until when.
    pub due: Timestamp,
    /// `churnEpisodes/{n}`: there is one task for it.
    pub origin: String,
    /// `users/…`, or empty: pipeline finds the owner.
    pub owner: String,
}

/// The other services, as far as something is done to them.
#[tonic::async_trait]
pub trait Outside: Send + Sync + 'static {
    /// Makes a task, or finds the one with this origin; its name.
    async fn create_task(&self, task: NewTask) -> Result<String, Failure>;
    /// Sets a tag at a customer.
    async fn add_tag(&self, customer: i64, tag: &str) -> Result<(), Failure>;
    /// Takes a tag from a customer.
    async fn remove_tag(&self, customer: i64, tag: &str) -> Result<(), Failure>;
}
