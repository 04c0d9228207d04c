//! Copying a whole database out and in again, alike on both engines.
//!
//! A copy is logical: lines of JSON, so one made on SQLite can be loaded into PostgreSQL and the
//! other way round, which three types of columns make possible (see the crate's map). Sealed
//! values stay sealed: a copy is as safe to keep as the database itself, and as useless without
//! the key files.
//!
//! ```text
//! {"table":"visits","columns":["customer","id","note","time"]}
//! ["customers/7",1,"c2VhbGVk",1700000000000000]
//! …
//! ```
//!
//! Columns come in the order of their names and bytes as Base64, so the line of a row is the same
//! on both engines, and so is the **state** of a table: how many rows it has, and the sum of the
//! SHA-256 values of their lines modulo 2²⁵⁶, which does not depend on their order.
//!
//! A [`Held`] copy sees one moment of its database, however long it takes. What that means between
//! the databases of several services is told by `jinke backup`.

mod table;

use jinke_types::{Code, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    config::DatabaseConfig,
    database::Database,
    migrate::{self, Migrations},
    sql::{Arg, Conn, Sql},
    tx::Reader,
};

use table::{Kind, Table, arg, cell, tables};

/// Rows read at a time at first; their number follows their size.
const PAGE_ROWS: i64 = 500;
/// Rows read at a time at most.
const MOST_ROWS: i64 = 5_000;
/// A page is made smaller when it holds more than this many bytes.
const PAGE_BYTES: usize = 16 << 20;
/// A transaction of a load takes at most this many bytes.
const LOAD_BYTES: usize = 8 << 20;
/// A statement takes at most this many values; SQLite takes 32,766.
const MAX_VALUES: usize = 8_000;

/// The versions of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Number of the kit's last migration.
    pub kit: i64,
    /// Number of the service's last migration.
    pub service: i64,
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// Its name.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// The sum of the hashes of its rows, in hexadecimal digits.
    pub hash: String,
}

/// The sum of hashes modulo 2²⁵⁶.
#[derive(Clone, Copy, Default)]
struct Sum([u8; 32]);

impl Sum {
    fn add(&mut self, table: &str, line: &str) {
        let mut sha = Sha256::new();
        sha.update(table.as_bytes());
        sha.update([0]);
        sha.update(line.as_bytes());
        let hash: [u8; 32] = sha.finalize().into();
        let mut carry = 0_u16;
        for (mine, other) in self.0.iter_mut().zip(hash).rev() {
            let sum = u16::from(*mine) + u16::from(other) + carry;
            *mine = sum.to_be_bytes()[1];
            carry = sum >> 8;
        }
    }
}

/// A moment of a database, held for copying.
pub struct Held {
    reader: Reader,
    tables: Vec<Table>,
    versions: Versions,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("tables", &self.tables.len())
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

fn wrong(reason: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(Code::FailedPrecondition, reason, message)
}

async fn versions(conn: &mut Conn) -> Result<Versions, Failure> {
    let mut found = [0; 2];
    for (at, table) in migrate::TABLES.iter().enumerate() {
        let ask = format!("SELECT CAST(max(version) AS BIGINT) AS version FROM {table}");
        let row = conn.fetch_one(Sql::assembled(ask), Vec::new()).await?;
        found[at] = row.opt_i64("version")?.unwrap_or(0);
    }
    Ok(Versions {
        kit: found[0],
        service: found[1],
    })
}

/// Holds the present moment of a database until it is copied or dropped.
///
/// # Errors
/// Those of reading; `DATABASE_UNKNOWN` when it is no database of a service.
pub async fn hold(db: &Database) -> Result<Held, Failure> {
    let mut reader = db.snapshot().await?;
    // The first statement fixes the moment.
    let versions = versions(&mut reader).await.map_err(|f| {
        wrong("DATABASE_UNKNOWN", "it is no database of a service").with("cause", f.reason)
    })?;
    let tables = tables(&mut reader).await?;
    Ok(Held {
        reader,
        tables,
        versions,
    })
}

impl Held {
    /// The versions of its tables.
    pub const fn versions(&self) -> Versions {
        self.versions
    }

    /// Copies everything: `line` takes each line, without its end.
    ///
    /// # Errors
    /// Those of reading, and what `line` returns.
    pub async fn copy(
        self,
        line: impl FnMut(&str) -> Result<(), Failure> + Send,
    ) -> Result<Vec<TableState>, Failure> {
        self.copied(None, line).await
    }

    /// The same with the rows that some tables had at a moment before.
    ///
    /// # Errors
    /// As [`Self::copy`]; `DATABASE_UNKNOWN` when the database has no such table, or was brought to
    /// another version in between.
    pub async fn copy_with(
        self,
        earlier: Held,
        names: &[&str],
        line: impl FnMut(&str) -> Result<(), Failure> + Send,
    ) -> Result<Vec<TableState>, Failure> {
        let has = |name: &&str| self.tables.iter().any(|t| t.name == *name);
        if earlier.versions != self.versions || !names.iter().all(has) {
            return Err(wrong(
                "DATABASE_UNKNOWN",
                "the database is of another version than this program, or was migrated meanwhile",
            ));
        }
        self.copied(Some((earlier.reader, names)), line).await
    }

    async fn copied(
        mut self,
        mut earlier: Option<(Reader, &[&str])>,
        mut line: impl FnMut(&str) -> Result<(), Failure> + Send,
    ) -> Result<Vec<TableState>, Failure> {
        let mut states = Vec::new();
        for table in &self.tables {
            let columns: Vec<&String> = table.columns.keys().collect();
            line(&json!({"table": table.name, "columns": columns}).to_string())?;
            let reader = match &mut earlier {
                Some((reader, names)) if names.contains(&table.name.as_str()) => reader,
                _ => &mut self.reader,
            };
            states.push(copy_table(reader, table, &mut line).await?);
        }
        Ok(states)
    }
}

async fn copy_table(
    conn: &mut Conn,
    table: &Table,
    line: &mut (impl FnMut(&str) -> Result<(), Failure> + Send),
) -> Result<TableState, Failure> {
    let list = |names: &mut dyn Iterator<Item = &String>| {
        names.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let columns = list(&mut table.columns.keys());
    let key = list(&mut table.key.iter());
    let places: Vec<String> = (1..=table.key.len()).map(|n| format!("${n}")).collect();
    let places = places.join(", ");
    let mut after: Option<Vec<Arg>> = None;
    let mut limit = PAGE_ROWS;
    let mut sum = Sum::default();
    let mut count = 0_u64;
    loop {
        let name = &table.name;
        let behind = if after.is_some() {
            format!("WHERE ({key}) > ({places}) ")
        } else {
            String::new()
        };
        let ask = format!("SELECT {columns} FROM {name} {behind}ORDER BY {key} LIMIT {limit}");
        let args = after.take().unwrap_or_default();
        let rows = conn.fetch_all(Sql::assembled(ask), args).await?;
        let got = rows.len();
        let mut bytes = 0;
        let mut last = Vec::new();
        for row in &rows {
            let mut cells = Vec::with_capacity(table.columns.len());
            for (column, kind) in &table.columns {
                cells.push(cell(row, column, *kind)?);
            }
            last = table
                .key
                .iter()
                .filter_map(|k| {
                    let at = table.columns.keys().position(|c| c == k)?;
                    arg(&cells[at], table.columns[k])
                })
                .collect();
            let text = Value::Array(cells).to_string();
            bytes += text.len();
            sum.add(name, &text);
            line(&text)?;
        }
        count += got as u64;
        if i64::try_from(got).unwrap_or(i64::MAX) < limit {
            break;
        }
        limit = if bytes > PAGE_BYTES {
            (limit / 2).max(1)
        } else {
            (limit * 2).min(MOST_ROWS)
        };
        after = Some(last);
    }
    Ok(TableState {
        table: table.name.clone(),
        rows: count,
        hash: hex::encode(sum.0),
    })
}

/// What the tables of a database hold now.
///
/// # Errors
/// Those of reading.
pub async fn state(db: &Database) -> Result<Vec<TableState>, Failure> {
    hold(db).await?.copy(|_| Ok(())).await
}

/// What the lines of a copy hold, by themselves.
///
/// # Errors
/// `BACKUP_DAMAGED` for lines that are no copy.
pub fn state_of(
    lines: impl Iterator<Item = Result<String, Failure>>,
) -> Result<Vec<TableState>, Failure> {
    let damaged = || wrong("BACKUP_DAMAGED", "a line of the backup cannot be read");
    let mut open: Option<(String, u64, Sum)> = None;
    let mut states = Vec::new();
    let ended = |(table, rows, sum): (String, u64, Sum)| TableState {
        table,
        rows,
        hash: hex::encode(sum.0),
    };
    for line in lines {
        let line = line?;
        if line.starts_with('[') {
            let (table, rows, sum) = open.as_mut().ok_or_else(damaged)?;
            *rows += 1;
            sum.add(table, &line);
            continue;
        }
        let head: Value = serde_json::from_str(&line).map_err(|_| damaged())?;
        let table = head
            .get("table")
            .and_then(Value::as_str)
            .ok_or_else(damaged)?;
        let before = open.replace((table.to_owned(), 0, Sum::default()));
        states.extend(before.map(ended));
    }
    states.extend(open.map(ended));
    Ok(states)
}

/// Opens a database for copying it: nothing is made, migrated or locked, so the service that owns
/// it may go on running beside.
///
/// # Errors
/// As [`Database::open`]; `DATABASE_FILE` when there is none.
pub async fn open_beside(config: DatabaseConfig) -> Result<Database, Failure> {
    Database::open_beside(config).await
}

/// Opens a database at the versions of a copy, to load it.
///
/// # Errors
/// As [`Database::open`]; `BACKUP_NEWER` when this program does not know the versions yet.
pub async fn open_at(
    config: DatabaseConfig,
    migrations: &'static Migrations,
    versions: Versions,
) -> Result<Database, Failure> {
    let known = migrate::known(migrations);
    if versions.kit > known.kit || versions.service > known.service {
        return Err(wrong(
            "BACKUP_NEWER",
            "the backup was made by a newer version; upgrade this program first",
        )
        .with("migration", versions.service));
    }
    Database::open_at(config, migrations, Some(versions)).await
}

/// Replaces everything that a database holds by a copy, and tells what it holds then. It is at the
/// copy's versions, and nobody else may use it meanwhile. When a load fails, load again.
///
/// # Errors
/// `BACKUP_DAMAGED` for lines that are no copy of this database; those of writing.
pub async fn load(
    db: &Database,
    lines: impl Iterator<Item = Result<String, Failure>>,
) -> Result<Vec<TableState>, Failure> {
    let present = hold(db).await?.tables;
    clear(db, &present).await?;
    let mut loading: Option<Loading<'_>> = None;
    let mut seen = Vec::new();
    for line in lines {
        let line = line?;
        let damaged = || wrong("BACKUP_DAMAGED", "a line of the backup cannot be read");
        match serde_json::from_str(&line).map_err(|_| damaged())? {
            Value::Array(cells) => {
                let loading = loading.as_mut().ok_or_else(damaged)?;
                loading.take(cells, line.len()).ok_or_else(damaged)?;
                if loading.bytes > LOAD_BYTES || loading.args.len() > MAX_VALUES {
                    loading.flush(db).await?;
                }
            }
            head => {
                if let Some(mut last) = loading.take() {
                    last.flush(db).await?;
                }
                let name = head
                    .get("table")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let table = present.iter().find(|t| t.name == name).ok_or_else(|| {
                    wrong("BACKUP_DAMAGED", "the backup has a table that is not known")
                })?;
                let columns = head.get("columns").and_then(Value::as_array);
                let columns: Option<Vec<(&String, Kind)>> = columns
                    .ok_or_else(damaged)?
                    .iter()
                    .map(|c| {
                        table
                            .columns
                            .get_key_value(c.as_str()?)
                            .map(|(n, k)| (n, *k))
                    })
                    .collect();
                seen.push(name.to_owned());
                loading = Some(Loading {
                    table: &table.name,
                    columns: columns.ok_or_else(damaged)?,
                    args: Vec::new(),
                    bytes: 0,
                });
            }
        }
    }
    if let Some(mut last) = loading.take() {
        last.flush(db).await?;
    }
    if seen.len() != present.len() {
        return Err(wrong(
            "BACKUP_DAMAGED",
            "the backup breaks off: tables are missing",
        ));
    }
    state(db).await
}

/// What migrations put into fresh tables goes; what refers goes before what is referred to.
async fn clear(db: &Database, tables: &[Table]) -> Result<(), Failure> {
    let mut tx = db.begin().await?;
    for table in tables.iter().rev() {
        let text = format!("DELETE FROM {}", table.name);
        tx.execute(Sql::assembled(text), Vec::new()).await?;
    }
    db.commit(tx).await.map(drop)
}

/// Rows of one table on their way in.
struct Loading<'a> {
    table: &'a str,
    columns: Vec<(&'a String, Kind)>,
    args: Vec<Arg>,
    bytes: usize,
}

impl Loading<'_> {
    fn take(&mut self, cells: Vec<Value>, bytes: usize) -> Option<()> {
        if cells.len() != self.columns.len() {
            return None;
        }
        for (value, (_, kind)) in cells.iter().zip(&self.columns) {
            self.args.push(arg(value, *kind)?);
        }
        self.bytes += bytes;
        Some(())
    }

    async fn flush(&mut self, db: &Database) -> Result<(), Failure> {
        if self.args.is_empty() {
            return Ok(());
        }
        let width = self.columns.len();
        let names: Vec<&str> = self.columns.iter().map(|(n, _)| n.as_str()).collect();
        let mut rows = Vec::new();
        for row in 0..self.args.len() / width {
            let places: Vec<String> = (1..=width)
                .map(|i| format!("${}", row * width + i))
                .collect();
            rows.push(format!("({})", places.join(", ")));
        }
        let text = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            names.join(", "),
            rows.join(", ")
        );
        let mut tx = db.begin().await?;
        tx.execute(Sql::assembled(text), std::mem::take(&mut self.args))
            .await?;
        db.commit(tx).await?;
        self.bytes = 0;
        Ok(())
    }
}
