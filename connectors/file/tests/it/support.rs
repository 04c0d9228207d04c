//! What the tests share.

use std::path::{Path, PathBuf};

use futures::StreamExt;
use jinke_file::{FileConfig, FileConnector, FileInput, Limits};
use jinke_sdk::{Connector, Cursor, Mapping, Page, PullError, RowError};
use jinke_types::{Body, SourceRecord};

pub const CUSTOMERS: &str = "
kind = 'organization'
external_id = '编码'
[[values]]
attribute = 'name'
column = '名称'
[[values]]
attribute = 'phone'
column = '电话'
";

pub const ORDERS: &str = "
kind = 'order'
external_id = '订单号'
party = '客户'
[transaction]
time = '日期'
amount = '金额'
[transaction.lines]
product = '物料'
quantity = '数量'
";

pub fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub fn connector(path: &Path, mapping: &str, limits: Limits) -> FileConnector {
    let files = vec![FileInput::new(path, Mapping::from_toml(mapping).unwrap())];
    FileConnector::new(FileConfig {
        source: "test".to_owned(),
        files,
        limits,
    })
    .unwrap()
}

/// All pages of the first stream from a cursor on, and how it ended.
pub async fn pages(
    connector: &FileConnector,
    cursor: Option<Cursor>,
) -> (Vec<Page>, Option<PullError>) {
    let stream = connector.config().files[0].stream();
    let mut pull = connector.pull(&stream, cursor).await;
    let mut pages = Vec::new();
    while let Some(item) = pull.next().await {
        match item {
            Ok(page) => pages.push(page),
            Err(error) => return (pages, Some(error)),
        }
    }
    (pages, None)
}

pub fn joined(pages: &[Page]) -> (Vec<SourceRecord>, Vec<RowError>) {
    (
        pages.iter().flat_map(|p| p.records.clone()).collect(),
        pages.iter().flat_map(|p| p.row_errors.clone()).collect(),
    )
}

/// Records, errors and notes of a file that has to be readable.
pub async fn read(path: &Path, mapping: &str) -> (Vec<SourceRecord>, Vec<RowError>, Vec<String>) {
    let (pages, error) = pages(&connector(path, mapping, Limits::default()), None).await;
    assert_eq!(error, None);
    let (records, errors) = joined(&pages);
    (
        records,
        errors,
        pages.into_iter().flat_map(|p| p.notes).collect(),
    )
}

/// The failure of a file that must not be readable.
pub async fn refused(path: &Path, limits: Limits) -> jinke_types::Failure {
    let (_, error) = pages(&connector(path, CUSTOMERS, limits), None).await;
    error.expect("the file is refused").failure
}

/// `id=name` of each party, in order.
pub fn names(records: &[SourceRecord]) -> Vec<String> {
    let name = |r: &SourceRecord| match &r.body {
        Body::Party { values, .. } => values
            .iter()
            .find(|v| v.attribute == "name")
            .and_then(|v| v.datum.text().map(str::to_owned))
            .unwrap_or_default(),
        _ => String::new(),
    };
    records
        .iter()
        .map(|r| format!("{}={}", r.key.external_id, name(r)))
        .collect()
}

/// `row:column:reason` of each error.
pub fn told(errors: &[RowError]) -> Vec<String> {
    let one = |e: &RowError| {
        format!(
            "{}:{}:{}",
            e.location.row,
            e.column.as_deref().unwrap_or_default(),
            e.reason
        )
    };
    errors.iter().map(one).collect()
}
