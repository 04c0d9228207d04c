//! The samples of the suite read as their mappings say, with exactly the errors that were
//! put in on purpose.

use std::collections::{BTreeMap, BTreeSet};

use jinke_file::{FileConfig, FileConnector, FileInput, Limits, mapping_file};
use jinke_types::Body;

use crate::{
    suite::samples::{Calendar, systems, write_samples},
    support::{joined, pages, told},
};

#[tokio::test]
async fn samples_import_with_only_the_errors_put_in() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = write_samples(dir.path(), 7, Calendar::FIXED, 300).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parties = BTreeSet::new();
    let mut named = BTreeSet::new();
    let mut errors = Vec::new();
    for source in &manifest.sources {
        for file in &source.files {
            let mapping = mapping_file(&file.mapping).unwrap();
            let config = FileConfig {
                source: source.id.to_owned(),
                files: vec![FileInput::new(&file.path, mapping)],
                limits: Limits::default(),
            };
            let (pages, error) = pages(&FileConnector::new(config).unwrap(), None).await;
            assert_eq!(error, None, "{}", file.path.display());
            let (records, mut row_errors) = joined(&pages);
            assert!(!records.is_empty(), "{}", file.mapping.display());
            errors.append(&mut row_errors);
            for record in records {
                let key = format!("{},{}", record.key.source, record.key.external_id);
                match record.body {
                    Body::Party { .. } => {
                        *counts.entry("parties").or_default() += 1;
                        parties.insert(key);
                    }
                    Body::Transaction(t) => {
                        *counts.entry("transactions").or_default() += 1;
                        assert!(t.amount.is_some());
                        named.insert(format!("{},{}", t.party.source, t.party.external_id));
                    }
                    Body::Interaction(i) => {
                        *counts.entry("interactions").or_default() += 1;
                        named.insert(format!("{},{}", i.party.source, i.party.external_id));
                    }
                    Body::Relationship(_) => *counts.entry("relationships").or_default() += 1,
                }
            }
        }
    }
    assert_eq!(errors.len(), manifest.row_errors, "{:?}", told(&errors));
    // Every transaction and message finds its party, and the truth lists exactly the parties
    // beside those of the systems that are not files.
    assert!(
        named.is_subset(&parties),
        "{:?}",
        named.difference(&parties).next()
    );
    let mut truth = csv::Reader::from_path(&manifest.truth).unwrap();
    let listed: BTreeSet<String> = truth
        .records()
        .map(|r| r.unwrap())
        .filter(|r| !["kingdee", "wecom"].contains(&&r[0]))
        .map(|r| format!("{},{}", &r[0], &r[1]))
        .collect();
    assert_eq!(listed, parties);
    assert!(
        counts["parties"] > 800 && counts["transactions"] > 1_000,
        "{counts:?}"
    );
    assert!(
        counts["interactions"] > 500 && counts["relationships"] > 300,
        "{counts:?}"
    );
}

#[test]
fn one_seed_gives_one_set_of_files() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = write_samples(a.path(), 11, Calendar::FIXED, 50).unwrap();
    assert_eq!(manifest.systems, systems(11, Calendar::FIXED, 50));
    assert!(!manifest.systems.kingdee.is_empty() && !manifest.systems.wecom.is_empty());
    write_samples(b.path(), 11, Calendar::FIXED, 50).unwrap();
    let c = tempfile::tempdir().unwrap();
    write_samples(c.path(), 12, Calendar::FIXED, 50).unwrap();
    for name in [
        "erp-customers.csv",
        "erp-orders.csv",
        "chat-contacts.csv",
        "chat-messages.csv",
        "truth.csv",
    ] {
        let read = |dir: &tempfile::TempDir| std::fs::read(dir.path().join(name)).unwrap();
        assert_eq!(read(&a), read(&b), "{name}");
        assert_ne!(read(&a), read(&c), "{name}");
    }
}
