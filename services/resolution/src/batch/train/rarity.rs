//! What an equal value weighs by how rare it is.

use super::{super::cells::Cells, milli};

/// What the frequency of an equal value adds: it weighs log2(m / its own share) instead of
/// log2(m / u).
pub(crate) struct Rarity {
    known: f64,
    partners: f64,
    u: f64,
    floor: f64,
}

impl Rarity {
    /// Of a column whose values are equal in the share `u` of pairs by chance, in a table in which
    /// a row has so many partners on average: they share its values, which makes them no less
    /// rare. What one thing in the table holds cannot be told from what is rarer still, so that the
    /// adjustment begins at one row; a value of many more rows than a thing has is common, and
    /// weighs what its own share says.
    pub(crate) fn new(cells: &Cells, u: f64, partners: f64) -> Self {
        let known = cells.known().max(1) as f64;
        Self {
            known,
            partners,
            u,
            floor: u.max(1.0 / known),
        }
    }

    /// For a value that so many rows hold, in milli-bits.
    pub(crate) fn of(&self, rows: u32) -> i32 {
        let rows = (f64::from(rows) / (1.0 + self.partners)).max(1.0);
        let common = ((rows - 2.0) / 2.0).clamp(0.0, 1.0);
        let base = self.floor.powf(1.0 - common) * self.u.powf(common);
        milli(base * self.known / rows).clamp(-14_000, 3_000)
    }
}
