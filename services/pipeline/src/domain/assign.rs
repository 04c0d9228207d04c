//! Who gets a lead of nobody we know. The same leads in the same order go to the same people.

use std::collections::BTreeMap;

use jinke_types::Timestamp;
use serde::{Deserialize, Serialize};

/// One after the other.
pub const ROUND_ROBIN: i64 = 1;
/// The one with the fewest open leads.
pub const LOAD: i64 = 2;

/// What a rule says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleBody {
    /// Name.
    pub display_name: String,
    /// Beginnings of regions; empty fits all.
    pub regions: Vec<String>,
    /// Channels; empty fits all.
    pub channels: Vec<String>,
    /// [`ROUND_ROBIN`] or [`LOAD`].
    pub strategy: i64,
    /// `users/…`.
    pub owners: Vec<String>,
    /// Org unit leads get.
    pub org_unit: String,
    /// Not asked.
    pub disabled: bool,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Id.
    pub id: String,
    /// Lower ones first.
    pub priority: i64,
    /// What it says.
    pub body: RuleBody,
    /// What round robin gave out so far.
    pub turn: i64,
    /// Grows with every change.
    pub revision: i64,
    /// When made.
    pub create_time: Timestamp,
    /// Last change.
    pub update_time: Timestamp,
}

impl Rule {
    /// Whether it is for a lead of this region and channel.
    pub fn fits(&self, region: &str, channel: &str) -> bool {
        let b = &self.body;
        !b.disabled
            && !b.owners.is_empty()
            && (b.regions.is_empty() || b.regions.iter().any(|r| region.starts_with(r.as_str())))
            && (b.channels.is_empty() || b.channels.iter().any(|c| c == channel))
    }

    /// Whom it chooses. `loads` counts open leads by owner.
    pub fn choose(&self, loads: &BTreeMap<String, i64>) -> Option<&str> {
        let owners = &self.body.owners;
        if self.body.strategy == LOAD {
            // The first of the least: `min_by_key` keeps the first among equals.
            return owners
                .iter()
                .min_by_key(|o| loads.get(*o).copied().unwrap_or_default())
                .map(String::as_str);
        }
        let count = i64::try_from(owners.len()).ok().filter(|n| *n > 0)?;
        let at = usize::try_from(self.turn.rem_euclid(count)).ok()?;
        owners.get(at).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(strategy: i64) -> Rule {
        Rule {
            id: "r".into(),
            body: RuleBody {
                strategy,
                owners: ["users/a", "users/b", "users/c"].map(String::from).to_vec(),
                regions: vec!["浙江省".into()],
                ..RuleBody::default()
            },
            ..Rule::default()
        }
    }

    #[test]
    fn round_robin_takes_turns() {
        let mut r = rule(ROUND_ROBIN);
        let mut got = Vec::new();
        for turn in 0..5 {
            r.turn = turn;
            got.push(r.choose(&BTreeMap::new()).unwrap().to_owned());
        }
        assert_eq!(got, ["users/a", "users/b", "users/c", "users/a", "users/b"]);
    }

    #[test]
    fn load_takes_the_first_of_the_least() {
        let r = rule(LOAD);
        let loads = |list: &[(&str, i64)]| {
            list.iter()
                .map(|(o, n)| ((*o).to_owned(), *n))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(r.choose(&loads(&[("users/a", 1)])), Some("users/b"));
        assert_eq!(r.choose(&loads(&[])), Some("users/a"));
        let all = loads(&[("users/a", 3), ("users/b", 2), ("users/c", 2)]);
        assert_eq!(r.choose(&all), Some("users/b"));
    }

    #[test]
    fn a_rule_fits_by_the_beginning_of_a_region() {
        let r = rule(LOAD);
        assert!(r.fits("浙江省杭州市", "web") && !r.fits("江苏省", "web"));
        let mut off = r.clone();
        off.body.disabled = true;
        assert!(!off.fits("浙江省", "web"));
        let mut web = r;
        web.body.channels = vec!["web".into()];
        assert!(web.fits("浙江省", "web") && !web.fits("浙江省", "expo"));
    }
}
