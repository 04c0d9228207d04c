//! How each answer of the contract is masked.
//!
//! A message has a line here for every field that the contract classes, and goes down into every
//! message it holds. The test at the end builds each response with one classed field filled, masks
//! it with an empty allow-list and looks whether the field is still there.

use jinke_kit::access::class_out;
use jinke_proto::jinke::customer::v1 as pb;
use jinke_types::{FieldClass, FieldMask, PartyKind};

use super::{shows_comparison, shows_key};
use crate::convert::record::party_kind;

/// An answer that can be masked.
pub trait Masked {
    /// Clears what `mask` does not allow.
    fn mask(&mut self, mask: &FieldMask);
}

/// Kind of a party as the answer states it. An answer without one is masked as a person's: the
/// stricter of the two.
fn kind(kind: i32) -> PartyKind {
    pb::PartyKind::try_from(kind)
        .ok()
        .and_then(party_kind)
        .unwrap_or(PartyKind::Person)
}

/// Whether a value may be shown: its class is that of its attribute and scheme.
fn allowed(v: &pb::Value, kind: PartyKind, mask: &FieldMask) -> bool {
    mask.allows(jinke_types::class_of(
        &v.attribute,
        &v.scheme,
        kind == PartyKind::Person,
    ))
}

fn golden(values: &mut Vec<pb::GoldenValue>, kind: PartyKind, mask: &FieldMask) {
    values.retain(|g| g.value.as_ref().is_some_and(|v| allowed(v, kind, mask)));
}

impl<T: Masked> Masked for Vec<T> {
    fn mask(&mut self, mask: &FieldMask) {
        self.iter_mut().for_each(|t| t.mask(mask));
    }
}

impl<T: Masked> Masked for Option<T> {
    fn mask(&mut self, mask: &FieldMask) {
        self.iter_mut().for_each(|t| t.mask(mask));
    }
}

/// Messages without anything to hide.
macro_rules! nothing_to_hide {
    ($($message:ty),* $(,)?) => { $(impl Masked for $message {
        fn mask(&mut self, _: &FieldMask) {}
    })* };
}

nothing_to_hide!(
    pb::Source,
    pb::ListSourcesResponse,
    // Names of records and what became of them; errors name fields, never values.
    pb::IngestSourceRecordsResponse,
    pb::StreamSourceRecordsResponse,
    pb::EraseCustomerResponse,
    pb::ListMatchReviewsResponse,
    pb::ListRuleSetsResponse,
    pb::RuleSet,
    pb::DryRun,
    pb::ListDryRunDifferencesResponse,
    pb::DeleteDryRunResponse,
    pb::GetCustomerStatsResponse,
    // How far it is; the result is of whole numbers, names of records and organization names.
    jinke_proto::google::longrunning::Operation,
);

/// Messages that only hold others.
macro_rules! holds {
    ($($message:ty { $($field:ident),+ })*) => { $(impl Masked for $message {
        fn mask(&mut self, mask: &FieldMask) {
            $(self.$field.mask(mask);)+
        }
    })* };
}

holds! {
    pb::BatchGetCustomersResponse { customers }
    pb::ListCustomersResponse { customers }
    pb::SearchCustomersResponse { customers }
    pb::LookupCustomersResponse { customers }
    pb::UnmergeCustomerResponse { customers }
    pb::ListCustomerRevisionsResponse { revisions }
    pb::ListTimelineEntriesResponse { entries }
    pb::ListRelationshipsResponse { relationships }
    pb::list_relationships_response::Entry { relationship }
    pb::GetCustomerTotalsResponse { totals }
    pb::CustomerChange { snapshot }
    pb::TimelineChange { entry }
    pb::ListTimelineChangesResponse { changes }
    pb::ListCustomerChangesResponse { changes }
    pb::WatchCustomerChangesResponse { changes }
    pb::ListSourceRecordsResponse { records }
    pb::ListJudgementsResponse { judgements }
    pb::MatchPartyResponse { candidates }
}

impl Masked for pb::Customer {
    fn mask(&mut self, mask: &FieldMask) {
        let kind = kind(self.kind);
        if kind == PartyKind::Person && !mask.allows(FieldClass::PersonName) {
            self.display_name.clear();
        }
        golden(&mut self.values, kind, mask);
        // By the mask alone: whether there is such a value is hidden too.
        self.hidden_classes = FieldClass::ALL
            .into_iter()
            .filter(|class| !mask.allows(*class))
            .map(|class| class_out(class).into())
            .collect();
    }
}

impl Masked for pb::CustomerRevision {
    fn mask(&mut self, mask: &FieldMask) {
        golden(&mut self.values, kind(self.party_kind), mask);
    }
}

impl Masked for pb::GetCustomerLineageResponse {
    fn mask(&mut self, mask: &FieldMask) {
        let kind = kind(self.kind);
        for attribute in &mut self.attributes {
            attribute
                .candidates
                .retain(|c| c.value.as_ref().is_some_and(|v| allowed(v, kind, mask)));
        }
        self.attributes.retain(|a| !a.candidates.is_empty());
        self.links.mask(mask);
        // The scores of `cohesion` are of the comparisons shown already: here no comparison is
        // listed of which a sum could be made.
    }
}

/// Takes out what hidden values say. A level tells whether two values are equal, its weight tells
/// the level, and so does a sum it is part of: sums are then of the comparisons shown.
fn compared(
    results: &mut [pb::ComparisonResult],
    score: &mut i32,
    kind: PartyKind,
    mask: &FieldMask,
) {
    let mut hidden = false;
    for result in results.iter_mut() {
        if !shows_comparison(mask, &result.comparison, kind) {
            hidden = true;
            *result = pb::ComparisonResult {
                comparison: std::mem::take(&mut result.comparison),
                ..Default::default()
            };
        }
    }
    if !hidden {
        return;
    }
    let mut sum = 0;
    for result in results {
        sum += result.weight;
        result.running_score = sum;
    }
    *score = sum;
}

impl Masked for pb::MatchExplanation {
    fn mask(&mut self, mask: &FieldMask) {
        let kind = kind(self.party_kind);
        compared(&mut self.comparisons, &mut self.score, kind, mask);
        self.shared_keys.retain(|key| shows_key(mask, key, kind));
        let person = kind == PartyKind::Person;
        let class = jinke_types::class_of("identifier", &self.exclusive_conflict, person);
        if !mask.allows(class) {
            self.exclusive_conflict.clear();
        }
    }
}

impl Masked for pb::match_party_response::Candidate {
    fn mask(&mut self, mask: &FieldMask) {
        let kind = kind(self.customer.as_ref().map_or(0, |c| c.kind));
        compared(&mut self.comparisons, &mut self.score, kind, mask);
        self.customer.mask(mask);
    }
}

impl Masked for pb::Judgement {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Remark) {
            self.comment.clear();
        }
    }
}

impl Masked for pb::get_customer_totals_response::Total {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Financial) {
            self.amount = None;
        }
    }
}

impl Masked for pb::Transaction {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Financial) {
            self.amount = None;
            self.lines.clear();
        }
        if !mask.allows(FieldClass::Remark) {
            self.text.clear();
        }
    }
}

impl Masked for pb::Interaction {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Conversation) {
            self.subject.clear();
            self.text.clear();
        }
    }
}

impl Masked for pb::Party {
    fn mask(&mut self, mask: &FieldMask) {
        let kind = kind(self.kind);
        self.values.retain(|v| allowed(v, kind, mask));
    }
}

impl Masked for pb::Relationship {
    fn mask(&mut self, mask: &FieldMask) {
        // A person stands at one end of most of them.
        self.values.retain(|v| allowed(v, PartyKind::Person, mask));
    }
}

impl Masked for pb::SourceRecord {
    fn mask(&mut self, mask: &FieldMask) {
        use pb::source_record::Body;
        match &mut self.body {
            Some(Body::Party(p)) => p.mask(mask),
            Some(Body::Relationship(r)) => r.mask(mask),
            Some(Body::Transaction(t)) => t.mask(mask),
            Some(Body::Interaction(i)) => i.mask(mask),
            None => {}
        }
    }
}

impl Masked for pb::TimelineEntry {
    fn mask(&mut self, mask: &FieldMask) {
        use pb::timeline_entry::Entry;
        match &mut self.entry {
            Some(Entry::Transaction(t)) => t.mask(mask),
            Some(Entry::Interaction(i)) => i.mask(mask),
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
