//! A frame for one caller, out of the serving generation.
//!
//! Rows of facts are read in pages of their key within one snapshot, so that a million of them need
//! one list in memory and not two. What a caller does not see is left out here and nowhere else:
//!
//! * a customer is there when one of its records' sources is visible;
//! * a fact is there when its source is visible and that of the party it names, too;
//! * an attribute is there when the source its value survived from is visible;
//! * an opportunity or activity is there when its org unit is.

mod dimensions;
mod facts;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jinke_store::{Conn, Database, args};
use jinke_types::{Failure, RowScope};

use super::{directory, projection};
use crate::{
    facts::{Customer, Frame, Source},
    measures::cohort::FIELDS,
    publish::PREFIXES,
};

/// Rows read at a time.
const PAGE: i64 = 50_000;

/// Attributes customers are split by.
pub const ATTRIBUTES: [&str; 5] = ["province", "city", "industry", "size", "owner"];

/// What identifies a frame: as long as it stays the same, so does the frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Generation and its sequence.
    pub generation: (i64, i64),
    /// Visible sources by number, none for all.
    pub sources: Option<Vec<i64>>,
    /// Visible org units, none for all.
    pub org_units: Option<Vec<String>>,
    /// With lines.
    pub lines: bool,
    /// Users and org units.
    pub directory: i64,
}

struct Scope {
    sources: Option<BTreeSet<i64>>,
    units: RowScope,
}

impl Scope {
    fn sees(&self, source: i64) -> bool {
        self.sources.as_ref().is_none_or(|s| s.contains(&source))
    }
}

/// The version of the frame that `scope` sees now.
///
/// # Errors
/// `PROJECTION_MISSING`.
pub async fn version(conn: &mut Conn, scope: &RowScope, lines: bool) -> Result<Version, Failure> {
    let generation = projection::serving(conn).await?;
    let (sources, org_units) = match scope {
        RowScope::All => (None, None),
        RowScope::None => (Some(Vec::new()), Some(Vec::new())),
        RowScope::OrgUnits(units) => {
            let mut visible = Vec::new();
            for row in conn
                .fetch_all(
                    "SELECT no, org_unit, shared FROM sources ORDER BY no",
                    args![],
                )
                .await?
            {
                if scope.sees(&row.text("org_unit")?, row.bool("shared")?) {
                    visible.push(row.i64("no")?);
                }
            }
            (Some(visible), Some(units.iter().cloned().collect()))
        }
    };
    Ok(Version {
        generation: (generation.no, generation.sequence),
        sources,
        org_units,
        lines,
        directory: directory::revision(conn).await?,
    })
}

/// The frame of `scope` as it is now, of at most `most` facts, with the version it is of.
///
/// # Errors
/// `TOO_MANY_FACTS`, `PROJECTION_MISSING`.
pub async fn frame(
    db: &Database,
    scope: &RowScope,
    lines: bool,
    most: usize,
) -> Result<(Version, Arc<Frame>), Failure> {
    let mut conn = db.snapshot().await?;
    let version = version(&mut conn, scope, lines).await?;
    let mut load = Load {
        generation: version.generation.0,
        scope: Scope {
            sources: version.sources.clone().map(|s| s.into_iter().collect()),
            units: scope.clone(),
        },
        frame: Frame::default(),
        parties: HashMap::new(),
        sources: BTreeMap::new(),
        currencies: BTreeMap::new(),
        hidden: HashSet::new(),
        persons: dimensions::Numbered::default(),
        left: most,
    };
    load.positions(&mut conn).await?;
    load.sources(&mut conn).await?;
    load.customers(&mut conn).await?;
    load.currencies(&mut conn).await?;
    load.persons(&mut conn).await?;
    load.directory(&mut conn).await?;
    load.transactions(&mut conn).await?;
    load.interactions(&mut conn).await?;
    load.sales(&mut conn).await?;
    load.keep_persons();
    load.frame.sort();
    if lines {
        load.lines(&mut conn).await?;
    }
    Ok((version, Arc::new(load.frame)))
}

/// `sources/{source}/records/{external id}` of facts, by record number.
pub async fn record_names(conn: &mut Conn, ids: &[i64]) -> Result<BTreeMap<i64, String>, Failure> {
    let generation = projection::serving(conn).await?.no;
    let mut names = BTreeMap::new();
    for text in [
        "SELECT f.id AS id, f.external_id AS external_id, s.id AS source FROM transactions f \
         JOIN sources s ON s.no = f.source WHERE f.generation = $1 AND f.id IN LIST($2)",
        "SELECT f.id AS id, f.external_id AS external_id, s.id AS source FROM interactions f \
         JOIN sources s ON s.no = f.source WHERE f.generation = $1 AND f.id IN LIST($2)",
    ] {
        for row in conn.fetch_all(text, args![generation, ids]).await? {
            let (source, external_id) = (row.text("source")?, row.text("external_id")?);
            names.insert(
                row.i64("id")?,
                format!("sources/{source}/records/{external_id}"),
            );
        }
    }
    Ok(names)
}

struct Load {
    generation: i64,
    scope: Scope,
    frame: Frame,
    /// Party number → place of its customer; none when it has none that is seen.
    parties: HashMap<i64, Option<u32>>,
    /// Source number → place.
    sources: BTreeMap<i64, u16>,
    currencies: BTreeMap<String, u16>,
    /// Addresses of parties that are there and not seen.
    hidden: HashSet<i64>,
    /// Who sold, by number.
    persons: dimensions::Numbered<String>,
    left: usize,
}

impl Load {
    async fn positions(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let feeds = projection::feeds(conn, self.generation).await?;
        for (place, feed) in self.frame.positions.iter_mut().zip(feeds) {
            *place = feed.position;
        }
        Ok(())
    }

    async fn sources(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let rows = conn
            .fetch_all(
                "SELECT no, id, display_name, org_unit FROM sources ORDER BY id",
                args![],
            )
            .await?;
        for row in rows.iter().take(usize::from(u16::MAX)) {
            let no = row.i64("no")?;
            if self.scope.sees(no) {
                let place = u16::try_from(self.frame.sources.len()).map_err(Failure::internal)?;
                self.sources.insert(no, place);
                self.frame.sources.push(Source {
                    id: row.text("id")?,
                    name: row.text("display_name")?,
                    org_unit: row.text("org_unit")?,
                });
            }
        }
        Ok(())
    }

    async fn customers(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut holders: HashMap<i64, Option<i64>> = HashMap::new();
        let mut addresses = Vec::new();
        let mut visible = BTreeSet::new();
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT no, source, address, customer FROM parties \
                     WHERE generation = $1 AND no > $2 ORDER BY no LIMIT $3",
                    args![self.generation, after, PAGE],
                )
                .await?;
            for row in &rows {
                after = row.i64("no")?;
                let customer = row.opt_i64("customer")?;
                if !self.scope.sees(row.i64("source")?) {
                    if let (Some(_), Some(address)) = (customer, row.opt_i64("address")?) {
                        self.hidden.insert(address);
                    }
                    continue;
                }
                holders.insert(after, customer);
                if let (Some(customer), Some(address)) = (customer, row.opt_i64("address")?) {
                    visible.insert(customer);
                    addresses.push((address, customer));
                }
            }
            if rows.is_empty() {
                break;
            }
        }
        self.rows_of_customers(conn, &visible).await?;
        self.values(conn).await?;
        for (address, customer) in addresses {
            if let Some(place) = self.frame.find(customer) {
                self.frame.addresses.insert(address, place);
            }
        }
        for (party, customer) in holders {
            let place = customer.and_then(|id| self.frame.find(id));
            self.parties.insert(party, place);
        }
        Ok(())
    }

    async fn rows_of_customers(
        &mut self,
        conn: &mut Conn,
        visible: &BTreeSet<i64>,
    ) -> Result<(), Failure> {
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT id, person, name, name_source, deleted, create_time FROM customers \
                     WHERE generation = $1 AND id > $2 ORDER BY id LIMIT $3",
                    args![self.generation, after, PAGE],
                )
                .await?;
            for row in &rows {
                after = row.i64("id")?;
                if self.scope.sources.is_some() && !visible.contains(&after) {
                    continue;
                }
                let named = row
                    .opt_i64("name_source")?
                    .is_some_and(|source| self.scope.sees(source));
                self.frame.customers.push(Customer {
                    id: after,
                    person: row.bool("person")?,
                    deleted: row.bool("deleted")?,
                    create_time: row.time("create_time")?,
                    name: if named {
                        row.text("name")?
                    } else {
                        String::new()
                    },
                    ..Customer::default()
                });
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn values(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let (mut after, mut ordinal) = (i64::MIN, i64::MIN);
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT customer, ordinal, attribute, value, source FROM customer_values \
                     WHERE generation = $1 AND (customer > $2 OR (customer = $2 AND ordinal > $3)) \
                     ORDER BY customer, ordinal LIMIT $4",
                    args![self.generation, after, ordinal, PAGE],
                )
                .await?;
            for row in &rows {
                after = row.i64("customer")?;
                ordinal = row.i64("ordinal")?;
                let seen = match row.opt_i64("source")? {
                    Some(source) => self.scope.sees(source),
                    None => self.scope.sources.is_none(),
                };
                if let (true, Some(place)) = (seen, self.frame.find(after)) {
                    let (attribute, value) = (row.text("attribute")?, row.text("value")?);
                    let customer = &mut self.frame.customers[place as usize];
                    put_value(customer, &attribute, value);
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn currencies(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut codes = BTreeSet::new();
        for text in [
            "SELECT DISTINCT currency FROM transactions WHERE generation = $1",
            "SELECT DISTINCT currency FROM opportunities WHERE generation = $1",
        ] {
            for row in conn.fetch_all(text, args![self.generation]).await? {
                codes.extend(row.opt_text("currency")?);
            }
        }
        for code in codes.into_iter().take(usize::from(u16::MAX)) {
            let place = u16::try_from(self.frame.currencies.len()).map_err(Failure::internal)?;
            self.currencies.insert(code.clone(), place);
            self.frame.currencies.push(code);
        }
        Ok(())
    }
}

fn put_value(customer: &mut Customer, attribute: &str, value: String) {
    // What this service wrote back itself fills no field.
    let ours = attribute == "tag" && PREFIXES.iter().any(|p| value.starts_with(p));
    if let Some(field) = FIELDS.iter().find(|f| **f == attribute)
        && !ours
        && !customer.filled.contains(field)
    {
        customer.filled.push(field);
    }
    if let Some(name) = ATTRIBUTES.iter().find(|a| **a == attribute) {
        customer.attributes.entry(name).or_insert(value);
    } else if attribute == "tag" && !customer.tags.contains(&value) {
        customer.tags.push(value);
    }
}
