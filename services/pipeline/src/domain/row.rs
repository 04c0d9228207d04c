//! What a foreign system says of a lead, version by version.
//!
//! A connector brings the same list again and again, while people here work on its leads. So a later
//! version changes what it says otherwise than the version before it, and of that only what nobody
//! has changed here since: whoever corrected a telephone number by hand keeps it.

use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lead, LeadPrivate, Money};

/// What a row says of a lead; where it says nothing, the values are empty. First touch is not among
/// it: the first one stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stated {
    /// Organization.
    pub company: String,
    /// 统一社会信用代码.
    pub uscc: String,
    /// Region.
    pub region: String,
    /// What it may be worth.
    pub estimate: Option<Money>,
    /// The sealed values.
    pub private: LeadPrivate,
}

/// One version of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeadRow {
    /// The source's revision number.
    pub revision: Option<i64>,
    /// When the source changed it.
    pub time: Option<Timestamp>,
    /// What it says.
    pub stated: Stated,
}

impl LeadRow {
    /// Whether it is an older version than one that was taken: by revision, then by time. One that
    /// has neither is older than every one that has; of two that have neither, the later arrival is
    /// the later version.
    pub fn is_older_than(&self, taken: &Self) -> bool {
        (self.revision, self.time) < (taken.revision, taken.time)
    }
}

impl Stated {
    /// What a lead says now.
    pub fn of(lead: &Lead) -> Self {
        Self {
            company: lead.company.clone(),
            uscc: lead.uscc.clone(),
            region: lead.region.clone(),
            estimate: lead.estimate.clone(),
            private: lead.private.clone().unwrap_or_default(),
        }
    }

    /// Whether it says otherwise who the lead is, so that another customer may be it.
    pub fn names_another(&self, before: &Self) -> bool {
        let of = |s: &Self| {
            (
                s.company.clone(),
                s.uscc.clone(),
                s.region.clone(),
                s.private.person_name.clone(),
                s.private.phones.clone(),
                s.private.emails.clone(),
            )
        };
        of(self) != of(before)
    }

    /// Changes a lead that is not erased in what this version says otherwise than the one before,
    /// and nobody has changed since. A lead that would then name nobody keeps its names.
    pub fn change(&self, before: &Self, lead: &mut Lead) {
        fn set<T: PartialEq + Clone>(now: &mut T, before: &T, says: &T) {
            if says != before && now == before {
                now.clone_from(says);
            }
        }
        let Some(mut private) = lead.private.take() else {
            return;
        };
        let names = (lead.company.clone(), private.person_name.clone());
        set(&mut lead.company, &before.company, &self.company);
        set(&mut lead.uscc, &before.uscc, &self.uscc);
        set(&mut lead.region, &before.region, &self.region);
        set(&mut lead.estimate, &before.estimate, &self.estimate);
        let (b, s) = (&before.private, &self.private);
        set(&mut private.person_name, &b.person_name, &s.person_name);
        set(&mut private.phones, &b.phones, &s.phones);
        set(&mut private.emails, &b.emails, &s.emails);
        set(&mut private.title, &b.title, &s.title);
        set(&mut private.interest, &b.interest, &s.interest);
        set(&mut private.remark, &b.remark, &s.remark);
        if lead.company.is_empty() && private.person_name.is_empty() {
            (lead.company, private.person_name) = names;
        }
        lead.private = Some(private);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(company: &str, phone: &str, remark: &str) -> Stated {
        Stated {
            company: company.to_owned(),
            private: LeadPrivate {
                phones: vec![phone.to_owned()],
                remark: remark.to_owned(),
                ..LeadPrivate::default()
            },
            ..Stated::default()
        }
    }

    fn lead(s: &Stated) -> Lead {
        Lead {
            company: s.company.clone(),
            private: Some(s.private.clone()),
            ..Lead::default()
        }
    }

    #[test]
    fn versions_are_ordered_by_revision_then_time_then_arrival() {
        let row = |revision, time: Option<i64>| LeadRow {
            revision,
            time: time.map(Timestamp::from_secs),
            stated: Stated::default(),
        };
        for (earlier, later) in [
            (row(Some(1), Some(9)), row(Some(2), Some(1))),
            (row(Some(1), Some(1)), row(Some(1), Some(2))),
            (row(None, None), row(None, Some(1))),
            (row(None, Some(9)), row(Some(1), None)),
        ] {
            assert!(earlier.is_older_than(&later), "{earlier:?} {later:?}");
            assert!(!later.is_older_than(&earlier), "{earlier:?} {later:?}");
        }
        for same in [row(None, None), row(Some(1), Some(1))] {
            assert!(!same.is_older_than(&same));
        }
    }

    #[test]
    fn a_version_changes_what_it_says_otherwise_and_nobody_changed_here() {
        let (old, new) = (stated("甲公司", "1", "旧"), stated("甲公司", "2", "新"));
        // Nobody touched it: all of it.
        let mut untouched = lead(&old);
        new.change(&old, &mut untouched);
        assert_eq!(Stated::of(&untouched), new);
        // Somebody corrected the phone: that stays, the remark comes.
        let mut corrected = lead(&stated("甲公司(杭州)", "3", "旧"));
        new.change(&old, &mut corrected);
        assert_eq!(
            Stated::of(&corrected),
            stated("甲公司(杭州)", "3", "新"),
            "a name the row says as before stays as it was corrected, too"
        );
        // A blank is said, too; but a lead always names somebody.
        let mut named = lead(&old);
        stated("", "1", "").change(&old, &mut named);
        assert_eq!(Stated::of(&named), stated("甲公司", "1", ""));
        // An erased lead stays erased.
        let mut erased = Lead::default();
        new.change(&old, &mut erased);
        assert_eq!(erased, Lead::default());
    }

    #[test]
    fn only_who_it_is_makes_another_customer_of_it() {
        let old = stated("甲公司", "1", "旧");
        assert!(!stated("甲公司", "1", "新").names_another(&old));
        assert!(stated("甲公司", "2", "旧").names_another(&old));
        assert!(stated("乙公司", "1", "旧").names_another(&old));
    }
}
