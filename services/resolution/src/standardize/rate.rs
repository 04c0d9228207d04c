//! How rare a record's names are, by another rule set than it was standardized with.

use super::Standardized;
use crate::rules::RuleSet;

impl Standardized {
    /// The record as if it had been standardized with `rules`, which must have the same keys: only
    /// the term-frequency tables differ. Much cheaper than standardizing anew.
    #[must_use]
    pub fn rated(&self, rules: &RuleSet) -> Self {
        let mut out = self.clone();
        for n in &mut out.names {
            n.rarity = rules.rarity_of_core(&n.core);
        }
        for p in &mut out.people {
            let by_name = rules.rarity_of_person(&p.full);
            p.rarity = by_name + rules.adjustment("surname", &p.surname);
        }
        out.names.sort();
        out.people.sort();
        out
    }
}
