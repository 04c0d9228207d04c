//! What a caller may see, and the one mask function (decision D9).
//!
//! * **Rows.** Every query of the store takes a [`Sight`] made of the [`Viewer`]: a lead,
//!   opportunity, activity or task is seen by whoever has the permission in its org unit, and by
//!   its owner. What a caller does not see is NOT_FOUND, and in no list, count, sum or change.
//! * **Fields.** [`mask`] clears whatever the contract marks with a class on the way out. Every
//!   handler's answer passes it: the function that turns an answer into a response demands
//!   [`Masked`]. A test walks the descriptor set and finds a field that has a class and no line in
//!   `access/answer.rs`.

mod answer;

use std::sync::Arc;

use jinke_kit::{Bearer, Grant};
use jinke_types::{Caller, Failure, FieldClass, FieldMask, RowScope};

use crate::error;

pub use answer::Masked;

/// Who asks, which rows he may see and which classes of fields.
#[derive(Clone)]
pub struct Viewer {
    /// Who calls.
    pub caller: Caller,
    /// Rows.
    pub scope: RowScope,
    /// Classes.
    pub mask: FieldMask,
    /// His token, to ask other services for him; none for this service's own work and in tests.
    pub bearer: Option<Bearer>,
}

impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewer")
            .field("caller", &self.caller)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl From<Arc<Grant>> for Viewer {
    fn from(grant: Arc<Grant>) -> Self {
        Self {
            caller: grant.caller.clone(),
            scope: grant.scope.clone(),
            mask: grant.mask.clone(),
            bearer: None,
        }
    }
}

/// Which rows a query shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All.
    All,
    /// None.
    Nothing,
    /// Those of these org units, and those of this owner.
    Some {
        /// `orgUnits/…`; the empty name stands for the enterprise itself.
        units: Vec<String>,
        /// `users/…`.
        owner: String,
    },
}

impl Sight {
    /// Whether a row is shown.
    pub fn sees(&self, org_unit: &str, owner: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Some { units, owner: me } => me == owner || units.iter().any(|u| u == org_unit),
        }
    }
}

impl Viewer {
    /// A viewer with every right, for what this service does by itself.
    pub fn service() -> Self {
        Self {
            caller: Caller {
                name: "serviceAccounts/service-pipeline".to_owned(),
                actor: None,
            },
            scope: RowScope::All,
            mask: FieldMask::all(),
            bearer: None,
        }
    }

    /// Which rows he sees.
    pub fn sight(&self) -> Sight {
        match &self.scope {
            RowScope::All => Sight::All,
            RowScope::None => Sight::Nothing,
            RowScope::OrgUnits(units) => Sight::Some {
                units: units.iter().cloned().collect(),
                owner: self.caller.name.clone(),
            },
        }
    }

    /// Whether he may read this class.
    pub fn allows(&self, class: FieldClass) -> bool {
        self.mask.allows(class)
    }

    /// The org unit something new belongs to: the named one, or the first of his.
    ///
    /// # Errors
    /// `ORG_UNIT_DENIED` for one in which he has no such role.
    pub fn org_unit(&self, named: &str) -> Result<String, Failure> {
        if named.is_empty() {
            return Ok(match &self.scope {
                RowScope::OrgUnits(units) => units.first().cloned().unwrap_or_default(),
                RowScope::All | RowScope::None => String::new(),
            });
        }
        if self.scope.sees(named, false) {
            Ok(named.to_owned())
        } else {
            Err(error::org_unit_denied(named))
        }
    }

    /// Rows and classes in one line: a page token is good for as long as they stay the same.
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

/// The mask function: clears in `answer` whatever `mask` does not allow. Masking twice is masking
/// once.
pub fn mask<A: Masked>(answer: &mut A, mask: &FieldMask) {
    answer.mask(mask);
}
