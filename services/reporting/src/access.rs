//! What a caller may see, and the one mask function (decision D9).
//!
//! **Rows** are left out where facts are loaded ([`crate::store::load`]): a measure, a drill-down, a
//! segment, a report are computed over what the caller sees. **Amounts** are of the class financial,
//! those of opportunities of the class sales amount: whoever may not read it gets counts and rates, and for amounts the reason `HIDDEN`; measures and
//! dimensions that tell of amounts can neither be filtered, split nor sorted by, since what is left
//! of an answer would tell them. Grade and lifecycle stage are made for people without that class
//! and are shown to all.

use std::sync::Arc;

use jinke_kit::Grant;
use jinke_types::{Caller, Code, Failure, FieldClass, FieldMask, RowScope};

use crate::{
    convert::pb,
    measures::{Dimension, Measure},
    query::Term,
};

/// Who asks, which rows he may see and which classes of fields.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Who calls.
    pub caller: Caller,
    /// Rows.
    pub scope: RowScope,
    /// Classes.
    pub mask: FieldMask,
}

impl From<Arc<Grant>> for Viewer {
    fn from(grant: Arc<Grant>) -> Self {
        Self {
            caller: grant.caller.clone(),
            scope: grant.scope.clone(),
            mask: grant.mask.clone(),
        }
    }
}

impl Viewer {
    /// The service itself, for work nobody asked for.
    pub fn service() -> Self {
        Self {
            caller: Caller {
                name: "serviceAccounts/service-reporting".to_owned(),
                actor: None,
            },
            scope: RowScope::All,
            mask: FieldMask::all(),
        }
    }

    /// Whether amounts may be shown.
    pub fn financial(&self) -> bool {
        self.mask.allows(FieldClass::Financial)
    }

    /// Refuses a caller who may not read amounts of transactions.
    ///
    /// # Errors
    /// `FIELD_CLASS_DENIED`.
    pub fn needs_financial(&self, what: &str) -> Result<(), Failure> {
        self.needs(FieldClass::Financial, what)
    }

    /// Refuses a caller who may not read this class.
    ///
    /// # Errors
    /// `FIELD_CLASS_DENIED`.
    pub fn needs(&self, class: FieldClass, what: &str) -> Result<(), Failure> {
        if self.mask.allows(class) {
            return Ok(());
        }
        let class = class.as_str();
        Err(Failure::new(
            Code::PermissionDenied,
            "FIELD_CLASS_DENIED",
            format!("{what} tells of amounts and needs the right to read the class {class}"),
        )
        .with("field_class", class))
    }

    /// Refuses to split or filter by what the caller may not read.
    ///
    /// # Errors
    /// `FIELD_CLASS_DENIED`.
    pub fn may_ask(&self, dimensions: &[&Dimension], filter: &[Term]) -> Result<(), Failure> {
        let named = filter
            .iter()
            .filter_map(|t| crate::measures::find_dimension(t.dimension));
        for dimension in dimensions.iter().copied().chain(named) {
            if dimension.financial {
                self.needs_financial(dimension.id)?;
            }
        }
        Ok(())
    }

    /// Whether a value of this measure may be shown.
    pub fn sees(&self, measure: &Measure) -> bool {
        measure.class.is_none_or(|class| self.mask.allows(class))
    }

    /// Rows and classes in one line: what a page token or a report is good for.
    pub fn fingerprint(&self) -> String {
        let rows = match &self.scope {
            RowScope::None => "none".to_owned(),
            RowScope::All => "all".to_owned(),
            RowScope::OrgUnits(units) => units
                .iter()
                .map(|u| format!("{}:{u}", u.len()))
                .collect::<Vec<_>>()
                .join(","),
        };
        let classes: Vec<_> = self.mask.classes().map(FieldClass::as_str).collect();
        format!("{rows}|{}", classes.join(","))
    }
}

/// An answer that can be masked.
pub trait Masked {
    /// Clears what `mask` does not allow.
    fn mask(&mut self, mask: &FieldMask);
}

/// Messages whose amounts were decided on where they were computed, or that have none.
macro_rules! nothing_to_hide {
    ($($message:ty),* $(,)?) => { $(impl Masked for $message {
        fn mask(&mut self, _: &FieldMask) {}
    })* };
}

nothing_to_hide!(
    pb::ListMeasuresResponse,
    pb::QueryMetricsResponse,
    pb::ListMetricRowsResponse,
    pb::PublishInsightsResponse,
    pb::EvaluateChurnResponse,
    pb::Segment,
    pb::ListSegmentsResponse,
    pb::DeleteSegmentResponse,
    pb::ListSegmentMembersResponse,
    pb::ExplainSegmentMembershipResponse,
    pb::PreviewSegmentResponse,
    pb::ListSegmentVariablesResponse,
    pb::Report,
    pb::ListReportsResponse,
    pb::DownloadReportResponse,
    pb::DeleteReportResponse,
    pb::Projection,
    pb::ListProjectionsResponse,
);

impl Masked for pb::Rfm {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Financial) {
            self.monetary = None;
            self.m = 0;
            self.segment.clear();
        }
    }
}

impl Masked for pb::CustomerInsight {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Financial) {
            self.grade_points = 0;
        }
        if let Some(rfm) = &mut self.rfm {
            rfm.mask(mask);
        }
    }
}

impl Masked for pb::ListCustomerInsightsResponse {
    fn mask(&mut self, mask: &FieldMask) {
        self.insights.iter_mut().for_each(|i| i.mask(mask));
    }
}

impl Masked for pb::ChurnEpisode {
    fn mask(&mut self, mask: &FieldMask) {
        if !mask.allows(FieldClass::Remark) {
            self.comment.clear();
        }
    }
}

impl Masked for pb::ListChurnEpisodesResponse {
    fn mask(&mut self, mask: &FieldMask) {
        self.episodes.iter_mut().for_each(|e| e.mask(mask));
    }
}
