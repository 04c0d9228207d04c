//! How records become requests: filled to a size, never split from their place in the file,
//! with a request id that only depends on what is sent and where it comes from.

use jinke_proto::jinke::customer::v1 as pb;
use prost::Message;
use sha2::{Digest, Sha256};

/// A batch holds at most this many records.
pub const MAX_RECORDS: usize = 500;
/// A batch is filled up to this many bytes of encoded records; well below the service's 16 MiB.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The service takes no record over this many bytes; sending it would only cost the batch.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// What the request ids of one stream are derived from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Id of the source.
    pub source: String,
    /// Digest of the files and mappings read.
    pub digest: String,
    /// Counts finished imports of the same files, so that a deliberate second import is not
    /// answered from the memory of the first.
    pub run: u64,
    /// The stream.
    pub stream: String,
}

/// Records that are sent together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// At most [`MAX_RECORDS`], and [`MAX_BYTES`] unless a single one is larger.
    pub records: Vec<pb::SourceRecord>,
    /// Where the pull stands when these records are durable; none in the middle of a page.
    pub cursor: Option<String>,
    /// The service may resolve new ones of these records in the background.
    pub later: bool,
}

/// So many records of a first load are resolved as they come; those that follow are stored, and
/// resolved in the background, many at a time.
pub const RESOLVED_AT_ONCE: u64 = 20_000;

/// Fills batches from pages.
#[derive(Debug, Default)]
pub struct Batcher {
    open: Batch,
    bytes: usize,
    first_load: bool,
    taken: u64,
}

impl Batcher {
    /// For a stream that is read from its start: what goes beyond [`RESOLVED_AT_ONCE`] records may
    /// be resolved later.
    pub fn of_first_load(first_load: bool) -> Self {
        Self {
            first_load,
            ..Self::default()
        }
    }

    /// Adds one record; gives back a batch when the record does not fit into it any more.
    pub fn push(&mut self, record: pb::SourceRecord) -> Option<Batch> {
        let len = record.encoded_len();
        let full = self.open.records.len() >= MAX_RECORDS
            || (self.bytes + len > MAX_BYTES && !self.open.records.is_empty());
        let done = if full { self.take() } else { None };
        // The page this record is of is not complete, so an earlier cursor is not its own.
        self.open.cursor = None;
        self.bytes += len;
        self.open.records.push(record);
        done
    }

    /// Ends a page: from here on its cursor may be saved with the records before it.
    pub fn end_page(&mut self, cursor: Option<String>) {
        if cursor.is_some() {
            self.open.cursor = cursor;
        }
    }

    /// The records that wait, with their cursor; none when there is neither.
    pub fn take(&mut self) -> Option<Batch> {
        self.bytes = 0;
        let mut batch = std::mem::take(&mut self.open);
        batch.later = self.first_load && self.taken >= RESOLVED_AT_ONCE;
        self.taken += batch.records.len() as u64;
        (!batch.records.is_empty() || batch.cursor.is_some()).then_some(batch)
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.open.records.len()
    }

    /// Whether no record waits.
    pub fn is_empty(&self) -> bool {
        self.open.records.is_empty()
    }
}

/// The request id of `records`, or of leads, pulled after `cursor`. The same records from the same place
/// give the same id, other records give another: a retry is recognised, and an id is never
/// used for two bodies. 44 printable characters.
pub fn request_id(
    origin: &Origin,
    cursor: Option<&str>,
    records: &[impl Message],
    later: bool,
) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // The length in front keeps neighbouring parts apart.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(origin.source.as_bytes());
    part(origin.digest.as_bytes());
    part(&origin.run.to_le_bytes());
    part(origin.stream.as_bytes());
    part(cursor.unwrap_or_default().as_bytes());
    for record in records {
        part(&record.encode_to_vec());
    }
    if later {
        part(b"later");
    }
    let digest: String = hash
        .finalize()
        .iter()
        .take(20)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("imp-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: usize, bytes: usize) -> pb::SourceRecord {
        pb::SourceRecord {
            key: Some(pb::RecordKey {
                source: "sources/a".into(),
                external_id: id.to_string(),
            }),
            body: Some(pb::source_record::Body::Party(pb::Party {
                kind: 1,
                values: vec![pb::Value {
                    attribute: "remark".into(),
                    datum: Some(pb::value::Datum::Text("x".repeat(bytes))),
                    ..pb::Value::default()
                }],
            })),
            ..pb::SourceRecord::default()
        }
    }

    fn fill(pages: &[(usize, usize)]) -> Vec<(usize, Option<String>)> {
        let (mut batcher, mut out, mut id) = (Batcher::default(), Vec::new(), 0);
        for (page, &(records, bytes)) in pages.iter().enumerate() {
            for _ in 0..records {
                id += 1;
                out.extend(batcher.push(record(id, bytes)));
            }
            batcher.end_page(Some(page.to_string()));
        }
        out.extend(batcher.take());
        out.into_iter()
            .map(|b| (b.records.len(), b.cursor))
            .collect()
    }

    #[test]
    fn small_pages_are_joined_and_keep_the_last_cursor() {
        assert_eq!(fill(&[(100, 1), (100, 1)]), [(200, Some("1".into()))]);
    }

    #[test]
    fn a_batch_cut_within_a_page_has_no_cursor() {
        // 400 of page 0 and 100 of page 1 go first: neither cursor may be saved with them,
        // because page 1 is not durable as a whole.
        assert_eq!(
            fill(&[(400, 1), (200, 1)]),
            [(500, None), (100, Some("1".into()))]
        );
        // Cut exactly at the end of a page: its cursor is safe.
        assert_eq!(
            fill(&[(500, 1), (1, 1)]),
            [(500, Some("0".into())), (1, Some("1".into()))]
        );
    }

    #[test]
    fn large_records_make_small_batches() {
        let batches = fill(&[(10, 1_000_000)]);
        assert!(batches.iter().all(|(n, _)| *n <= 4), "{batches:?}");
        assert_eq!(batches.iter().map(|(n, _)| n).sum::<usize>(), 10);
    }

    #[test]
    fn an_empty_page_still_moves_the_cursor() {
        assert_eq!(fill(&[(0, 0)]), [(0, Some("0".into()))]);
        assert_eq!(Batcher::default().take(), None);
    }

    #[test]
    fn the_rest_of_a_big_first_load_may_be_resolved_later() {
        let later = |mut batcher: Batcher, records: usize| -> Vec<bool> {
            let mut out: Vec<Batch> = (0..records)
                .filter_map(|id| batcher.push(record(id, 1)))
                .collect();
            out.extend(batcher.take());
            out.iter().map(|b| b.later).collect()
        };
        let first = later(Batcher::of_first_load(true), 21_000);
        assert_eq!(first, [[false; 40].as_slice(), &[true; 2]].concat());
        assert!(!later(Batcher::of_first_load(false), 21_000).contains(&true));
    }

    #[test]
    fn a_request_id_tells_bodies_places_and_runs_apart() {
        let origin = Origin {
            source: "a".into(),
            digest: "d".into(),
            run: 0,
            stream: "s".into(),
        };
        let id = request_id(&origin, Some("c"), &[record(1, 1), record(2, 1)], false);
        assert_eq!(id.len(), 44);
        assert_eq!(
            id,
            request_id(&origin, Some("c"), &[record(1, 1), record(2, 1)], false)
        );
        let next_run = Origin {
            run: 1,
            ..origin.clone()
        };
        for other in [
            request_id(&origin, Some("c"), &[record(1, 1)], false),
            request_id(&origin, Some("c2"), &[record(1, 1), record(2, 1)], false),
            request_id(&origin, Some("c"), &[record(2, 1), record(1, 1)], false),
            request_id(&next_run, Some("c"), &[record(1, 1), record(2, 1)], false),
        ] {
            assert_ne!(id, other);
        }
    }
}
