//! A connection of either engine.

use std::fmt::Write as _;

use jinke_types::Failure;
use sqlx::{
    AssertSqlSafe, Executor as _, Pool, Sqlite, Transaction,
    pool::PoolConnection,
    postgres::PgArguments,
    sqlite::{SqliteArguments, SqliteConnection},
};

use tokio::time::timeout;

use super::{Arg, Row, Rows, Session, Sql, row::Inner as RowInner, rows::Column};
use crate::error::from_sqlx;

/// Which database this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded: one file, one process.
    Sqlite,
    /// A server, for production and several replicas.
    Postgres,
}

/// A connection that can be read from: a [`crate::Reader`] or a [`crate::Tx`].
///
/// Functions that only read take `&mut Conn`, so that they work inside a write transaction
/// (and see its writes) and outside.
#[derive(Debug)]
pub struct Conn(pub(crate) Inner);

#[derive(Debug)]
pub(crate) enum Inner {
    SqliteTx(Transaction<'static, Sqlite>),
    SqliteConn(PoolConnection<Sqlite>),
    Postgres(Session),
}

enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut Session),
}

/// Rows of one SQLite statement at most. Batches are cut into powers of two up to this, so
/// that at most nine texts per table and conflict clause are prepared.
const SQLITE_ROWS: usize = 256;
/// SQLite's limit on parameters of one statement.
const SQLITE_PARAMETERS: usize = 32_766;
/// Rows of one PostgreSQL statement at most: bounds the server's memory for the arrays.
const POSTGRES_ROWS: usize = 10_000;

impl Conn {
    pub(crate) async fn of_sqlite(pool: &Pool<Sqlite>) -> Result<Self, Failure> {
        Ok(Self(Inner::SqliteConn(
            pool.acquire().await.map_err(from_sqlx)?,
        )))
    }

    fn link(&mut self) -> Link<'_> {
        match &mut self.0 {
            Inner::SqliteTx(c) => Link::Sqlite(c),
            Inner::SqliteConn(c) => Link::Sqlite(c),
            Inner::Postgres(c) => Link::Postgres(c),
        }
    }

    /// Which engine answers.
    pub const fn engine(&self) -> Engine {
        match &self.0 {
            Inner::SqliteTx(_) | Inner::SqliteConn(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// All rows of a query. Bound it with `LIMIT`: the rows are held in memory.
    pub async fn fetch_all(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, Failure> {
        let sql = sql.into();
        let has_list = args.iter().any(Arg::is_list);
        match self.link() {
            Link::Sqlite(c) => {
                let query = sqlx::query_with(
                    AssertSqlSafe(sql.into_sqlite(has_list)),
                    sqlite_arguments(args)?,
                );
                let rows = c.fetch_all(query).await.map_err(from_sqlx)?;
                Ok(rows.into_iter().map(|r| Row(RowInner::Sqlite(r))).collect())
            }
            Link::Postgres(c) => {
                let query = sqlx::query_with(
                    AssertSqlSafe(sql.into_postgres(has_list)),
                    postgres_arguments(args)?,
                );
                let rows = timeout(c.patience(), c.link().fetch_all(query)).await;
                let rows = c.done(rows)?;
                Ok(rows
                    .into_iter()
                    .map(|r| Row(RowInner::Postgres(r)))
                    .collect())
            }
        }
    }

    /// The first row of a query, if there is one.
    pub async fn fetch_optional(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// The first row of a query that always has one; `INTERNAL` when it has none.
    pub async fn fetch_one(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Result<Row, Failure> {
        self.fetch_optional(sql, args)
            .await?
            .ok_or_else(|| Failure::internal("a query that always has a row had none"))
    }

    /// Runs a statement; the number of rows it touched.
    pub(crate) async fn execute(&mut self, sql: Sql, args: Vec<Arg>) -> Result<u64, Failure> {
        let has_list = args.iter().any(Arg::is_list);
        match self.link() {
            Link::Sqlite(c) => {
                let query = sqlx::query_with(
                    AssertSqlSafe(sql.into_sqlite(has_list)),
                    sqlite_arguments(args)?,
                );
                Ok(c.execute(query).await.map_err(from_sqlx)?.rows_affected())
            }
            Link::Postgres(c) => {
                let query = sqlx::query_with(
                    AssertSqlSafe(sql.into_postgres(has_list)),
                    postgres_arguments(args)?,
                );
                let done = timeout(c.patience(), c.link().execute(query)).await;
                Ok(c.done(done)?.rows_affected())
            }
        }
    }

    pub(crate) async fn insert_many(
        &mut self,
        table: &str,
        rows: Rows,
        conflict: &str,
    ) -> Result<u64, Failure> {
        rows.check()?;
        let total = rows.len();
        let width = rows.columns.len();
        let names = rows.columns.join(",");
        let mut cells = rows.cells.into_iter();
        let mut touched = 0;
        match self.link() {
            Link::Sqlite(c) => {
                let widest = SQLITE_ROWS.min(SQLITE_PARAMETERS / width.max(1)).max(1);
                let mut left = total;
                let mut size = prev_power_of_two(widest);
                let mut text = String::new();
                while left > 0 {
                    let fits = size.min(prev_power_of_two(left));
                    if fits != size || text.is_empty() {
                        size = fits;
                        text = values_statement(table, &names, width, size, conflict);
                    }
                    let mut arguments = SqliteArguments::default();
                    for cell in cells.by_ref().take(size * width) {
                        cell.bind_sqlite(&mut arguments)?;
                    }
                    let query = sqlx::query_with(AssertSqlSafe(text.clone()), arguments);
                    touched += c.execute(query).await.map_err(from_sqlx)?.rows_affected();
                    left -= size;
                }
            }
            Link::Postgres(c) => {
                let mut left = total;
                while left > 0 {
                    let size = left.min(POSTGRES_ROWS);
                    let columns = take_columns(&mut cells, width, size)?;
                    let text = unnest_statement(table, &names, &columns, conflict);
                    let mut arguments = PgArguments::default();
                    for column in columns {
                        column.bind(&mut arguments)?;
                    }
                    let query = sqlx::query_with(AssertSqlSafe(text), arguments);
                    let done = timeout(c.patience(), c.link().execute(query)).await;
                    touched += c.done(done)?.rows_affected();
                    left -= size;
                }
            }
        }
        Ok(touched)
    }
}

const fn prev_power_of_two(n: usize) -> usize {
    1 << n.ilog2()
}

/// Parameters are plain `?` here: SQLite takes `$1` for a name and looks each up in a list,
/// which costs the square of their number at every run.
fn values_statement(table: &str, names: &str, width: usize, size: usize, conflict: &str) -> String {
    let row = format!("({})", vec!["?"; width].join(","));
    let rows = vec![row; size].join(",");
    format!("INSERT INTO {table} ({names}) VALUES {rows} {conflict}")
}

fn unnest_statement(table: &str, names: &str, columns: &[Column], conflict: &str) -> String {
    let mut text = format!("INSERT INTO {table} ({names}) SELECT * FROM UNNEST(");
    for (i, column) in columns.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(text, "{comma}${}::{}", i + 1, column.array_type());
    }
    text.push_str(") ");
    text.push_str(conflict);
    text
}

fn take_columns(
    cells: &mut impl Iterator<Item = Arg>,
    width: usize,
    size: usize,
) -> Result<Vec<Column>, Failure> {
    let mut columns: Vec<Column> = Vec::with_capacity(width);
    for (i, cell) in cells.take(size * width).enumerate() {
        if i < width {
            columns.push(Column::like(&cell, size)?);
        }
        columns[i % width].push(cell)?;
    }
    Ok(columns)
}

fn sqlite_arguments(args: Vec<Arg>) -> Result<SqliteArguments, Failure> {
    let mut out = SqliteArguments::default();
    for arg in args {
        arg.bind_sqlite(&mut out)?;
    }
    Ok(out)
}

fn postgres_arguments(args: Vec<Arg>) -> Result<PgArguments, Failure> {
    let mut out = PgArguments::default();
    for arg in args {
        arg.bind_postgres(&mut out)?;
    }
    Ok(out)
}
