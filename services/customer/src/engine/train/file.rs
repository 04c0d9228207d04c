//! The trained rule set as a file: the base's, with other weights, and what they were learned from.

use jinke_resolution::RuleSet;
use jinke_types::Failure;

/// What a trained version was learned from. It stands in the first line of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Records that were looked at, those of judged pairs apart.
    pub records: i64,
    /// Candidate pairs among them.
    pub candidate_pairs: i64,
    /// Judged pairs that were learned from.
    pub judged_pairs: i64,
    /// Judged pairs of which a record is not present, or was deleted by its source.
    pub judged_pairs_left_out: i64,
}

const BEGINS: &str = "# Trained from ";

impl Learned {
    fn line(&self) -> String {
        format!(
            "{BEGINS}{} records, {} candidate pairs, {} judged pairs; {} judged pairs left out.",
            self.records, self.candidate_pairs, self.judged_pairs, self.judged_pairs_left_out
        )
    }

    /// What the file of a rule set says of itself; nothing when it was not trained.
    pub fn read(text: &str) -> Option<Self> {
        let line = text.lines().next().filter(|l| l.starts_with(BEGINS))?;
        let numbers: Vec<i64> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().ok())
            .collect::<Option<_>>()?;
        let [
            records,
            candidate_pairs,
            judged_pairs,
            judged_pairs_left_out,
        ] = numbers[..]
        else {
            return None;
        };
        Some(Self {
            records,
            candidate_pairs,
            judged_pairs,
            judged_pairs_left_out,
        })
    }

    /// A version's name, made from the base and the sample.
    pub(super) fn version(&self, base: &RuleSet) -> String {
        let first: String = base.version.chars().take(40).collect();
        let mut name = format!("{first}-trained-{}-{}", self.records, self.candidate_pairs);
        if self.judged_pairs > 0 {
            name.push_str(&format!("-{}", self.judged_pairs));
        }
        name
    }
}

/// The weights in milli-bits, by comparison and level.
pub(super) fn weights_of(set: &RuleSet) -> Vec<Vec<i32>> {
    let comparisons = set.comparisons.iter();
    comparisons
        .map(|c| c.levels.iter().map(|l| l.weight).collect())
        .collect()
}

/// The base's file with other weights and another version. Levels stand in the file in the order
/// of the rule set, so the weights are replaced one after the other.
pub(super) fn rewritten(
    base: &RuleSet,
    weights: &[Vec<i32>],
    version: &str,
    learned: &Learned,
) -> Result<RuleSet, Failure> {
    let mut next = weights.iter().flatten();
    let mut out = String::with_capacity(base.to_toml().len() + 100);
    out.push_str(&learned.line());
    out.push('\n');
    let mut named = false;
    // What the base was learned from is not what this one is.
    let older = usize::from(Learned::read(base.to_toml()).is_some());
    for line in base.to_toml().lines().skip(older) {
        let (code, comment) = line.split_once('#').unwrap_or((line, ""));
        let hash = if comment.len() < line.len() && line.contains('#') {
            "#"
        } else {
            ""
        };
        if !named && code.trim_start().starts_with("version") {
            out.push_str(&format!("version = \"{version}\"\n"));
            named = true;
            continue;
        }
        let mut rest = code;
        while let Some((before, after)) = rest.split_once("weight") {
            out.push_str(before);
            out.push_str("weight");
            let digits = after.trim_start_matches([' ', '=']);
            let end = digits
                .find(|c: char| !(c.is_ascii_digit() || c == '-' || c == '_' || c == '+'))
                .unwrap_or(digits.len());
            let weight = next.next().ok_or_else(|| damaged(base))?;
            out.push_str(&format!(" = {weight}"));
            rest = &digits[end..];
        }
        out.push_str(rest);
        out.push_str(hash);
        out.push_str(comment);
        out.push('\n');
    }
    let set = RuleSet::parse(&out)
        .map_err(|e| Failure::field("version", format!("the new rule set is not read: {e}")))?;
    if weights_of(&set) == weights {
        Ok(set)
    } else {
        Err(damaged(base))
    }
}

fn damaged(base: &RuleSet) -> Failure {
    Failure::internal(format!(
        "the weights of {} do not stand in its file in order",
        base.version
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_was_learned_from_and_only_that() {
        let base = RuleSet::organization();
        assert_eq!(Learned::read(base.to_toml()), None);
        let first = Learned {
            records: 7,
            candidate_pairs: 211,
            judged_pairs: 3,
            judged_pairs_left_out: 1,
        };
        let mut weights = weights_of(&base);
        weights[0][1] += 250;
        let one = rewritten(&base, &weights, "one", &first).unwrap();
        assert_eq!(Learned::read(one.to_toml()), Some(first));
        assert_eq!((weights_of(&one), one.version.as_str()), (weights, "one"));
        let second = Learned {
            records: 8,
            ..Learned::default()
        };
        let back = rewritten(&one, &weights_of(&base), "organization-1", &second).unwrap();
        let text: Vec<&str> = back.to_toml().lines().collect();
        assert_eq!(Learned::read(back.to_toml()), Some(second));
        assert_eq!(
            back.to_toml().matches(BEGINS).count(),
            1,
            "the line of the base is gone"
        );
        assert_eq!(text.len(), base.to_toml().lines().count() + 1);
        assert_eq!(second.version(&base), "organization-1-trained-8-0");
    }
}
