//! Leads of a foreign system: somebody who may buy, as a list of an exhibition, a form of a web
//! site or another CRM states him.
//!
//! A stream of the kind [`LEAD`] yields them in [`crate::Page::leads`] instead of records: a lead
//! is nobody's customer yet and must not become one by being read. The runner delivers them to the
//! pipeline service, which looks for the customer, decides who gets the lead, and knows a lead
//! again by its key, so that pulling again makes none twice.

use jinke_types::{Money, RecordKey, Timestamp};
use serde::{Deserialize, Serialize};

/// The kind of a stream of leads, in [`crate::StreamSchema::kind`].
pub const LEAD: &str = "lead";
/// A lead has at most so many phones, and as many email addresses.
pub const MAX_CONTACTS: usize = 5;

/// One version of one lead, as a connector returns it. Texts are empty where the row says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// By which it is known for ever; the external id is stored in the clear and holds nothing
    /// personal.
    pub key: RecordKey,
    /// The source's own revision number, when it has one.
    #[serde(default)]
    pub source_revision: Option<i64>,
    /// When the source last changed it, when it says so.
    #[serde(default)]
    pub update_time: Option<Timestamp>,
    /// The source does not have it any more.
    #[serde(default)]
    pub deleted: bool,
    /// What it says.
    pub stated: Stated,
}

/// What a row says of a lead. One of company and person is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stated {
    /// Name of the organization.
    pub company: String,
    /// Name of the person.
    pub person_name: String,
    /// Job title.
    pub title: String,
    /// As written, at most [`MAX_CONTACTS`].
    pub phones: Vec<String>,
    /// As written, at most [`MAX_CONTACTS`].
    pub emails: Vec<String>,
    /// 统一社会信用代码.
    pub uscc: String,
    /// Province, or province and city.
    pub region: String,
    /// What they want.
    pub interest: String,
    /// Remark.
    pub remark: String,
    /// What it may be worth.
    pub estimate: Option<Money>,
    /// How they first met us: `web`, `expo`, …
    pub channel: String,
    /// The campaign of that.
    pub campaign: String,
    /// When that was.
    pub time: Option<Timestamp>,
}
