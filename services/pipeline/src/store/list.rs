//! Lists: conditions, an order, a place to go on from. One text for all four resources.

use jinke_store::{Arg, Conn, Row};
use jinke_types::Failure;
use serde::{Deserialize, Serialize};

use super::Query;
use crate::access::Sight;

/// A condition on a row `t`, every `?` an argument.
pub type Condition = (&'static str, Vec<Arg>);

/// What to order by; the id breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Column, or none for the id.
    pub column: Option<&'static str>,
    /// The column is text.
    pub text: bool,
    /// Greatest first.
    pub descending: bool,
}

impl Order {
    /// By a column of times or numbers.
    pub const fn by(column: &'static str, descending: bool) -> Self {
        Self {
            column: Some(column),
            text: false,
            descending,
        }
    }
    /// By id.
    pub const ID: Self = Self {
        column: None,
        text: false,
        descending: false,
    };
}

/// The place after which a page starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The order's value, when that is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// The order's value, when that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t: Option<String>,
    /// Id.
    pub id: i64,
}

impl Place {
    /// The place of a row.
    ///
    /// # Errors
    /// `INTERNAL` when the order's column was not selected.
    pub fn of(row: &Row, order: Order) -> Result<Self, Failure> {
        let id = row.i64("id")?;
        let Some(column) = order.column else {
            return Ok(Self {
                n: None,
                t: None,
                id,
            });
        };
        Ok(if order.text {
            Self {
                n: None,
                t: Some(row.text(column)?),
                id,
            }
        } else {
            Self {
                n: Some(row.i64(column)?),
                t: None,
                id,
            }
        })
    }
}

/// Rows of a `SELECT … FROM … t … WHERE 1 = 1` that are seen and pass, at most `limit`.
///
/// # Errors
/// Those of the store.
pub async fn rows(
    conn: &mut Conn,
    select: &'static str,
    sight: &Sight,
    conditions: Vec<Condition>,
    order: Order,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<Row>, Failure> {
    let mut q = Query::new(select);
    q.seen(sight);
    for (text, args) in conditions {
        q.add(" AND ", []).add(text, args);
    }
    let (beyond, direction) = if order.descending {
        ("<", " DESC")
    } else {
        (">", "")
    };
    if let Some(place) = after {
        let value = place
            .n
            .map(Arg::from)
            .or_else(|| place.t.clone().map(Arg::from));
        match (order.column, value) {
            (Some(column), Some(value)) => {
                // The first bound lets the engine begin at the place in the index.
                q.add(
                    &format!(
                        " AND t.{column} {beyond}= ? AND (t.{column} {beyond} ? OR t.id {beyond} ?)"
                    ),
                    [value.clone(), value, Arg::from(place.id)],
                );
            }
            _ => {
                q.add(&format!(" AND t.id {beyond} ?"), [Arg::from(place.id)]);
            }
        }
    }
    match order.column {
        Some(column) => q.add(
            &format!(" ORDER BY t.{column}{direction}, t.id{direction} LIMIT ?"),
            [Arg::from(limit)],
        ),
        None => q.add(
            &format!(" ORDER BY t.id{direction} LIMIT ?"),
            [Arg::from(limit)],
        ),
    };
    q.fetch(conn).await
}
