//! The words of this service, free of SQL and of the wire format.

mod codes;
mod cohesion;

use jinke_types::{Code, Failure, PartyKind, RecordKey, Timestamp, Value};

pub use codes::{
    RecordType, interaction_code, key_from_text, key_text, kind_code, kind_from_code,
    transaction_code, transaction_from_code,
};
pub use cohesion::{Cohesion, Shown, WeighedPair};

/// Most records that one ingest call may bring.
pub const MAX_BATCH: usize = 1_000;
/// Most records that one judgement may name on a side.
pub const MAX_JUDGED: usize = 10_000;
/// Longest comment of a judgement in characters.
pub const MAX_COMMENT: usize = 2_000;
/// Longest tag in characters.
pub const MAX_TAG: usize = 50;
/// Most tags that one addressed record may carry.
pub const MAX_TAGS: usize = 200;
/// Largest amount of a transaction, either way, in whole units of its currency.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;
/// The feed of customer changes in the change log.
pub const FEED: &str = "customers";
/// The feed of transactions and interactions; its subjects are record numbers.
pub const TIMELINE_FEED: &str = "timeline";

/// A mutation that carries a request id (decision D10).
#[derive(Clone, Debug)]
pub struct RequestId {
    /// The caller's resource name.
    pub caller: String,
    /// Full method, e.g. `jinke.customer.v1.CustomerService/MergeCustomers`.
    pub method: &'static str,
    /// The id as the caller chose it.
    pub id: String,
    /// The encoded request; only a keyed hash of it is stored.
    pub body: Vec<u8>,
}

/// A system records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Last segment of `sources/{source}`.
    pub id: String,
    /// Never given to another source.
    pub uid: i64,
    /// Name people know it by.
    pub display_name: String,
    /// 0 to 100; survivorship prefers values of a more trusted source.
    pub trust: i32,
    /// `orgUnits/…` it belongs to; empty for the enterprise.
    pub org_unit: String,
    /// Shared with the whole group; else only seen in its org unit.
    pub shared: bool,
    /// Grows by one with every change.
    pub revision: i64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
}

/// What a source is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSource {
    /// 1 to 63 of `a-z 0-9 -`, starting with a letter.
    pub id: String,
    /// Up to 200 characters.
    pub display_name: String,
    /// 0 to 100.
    pub trust: i32,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// Shared with the whole group.
    pub shared: bool,
}

/// Which fields of a source change, and to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceUpdate {
    /// New name.
    pub display_name: Option<String>,
    /// New trust.
    pub trust: Option<i32>,
    /// New org unit.
    pub org_unit: Option<String>,
    /// New sharing.
    pub shared: Option<bool>,
}

/// What became of one ingested record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A record seen for the first time.
    Created,
    /// The effective state changed.
    Updated,
    /// This version is known already; nothing was stored.
    Unchanged,
    /// An older version: kept, and the effective state did not change.
    Superseded,
    /// Refused; the error says why.
    Rejected,
}

/// The durable result of one ingested record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestResult {
    /// Which record.
    pub key: RecordKey,
    /// What became of it.
    pub outcome: Outcome,
    /// The customer that holds it now; only for parties that were not refused.
    pub customer: Option<i64>,
    /// Number of the version within its record, from 1; 0 when it was refused.
    pub version: i64,
    /// Why it was refused. Field paths start within the record, e.g. `party.kind`.
    pub error: Option<Failure>,
}

/// What happened to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A customer appeared, or an id became live again.
    Created,
    /// Values, crosswalk or attachments changed.
    Updated,
    /// Records of other customers joined; related: these customers.
    Merged,
    /// Records left; related: the customers that hold them now.
    Unmerged,
    /// All its records, or its first one, went to another customer; related: that one.
    Redirected,
    /// Every record was deleted by its source.
    Deleted,
    /// Every record was erased.
    Erased,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Updated,
        Self::Merged,
        Self::Unmerged,
        Self::Redirected,
        Self::Deleted,
        Self::Erased,
    ];
    /// The word in the change log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Merged => "merged",
            Self::Unmerged => "unmerged",
            Self::Redirected => "redirected",
            Self::Deleted => "deleted",
            Self::Erased => "erased",
        }
    }
    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// An erasure.
#[derive(Clone, Debug)]
pub struct Erase {
    /// The customer, by any of its ids.
    pub customer: i64,
    /// What the caller saw.
    pub etag: Option<String>,
    /// Only count.
    pub validate_only: bool,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Party records.
    pub records: i64,
    /// Transactions, interactions and relationships that named them.
    pub activities: i64,
}

/// A record of a customer: a line of the crosswalk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// Its number; `customers/{record_no}` addresses the customer that holds it.
    pub record_no: i64,
    /// Its name.
    pub key: RecordKey,
    /// Its source deleted it.
    pub deleted: bool,
    /// Number of its newest version.
    pub version: i64,
}

/// A value that lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Losing {
    /// The value.
    pub value: Value,
    /// Index into [`CustomerView::records`].
    pub record: usize,
    /// Business time of the value.
    pub time: Option<Timestamp>,
}

/// A surviving value with its provenance.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenEntry {
    /// The value.
    pub value: Value,
    /// Index into [`CustomerView::records`] of the record it is taken from.
    pub record: usize,
    /// What decided.
    pub rule: &'static str,
    /// Business time of the value.
    pub time: Option<Timestamp>,
    /// Indices of the records that state the same value, `record` included.
    pub supported_by: Vec<usize>,
    /// The values that lost against it.
    pub losing: Vec<Losing>,
}

/// A tag and the address it was given at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The record number the request addressed.
    pub record_no: i64,
    /// The tag.
    pub tag: String,
    /// Who set it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
}

/// A customer over the sources that a caller sees. Fields are not masked.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerView {
    /// The live id: the smallest record number of the cluster.
    pub id: i64,
    /// Organization or person.
    pub kind: PartyKind,
    /// Grows by one with every change.
    pub revision: i64,
    /// Best name; empty when no visible record has one.
    pub display_name: String,
    /// By attribute, scope and rank.
    pub values: Vec<GoldenEntry>,
    /// The visible records, by number.
    pub records: Vec<MemberRecord>,
    /// Tags at the visible records, by tag and record.
    pub tags: Vec<Tag>,
    /// When the id first appeared.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// When its last record was deleted.
    pub delete_time: Option<Timestamp>,
}

/// A customer as it was at one revision, over the sources that a caller sees now.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionView {
    /// The customer's id.
    pub customer: i64,
    /// Which revision.
    pub revision: i64,
    /// What made it.
    pub kind: ChangeKind,
    /// When.
    pub time: Timestamp,
    /// Other customers concerned.
    pub related: Vec<i64>,
    /// The records that made it up. Empty for [`ChangeKind::Redirected`].
    pub records: Vec<MemberRecord>,
    /// The golden values then.
    pub values: Vec<GoldenEntry>,
}

/// Two customers to be merged.
#[derive(Clone, Debug)]
pub struct Merge {
    /// One, by any of its ids.
    pub customer: i64,
    /// The other.
    pub other: i64,
    /// Holds although exclusive identifiers differ.
    pub override_exclusivity: bool,
    /// Why.
    pub comment: String,
    /// Etag of `customer` that the caller saw.
    pub etag: Option<String>,
    /// Etag of `other` that the caller saw.
    pub other_etag: Option<String>,
    /// Check only.
    pub validate_only: bool,
    /// Who.
    pub creator: String,
}

/// Records to be taken out of a customer.
#[derive(Clone, Debug)]
pub struct Unmerge {
    /// The customer, by any of its ids.
    pub customer: i64,
    /// The records that leave; not all of the customer's.
    pub leaving: Vec<RecordKey>,
    /// Why.
    pub comment: String,
    /// Etag that the caller saw.
    pub etag: Option<String>,
    /// Check only.
    pub validate_only: bool,
    /// Who.
    pub creator: String,
}

/// What a person decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The records are one party.
    Positive,
    /// No record of one side is the same party as a record of the other.
    Negative,
    /// Cannot be told.
    Unsure,
}

/// A judgement to be stored. Records may arrive later.
#[derive(Clone, Debug)]
pub struct NewJudgement {
    /// What was decided.
    pub decision: Decision,
    /// One side, 1 to [`MAX_JUDGED`] records.
    pub left: Vec<RecordKey>,
    /// The other side.
    pub right: Vec<RecordKey>,
    /// A positive one holds although exclusive identifiers differ.
    pub overrides_exclusivity: bool,
    /// Why.
    pub comment: String,
    /// Who.
    pub creator: String,
}

/// A stored judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgementView {
    /// Last segment of `judgements/{judgement}`.
    pub id: i64,
    /// What was decided.
    pub decision: Decision,
    /// One side.
    pub left: Vec<RecordKey>,
    /// The other side.
    pub right: Vec<RecordKey>,
    /// Holds although exclusive identifiers differ.
    pub overrides_exclusivity: bool,
    /// Why.
    pub comment: String,
    /// Who.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// When it was taken back.
    pub retract_time: Option<Timestamp>,
    /// Later evidence broke it.
    pub suspended: bool,
}

/// Why a pair is shown to a steward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReviewReason {
    /// The score lies between the thresholds.
    Unsure,
    /// The score says merge, an identifier or a judgement says no.
    Conflict,
    /// A positive judgement that later evidence broke.
    Suspended,
}

/// A pair of records a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewView {
    /// The smaller record number.
    pub left_no: i64,
    /// The greater one.
    pub right_no: i64,
    /// Name of the one.
    pub left: RecordKey,
    /// Name of the other.
    pub right: RecordKey,
    /// Customer that holds the one.
    pub left_customer: i64,
    /// Customer that holds the other.
    pub right_customer: i64,
    /// In milli-bits.
    pub score: i32,
    /// Why.
    pub reason: ReviewReason,
}

/// The etag of a resource at a revision.
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// A record with its customer.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordView {
    /// Its number.
    pub record_no: i64,
    /// The effective state, or the version asked for.
    pub record: jinke_types::SourceRecord,
    /// Number of the newest version, or of the one asked for.
    pub version: i64,
    /// The customer that holds it, for parties.
    pub customer: Option<i64>,
    /// When that version was received.
    pub receive_time: Timestamp,
}

/// The waterfall of a pair of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairExplanation {
    /// One record.
    pub left: RecordKey,
    /// The other.
    pub right: RecordKey,
    /// Kind of both; class of the compared values depends on it.
    pub kind: PartyKind,
    /// In milli-bits.
    pub score: i32,
    /// The steps, first to last.
    pub steps: Vec<jinke_resolution::Step>,
    /// Names of the blocking rules whose keys the two share and that are not generic.
    pub shared_keys: Vec<String>,
    /// Ids of judgements in force that name both, on different sides.
    pub judgements: Vec<i64>,
    /// Scheme of an exclusive identifier that differs; empty when none.
    pub exclusive_conflict: String,
    /// Whether one customer holds both now.
    pub same_customer: bool,
}

/// A record that a party would match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchCandidate {
    /// The customer that holds the record.
    pub customer: i64,
    /// Its best record.
    pub record_no: i64,
    /// In milli-bits.
    pub score: i32,
    /// The score reaches the merge threshold and no exclusive identifier differs.
    pub would_merge: bool,
    /// The steps.
    pub steps: Vec<jinke_resolution::Step>,
}

/// Stored data that this build cannot understand.
pub fn damaged(what: &str) -> Failure {
    Failure::new(
        Code::DataLoss,
        "STORED_DAMAGED",
        format!("a stored {what} cannot be read"),
    )
}
