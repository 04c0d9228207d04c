//! Reading rows into source records by a bound mapping.

mod activity;
mod lead;
mod party;
mod version;

use std::collections::{HashSet, VecDeque};

use chrono::Timelike;
use jinke_types::{Body, SourceRecord, Timestamp};

use super::{Bound, Condition, Field, Fields, MAX_ID_BYTES, RowKind};
use crate::{
    connector::{Effect, RowError},
    lead::Lead,
    parse::{self, Unreadable},
    row::{Cell, Row},
};

/// A text value is at most this long, in bytes; a longer one is left out and reported.
pub const MAX_VALUE_BYTES: usize = 65_536;
/// So many finished ids of grouped transactions are remembered, to find lines that stand
/// apart from the rest of their transaction.
const MAX_SEEN: usize = 1_000_000;

/// What some rows yielded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Records in the order of the rows; an organization comes before its contacts.
    pub records: Vec<SourceRecord>,
    /// Leads in the order of the rows.
    pub leads: Vec<Lead>,
    /// What could not be read.
    pub errors: Vec<RowError>,
}

/// Reads the rows of one stream, in their order, into records of one source.
#[derive(Debug)]
pub struct RowReader {
    bound: Bound,
    source: String,
    open: Option<Open>,
    seen: Seen,
    last_row: u64,
}

/// A transaction whose lines are still coming.
#[derive(Debug)]
struct Open {
    id: String,
    before: u64,
    /// `None` when a row of it could not be read: the whole is then left out.
    record: Option<SourceRecord>,
}

/// Remembers the last [`MAX_SEEN`] ids by a 64-bit hash: 16 MB at most.
#[derive(Debug, Default)]
struct Seen {
    hashes: HashSet<u64>,
    order: VecDeque<u64>,
}

impl RowReader {
    /// A reader for rows of `source`.
    pub fn new(bound: Bound, source: &str) -> Self {
        Self {
            bound,
            source: source.to_owned(),
            open: None,
            seen: Seen::default(),
            last_row: 0,
        }
    }

    /// The bound mapping.
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The last row whose records are all given out; a pull may be resumed behind it.
    pub fn safe_row(&self) -> u64 {
        self.open.as_ref().map_or(self.last_row, |open| open.before)
    }

    /// Passes over a row that an earlier pull has read, keeping only what later rows are
    /// checked against.
    pub fn skip(&mut self, row: &Row) {
        let mut out = Output::default();
        if self.grouped()
            && !row.is_blank()
            && let Some(id) = (At {
                bound: &self.bound,
                row,
                out: &mut out,
            })
            .external_id()
            && self.open.as_ref().is_none_or(|open| open.id != id)
        {
            self.seen.insert(&id);
            self.open = Some(Open {
                id,
                before: self.last_row,
                record: None,
            });
        }
        self.last_row = row.location.row;
    }

    /// Passes over a row that could not even be parted into cells.
    pub const fn pass(&mut self, row: u64) {
        self.last_row = row;
    }

    /// Ends a run of [`Self::skip`].
    pub fn skipped(&mut self) {
        self.open = None;
    }

    /// Reads one row. Its records are in `out` now, or, where rows are lines of one
    /// transaction, once its last line was read. A blank row yields nothing.
    pub fn read(&mut self, row: &Row, out: &mut Output) {
        if !row.is_blank() {
            if self.grouped() {
                self.read_line(row, out)
            } else {
                self.read_whole(row, out)
            }
        }
        self.last_row = row.location.row;
    }

    /// Gives out what is still held back; call it after the last row.
    pub fn finish(&mut self, out: &mut Output) {
        if let Some(record) = self.open.take().and_then(|open| open.record) {
            out.records.push(activity::finished(record));
        }
    }

    pub(super) fn grouped(&self) -> bool {
        self.bound
            .mapping
            .transaction
            .as_ref()
            .is_some_and(|t| t.lines.is_some())
    }

    fn read_whole(&self, row: &Row, out: &mut Output) {
        let mut at = At {
            bound: &self.bound,
            row,
            out,
        };
        let Some(id) = at.external_id() else { return };
        let kind = self.bound.mapping.kind;
        if kind.is_party() {
            at.party(&self.source, &id);
            return;
        }
        if kind == RowKind::Lead {
            let lead = at.lead(&self.source, id);
            at.out.leads.extend(lead);
            return;
        }
        let body = if let Some(kind) = kind.interaction() {
            at.interaction(kind, &self.source).map(Body::Interaction)
        } else if let Some(kind) = kind.transaction() {
            at.transaction(kind, &self.source, &id)
                .map(Body::Transaction)
        } else {
            debug_assert_eq!(kind, RowKind::Relationship);
            at.relationship(&self.source).map(Body::Relationship)
        };
        if let Some(body) = body
            && let Some(record) = at.record(&self.source, id, body)
        {
            at.out.records.push(record);
        }
    }

    fn read_line(&mut self, row: &Row, out: &mut Output) {
        let mut at = At {
            bound: &self.bound,
            row,
            out,
        };
        let Some(id) = at.external_id() else { return };
        if self.open.as_ref().is_none_or(|open| open.id != id) {
            let before = self.last_row;
            self.finish(out);
            let mut at = At {
                bound: &self.bound,
                row,
                out,
            };
            let record = if self.seen.insert(&id) {
                let kind = self.bound.mapping.kind.transaction();
                kind.and_then(|kind| at.transaction(kind, &self.source, &id))
                    .and_then(|t| at.record(&self.source, id.clone(), Body::Transaction(t)))
            } else {
                at.fail(
                    None,
                    "stands apart from the other lines of the same transaction; sort the file",
                    Effect::RowSkipped,
                );
                None
            };
            self.open = Some(Open { id, before, record });
        }
        let mut at = At {
            bound: &self.bound,
            row,
            out,
        };
        if let Some(open) = &mut self.open
            && let Some(SourceRecord {
                body: Body::Transaction(transaction),
                ..
            }) = &mut open.record
            && !at.line(transaction)
        {
            open.record = None;
        }
    }
}

impl Seen {
    /// Whether `id` is new.
    fn insert(&mut self, id: &str) -> bool {
        // FNV-1a: repeatable, and no secret is needed, since a collision costs one report.
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }
}

/// One row being read.
struct At<'a> {
    bound: &'a Bound,
    row: &'a Row,
    out: &'a mut Output,
}

impl At<'_> {
    fn fail(&mut self, column: Option<&str>, reason: &str, effect: Effect) {
        let column = column.map(|key| match self.bound.index.get(key) {
            Some((_, name)) => name.clone(),
            None => key.to_owned(),
        });
        self.out.errors.push(RowError {
            location: self.row.location.clone(),
            column,
            reason: reason.to_owned(),
            effect,
        });
    }

    /// Reports `result`'s error against `field` and drops it.
    fn keep<T>(
        &mut self,
        field: Option<&str>,
        effect: Effect,
        result: Result<T, Unreadable>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Unreadable(why)) => {
                self.fail(field, why, effect);
                None
            }
        }
    }

    fn cell(&self, column: &str) -> &Cell {
        static EMPTY: Cell = Cell::Empty;
        self.bound
            .index
            .get(column)
            .map_or(&EMPTY, |(at, _)| self.row.cell(*at))
    }

    /// The text of a column; `None` when blank.
    fn cell_text(&mut self, column: &str, effect: Effect) -> Option<String> {
        let text = match self.cell(column) {
            Cell::Empty => return None,
            Cell::Text(text) if text.len() > MAX_VALUE_BYTES => {
                self.fail(Some(column), "is longer than 65536 bytes", effect);
                return None;
            }
            Cell::Text(text) => text.trim_matches(parse::is_space).to_owned(),
            Cell::Number(number) if number.abs() >= 1e15 => {
                let why = "is a number of over 15 digits, of which the sheet lost the last; \
                           store it as text";
                self.fail(Some(column), why, effect);
                return None;
            }
            Cell::Number(number) => {
                let exact = parse::exact(*number);
                self.keep(Some(column), effect, exact)?.to_string()
            }
            Cell::Decimal(number) => number.normalize().to_string(),
            Cell::Moment(at) if at.num_seconds_from_midnight() == 0 => {
                at.format("%Y-%m-%d").to_string()
            }
            Cell::Moment(at) => at.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
            Cell::Bool(yes) => if *yes { "是" } else { "否" }.to_owned(),
            Cell::Bad(why) => {
                let why = why.clone();
                self.fail(Some(column), &why, effect);
                return None;
            }
        };
        let folded = parse::fold(&text);
        if folded.is_empty() || self.bound.blanks.contains(&folded) {
            None
        } else {
            Some(text)
        }
    }

    /// The text of a field, after its codes; `None` when blank.
    fn text(&mut self, field: &Field, effect: Effect) -> Option<String> {
        match field {
            Field::Constant(text) => Some(text.clone()),
            Field::Column { column, codes } => {
                let text = self.cell_text(column, effect)?;
                Some(recode(text, codes))
            }
        }
    }

    fn optional_text(&mut self, field: Option<&Field>) -> String {
        field
            .and_then(|f| self.text(f, Effect::ValueLeftOut))
            .unwrap_or_default()
    }

    fn moment(&mut self, field: &Field, effect: Effect) -> Option<Timestamp> {
        let text = self.text(field, effect)?;
        let read = parse::moment(&text, self.bound.mapping.date_order, self.bound.zone);
        self.keep(field.column_name(), effect, read)
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let Some(text) = self.cell_text(&condition.column, Effect::ValueLeftOut) else {
            return false;
        };
        if condition.values.is_empty() {
            let read = parse::boolean(&text);
            return self
                .keep(Some(&condition.column), Effect::ValueLeftOut, read)
                .unwrap_or_default();
        }
        let text = parse::fold(&text);
        condition.values.iter().any(|v| parse::fold(v) == text)
    }

    /// The texts of `fields` as one id; `None` when a part is blank or cannot be read.
    fn id(&mut self, fields: &Fields, what: &str) -> Option<String> {
        let mut id = String::new();
        for (i, field) in fields.0.iter().enumerate() {
            let column = field.column_name();
            let before = self.out.errors.len();
            let Some(text) = self.text(field, Effect::RowSkipped) else {
                if self.out.errors.len() == before {
                    let total = if self.is_total() {
                        ", looks like a total"
                    } else {
                        ""
                    };
                    self.fail(
                        column,
                        &format!("{what} is blank{total}"),
                        Effect::RowSkipped,
                    );
                }
                return None;
            };
            let text = self.keep(column, Effect::RowSkipped, parse::code(&text))?;
            if i > 0 {
                id.push('|');
            }
            if fields.0.len() > 1 {
                id.push_str(&text.replace('|', "%7C"))
            } else {
                id.push_str(&text)
            }
        }
        let column = fields.0.iter().find_map(Field::column_name);
        let why = if id.len() > MAX_ID_BYTES {
            "is longer than 256 bytes"
        } else if id.chars().any(char::is_control) {
            "holds control characters"
        } else if id.contains("#contact:") || id.contains("#contact_of:") {
            "holds #contact: or #contact_of:, which embedded contacts are named by"
        } else {
            return Some(id);
        };
        self.fail(column, &format!("{what} {why}"), Effect::RowSkipped);
        None
    }

    fn external_id(&mut self) -> Option<String> {
        let bound = self.bound;
        self.id(&bound.mapping.external_id, "the external id")
    }

    fn is_total(&self) -> bool {
        self.row
            .cells
            .iter()
            .filter(|c| !c.is_blank())
            .take(2)
            .any(|cell| match cell {
                Cell::Text(text) => {
                    let text: String = text
                        .chars()
                        .filter(|c| !parse::is_space(*c))
                        .take(4)
                        .collect();
                    ["合计", "总计", "小计", "本页合计"]
                        .iter()
                        .any(|t| text.starts_with(t))
                }
                _ => false,
            })
    }
}

/// `text` by the code table; itself when the table lacks it.
fn recode(text: String, codes: &std::collections::BTreeMap<String, String>) -> String {
    match codes.get(&text) {
        Some(code) => code.clone(),
        None => text,
    }
}
