//! How each answer of the contract is masked: a line for every field that the contract classes.

use jinke_kit::access::class_out;
use jinke_proto::jinke::pipeline::v1 as pb;
use jinke_types::{FieldClass, FieldMask};

/// An answer that can be masked.
pub trait Masked {
    /// Clears what `mask` does not allow.
    fn mask(&mut self, mask: &FieldMask);
}

/// By the mask alone: whether there is such a value is hidden too.
fn hidden(mask: &FieldMask) -> Vec<i32> {
    FieldClass::ALL
        .into_iter()
        .filter(|class| !mask.allows(*class))
        .map(|class| class_out(class).into())
        .collect()
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
    pb::Pipeline,
    pb::ListPipelinesResponse,
    pb::ListPipelineVersionsResponse,
    pb::AssignmentRule,
    pb::ListAssignmentRulesResponse,
    pb::DeleteAssignmentRuleResponse,
    pb::GetFirstTouchResponse,
    // Times, states and whom it went to; never what was said.
    pb::ListFiringsResponse,
    // Names of leads and what became of rows.
    pb::IngestLeadsResponse,
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
    pb::ListLeadsResponse { leads }
    pb::BatchCreateLeadsResponse { results }
    pb::batch_create_leads_response::Result { lead }
    pb::ConvertLeadResponse { lead, opportunity }
    pb::ListOpportunitiesResponse { opportunities }
    pb::ListTransitionsResponse { transitions }
    pb::ListActivitiesResponse { activities }
    pb::ListActivityVersionsResponse { activities }
    pb::ListTasksResponse { tasks }
    pb::ListPipelineChangesResponse { changes }
    pb::WatchPipelineChangesResponse { changes }
    pb::GetForecastResponse { months }
}

impl Masked for pb::Lead {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Public) {
            self.company.clear();
            self.uscc.clear();
            self.region.clear();
        }
        if !mask.allows(FieldClass::PersonName) {
            self.person_name.clear();
            self.title.clear();
        }
        if !mask.allows(FieldClass::Contact) {
            self.phones.clear();
            self.emails.clear();
        }
        if !mask.allows(FieldClass::Remark) {
            self.interest.clear();
            self.remark.clear();
            self.disqualify_comment.clear();
        }
        if !mask.allows(FieldClass::SalesAmount) {
            self.estimate = None;
        }
        self.hidden_classes = hidden(mask);
    }
}

impl Masked for pb::Opportunity {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::SalesAmount) {
            self.amount = None;
            self.line_items.clear();
        }
        if !mask.allows(FieldClass::Remark) {
            self.description.clear();
            self.outcome_comment.clear();
        }
        self.hidden_classes = hidden(mask);
    }
}

impl Masked for pb::Transition {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::SalesAmount) {
            self.amount = None;
        }
        if !mask.allows(FieldClass::Remark) {
            self.cause.clear();
        }
    }
}

impl Masked for pb::Activity {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Conversation) {
            self.subject.clear();
            self.text.clear();
        }
        self.hidden_classes = hidden(mask);
    }
}

impl Masked for pb::Task {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Remark) {
            self.subject.clear();
            self.text.clear();
            self.outcome_comment.clear();
        }
        self.hidden_classes = hidden(mask);
    }
}

impl Masked for pb::get_board_response::Column {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::SalesAmount) {
            self.amounts.clear();
            self.weighted_amounts.clear();
        }
        self.cards.mask(mask);
    }
}

impl Masked for pb::GetBoardResponse {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::SalesAmount) {
            self.won_amounts.clear();
        }
        self.columns.mask(mask);
    }
}

impl Masked for pb::get_forecast_response::Month {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::SalesAmount) {
            self.amount = None;
            self.weighted_amount = None;
            self.won_amount = None;
        }
    }
}

impl Masked for pb::PipelineChange {
    fn mask(&mut self, mask: &FieldMask) {
        use pb::pipeline_change::Snapshot;
        self.transition.mask(mask);
        match &mut self.snapshot {
            Some(Snapshot::Opportunity(o)) => o.mask(mask),
            Some(Snapshot::Lead(l)) => l.mask(mask),
            Some(Snapshot::Task(t)) => t.mask(mask),
            Some(Snapshot::Activity(a)) => a.mask(mask),
            Some(Snapshot::Pipeline(_)) | None => {}
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
