//! The cases every connector passes that need no network.

use std::path::PathBuf;

use jinke_file::{FileConfig, FileConnector, FileInput, Limits};
use jinke_sdk::{
    Connector, Mapping,
    conformance::{self, Subject},
};

use crate::support::{CUSTOMERS, ORDERS, write};

/// A list of customers, orders of several lines, and the customers as a workbook.
struct Files {
    dir: tempfile::TempDir,
    files: Vec<(PathBuf, &'static str)>,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut customers = String::from("编码,名称,电话\n");
        let mut orders = String::from("订单号,客户,日期,金额,物料,数量\n");
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        for (i, name) in ["编码", "名称", "电话"].into_iter().enumerate() {
            sheet.write(0, i as u16, name).unwrap();
        }
        for i in 0..1_300_u32 {
            customers.push_str(&format!("C{i},第{i}公司,021-{i}\n"));
            for line in 0..=i % 3 {
                orders.push_str(&format!("S{i},C{i},2024-01-05,{i}.50,物料{line},2\n"));
            }
            sheet.write(i + 1, 0, format!("C{i}")).unwrap();
            sheet.write(i + 1, 1, format!("第{i}公司")).unwrap();
        }
        let path = dir.path().join("customers.xlsx");
        book.save(&path).unwrap();
        let files = vec![
            (write(dir.path(), "customers.csv", customers), CUSTOMERS),
            (path, CUSTOMERS),
            (write(dir.path(), "orders.csv", orders), ORDERS),
        ];
        Self { dir, files }
    }

    /// The connector alone, over the files that another process made.
    fn at(folder: &std::path::Path) -> FileConnector {
        let files = [
            ("customers.csv", CUSTOMERS),
            ("customers.xlsx", CUSTOMERS),
            ("orders.csv", ORDERS),
        ];
        Self::over(files.map(|(name, mapping)| (folder.join(name), mapping)))
    }

    fn over(files: impl IntoIterator<Item = (PathBuf, &'static str)>) -> FileConnector {
        let files = files.into_iter();
        let files = files.map(|(path, m)| FileInput::new(path, Mapping::from_toml(m).unwrap()));
        let config = FileConfig {
            source: "test".to_owned(),
            files: files.collect(),
            limits: Limits::default(),
        };
        FileConnector::new(config).unwrap()
    }
}

impl Subject for Files {
    fn connector(&self) -> Box<dyn Connector> {
        Box::new(Self::over(self.files.iter().cloned()))
    }

    fn streams(&self) -> Vec<(String, usize)> {
        let names = ["customers.csv", "customers.xlsx", "orders.csv"];
        names.map(|n| (n.to_owned(), 1_300)).into()
    }
}

#[tokio::test]
async fn reads_everything() {
    conformance::reads_everything(&Files::new()).await;
}

#[tokio::test]
async fn resumes_behind_every_page() {
    conformance::resumes_behind_every_page(&Files::new()).await;
}

#[tokio::test]
async fn killed_child() {
    conformance::killed_child(|folder| Box::new(Files::at(folder.as_ref()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_when_killed_behind_every_page() {
    let files = Files::new();
    let place = files.dir.path().to_str().unwrap().to_owned();
    let test = "conformance::killed_child";
    conformance::resumes_when_killed_behind_every_page(&files, test, &place).await;
}

#[tokio::test]
async fn refuses_foreign_cursors() {
    conformance::refuses_foreign_cursors(&Files::new()).await;
}

/// A file is not a list of all rows there are: that a row is missing does not say it was deleted.
#[tokio::test]
async fn sweeps_are_not_offered() {
    use jinke_sdk::{SweepLimit, testing};
    let known = testing::KnownList::of(&[]);
    let files = Files::new();
    let connector = files.connector();
    let sweep = connector.sweep("customers.csv", known, SweepLimit::default());
    let error = testing::collect(sweep.await).await.error.unwrap();
    assert_eq!(error.failure.reason, "SWEEP_NOT_OFFERED");
}
