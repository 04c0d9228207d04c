//! Products, persons, users and org units of a frame.
//!
//! A dimension's rows outlive the facts that named them. Those that a visible fact names come into
//! the frame, in order of their values: what a caller sees tells of nothing else, and does not depend
//! on numbers.

use std::{collections::HashMap, hash::Hash};

use jinke_store::{Conn, args};
use jinke_types::Failure;

use super::{Load, PAGE};
use crate::{facts::Product, store::directory};

/// Rows of a dimension by number, and those of them that were used.
pub(super) struct Numbered<T> {
    rows: HashMap<i64, T>,
    places: HashMap<T, u32>,
    used: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            places: HashMap::new(),
            used: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash + Ord> Numbered<T> {
    /// The place among the used ones of the row with a number; none when there is no such row.
    pub(super) fn use_of(&mut self, no: i64) -> Option<u32> {
        let value = self.rows.get(&no)?.clone();
        Some(self.use_value(value))
    }

    /// The place of a value among the used ones.
    pub(super) fn use_value(&mut self, value: T) -> u32 {
        if let Some(place) = self.places.get(&value) {
            return *place;
        }
        let place = u32::try_from(self.used.len()).unwrap_or(u32::MAX);
        self.used.push(value.clone());
        self.places.insert(value, place);
        place
    }

    /// The used ones in order, and where each place went.
    pub(super) fn sorted(self) -> (Vec<T>, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.used.len()).collect();
        order.sort_by(|a, b| self.used[*a].cmp(&self.used[*b]));
        let mut moved = vec![0; order.len()];
        for (to, from) in (0_u32..).zip(&order) {
            moved[*from] = to;
        }
        let list = order.into_iter().map(|n| self.used[n].clone()).collect();
        (list, moved)
    }
}

impl Load {
    pub(super) async fn persons(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT no, name FROM persons WHERE generation = $1 AND no > $2 \
                     ORDER BY no LIMIT $3",
                    args![self.generation, after, PAGE],
                )
                .await?;
            for row in &rows {
                after = row.i64("no")?;
                self.persons.rows.insert(after, row.text("name")?);
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Puts those persons into the frame that its transactions name.
    pub(super) fn keep_persons(&mut self) {
        let (list, moved) = std::mem::take(&mut self.persons).sorted();
        for t in &mut self.frame.transactions {
            if let Some(place) = t.person.checked_sub(1) {
                t.person = moved[place as usize] + 1;
            }
        }
        self.frame.persons = list;
    }

    /// Products by number.
    pub(super) async fn products(&self, conn: &mut Conn) -> Result<Numbered<Product>, Failure> {
        let mut products = Numbered::default();
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT no, code, name, category FROM products \
                     WHERE generation = $1 AND no > $2 ORDER BY no LIMIT $3",
                    args![self.generation, after, PAGE],
                )
                .await?;
            for row in &rows {
                after = row.i64("no")?;
                let (code, name) = (row.text("code")?, row.text("name")?);
                let product = Product {
                    key: if code.is_empty() { name.clone() } else { code },
                    name,
                    category: row.text("category")?,
                };
                products.rows.insert(after, product);
            }
            if rows.is_empty() {
                return Ok(products);
            }
        }
    }

    pub(super) async fn directory(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        self.frame.people = directory::people(conn).await?;
        self.frame.units = directory::units(conn).await?;
        Ok(())
    }
}
