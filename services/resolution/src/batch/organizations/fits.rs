//! Which tables are of Chinese business customers.

use std::{collections::BTreeMap, sync::LazyLock};

use super::PIECE;
use crate::{
    batch::{Semantic, Table, model::Mode, parallel, scripts::is_eastern},
    standardize::text::{ByChar, is_han},
};

/// What only Chinese names of businesses have.
const CHINESE: &[&str] = &[
    "公司",
    "集团",
    "厂",
    "店",
    "商行",
    "经营部",
    "事务所",
    "合作社",
    "中心",
    "馆",
    "酒楼",
];

/// [`CHINESE`] by the first character.
static SAYING: LazyLock<ByChar<Vec<&str>>> = LazyLock::new(|| {
    let mut by: BTreeMap<char, Vec<&str>> = BTreeMap::new();
    for word in CHINESE {
        by.entry(word.chars().next().unwrap_or_default())
            .or_default()
            .push(word);
    }
    ByChar::new(by)
});

/// Whether a name says in Chinese what kind of business it is.
fn says_what_it_is(name: &str) -> bool {
    name.char_indices().any(|(i, c)| {
        let words = SAYING.get(c).into_iter().flatten();
        words.into_iter().any(|w| name[i..].starts_with(w))
    })
}

/// Whether a table is one of Chinese business customers: it has a column of organization names,
/// at least half of the names are Chinese and few Japanese or Korean, a tenth say in Chinese
/// what they are, and sources may hold duplicates.
pub fn fits(table: &Table, mode: Mode, threads: usize) -> bool {
    let Some(c) = table
        .columns
        .iter()
        .position(|c| c.semantic == Semantic::OrgName)
    else {
        return false;
    };
    if mode == Mode::Link {
        return false;
    }
    let counts = parallel::map(threads, table.len().div_ceil(PIECE), |p| {
        let mut counts = [0_u64; 4];
        for row in p * PIECE..((p + 1) * PIECE).min(table.len()) {
            let name = table.cell(row, c);
            let han = name.chars().any(is_han);
            counts[0] += u64::from(!name.is_empty());
            counts[1] += u64::from(han);
            counts[2] += u64::from(han && is_eastern(name));
            counts[3] += u64::from(han && says_what_it_is(name));
        }
        counts
    });
    let sum = |i: usize| counts.iter().map(|c| c[i]).sum::<u64>();
    let [named, chinese, eastern, saying] = [0, 1, 2, 3].map(sum);
    named > 0 && chinese * 2 >= named && eastern * 10 < named && saying * 10 >= named
}
