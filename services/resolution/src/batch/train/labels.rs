//! What people say about pairs.

use std::collections::BTreeMap;

use super::{Comparer, Pattern};

/// How many labelled pairs of each pattern are others, and how many one thing.
pub(in super::super) type Labelled = BTreeMap<Pattern, [u64; 2]>;

/// What learning believes about a pattern counts as so many labelled pairs of it.
const BELIEF: f64 = 2.0;

/// The patterns of labelled pairs, each pair once; of two labels of a pair the last counts. Pairs
/// that may not be one thing by the mode are left out.
pub(in super::super) fn labelled(
    comparer: &Comparer<'_>,
    labels: &[(u32, u32, bool)],
    side: &(dyn Fn(u32, u32) -> Option<u8> + Sync),
) -> Labelled {
    let mut once: BTreeMap<(u32, u32), bool> = BTreeMap::new();
    for (a, b, same) in labels.iter().filter(|l| l.0 != l.1) {
        once.insert((*a.min(b), *a.max(b)), *same);
    }
    let mut out = Labelled::new();
    for ((a, b), same) in once {
        if side(a, b).is_some() {
            let p = comparer.pattern(a as usize, b as usize);
            out.entry(p).or_default()[usize::from(same)] += 1;
        }
    }
    out
}

/// Moves the shares of matches and of each class of kin to what people said about pairs of the
/// pattern. They labelled some of many: the rest of the pattern is like them.
pub(super) fn told(shares: &mut [f64], [others, same]: [u64; 2]) {
    let [others, same] = [others as f64, same as f64];
    let Some((matches, kin)) = shares.split_first_mut() else {
        return;
    };
    let before = 1.0 - *matches;
    *matches = (*matches * BELIEF + same) / (BELIEF + same + others);
    // What is no match is kin or not as before.
    let left = 1.0 - *matches;
    let scale = if before > 1e-9 { left / before } else { 0.0 };
    kin.iter_mut().for_each(|k| *k *= scale);
}
