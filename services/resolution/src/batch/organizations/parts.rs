//! What the columns of a table of business customers are.

use crate::batch::{Semantic, Table};

/// What a column gives to a record.
pub(super) enum Part {
    Name,
    Contact,
    Phone,
    Email,
    Website,
    Account,
    Uscc,
    Identifier(String),
    Postcode,
    Region(usize),
    Address,
    Nothing,
}

/// What each column gives.
pub(super) fn parts(table: &Table) -> Vec<Part> {
    let each = table.columns.iter();
    each.map(|c| match c.semantic {
        Semantic::OrgName => Part::Name,
        Semantic::PersonName => Part::Contact,
        Semantic::Phone => Part::Phone,
        Semantic::Email => Part::Email,
        Semantic::Domain => Part::Website,
        Semantic::BankAccount => Part::Account,
        Semantic::Uscc => Part::Uscc,
        Semantic::Identifier => Part::Identifier(format!("x_{}", c.name)),
        Semantic::Postcode => Part::Postcode,
        Semantic::City => Part::Region(region_part(&c.name)),
        Semantic::Address => Part::Address,
        _ => Part::Nothing,
    })
    .collect()
}

/// Which part of a region a column of type `city` is, by its name: 0 province, 1 city,
/// 2 district, 3 country.
pub(super) fn region_part(column: &str) -> usize {
    let name = column.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
    if has(&["province", "state", "省"]) {
        0
    } else if has(&["district", "county", "区", "县"]) {
        2
    } else if has(&["country", "国"]) {
        3
    } else {
        1
    }
}
