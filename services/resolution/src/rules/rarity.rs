//! How rare a name is, by the frozen term-frequency tables of a rule set.

use std::collections::BTreeMap;

use crate::{batch::parallel::mix, standardize::text::text_of};

/// Terms with their adjustments in milli-bits, by table.
type Tables = BTreeMap<String, BTreeMap<String, i32>>;

/// Bits that tell most cores from those listed: four kilobytes.
const BITS: u64 = 1 << 15;

/// What is looked up in the tables for every name, made ready once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rarity {
    /// Lengths of cores with their adjustments, ascending.
    core_lengths: Vec<(usize, i32)>,
    /// The same of names of persons.
    person_lengths: Vec<(usize, i32)>,
    /// Which cores are listed: most are not, and a look into the table costs more.
    listed: Vec<u64>,
}

impl Rarity {
    pub(super) fn of(tables: &Tables) -> Self {
        let mut listed = vec![0; (BITS / 64) as usize];
        for core in tables.get("core").into_iter().flat_map(BTreeMap::keys) {
            let bit = bit_of(core.chars());
            listed[bit / 64] |= 1 << (bit % 64);
        }
        Self {
            core_lengths: lengths(tables, "core_length"),
            person_lengths: lengths(tables, "person_length"),
            listed,
        }
    }

    /// The adjustment of a name core, else of its length. `tables` are those this was made of.
    pub(super) fn of_core(&self, tables: &Tables, core: &[char]) -> i32 {
        let bit = bit_of(core.iter().copied());
        let may_be_listed = self.listed[bit / 64] >> (bit % 64) & 1 == 1;
        let found = may_be_listed
            .then(|| tables.get("core")?.get(&*text_of(core)))
            .flatten();
        found
            .copied()
            .unwrap_or_else(|| by_length(&self.core_lengths, core.len()))
    }

    /// The adjustment of a person's name, else of its length.
    pub(super) fn of_person(&self, tables: &Tables, name: &str) -> i32 {
        let found = tables.get("person").and_then(|t| t.get(name));
        found
            .copied()
            .unwrap_or_else(|| by_length(&self.person_lengths, name.chars().count()))
    }
}

/// One of [`BITS`] for a core.
fn bit_of(core: impl Iterator<Item = char>) -> usize {
    (core.fold(0, |h, c| mix(h ^ u64::from(c))) % BITS) as usize
}

/// The adjustment of the greatest listed length that is not above `n`.
fn by_length(list: &[(usize, i32)], n: usize) -> i32 {
    let found = list.iter().rev().find(|(k, _)| *k <= n);
    found.map_or(0, |x| x.1)
}

/// Lengths with their adjustments, ascending.
fn lengths(tables: &Tables, name: &str) -> Vec<(usize, i32)> {
    let table = tables.get(name).into_iter().flatten();
    let mut out: Vec<(usize, i32)> = table
        .filter_map(|(k, w)| Some((k.parse().ok()?, *w)))
        .collect();
    out.sort_unstable();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_core_counts_by_itself_and_any_other_by_its_length() {
        let table = |terms: &[(&str, i32)]| -> BTreeMap<String, i32> {
            terms.iter().map(|(t, w)| ((*t).to_owned(), *w)).collect()
        };
        let tables: Tables = [
            (
                "core".to_owned(),
                table(&[("华为", -900), ("中国", -4_000)]),
            ),
            ("core_length".to_owned(), table(&[("2", 100), ("4", 700)])),
            ("person".to_owned(), table(&[("王伟", -3_000)])),
            ("person_length".to_owned(), table(&[("2", 50)])),
        ]
        .into();
        let rarity = Rarity::of(&tables);
        let of = |core: &str| rarity.of_core(&tables, &core.chars().collect::<Vec<_>>());
        assert_eq!((of("华为"), of("中国")), (-900, -4_000));
        assert_eq!((of("金"), of("金客"), of("金客数据资产")), (0, 100, 700));
        assert_eq!(rarity.of_person(&tables, "王伟"), -3_000);
        assert_eq!(rarity.of_person(&tables, "欧阳修远"), 50);
    }
}
