//! The sample data of `make run`: companies that do not exist, as three systems know them.
//!
//! Everything is invented and repeatable: the same seed, calendar and number give the same files,
//! byte for byte (the workbook up to the writing library's own metadata). Email domains end
//! in the reserved `.example`; identifiers carry right check characters and belong to nobody
//! on purpose.
//!
//! | file | what it imitates |
//! |---|---|
//! | `erp-customers.csv`, `erp-orders.csv` | an ERP export in GBK, orders with lines |
//! | `finance.xlsx` | a workbook of the finance department: notes above the header, merged headings, dates in five formats, numbers as text, a total row, a hidden sheet |
//! | `chat-contacts.csv`, `chat-messages.csv` | the export of a chat platform in UTF-8 with a byte order mark |
//! | `truth.csv` | which source records are one party: `source,external_id,kind,entity` |
//!
//! Two systems are not files: what a simulated Kingdee and a simulated WeCom know of the same
//! companies is in [`SampleManifest::systems`].
//!
//! The same company appears in several of them: with typing errors, as a short name, in
//! traditional characters, in full-width forms, without its identifier. There are branches
//! that bill under head office's identifier, sister companies that share a brand, and
//! neighbours that share a switchboard: those are different parties.

mod chat;
mod company;
pub(crate) mod dice;
mod erp;
mod finance;
mod noise;
pub mod systems;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
pub use dice::Calendar;

/// What [`write_samples`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleManifest {
    /// The sources, in the order they should be imported in.
    pub sources: Vec<SampleSource>,
    /// What systems that are not files know of the companies.
    pub systems: systems::SampleSystems,
    /// Which source records are one party: `source,external_id,kind,entity`.
    pub truth: PathBuf,
    /// How many organizations there are in truth, branches included.
    pub organizations: usize,
    /// How many row errors an import of all files reports: the rows that are broken on
    /// purpose, so that a newcomer sees what a report looks like.
    pub row_errors: usize,
}

/// One source of the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleSource {
    /// Id of the source, e.g. `erp`.
    pub id: &'static str,
    /// Its name for people, in Chinese.
    pub display_name: &'static str,
    /// Its trust, from 0 to 100; higher survives.
    pub trust: i32,
    /// Its files, parties first. A workbook appears once for each of its sheets.
    pub files: Vec<SampleFile>,
}

/// One file, or one sheet of a workbook, with its mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleFile {
    /// The data.
    pub path: PathBuf,
    /// The mapping file; of a workbook it names the sheet.
    pub mapping: PathBuf,
}

/// What systems that are not files know of about `customers` companies, as [`write_samples`]
/// with the same arguments tells it.
pub fn systems(seed: u64, calendar: Calendar, customers: usize) -> systems::SampleSystems {
    systems::of(seed, calendar, &company::invent(seed, customers))
}

/// Collects which source record is whom.
struct Truth(csv::Writer<fs::File>);

impl Truth {
    fn add(&mut self, source: &str, id: &str, kind: &str, entity: &str) -> anyhow::Result<()> {
        Ok(self.0.write_record([source, id, kind, entity])?)
    }
}

/// Writes the sample files of about `customers` companies, whose business happened on the days of a
/// calendar, into `dir`, which is created. Files of the same names are overwritten.
///
/// # Errors
/// When a file cannot be written.
pub fn write_samples(
    dir: &Path,
    seed: u64,
    calendar: Calendar,
    customers: usize,
) -> anyhow::Result<SampleManifest> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let companies = company::invent(seed, customers);
    let truth = dir.join("truth.csv");
    let mut list = Truth(csv::Writer::from_path(&truth)?);
    list.add("source", "external_id", "kind", "entity")?;
    let files = |names: &[(&str, &str, &str)]| -> anyhow::Result<Vec<SampleFile>> {
        let mut files = Vec::new();
        for (data, mapping, text) in names {
            let mapping = dir.join(mapping);
            fs::write(&mapping, text)?;
            files.push(SampleFile {
                path: dir.join(data),
                mapping,
            });
        }
        Ok(files)
    };
    erp::write(dir, seed, calendar, &companies, &mut list)?;
    let row_errors = finance::write(dir, seed, calendar, &companies, &mut list)?;
    chat::write(dir, seed, calendar, &companies, &mut list)?;
    let systems = systems::of(seed, calendar, &companies);
    systems.list(&mut list)?;
    list.0.flush()?;
    let sources = vec![
        SampleSource {
            id: "erp",
            display_name: "ERP 系统",
            trust: 80,
            files: files(&[
                (
                    "erp-customers.csv",
                    "erp-customers.toml",
                    include_str!("samples/erp-customers.toml"),
                ),
                (
                    "erp-orders.csv",
                    "erp-orders.toml",
                    include_str!("samples/erp-orders.toml"),
                ),
            ])?,
        },
        SampleSource {
            id: "finance",
            display_name: "财务台账",
            trust: 90,
            files: files(&[
                (
                    "finance.xlsx",
                    "finance-customers.toml",
                    include_str!("samples/finance-customers.toml"),
                ),
                (
                    "finance.xlsx",
                    "finance-invoices.toml",
                    include_str!("samples/finance-invoices.toml"),
                ),
                (
                    "finance.xlsx",
                    "finance-payments.toml",
                    include_str!("samples/finance-payments.toml"),
                ),
            ])?,
        },
        SampleSource {
            id: "chat",
            display_name: "企业聊天平台",
            trust: 50,
            files: files(&[
                (
                    "chat-contacts.csv",
                    "chat-contacts.toml",
                    include_str!("samples/chat-contacts.toml"),
                ),
                (
                    "chat-messages.csv",
                    "chat-messages.toml",
                    include_str!("samples/chat-messages.toml"),
                ),
            ])?,
        },
    ];
    Ok(SampleManifest {
        sources,
        systems,
        truth,
        organizations: companies.len(),
        row_errors,
    })
}
