//! Memory stays flat however long a file is. A binary of its own, because the measure is
//! that of the whole process.

#![cfg(target_os = "linux")]

use std::io::{BufWriter, Write};

use futures::StreamExt;
use jinke_file::{FileConfig, FileConnector, FileInput, Limits};
use jinke_sdk::{Connector, Mapping};

/// The most memory the process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn pull(path: &std::path::Path) -> usize {
    let mapping = "kind = 'organization'\nexternal_id = '编码'\n[[values]]\nattribute = 'name'\n\
        column = '名称'\n[[values]]\nattribute = 'remark'\ncolumn = '备注'\n";
    let files = vec![FileInput::new(path, Mapping::from_toml(mapping).unwrap())];
    let config = FileConfig {
        source: "t".to_owned(),
        files,
        limits: Limits::default(),
    };
    let connector = FileConnector::new(config).unwrap();
    let stream = connector.config().files[0].stream();
    let mut pages = connector.pull(&stream, None).await;
    let mut records = 0;
    while let Some(page) = pages.next().await {
        records += page.unwrap().records.len();
    }
    records
}

fn csv(path: &std::path::Path, rows: usize) {
    let mut out = BufWriter::new(std::fs::File::create(path).unwrap());
    out.write_all("编码,名称,备注\n".as_bytes()).unwrap();
    let remark = "备注".repeat(150);
    for i in 0..rows {
        writeln!(out, "C{i},甲{i},{remark}").unwrap();
    }
}

#[tokio::test]
async fn a_long_file_takes_no_more_memory_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    csv(&path, 6_000);
    assert_eq!(pull(&path).await, 6_000);
    let before = peak();
    csv(&path, 40_000);
    assert!(std::fs::metadata(&path).unwrap().len() > 35_000_000);
    assert_eq!(pull(&path).await, 40_000);
    let grown = peak() - before;
    assert!(grown < 24 << 10, "grew by {grown} KiB over a file of 37 MB");
}
