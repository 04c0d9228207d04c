//! Dimensions that facts refer to by number: products as lines name them, persons who sold.
//!
//! A product is a spelling: what one source said of it in one line. Rows of this table never change,
//! so that a line keeps the category of its time, and the star does not depend on the order in which
//! lines came; which spelling names a code today is a question to the facts
//! ([`crate::facts::Frame::product_names`]).

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Rows, Tx, args, counter};
use jinke_types::Failure;

use super::project::short;
use crate::feed::LineState;

/// What a source says of a product in a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spelling {
    /// Number of the source.
    pub source: i64,
    /// Its code; empty where the source keeps none.
    pub code: String,
    /// Its name without the code.
    pub name: String,
    /// Group of products.
    pub category: String,
}

impl Spelling {
    /// Of a line. Many systems write `code name` or `[code] name` into one field: the code is not
    /// repeated in the name.
    pub fn of(source: i64, line: &LineState) -> Self {
        let (code, text) = (line.code.trim(), line.product.trim());
        let name = if code.is_empty() {
            text
        } else {
            let bracketed = text.strip_prefix('[').and_then(|rest| {
                let rest = rest.strip_prefix(code)?;
                rest.strip_prefix(']')
            });
            // A code that merely begins a longer one is no prefix.
            let plain = text
                .strip_prefix(code)
                .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
            bracketed.or(plain).unwrap_or(text).trim()
        };
        Self {
            source,
            code: short(code),
            name: short(name),
            category: short(line.category.trim()),
        }
    }
}

/// Numbers of spellings; one that is new gets one.
pub async fn products(
    tx: &mut Tx,
    generation: i64,
    wanted: BTreeSet<Spelling>,
) -> Result<BTreeMap<Spelling, i64>, Failure> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let names: BTreeSet<&str> = wanted.iter().map(|s| s.name.as_str()).collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    for row in tx
        .fetch_all(
            "SELECT no, source, code, name, category FROM products \
             WHERE generation = $1 AND name IN LIST($2)",
            args![generation, names],
        )
        .await?
    {
        let spelling = Spelling {
            source: row.i64("source")?,
            code: row.text("code")?,
            name: row.text("name")?,
            category: row.text("category")?,
        };
        if wanted.contains(&spelling) {
            found.insert(spelling, row.i64("no")?);
        }
    }
    let missing: Vec<Spelling> = wanted
        .into_iter()
        .filter(|s| !found.contains_key(s))
        .collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let count = u32::try_from(missing.len()).map_err(Failure::internal)?;
    let first = counter::take(tx, "products", count).await?;
    let mut rows = Rows::new(&["generation", "no", "source", "code", "name", "category"]);
    for (no, s) in (first..).zip(missing) {
        rows.push(args![
            generation,
            no,
            s.source,
            &s.code,
            &s.name,
            &s.category
        ]);
        found.insert(s, no);
    }
    tx.insert_many("products", rows, "").await?;
    Ok(found)
}

/// Numbers of persons by name; one that is new gets one.
pub async fn persons(
    tx: &mut Tx,
    generation: i64,
    wanted: BTreeSet<String>,
) -> Result<BTreeMap<String, i64>, Failure> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = wanted.iter().cloned().collect();
    for row in tx
        .fetch_all(
            "SELECT no, name FROM persons WHERE generation = $1 AND name IN LIST($2)",
            args![generation, names],
        )
        .await?
    {
        found.insert(row.text("name")?, row.i64("no")?);
    }
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|name| !found.contains_key(name))
        .collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let count = u32::try_from(missing.len()).map_err(Failure::internal)?;
    let first = counter::take(tx, "persons", count).await?;
    let mut rows = Rows::new(&["generation", "no", "name"]);
    for (no, name) in (first..).zip(missing) {
        rows.push(args![generation, no, &name]);
        found.insert(name, no);
    }
    tx.insert_many("persons", rows, "").await?;
    Ok(found)
}

/// Numbers of the products that lines of these transactions name.
pub async fn products_of(
    tx: &mut Tx,
    generation: i64,
    transactions: &[i64],
) -> Result<Vec<i64>, Failure> {
    if transactions.is_empty() {
        return Ok(Vec::new());
    }
    tx.fetch_all(
        "SELECT DISTINCT item FROM transaction_lines \
         WHERE generation = $1 AND id IN LIST($2) AND item IS NOT NULL",
        args![generation, transactions],
    )
    .await?
    .iter()
    .map(|row| row.i64("item"))
    .collect()
}

/// Removes those of these products that no line names any more: what was erased is not to be read
/// from the names of what was sold.
pub async fn prune(tx: &mut Tx, generation: i64, products: &[i64]) -> Result<(), Failure> {
    if products.is_empty() {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM products WHERE generation = $1 AND no IN LIST($2) AND NOT EXISTS \
         (SELECT 1 FROM transaction_lines l WHERE l.generation = $1 AND l.item = products.no)",
        args![generation, products],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_not_repeated_in_the_name() {
        for (product, code, name) in [
            ("CH001 变频器", "CH001", "变频器"),
            ("[CH001] 变频器", "CH001", "变频器"),
            ("变频器", "CH001", "变频器"),
            ("CH001", "CH001", ""),
            ("CH0012 变频器", "CH001", "CH0012 变频器"),
            ("CH001变频器", "CH001", "CH001变频器"),
            ("CH001-A 变频器", "CH001", "CH001-A 变频器"),
            ("变频器", "", "变频器"),
            ("", "", ""),
        ] {
            let line = LineState {
                product: product.to_owned(),
                code: code.to_owned(),
                ..LineState::default()
            };
            let spelling = Spelling::of(1, &line);
            assert_eq!(
                (spelling.code.as_str(), spelling.name.as_str()),
                (code, name)
            );
        }
    }
}
