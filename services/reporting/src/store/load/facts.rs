//! The facts of a frame.

use std::collections::HashMap;

use jinke_store::{Conn, Row, args};
use jinke_types::{Code, Failure, Timestamp};

use super::{Load, PAGE, dimensions::Numbered};
use crate::{
    facts::{Interaction, Line, Opportunity, Outcome, Product, Stages, Transaction, Transition},
    number,
};

/// Transactions by the hundreds in one row, as words: a driver spends far longer on a million rows
/// of nine columns than both sides spend on writing and reading these. The currency, three letters
/// or nothing, comes last.
const PACKED: &str = "\
    SELECT MAX(id) AS last, string_agg(CAST(id AS TEXT) || ' ' || CAST(party AS TEXT) || ' ' \
    || CAST(source AS TEXT) || ' ' || CAST(kind AS TEXT) || ' ' || CAST(time AS TEXT) || ' ' \
    || CAST(cancelled AS TEXT) || ' ' || CAST(units AS TEXT) || ' ' \
    || CAST(nanos AS TEXT) || ' ' || CAST(COALESCE(person, 0) AS TEXT) || ' ' \
    || COALESCE(currency, ''), ';') AS packed \
    FROM (SELECT id, party, source, kind, time, cancelled, currency, units, nanos, person \
    FROM transactions WHERE generation = $1 AND id > $2 ORDER BY id LIMIT $3) page \
    GROUP BY id / 512 ORDER BY MAX(id)";

fn damaged() -> Failure {
    Failure::internal("a stored transaction cannot be read")
}

impl Load {
    fn spend(&mut self, rows: usize) -> Result<(), Failure> {
        self.left = self.left.checked_sub(rows).ok_or_else(|| {
            Failure::new(
                Code::ResourceExhausted,
                "TOO_MANY_FACTS",
                "there are more facts than reporting.questions.max_facts allows in memory",
            )
        })?;
        Ok(())
    }

    pub(super) async fn transactions(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(PACKED, args![self.generation, after, PAGE])
                .await?;
            for row in &rows {
                after = row.i64("last")?;
                let packed = row.text("packed")?;
                for text in packed.split(';') {
                    self.transaction(text).ok_or_else(damaged)??;
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// One transaction out of [`PACKED`]; none when it is not of that form.
    fn transaction(&mut self, text: &str) -> Option<Result<(), Failure>> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        let (id, party, source, kind) = (number()?, number()?, number()?, number()?);
        let (time, cancelled, units, nanos) = (number()?, number()?, number()?, number()?);
        let person = number()?;
        let currency = words.next()?;
        if let Err(failure) = self.spend(1) {
            return Some(Err(failure));
        }
        let source = self.sources.get(&source).copied();
        let (Some(source), Some(customer)) = (source, self.parties.get(&party).copied()) else {
            return Some(Ok(()));
        };
        let Some(customer) = customer else {
            self.frame.orphans += 1;
            return Some(Ok(()));
        };
        let currency = self.currencies.get(currency).copied();
        self.frame.transactions.push(Transaction {
            id,
            customer,
            source,
            currency: currency.unwrap_or_default(),
            kind: u8::try_from(kind).unwrap_or_default(),
            cancelled: cancelled != 0,
            has_amount: currency.is_some(),
            nanos: i32::try_from(nanos).unwrap_or_default(),
            person: self.persons.use_of(person).map_or(0, |place| place + 1),
            units,
            time: Timestamp(time),
        });
        Some(Ok(()))
    }

    pub(super) async fn lines(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut places: Vec<(i64, u32)> = (0_u32..)
            .zip(&self.frame.transactions)
            .map(|(place, t)| (t.id, place))
            .collect();
        places.sort_unstable();
        let mut products = self.products(conn).await?;
        let (mut after, mut line) = (i64::MIN, i64::MIN);
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT id, line, product, item, units, nanos FROM transaction_lines \
                     WHERE generation = $1 AND (id > $2 OR (id = $2 AND line > $3)) \
                     ORDER BY id, line LIMIT $4",
                    args![self.generation, after, line, PAGE],
                )
                .await?;
            self.spend(rows.len())?;
            for row in &rows {
                after = row.i64("id")?;
                line = row.i64("line")?;
                let Ok(found) = places.binary_search_by_key(&after, |p| p.0) else {
                    continue;
                };
                let amount = match (row.opt_i64("units")?, row.opt_i64("nanos")?) {
                    (Some(units), Some(nanos)) => Some(number::of_parts(
                        units,
                        i32::try_from(nanos).unwrap_or_default(),
                    )),
                    _ => None,
                };
                self.frame.lines.push(Line {
                    transaction: places[found].1,
                    product: product(&mut products, row)?,
                    amount,
                });
            }
            if rows.is_empty() {
                break;
            }
        }
        self.frame.lines.sort_by_key(|l| l.transaction);
        let (list, moved) = products.sorted();
        for line in &mut self.frame.lines {
            line.product = moved[line.product as usize];
        }
        self.frame.products = list;
        Ok(())
    }

    pub(super) async fn interactions(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT id, party, address, holder, source, org_unit, time, channel, employee, \
                     survey, rating \
                     FROM interactions WHERE generation = $1 AND id > $2 ORDER BY id LIMIT $3",
                    args![self.generation, after, PAGE],
                )
                .await?;
            self.spend(rows.len())?;
            for row in &rows {
                after = row.i64("id")?;
                if let Some(customer) = self.holder(row)? {
                    let rating = match (row.opt_i64("survey")?, row.opt_i64("rating")?) {
                        (Some(survey), Some(rating)) => Some((survey == 2, i128::from(rating))),
                        _ => None,
                    };
                    self.frame.interactions.push(Interaction {
                        id: after,
                        customer,
                        time: row.time("time")?,
                        channel: row.text("channel")?,
                        employee: row.text("employee")?,
                        rating,
                    });
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// The place of an interaction's customer, when both are seen.
    fn holder(&self, row: &Row) -> Result<Option<u32>, Failure> {
        if let Some(party) = row.opt_i64("party")? {
            let seen = row.opt_i64("source")?.is_some_and(|s| self.scope.sees(s));
            let place = self.parties.get(&party).copied().flatten();
            return Ok(place.filter(|_| seen));
        }
        let seen = self.scope.units.sees(&row.text("org_unit")?, false);
        let address = row.opt_i64("address")?;
        let place = self.at(address, row.opt_i64("holder")?);
        Ok(place.filter(|_| seen))
    }

    /// The place of the customer at an address. Of an erased record no party tells any more: what
    /// stands there is where pipeline shows it.
    fn at(&self, address: Option<i64>, holder: Option<i64>) -> Option<u32> {
        let address = address?;
        let known = self.frame.addresses.get(&address).copied();
        if known.is_some() || self.hidden.contains(&address) {
            return known;
        }
        self.frame.addresses.get(&holder?).copied()
    }

    pub(super) async fn sales(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let mut places = HashMap::new();
        let mut after = i64::MIN;
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT id, address, holder, pipeline, version, stage, outcome, currency, units, \
                     nanos, probability, close_day, owner, org_unit, reason, create_time, outcome_time \
                     FROM opportunities WHERE generation = $1 AND id > $2 ORDER BY id LIMIT $3",
                    args![self.generation, after, PAGE],
                )
                .await?;
            self.spend(rows.len())?;
            for row in &rows {
                after = row.i64("id")?;
                if let Some(opportunity) = self.opportunity(row)? {
                    let place =
                        u32::try_from(self.frame.opportunities.len()).map_err(Failure::internal)?;
                    places.insert(after, place);
                    self.frame.opportunities.push(opportunity);
                }
            }
            if rows.is_empty() {
                break;
            }
        }
        self.transitions(conn, &places).await?;
        self.pipelines(conn).await
    }

    async fn pipelines(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let read = |row: &Row| -> Result<Stages, Failure> {
            serde_json::from_str(&row.text("stages")?).map_err(Failure::internal)
        };
        for row in &conn
            .fetch_all(
                "SELECT id, name, stages FROM pipelines WHERE generation = $1 \
                 ORDER BY id LIMIT 10000",
                args![self.generation],
            )
            .await?
        {
            let id = row.text("id")?;
            self.frame.stages.insert(id.clone(), read(row)?);
            self.frame.pipelines.insert(id, row.text("name")?);
        }
        for row in &conn
            .fetch_all(
                "SELECT pipeline, version, stages FROM pipeline_versions WHERE generation = $1 \
                 ORDER BY pipeline, version LIMIT 100000",
                args![self.generation],
            )
            .await?
        {
            let version = (row.text("pipeline")?, row.i64("version")?);
            self.frame.versions.insert(version, read(row)?);
        }
        Ok(())
    }

    fn opportunity(&self, row: &Row) -> Result<Option<Opportunity>, Failure> {
        let org_unit = row.text("org_unit")?;
        let customer = self.at(Some(row.i64("address")?), row.opt_i64("holder")?);
        let (Some(customer), true) = (customer, self.scope.units.sees(&org_unit, false)) else {
            return Ok(None);
        };
        let amount = row
            .opt_text("currency")?
            .and_then(|c| self.currencies.get(&c).copied());
        let nanos = i32::try_from(row.i64("nanos")?).unwrap_or_default();
        let units = row.i64("units")?;
        Ok(Some(Opportunity {
            id: row.i64("id")?,
            customer,
            pipeline: row.text("pipeline")?,
            version: row.i64("version")?,
            stage: row.text("stage")?,
            outcome: outcome(row.i64("outcome")?),
            amount: amount.map(|c| (number::of_parts(units, nanos), c)),
            probability: i32::try_from(row.i64("probability")?).unwrap_or_default(),
            close_day: row
                .opt_i64("close_day")?
                .and_then(|day| i32::try_from(day).ok()),
            create_time: row.time("create_time")?,
            outcome_time: row.opt_time("outcome_time")?,
            reason: row.text("reason")?,
            owner: row.text("owner")?,
            org_unit,
        }))
    }

    async fn transitions(
        &mut self,
        conn: &mut Conn,
        places: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        let (mut after, mut number) = (i64::MIN, i64::MIN);
        loop {
            let rows = conn
                .fetch_all(
                    "SELECT opportunity, number, outcome, pipeline, version, stage, time \
                     FROM transitions \
                     WHERE generation = $1 \
                     AND (opportunity > $2 OR (opportunity = $2 AND number > $3)) \
                     ORDER BY opportunity, number LIMIT $4",
                    args![self.generation, after, number, PAGE],
                )
                .await?;
            self.spend(rows.len())?;
            for row in &rows {
                after = row.i64("opportunity")?;
                number = row.i64("number")?;
                if let Some(place) = places.get(&after) {
                    self.frame.transitions.push(Transition {
                        opportunity: *place,
                        number,
                        pipeline: row.text("pipeline")?,
                        version: row.i64("version")?,
                        stage: row.text("stage")?,
                        outcome: outcome(row.i64("outcome")?),
                        time: row.time("time")?,
                    });
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

const fn outcome(code: i64) -> Outcome {
    match code {
        2 => Outcome::Won,
        3 => Outcome::Lost,
        _ => Outcome::Open,
    }
}

/// The place of a line's product. Lines from before products had numbers hold its text.
fn product(products: &mut Numbered<Product>, row: &Row) -> Result<u32, Failure> {
    if let Some(place) = row.opt_i64("item")?.and_then(|no| products.use_of(no)) {
        return Ok(place);
    }
    let name = row.text("product")?;
    Ok(products.use_value(Product {
        key: name.clone(),
        name,
        category: String::new(),
    }))
}
