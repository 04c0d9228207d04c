//! What measures are computed from: customers and facts in memory, in columns' order.
//!
//! A frame holds what one caller may see: the customers one of whose records he sees, with the facts
//! of sources he sees. Facts name their customer by its place in [`Frame::customers`]; facts whose
//! party has not arrived, or is no customer he sees, are only counted.

use std::collections::BTreeMap;

use jinke_types::Timestamp;

use crate::number;

/// What sort of transaction; numbers as in the contract.
pub mod kind {
    /// An order.
    pub const ORDER: u8 = 1;
    /// An invoice.
    pub const INVOICE: u8 = 2;
    /// A payment.
    pub const PAYMENT: u8 = 3;
    /// A refund.
    pub const REFUND: u8 = 4;
    /// An open amount.
    pub const RECEIVABLE: u8 = 5;
    /// A ticket or complaint.
    pub const TICKET: u8 = 6;
}

/// A customer as far as measures care.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: i64,
    /// Whether it is a person.
    pub person: bool,
    /// Every record of it was deleted by its source: its facts count, it does not.
    pub deleted: bool,
    /// When we first knew of it.
    pub create_time: Timestamp,
    /// Its best name; organizations only.
    pub name: String,
    /// Attributes for dimensions, by name: `province`, `city`, `industry`, `size`, `owner`.
    pub attributes: BTreeMap<&'static str, String>,
    /// Names of fields that have a value, in order.
    pub filled: Vec<&'static str>,
    /// Tags, in order.
    pub tags: Vec<String>,
}

/// A transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Record number.
    pub id: i64,
    /// Place of its customer.
    pub customer: u32,
    /// Place of its source in [`Frame::sources`].
    pub source: u16,
    /// Place of its currency in [`Frame::currencies`]; meaningless without an amount.
    pub currency: u16,
    /// As in [`kind`].
    pub kind: u8,
    /// Its status says that it does not count.
    pub cancelled: bool,
    /// Has an amount.
    pub has_amount: bool,
    /// Billionths of the amount beside the units.
    pub nanos: i32,
    /// Who sold: 1 and the place in [`Frame::persons`]; 0 for nobody that is known.
    pub person: u32,
    /// Whole units of the amount.
    pub units: i64,
    /// When it happened.
    pub time: Timestamp,
}

impl Transaction {
    /// The amount in billionths, in its own currency.
    pub const fn amount(&self) -> Option<i128> {
        if self.has_amount {
            Some(number::of_parts(self.units, self.nanos))
        } else {
            None
        }
    }
}

/// A line of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Place of its transaction in [`Frame::transactions`].
    pub transaction: u32,
    /// What was bought, by its place in [`Frame::products`].
    pub product: u32,
    /// Amount in billionths, in the transaction's currency.
    pub amount: Option<i128>,
}

/// A product as one source spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Product {
    /// Its code; the name where the source keeps no code. Spellings with one key are one product.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Group of products; empty when the source tells none.
    pub category: String,
}

/// An org unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgUnit {
    /// Its name for people.
    pub name: String,
    /// The unit above; empty at the top.
    pub parent: String,
}

/// An interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Record number; negative for an activity of pipeline.
    pub id: i64,
    /// Place of its customer.
    pub customer: u32,
    /// When it happened.
    pub time: Timestamp,
    /// Touch point.
    pub channel: String,
    /// Our employee; empty when unknown.
    pub employee: String,
    /// A survey's answer in billionths, with what was asked: `csat` or `nps`.
    pub rating: Option<(bool, i128)>,
}

/// How an opportunity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still open.
    Open,
    /// Won.
    Won,
    /// Lost.
    Lost,
}

/// An opportunity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opportunity {
    /// Its id.
    pub id: i64,
    /// Place of its customer.
    pub customer: u32,
    /// Id of the pipeline.
    pub pipeline: String,
    /// Version of the pipeline it runs on; 0 when that was not noted.
    pub version: i64,
    /// Id of the present stage.
    pub stage: String,
    /// How it stands.
    pub outcome: Outcome,
    /// Amount in billionths and place of the currency.
    pub amount: Option<(i128, u16)>,
    /// Percent.
    pub probability: i32,
    /// Expected close, as days since 1970.
    pub close_day: Option<i32>,
    /// When it began.
    pub create_time: Timestamp,
    /// When it was won or lost.
    pub outcome_time: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// `users/…`.
    pub owner: String,
    /// `orgUnits/…`.
    pub org_unit: String,
}

/// A move of an opportunity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Place of its opportunity in [`Frame::opportunities`].
    pub opportunity: u32,
    /// Its number within the opportunity, from 1.
    pub number: i64,
    /// Id of the pipeline after the move.
    pub pipeline: String,
    /// Version of the pipeline after the move; 0 when that was not noted.
    pub version: i64,
    /// Stage after the move.
    pub stage: String,
    /// It was won, lost, or reopened by this move.
    pub outcome: Outcome,
    /// When.
    pub time: Timestamp,
}

/// A stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stage {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// For opportunities that were won.
    pub after_win: bool,
}

/// Stages of a pipeline in order.
pub type Stages = Vec<Stage>;

/// A source as far as rows depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
}

/// Everything that a question may need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// In order of id.
    pub customers: Vec<Customer>,
    /// Place of the customer by the number of any record it holds.
    pub addresses: BTreeMap<i64, u32>,
    /// In order of customer, time, id.
    pub transactions: Vec<Transaction>,
    /// In order of transaction; empty unless asked for.
    pub lines: Vec<Line>,
    /// In order of customer, time, id.
    pub interactions: Vec<Interaction>,
    /// In order of id.
    pub opportunities: Vec<Opportunity>,
    /// In order of opportunity and number.
    pub transitions: Vec<Transition>,
    /// Of the newest version, by pipeline.
    pub stages: BTreeMap<String, Stages>,
    /// Of every version, by pipeline and number.
    pub versions: BTreeMap<(String, i64), Stages>,
    /// Names of pipelines.
    pub pipelines: BTreeMap<String, String>,
    /// Who sold, in order; those that a transaction names.
    pub persons: Vec<String>,
    /// In order; those that a line names.
    pub products: Vec<Product>,
    /// The org unit of each user: `users/…` → `orgUnits/…`, or empty.
    pub people: BTreeMap<String, String>,
    /// By `orgUnits/…`.
    pub units: BTreeMap<String, OrgUnit>,
    /// Currencies in order of code.
    pub currencies: Vec<String>,
    /// Sources in order of id.
    pub sources: Vec<Source>,
    /// Transactions whose party has not arrived.
    pub orphans: i64,
    /// Positions of the feeds: customers, timeline, pipeline.
    pub positions: [i64; 3],
}

impl Frame {
    /// The place of a customer.
    pub fn find(&self, id: i64) -> Option<u32> {
        let place = self.customers.binary_search_by_key(&id, |c| c.id).ok()?;
        u32::try_from(place).ok()
    }

    /// The place of the customer that an address, `customers/{number}`, leads to.
    pub fn resolve(&self, address: i64) -> Option<u32> {
        self.addresses
            .get(&address)
            .copied()
            .or_else(|| self.find(address))
    }

    /// The customer at a place.
    pub fn customer(&self, place: u32) -> &Customer {
        &self.customers[place as usize]
    }

    /// Each customer's transactions, in order: `(place, transactions)`; customers without any are
    /// passed over.
    pub fn by_customer(&self) -> impl Iterator<Item = (u32, &[Transaction])> {
        self.transactions
            .chunk_by(|a, b| a.customer == b.customer)
            .map(|chunk| (chunk[0].customer, chunk))
    }

    /// The transactions of one customer.
    pub fn transactions_of(&self, place: u32) -> &[Transaction] {
        range(&self.transactions, place, |t| t.customer)
    }

    /// The interactions of one customer.
    pub fn interactions_of(&self, place: u32) -> &[Interaction] {
        range(&self.interactions, place, |i| i.customer)
    }

    /// The stages of a version of a pipeline: of its newest when that version is not known.
    pub fn stages_of(&self, pipeline: &str, version: i64) -> Option<&Stages> {
        self.versions
            .get(&(pipeline.to_owned(), version))
            .or_else(|| self.stages.get(pipeline))
    }

    /// Who sold in a transaction; empty when it tells nobody.
    pub fn person(&self, t: &Transaction) -> &str {
        let place = (t.person as usize).checked_sub(1);
        place
            .and_then(|n| self.persons.get(n))
            .map_or("", String::as_str)
    }

    /// What products are called, by key: as the newest transaction spells it that names them at all.
    /// Keys that are names themselves are left out.
    pub fn product_names(&self) -> BTreeMap<&str, &str> {
        let mut newest: BTreeMap<&str, (Timestamp, i64, &str)> = BTreeMap::new();
        for line in &self.lines {
            let product = &self.products[line.product as usize];
            if product.name.is_empty() || product.name == product.key {
                continue;
            }
            let t = &self.transactions[line.transaction as usize];
            let said = (t.time, t.id, product.name.as_str());
            let known = newest.entry(&product.key).or_insert(said);
            *known = said.max(*known);
        }
        newest
            .into_iter()
            .map(|(key, said)| (key, said.2))
            .collect()
    }

    /// Brings everything into its order, for tests and after loading.
    pub fn sort(&mut self) {
        self.transactions
            .sort_by_key(|t| (t.customer, t.time, t.id));
        self.interactions
            .sort_by_key(|i| (i.customer, i.time, i.id));
        self.transitions.sort_by_key(|t| (t.opportunity, t.number));
    }
}

fn range<T>(all: &[T], place: u32, of: impl Fn(&T) -> u32) -> &[T] {
    let start = all.partition_point(|t| of(t) < place);
    let end = all.partition_point(|t| of(t) <= place);
    &all[start..end]
}
