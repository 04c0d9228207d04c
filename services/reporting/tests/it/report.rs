//! The report: the same date and data give the same bytes; names cannot break out of it.

use jinke_reporting::{
    facts::Customer,
    number,
    parameters::{Parameters, Population},
    report::{Language, html, model, xlsx},
};

use crate::generate::frame;

fn parameters() -> Parameters {
    Parameters {
        population: Population::All,
        ..Parameters::default()
    }
}

#[test]
fn the_same_date_and_data_give_the_same_bytes() {
    for seed in 0..12 {
        let (frame, p) = (frame(seed), parameters());
        let date = "2026-02-28".parse().unwrap();
        let report = model::build(&frame, &p, date).unwrap();
        let again = model::build(&frame, &p, date).unwrap();
        assert_eq!(report, again);
        let stored: model::Report =
            serde_json::from_slice(&serde_json::to_vec(&report).unwrap()).unwrap();
        assert_eq!(stored, report);
        for language in [Language::Zh, Language::En] {
            assert_eq!(
                html::write(&report, language),
                html::write(&stored, language)
            );
            let book = xlsx::write(&report, language).unwrap();
            assert_eq!(book, xlsx::write(&stored, language).unwrap());
            assert!(book.starts_with(b"PK"));
        }
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    for seed in 0..40 {
        let (frame, p) = (frame(seed), parameters());
        let report = model::build(&frame, &p, "2026-02-28".parse().unwrap()).unwrap();
        let customers = report
            .kpis
            .iter()
            .find(|k| k.measure == "customer_count")
            .and_then(|k| number::parse(k.value.as_deref()?))
            .unwrap()
            / number::ONE;
        for parts in [&report.grades, &report.stages] {
            let sum: i64 = parts.iter().map(|p| p.customers).sum();
            assert_eq!(i128::from(sum), customers, "each customer is in one part");
        }
        let matrix: i64 = report.matrix.iter().flatten().sum();
        let classes: i64 = report.classes.iter().map(|p| p.customers).sum();
        assert_eq!(matrix, classes);
        for cohort in &report.cohorts {
            assert!(cohort.kept.iter().all(|kept| *kept <= cohort.size));
            assert_eq!(
                cohort.kept[0], cohort.size,
                "the first month is the order's own"
            );
        }
        if let Some(last) = report.pareto.last().and_then(|n| n.as_deref()) {
            assert_eq!(last, "1", "all customers bring all revenue");
        }
    }
}

#[test]
fn hostile_names_stay_text() {
    let mut frame = frame(3);
    for customer in &mut frame.customers {
        *customer = Customer {
            name: "<script>alert(1)</script>\u{202e}&\"'\u{0}".to_owned(),
            ..customer.clone()
        };
    }
    let p = parameters();
    let report = model::build(&frame, &p, "2026-02-28".parse().unwrap()).unwrap();
    for language in [Language::Zh, Language::En] {
        let page = html::write(&report, language);
        assert!(!page.contains("<script"), "a name became a script");
        assert!(!page.contains('\0'));
        assert!(
            !page.contains("http://")
                || page.matches("http://").count()
                    == page.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(xlsx::write(&report, language).is_ok());
    }
}

#[test]
fn an_empty_enterprise_has_a_report_too() {
    let empty = jinke_reporting::facts::Frame::default();
    let report = model::build(&empty, &parameters(), "2024-02-29".parse().unwrap()).unwrap();
    assert_eq!(
        report
            .kpis
            .iter()
            .find(|k| k.measure == "net_revenue")
            .unwrap()
            .value,
        None
    );
    assert!(html::write(&report, Language::Zh).contains("客户资产报告"));
    assert!(xlsx::write(&report, Language::En).is_ok());
}
