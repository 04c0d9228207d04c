//! The services this one asks: customer and the connector runner, each behind a trait, so that
//! tests can stand in their place.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jinke_kit::Bearer;
use jinke_types::Failure;
use serde::{Deserialize, Serialize};

use crate::domain::Lead;

/// A customer as the customer service answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The customer that holds it now.
    pub current: i64,
    /// Addresses of the records it holds, as far as the asker sees them.
    pub addresses: Vec<i64>,
    /// It is a person.
    pub person: bool,
    /// The golden owner, when that is one of our users (`users/…`).
    pub owner: Option<String>,
}

/// Who a lead may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The customer that holds the record at this address, which is what the lead looks like.
    Known(i64, Known),
    /// One of these, best first, with scores in milli-bits.
    Unsure(Vec<(i64, i32)>),
    /// Nobody known.
    Nobody,
}

/// A page of the customer feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Customers that changed, with the addresses they hold now, in order of the feed.
    pub holds: Vec<(i64, Vec<i64>)>,
    /// Every customer that the page names, also those that answer as another one or not at all.
    pub named: BTreeSet<i64>,
    /// Where to go on.
    pub token: String,
}

/// The customer service.
#[async_trait]
pub trait Customers: Send + Sync + 'static {
    /// The customer at this address, as the caller may see it; NOT_FOUND when he may not. Without
    /// a bearer asked as this service.
    async fn get(&self, bearer: Option<&Bearer>, address: i64) -> Result<Known, Failure>;
    /// Whom the lead may be.
    async fn find(&self, lead: &Lead) -> Result<Found, Failure>;
    /// Makes a record of the lead in the source `manual`; the address of that record and the
    /// customer that holds it. Twice is once.
    async fn register(&self, lead: &Lead) -> Result<Known, Failure>;
    /// The feed after a token.
    async fn changes(&self, token: &str, page: i32) -> Result<Moves, Failure>;
}

/// A message to somebody of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `users/…`.
    pub recipient: String,
    /// Title.
    pub title: String,
    /// Text.
    pub text: String,
    /// It is delivered once per id.
    pub id: String,
}

/// Whoever delivers messages.
#[async_trait]
pub trait Messenger: Send + Sync + 'static {
    /// Hands a message over to a connection. The same id twice is one message.
    async fn send(&self, connection: &str, message: &Message) -> Result<(), Failure>;
}
