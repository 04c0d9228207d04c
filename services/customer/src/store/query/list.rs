//! Which customers pass a filter, page by page.

use jinke_store::{Arg, Conn, args};
use jinke_types::Failure;
use serde::{Deserialize, Serialize};

use super::{CustomerFilter, CustomerOrder, OrderField, Query, Rows, kind_number};

/// The place after which a page starts: the order's value of the last customer, and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Value of the order's field, when that is a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Value of the order's field, when that is a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Id of the customer.
    pub id: i64,
}

/// Live customers that pass, with their place in the order; at most `limit`. The term
/// `display_name` is not looked at here: `only` holds the ids whose name was compared.
pub async fn customers(
    conn: &mut Conn,
    rows: &Rows,
    filter: &CustomerFilter,
    only: Option<Vec<i64>>,
    order: CustomerOrder,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<Place>, Failure> {
    if rows.is_nothing() {
        return Ok(Vec::new());
    }
    let (column, is_time) = match order.field {
        OrderField::Name => ("c.id", false),
        OrderField::CreateTime => ("c.create_time", true),
        OrderField::UpdateTime => ("c.update_time", true),
        OrderField::DisplayName => ("c.display_name", false),
    };
    let mut q = Query::new(
        "SELECT c.id, c.create_time, c.update_time, c.display_name \
                            FROM customers c WHERE c.live = 1",
    );
    conditions(&mut q, rows, filter);
    if let Some(only) = only {
        q.add(" AND c.id IN LIST(?)", args![only]);
    }
    let beyond = if order.descending { "<" } else { ">" };
    if let Some(place) = after {
        let value: Option<Arg> = match order.field {
            OrderField::Name => None,
            OrderField::CreateTime | OrderField::UpdateTime => place.time.map(Arg::from),
            OrderField::DisplayName => place.text.clone().map(Arg::from),
        };
        match value {
            None => {
                q.args.push(place.id.into());
                let n = q.args.len();
                q.text.push_str(&format!(" AND c.id {beyond} ${n}"));
            }
            Some(value) => {
                q.args.push(value);
                q.args.push(place.id.into());
                let (v, i) = (q.args.len() - 1, q.args.len());
                q.text.push_str(&format!(
                    " AND ({column} {beyond} ${v} OR ({column} = ${v} AND c.id {beyond} ${i}))"
                ));
            }
        }
    }
    if order.field == OrderField::DisplayName {
        // An organization without a name has no place in an order by name.
        q.text.push_str(" AND c.display_name IS NOT NULL");
    }
    let direction = if order.descending { " DESC" } else { "" };
    if order.field == OrderField::Name {
        q.text.push_str(&format!(" ORDER BY c.id{direction}"));
    } else {
        q.text
            .push_str(&format!(" ORDER BY {column}{direction}, c.id{direction}"));
    }
    q.add(" LIMIT ?", args![i64::from(limit)]);
    let found = q.fetch_all(conn).await?;
    found
        .iter()
        .map(|row| {
            let time = match order.field {
                OrderField::CreateTime => Some(row.i64("create_time")?),
                OrderField::UpdateTime => Some(row.i64("update_time")?),
                OrderField::Name | OrderField::DisplayName => None,
            };
            debug_assert_eq!(time.is_some(), is_time);
            let text = match order.field {
                OrderField::DisplayName => row.opt_text("display_name")?,
                _ => None,
            };
            Ok(Place {
                time,
                text,
                id: row.i64("id")?,
            })
        })
        .collect()
}

fn conditions(q: &mut Query, rows: &Rows, filter: &CustomerFilter) {
    if let Some(sources) = rows.list() {
        q.add(
            " AND EXISTS (SELECT 1 FROM records r WHERE r.customer = c.id \
             AND r.source IN LIST(?))",
            args![sources],
        );
    }
    if let Some(kind) = filter.kind {
        q.add(" AND c.kind = ?", args![kind_number(kind)]);
    }
    match filter.deleted {
        Some(true) => q.text.push_str(" AND c.delete_time IS NOT NULL"),
        Some(false) => q.text.push_str(" AND c.delete_time IS NULL"),
        None => {}
    }
    for source in &filter.sources {
        if rows.sees(source) {
            q.add(
                " AND EXISTS (SELECT 1 FROM records r WHERE r.customer = c.id AND r.source = ?)",
                args![source.as_str()],
            );
        } else {
            q.text.push_str(" AND 1 = 0");
        }
    }
    for tag in &filter.tags {
        q.add(
            " AND EXISTS (SELECT 1 FROM tags t JOIN records r ON r.record_no = t.record_no \
             WHERE t.tag = ? AND r.customer = c.id",
            args![tag.as_str()],
        );
        if let Some(sources) = rows.list() {
            q.add(" AND r.source IN LIST(?)", args![sources]);
        }
        q.text.push(')');
    }
    for (column, bounds) in [
        (" AND c.create_time ", &filter.create_time),
        (" AND c.update_time ", &filter.update_time),
    ] {
        for (op, time) in bounds {
            q.text.push_str(column);
            q.text.push_str(op.sql());
            q.add(" ?", args![*time]);
        }
    }
}
