//! A pull that stops anywhere goes on to the same result, and an unchanged file is not
//! pulled again.

use jinke_file::{FileConnector, Limits};
use jinke_sdk::{Cursor, PullErrorKind};

use crate::support::{CUSTOMERS, ORDERS, connector, joined, pages, write};

/// Orders of one to five lines, some broken in every way a row can be.
fn orders(count: usize) -> String {
    let mut text = String::from("说明\n订单号,客户,日期,金额,物料,数量\n");
    for i in 0..count {
        for line in 0..=i % 5 {
            let quantity = if i % 37 == 5 && line == 1 { "两" } else { "2" };
            text.push_str(&format!(
                "S{i},C{},2024-01-05,{i}.50,物料{line},{quantity}\n",
                i % 50
            ));
        }
        match i % 41 {
            3 => text.push_str("S0,C1,2024-01-05,1,apart,1\n"),
            7 => text.push('\n'),
            13 => text.push_str(",C1,2024-01-05,1,no id,1\n"),
            17 => text.push_str("X,C1,2024-01-05,1,a\0b,1\n"),
            _ => {}
        }
    }
    // One quote that is never closed, near the end.
    text.push_str("S0,C1,\"open,1\nSZ,C1,2024-01-05,1,last,1\n");
    text
}

#[tokio::test]
async fn resuming_behind_any_page_equals_one_pull() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "orders.csv", orders(3_000));
    check(&connector(&path, ORDERS, Limits::default()), 6).await;
}

#[tokio::test]
async fn resuming_from_any_row_equals_one_pull() {
    // Pages of a byte are cut wherever a pull may stop: behind every row that ends a
    // transaction.
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "orders.csv", orders(90));
    let limits = Limits {
        page_bytes: 1,
        ..Limits::default()
    };
    check(&connector(&path, ORDERS, limits), 85).await;
}

async fn check(connector: &FileConnector, least: usize) {
    let (all, error) = pages(connector, None).await;
    assert_eq!(error, None);
    assert!(all.len() >= least, "{} pages", all.len());
    let (records, errors) = joined(&all);
    assert!(
        records.len() > 50 && errors.len() >= 8,
        "{} {}",
        records.len(),
        errors.len()
    );
    for (i, page) in all.iter().enumerate() {
        let (rest, error) = pages(connector, page.cursor.clone()).await;
        assert_eq!(error, None);
        assert_eq!(joined(&rest), joined(&all[i + 1..]), "after page {i}");
    }
}

#[tokio::test]
async fn an_unchanged_file_pulls_nothing_and_a_changed_one_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "a.csv", "编码,名称,电话\nC1,甲,1\n");
    let first = connector(&path, CUSTOMERS, Limits::default());
    let (all, _) = pages(&first, None).await;
    let cursor = all.last().unwrap().cursor.clone();
    assert_eq!(pages(&first, cursor.clone()).await, (vec![], None));
    // Another mapping reads the same file anew.
    let other = connector(
        &path,
        &CUSTOMERS.replace("phone", "x_phone"),
        Limits::default(),
    );
    assert_eq!(joined(&pages(&other, cursor.clone()).await.0).0.len(), 1);
    // So does another content; the row that was there is the same record with the same content.
    write(dir.path(), "a.csv", "编码,名称,电话\nC1,甲,1\nC2,乙,2\n");
    let (again, _) = pages(&first, cursor).await;
    let (records, _) = joined(&again);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], joined(&all).0[0]);
}

#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "a.csv", "编码,名称,电话\nC1,甲,1\n");
    let connector = connector(&path, CUSTOMERS, Limits::default());
    for cursor in ["", "{}", "[1]", "{\"row\":-1}", &"x".repeat(10_000)] {
        let (none, error) = pages(&connector, Some(Cursor(cursor.to_owned()))).await;
        assert!(none.is_empty());
        assert_eq!(
            error.unwrap().kind,
            PullErrorKind::CursorUnknown,
            "{cursor:.20}"
        );
    }
}
