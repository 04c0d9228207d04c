//! Read-only queries behind the RPCs. Every one takes what the caller sees, as [`Rows`].
//!
//! | module | answers |
//! |---|---|
//! | [`list`] | which customers pass a filter, page by page |
//! | [`search`] | which records carry tokens; which record has a key |
//! | [`activity`] | timelines, totals, relationships, records of a source |
//! | [`feed`] | what a change of the feed may show |
//! | [`stats`] | counts |
//!
//! Paging is by keyset everywhere: a page starts after the last row of the one before, so that a
//! deep page costs what the first one costs.

pub mod activity;
pub mod feed;
pub mod list;
pub mod search;
pub mod stats;

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Arg, Conn, args};
use jinke_types::{Failure, PartyKind, RecordKey, RowScope, Timestamp};

/// Most sources there can be: every scoped read names those its caller sees.
const MAX_SOURCES: i64 = 10_000;

/// The rows a caller sees, as the sources they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Every row.
    All,
    /// Rows of these sources.
    Of(BTreeSet<String>),
}

impl Rows {
    /// Whether rows of this source are seen.
    pub fn sees(&self, source: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(sources) => sources.contains(source),
        }
    }

    /// Whether there can be no row at all.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Of(sources) if sources.is_empty())
    }

    /// The sources to bind to a statement; none when all are seen.
    fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Of(sources) => Some(sources.iter().cloned().collect()),
        }
    }
}

/// Compiles a scope to the sources it shows. A source is seen when it is shared with the group or
/// belongs to an org unit of the scope.
pub async fn rows(conn: &mut Conn, scope: &RowScope) -> Result<Rows, Failure> {
    let units: Vec<String> = match scope {
        RowScope::All => return Ok(Rows::All),
        RowScope::None => return Ok(Rows::Of(BTreeSet::new())),
        RowScope::OrgUnits(units) => units.iter().cloned().collect(),
    };
    let rows = conn
        .fetch_all(
            "SELECT id FROM sources WHERE shared = 1 OR org_unit IN LIST($1) ORDER BY id LIMIT $2",
            args![units, MAX_SOURCES],
        )
        .await?;
    Ok(Rows::Of(
        rows.iter()
            .map(|r| r.text("id"))
            .collect::<Result<_, _>>()?,
    ))
}

/// The org units of these sources; one that does not exist is left out.
pub async fn org_units(
    conn: &mut Conn,
    sources: BTreeSet<String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let sources: Vec<String> = sources.into_iter().collect();
    let rows = conn
        .fetch_all(
            "SELECT id, org_unit FROM sources WHERE id IN LIST($1)",
            args![sources],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("id")?, row.text("org_unit")?)))
        .collect()
}

/// Whether these rows are every row there is.
pub async fn is_everything(conn: &mut Conn, rows: &Rows) -> Result<bool, Failure> {
    let Rows::Of(seen) = rows else {
        return Ok(true);
    };
    let all = conn
        .fetch_one("SELECT COUNT(*) AS n FROM sources", args![])
        .await?
        .i64("n")?;
    Ok(usize::try_from(all).is_ok_and(|all| all == seen.len()))
}

/// How a time is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOp {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl TimeOp {
    const fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// Which customers to list. All terms must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerFilter {
    /// Only organizations, or only persons.
    pub kind: Option<PartyKind>,
    /// A visible record of each of these sources.
    pub sources: Vec<String>,
    /// A visible record tagged with each of these.
    pub tags: Vec<String>,
    /// Deleted by every source, or not.
    pub deleted: Option<bool>,
    /// The name the caller sees; compared after reading, because no column holds it.
    pub display_name: Option<String>,
    /// Bounds of the time of creation.
    pub create_time: Vec<(TimeOp, Timestamp)>,
    /// Bounds of the time of the last change.
    pub update_time: Vec<(TimeOp, Timestamp)>,
}

/// What to order customers by; the id breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderField {
    /// By id.
    Name,
    /// By time of creation.
    CreateTime,
    /// By time of the last change.
    UpdateTime,
    /// By the name of an organization.
    DisplayName,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerOrder {
    /// Field.
    pub field: OrderField,
    /// Greatest first.
    pub descending: bool,
}

/// The number of a party kind in the tables.
pub(crate) const fn kind_number(kind: PartyKind) -> i64 {
    match kind {
        PartyKind::Organization => 1,
        PartyKind::Person => 2,
    }
}

/// Splits `<source>/<external id>`; ids of sources hold no slash.
pub(crate) fn split_key(key: &str) -> Result<RecordKey, Failure> {
    key.split_once('/')
        .map(|(source, external_id)| RecordKey::new(source, external_id))
        .ok_or_else(|| Failure::internal("a stored record key has no source"))
}

/// A statement put together from literals, with its arguments numbered as they come.
#[derive(Debug, Default)]
struct Query {
    text: String,
    args: Vec<Arg>,
}

impl Query {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            args: Vec::new(),
        }
    }
    /// Adds text; every `?` takes the next of `args`.
    fn add(&mut self, text: &'static str, args: impl IntoIterator<Item = Arg>) -> &mut Self {
        let mut args = args.into_iter();
        for (i, part) in text.split('?').enumerate() {
            if i > 0 {
                self.args.extend(args.next());
                self.text.push_str(&format!("${}", self.args.len()));
            }
            self.text.push_str(part);
        }
        self
    }
    async fn fetch_all(self, conn: &mut Conn) -> Result<Vec<jinke_store::Row>, Failure> {
        conn.fetch_all(jinke_store::Sql::assembled(self.text), self.args)
            .await
    }
    async fn fetch_one(self, conn: &mut Conn) -> Result<jinke_store::Row, Failure> {
        conn.fetch_one(jinke_store::Sql::assembled(self.text), self.args)
            .await
    }
}

/// The id of this database: what page tokens are bound to. Made at the first start.
pub async fn database_id(
    db: &jinke_store::Database,
    entropy: &dyn jinke_types::Entropy,
) -> Result<String, Failure> {
    let mut fresh = [0_u8; 16];
    entropy.fill(&mut fresh);
    let fresh = hex::encode(fresh);
    db.write(async |mut tx| {
        tx.execute(
            "INSERT INTO engine_state (name, value) VALUES ('database_id', $1) \
             ON CONFLICT (name) DO NOTHING",
            args![fresh.as_str()],
        )
        .await?;
        tx.fetch_one(
            "SELECT value FROM engine_state WHERE name = 'database_id'",
            args![],
        )
        .await?
        .text("value")
    })
    .await
}
