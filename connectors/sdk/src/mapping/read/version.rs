//! Which version of a record or lead a row is.

use jinke_types::{Body, Completeness, RecordKey, SourceRecord, Timestamp};
use rust_decimal::Decimal;

use super::At;
use crate::{
    connector::Effect,
    mapping::Whole,
    parse::{self, Unreadable},
};

/// Which version a row is.
pub(super) struct Version {
    pub(super) revision: Option<i64>,
    pub(super) time: Option<Timestamp>,
    pub(super) deleted: bool,
}

impl At<'_> {
    /// Which version the row is; nothing when that cannot be read.
    pub(super) fn version(&mut self) -> Option<Version> {
        let mapping = &self.bound.mapping;
        let mut source_revision = None;
        if let Some(field) = &mapping.revision
            && let Some(text) = self.text(field, Effect::RowSkipped)
        {
            let number = parse::number(&text).and_then(|n| {
                let whole = if n.fract() == Decimal::ZERO {
                    i64::try_from(n).ok()
                } else {
                    None
                };
                whole.ok_or(Unreadable("is no whole number"))
            });
            source_revision = Some(self.keep(field.column_name(), Effect::RowSkipped, number)?);
        }
        let mut update_time = None;
        if let Some(field) = &mapping.update_time {
            let before = self.out.errors.len();
            update_time = self.moment(field, Effect::RowSkipped);
            if self.out.errors.len() > before {
                return None;
            }
        }
        let deleted = mapping.deleted.as_ref().is_some_and(|c| self.holds(c));
        Some(Version {
            revision: source_revision,
            time: update_time,
            deleted,
        })
    }

    /// A record around `body`, with its version and state.
    pub(super) fn record(&mut self, source: &str, id: String, body: Body) -> Option<SourceRecord> {
        let version = self.version()?;
        let completeness = match self.bound.mapping.completeness {
            Whole::Full => Completeness::Full,
            Whole::Partial => Completeness::Partial,
        };
        let key = RecordKey::new(source, id);
        Some(SourceRecord {
            key,
            source_revision: version.revision,
            update_time: version.time,
            completeness,
            deleted: version.deleted,
            body,
        })
    }
}
