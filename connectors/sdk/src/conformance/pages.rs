//! Cases in which the foreign system serves other rows than it was asked for.

use std::collections::BTreeMap;

use jinke_types::SourceRecord;

use super::{HttpSubject, whole};
use crate::{
    connector::PullErrorKind,
    testing::{Fault, pull},
};

/// At any one request the page before comes again, or its last row comes once more at the head of
/// the next page. The pull ends with every record as it is, or with a clear error, behind which a
/// later pull has the rest; a row that was read twice is the same record twice.
pub async fn bears_repeated_and_shifted_pages(subject: &dyn HttpSubject) {
    let server = subject.server();
    let by_id = |records: &[SourceRecord]| -> BTreeMap<String, SourceRecord> {
        let pairs = records.iter();
        pairs
            .map(|r| (r.key.external_id.clone(), r.clone()))
            .collect()
    };
    for (stream, _) in subject.streams() {
        server.script([]);
        let want = by_id(&whole(subject, &stream, None).await.records());
        for number in 1..=server.requests() {
            for fault in [Fault::Again, Fault::Shifted] {
                let when = format!("{stream}: {fault:?} at request {number}");
                server.script([(number, fault)]);
                let got = pull(&*subject.connector(), &stream, None).await;
                server.script([]);
                let mut records = got.records();
                if let Some(error) = &got.error {
                    assert_ne!(error.kind, PullErrorKind::CursorUnknown, "{when}");
                    assert!(!error.failure.message.is_empty(), "{when}");
                    let cursor = got.cursor(None);
                    records.extend(whole(subject, &stream, cursor).await.records());
                }
                for record in &records {
                    let right = want.get(&record.key.external_id);
                    assert_eq!(Some(record), right, "{when}: {:?}", got.error);
                }
                let found = by_id(&records);
                let lost: Vec<_> = want.keys().filter(|id| !found.contains_key(*id)).collect();
                assert!(lost.is_empty(), "{when}: {lost:?} lost: {:?}", got.error);
            }
        }
    }
}
