//! An opportunity and its moves.

use std::collections::BTreeSet;

use jinke_types::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{FirstTouch, Money, process};

/// A product asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// Code or name.
    pub product: String,
    /// How many.
    pub quantity: Decimal,
    /// Unit.
    pub unit: String,
    /// Price of one, in the currency of the opportunity.
    pub price: Option<Decimal>,
}

/// A person at the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Record number as addressed.
    pub person: i64,
    /// Role.
    pub role: String,
}

/// A ticked item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Stage.
    pub stage: String,
    /// Item.
    pub item: String,
    /// Who.
    pub actor: String,
    /// When.
    pub time: Timestamp,
}

/// Free values of an opportunity; sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpportunityPrivate {
    /// Description.
    pub description: String,
    /// Why it was won or lost, in words.
    pub comment: String,
}

/// An opportunity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opportunity {
    /// `opportunities/{id}`.
    pub id: i64,
    /// Title.
    pub display_name: String,
    /// The customer as addressed.
    pub customer: i64,
    /// The customer that holds it now.
    pub current: i64,
    /// Pipeline.
    pub pipeline: String,
    /// Its version.
    pub version: i64,
    /// Stage.
    pub stage: String,
    /// Furthest stage so far.
    pub reached: String,
    /// See [`super::outcome`].
    pub outcome: i64,
    /// What it is worth.
    pub amount: Option<Money>,
    /// Expected close, `YYYY-MM-DD`.
    pub close_date: Option<String>,
    /// Products.
    pub line_items: Vec<LineItem>,
    /// Persons.
    pub contacts: Vec<Contact>,
    /// Ticks.
    pub checked: Vec<Checked>,
    /// `users/…`.
    pub owner: String,
    /// `orgUnits/…`, or empty.
    pub org_unit: String,
    /// The lead it came from.
    pub lead: Option<i64>,
    /// First touch.
    pub touch: FirstTouch,
    /// Win or loss reason.
    pub reason: String,
    /// When won or lost.
    pub outcome_time: Option<Timestamp>,
    /// When it entered its stage.
    pub stage_time: Timestamp,
    /// Last touched.
    pub touch_time: Timestamp,
    /// Stale from then on.
    pub stale_time: Timestamp,
    /// Overdue from then on.
    pub overdue_time: Timestamp,
    /// How many transitions it has.
    pub transitions: i64,
    /// Wrapped key of `private`.
    pub data_key: Vec<u8>,
    /// Sealed values.
    pub private: OpportunityPrivate,
    /// Grows with every change.
    pub revision: i64,
    /// Who made it.
    pub creator: String,
    /// When.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
    /// When its personal values were destroyed, because its customer was erased.
    pub erase_time: Option<Timestamp>,
}

impl Opportunity {
    /// What the amount is: the stated one, else the sum of priced items.
    pub fn facts(&self) -> process::Facts {
        process::Facts {
            amount: self.amount.is_some(),
            close_date: self.close_date.is_some(),
            line_items: !self.line_items.is_empty(),
            roles: self.contacts.iter().map(|c| c.role.clone()).collect(),
            owner: !self.owner.is_empty(),
            description: !self.private.description.is_empty(),
            checked: self
                .checked
                .iter()
                .map(|c| (c.stage.clone(), c.item.clone()))
                .collect(),
        }
    }
}

/// One move of an opportunity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// Opportunity.
    pub opportunity: i64,
    /// From 1.
    pub no: i64,
    /// See [`super::moved`].
    pub kind: i64,
    /// Pipeline before.
    pub from_pipeline: String,
    /// Pipeline after.
    pub pipeline: String,
    /// Version before; 0 for the first.
    pub from_version: i64,
    /// Version after.
    pub to_version: i64,
    /// Stage before.
    pub from_stage: String,
    /// Stage after.
    pub to_stage: String,
    /// Who.
    pub actor: String,
    /// Why, in words; sealed.
    pub cause: String,
    /// Win or loss reason.
    pub reason: String,
    /// Worth then.
    pub amount: Option<Money>,
    /// Revision it made.
    pub revision: i64,
    /// When.
    pub time: Timestamp,
}

/// The sum of priced items, when every item has a price; none without items.
pub fn items_sum(items: &[LineItem]) -> Option<Decimal> {
    if items.is_empty() {
        return None;
    }
    items
        .iter()
        .try_fold(Decimal::ZERO, |sum, item| {
            sum.checked_add(item.quantity.checked_mul(item.price?)?)
        })
        .map(|sum| sum.round_dp(9).normalize())
}

/// The set of roles a contact may have.
pub const ROLES: [&str; 8] = [
    "decision_maker",
    "economic_buyer",
    "technical_buyer",
    "user",
    "influencer",
    "champion",
    "procurement",
    "other",
];

/// Reasons of a win or loss.
pub const OUTCOME_REASONS: [&str; 11] = [
    "price",
    "product",
    "service",
    "relationship",
    "brand",
    "delivery",
    "competitor",
    "no_budget",
    "no_decision",
    "timing",
    "other",
];

/// The distinct record numbers a list of contacts names.
pub fn persons(contacts: &[Contact]) -> BTreeSet<i64> {
    contacts.iter().map(|c| c.person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_without_a_price_have_no_sum() {
        let item = |price: Option<&str>| LineItem {
            product: "P".into(),
            quantity: "3".parse().unwrap(),
            unit: String::new(),
            price: price.map(|p| p.parse().unwrap()),
        };
        assert_eq!(items_sum(&[]), None);
        assert_eq!(items_sum(&[item(Some("1.1")), item(None)]), None);
        let sum = items_sum(&[item(Some("1.1")), item(Some("0.2"))]).unwrap();
        assert_eq!(sum.to_string(), "3.9");
    }
}
