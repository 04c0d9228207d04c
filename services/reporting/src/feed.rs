//! What the feeds say, in this service's words, and where they come from.

use std::collections::BTreeMap;

use jinke_types::{Failure, Timestamp};

/// The feeds, in the order they are followed: the crosswalk before the facts.
pub const FEEDS: [&str; 3] = ["customers", "timeline", "pipeline"];

/// A stretch of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What happened.
    pub changes: Vec<Change>,
    /// Where to go on; the same as before when nothing is new.
    pub next: String,
    /// Position of the last change; none without changes.
    pub position: Option<i64>,
    /// Time of the last change.
    pub time: Option<Timestamp>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A customer as it is now; none when it is one no more.
    Customer(i64, Option<Box<CustomerState>>),
    /// A transaction as it is now.
    Transaction(Box<TransactionState>),
    /// An interaction as it is now.
    Interaction(Box<InteractionState>),
    /// A transaction or interaction that was deleted or erased, by record number; negative for an
    /// activity of pipeline.
    Gone(i64),
    /// An opportunity as it is now.
    Opportunity(Box<OpportunityState>),
    /// A move of an opportunity.
    Transition(Box<TransitionState>),
    /// A pipeline as it is now.
    Pipeline(Box<PipelineState>),
    /// Something this service keeps nothing of.
    Other,
}

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerState {
    /// A person, not an organization.
    pub person: bool,
    /// Best name of an organization.
    pub name: String,
    /// Source of the name.
    pub name_source: String,
    /// Every record was deleted.
    pub deleted: bool,
    /// When it appeared.
    pub create_time: Timestamp,
    /// Its records: source id, external id, record number.
    pub records: Vec<(String, String, i64)>,
    /// What it is split by: attribute, value (empty for personal ones), source id.
    pub values: Vec<(&'static str, String, String)>,
}

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionState {
    /// Record number.
    pub id: i64,
    /// Source id and external id.
    pub key: (String, String),
    /// Source id and external id of the party it names.
    pub party: (String, String),
    /// As in the contract.
    pub kind: u8,
    /// When it happened.
    pub time: Timestamp,
    /// Status as the source writes it.
    pub status: String,
    /// Currency, units, billionths.
    pub amount: Option<(String, i64, i32)>,
    /// In the source's order.
    pub lines: Vec<LineState>,
    /// Our employee who sold, as the source names him.
    pub employee: String,
}

/// A line of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineState {
    /// Name of the product, or its code, or both.
    pub product: String,
    /// Code, where the source keeps it apart.
    pub code: String,
    /// Group of products.
    pub category: String,
    /// Units and billionths, in the currency of the transaction.
    pub amount: Option<(i64, i32)>,
}

/// An interaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InteractionState {
    /// Record number; negative for an activity of pipeline.
    pub id: i64,
    /// Source id and external id; of an activity empty and its name.
    pub key: (String, String),
    /// Party it names; none for an activity.
    pub party: Option<(String, String)>,
    /// Customer as addressed, of an activity.
    pub address: Option<i64>,
    /// The customer that pipeline shows the activity at.
    pub holder: Option<i64>,
    /// `orgUnits/…` of an activity.
    pub org_unit: String,
    /// As in the contract.
    pub kind: u8,
    /// When it happened.
    pub time: Timestamp,
    /// Touch point.
    pub channel: String,
    /// The customer began it.
    pub inbound: bool,
    /// Our employee.
    pub employee: String,
    /// Of a survey: 1 satisfaction, 2 recommendation, with the answer in billionths.
    pub rating: Option<(u8, i64)>,
}

/// An opportunity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpportunityState {
    /// Its id.
    pub id: i64,
    /// Customer as addressed.
    pub address: i64,
    /// The customer that pipeline shows it at.
    pub holder: Option<i64>,
    /// Id of the pipeline.
    pub pipeline: String,
    /// Version of the pipeline that it runs on.
    pub version: i64,
    /// Id of the stage.
    pub stage: String,
    /// 1 open, 2 won, 3 lost.
    pub outcome: u8,
    /// Currency, units, billionths.
    pub amount: Option<(String, i64, i32)>,
    /// Percent.
    pub probability: i32,
    /// Days since 1970.
    pub close_day: Option<i32>,
    /// `users/…`.
    pub owner: String,
    /// `orgUnits/…`.
    pub org_unit: String,
    /// Why won or lost.
    pub reason: String,
    /// When it began.
    pub create_time: Timestamp,
    /// When it was won or lost.
    pub outcome_time: Option<Timestamp>,
}

/// A move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransitionState {
    /// Opportunity.
    pub opportunity: i64,
    /// Its number within it.
    pub number: i64,
    /// 1 open, 2 won, 3 lost after the move.
    pub outcome: u8,
    /// Pipeline after the move.
    pub pipeline: String,
    /// Version of the pipeline after the move.
    pub version: i64,
    /// Stage after the move.
    pub stage: String,
    /// When.
    pub time: Timestamp,
}

/// A pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Stages of its newest version.
    pub stages: crate::facts::Stages,
    /// Stages of every version, by number.
    pub versions: Vec<(i64, crate::facts::Stages)>,
}

/// A source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// Shared with the group.
    pub shared: bool,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonState {
    /// Name shown to others; personal.
    pub display_name: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
}

/// An org unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Its name for people.
    pub display_name: String,
    /// The unit above; empty at the top.
    pub parent: String,
}

/// Users and org units, by resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryState {
    /// By `users/…`.
    pub people: BTreeMap<String, PersonState>,
    /// By `orgUnits/…`.
    pub units: BTreeMap<String, UnitState>,
}

/// Where feeds come from: the other services, or a test.
#[tonic::async_trait]
pub trait Feeds: Send + Sync + 'static {
    /// The changes of a feed after a token; the beginning when it is empty.
    async fn page(&self, feed: &'static str, token: &str) -> Result<Page, Failure>;
    /// All sources.
    async fn sources(&self) -> Result<Vec<SourceState>, Failure>;
    /// All users and org units.
    async fn directory(&self) -> Result<DirectoryState, Failure>;
}
