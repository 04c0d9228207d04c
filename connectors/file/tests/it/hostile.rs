//! Files made to do harm: refused with a clear error, without filling memory or a panic.

use std::io::Write;

use jinke_file::Limits;
use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::support::{CUSTOMERS, connector, joined, pages, read, refused, told, write};

/// A workbook of one sheet whose part `extra` unpacks to `size` zeros.
fn bomb(extra: &str, size: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("xl/workbook.xml", options).unwrap();
    zip.write_all(b"<workbook/>").unwrap();
    zip.start_file(extra, options).unwrap();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..size >> 20 {
        zip.write_all(&zeros).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Writes another unpacked size into the headers of the last part.
fn lie(mut bytes: Vec<u8>, claimed: u32) -> Vec<u8> {
    let find = |bytes: &[u8], magic: &[u8]| bytes.windows(4).rposition(|w| w == magic).unwrap();
    let central = find(&bytes, b"PK\x01\x02");
    bytes[central + 24..central + 28].copy_from_slice(&claimed.to_le_bytes());
    let local = find(&bytes, b"PK\x03\x04");
    bytes[local + 22..local + 26].copy_from_slice(&claimed.to_le_bytes());
    bytes
}

#[tokio::test]
async fn a_workbook_that_unpacks_to_gigabytes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let honest = bomb("xl/worksheets/sheet1.xml", 64 << 20);
    assert!(honest.len() < 200_000, "{}", honest.len());
    let path = write(dir.path(), "bomb.xlsx", &honest);
    let failure = refused(&path, Limits::default()).await;
    assert_eq!(failure.reason, "FILE_TOO_LARGE");
    assert!(failure.message.contains("250 to 1"), "{failure}");
    // Declared sizes are refused without unpacking: here 3.9 GB are only claimed.
    let boast = lie(bomb("xl/worksheets/sheet1.xml", 1 << 20), 3_900_000_000);
    let path = write(dir.path(), "boast.xlsx", boast);
    assert_eq!(
        refused(&path, Limits::default()).await.reason,
        "FILE_TOO_LARGE"
    );
    // A part that claims to be small and is not.
    let liar = lie(honest, 1_000);
    let path = write(dir.path(), "liar.xlsx", liar);
    let failure = refused(&path, Limits::default()).await;
    assert!(
        ["FILE_TOO_LARGE", "FILE_UNREADABLE"].contains(&failure.reason),
        "{failure}"
    );
}

#[tokio::test]
async fn the_total_and_the_parts_kept_in_memory_have_their_own_limits() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        ratio: u64::MAX,
        token_bytes: u64::MAX,
        ..Limits::default()
    };
    let cases = [
        (
            bomb("xl/worksheets/sheet1.xml", 8 << 20),
            Limits {
                unpacked_bytes: 4 << 20,
                ..limits
            },
        ),
        (
            bomb("xl/sharedStrings.xml", 8 << 20),
            Limits {
                shared_bytes: 4 << 20,
                ..limits
            },
        ),
        (bomb("xl/styles.xml", 20 << 20), limits),
        (
            bomb("xl/worksheets/sheet1.xml", 2 << 20),
            Limits {
                token_bytes: 1 << 20,
                ..limits
            },
        ),
    ];
    for (i, (bytes, limits)) in cases.into_iter().enumerate() {
        let path = write(dir.path(), "b.xlsx", &bytes);
        assert_eq!(
            refused(&path, limits).await.reason,
            "FILE_TOO_LARGE",
            "honest {i}"
        );
        let path = write(dir.path(), "b.xlsx", lie(bytes, 5));
        let failure = refused(&path, limits).await;
        assert!(
            ["FILE_TOO_LARGE", "FILE_UNREADABLE"].contains(&failure.reason),
            "lying {i}"
        );
    }
}

#[tokio::test]
async fn encrypted_old_damaged_and_foreign_files_are_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let ole = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    let mut encrypted = ole.to_vec();
    encrypted.resize(2_048, 0);
    encrypted.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    let mut book = rust_xlsxwriter::Workbook::new();
    book.add_worksheet().write(0, 0, "编码").unwrap();
    let whole = book.save_to_buffer().unwrap();
    let mut other = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    other
        .start_file("word/document.xml", SimpleFileOptions::default())
        .unwrap();
    let other = other.finish().unwrap().into_inner();
    for (bytes, want) in [
        (encrypted, "is encrypted"),
        (ole.to_vec(), "is an old XLS"),
        (whole[..whole.len() / 2].to_vec(), "damaged or incomplete"),
        (other, "no XLSX workbook"),
    ] {
        let failure = refused(&write(dir.path(), "x.xlsx", bytes), Limits::default()).await;
        assert_eq!(failure.reason, "FILE_UNREADABLE");
        assert!(failure.message.contains(want), "{failure}");
    }
    let failure = refused(&dir.path().join("none.csv"), Limits::default()).await;
    assert_eq!(failure.reason, "FILE_MISSING");
    let failure = refused(dir.path(), Limits::default()).await;
    assert!(failure.message.contains("not a regular file"), "{failure}");
}

#[tokio::test]
async fn too_many_sheets_cells_and_merged_regions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.xlsx");
    let mut book = rust_xlsxwriter::Workbook::new();
    for _ in 0..5 {
        let sheet = book.add_worksheet();
        for row in 0..20 {
            sheet
                .write(row, 0, "编码")
                .unwrap()
                .write(row, 1, 1)
                .unwrap();
            let format = rust_xlsxwriter::Format::new();
            sheet.merge_range(row, 3, row, 5, "x", &format).unwrap();
        }
    }
    book.save(&path).unwrap();
    let usual = Limits::default();
    for (limits, want) in [
        (Limits { sheets: 4, ..usual }, "over 4 sheets"),
        (
            Limits {
                sheet_cells: 10,
                ..usual
            },
            "over 10 cells",
        ),
        (
            Limits {
                merged_regions: 99,
                ..usual
            },
            "over 99 merged regions",
        ),
        (Limits { parts: 3, ..usual }, "over 3 parts"),
    ] {
        let failure = refused(&path, limits).await;
        assert_eq!(failure.reason, "FILE_TOO_LARGE");
        assert!(failure.message.contains(want), "{failure}");
    }
}

#[tokio::test]
async fn a_cell_of_ten_megabytes_is_one_row_error() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "编码,名称,电话\nC1,{},1\nC2,乙,2\nC3,\"{}\n",
        "甲".repeat(3_500_000),
        "x\n".repeat(700_000)
    );
    let (records, errors, _) = read(&write(dir.path(), "big.csv", text), CUSTOMERS).await;
    assert_eq!(errors[0].location.row, 2);
    assert_eq!(errors[0].reason, "the row is longer than the limit");
    assert_eq!(told(&errors[1..2]), ["4::a quote is not closed"]);
    assert_eq!(records[0].key.external_id, "C2");
}

#[tokio::test]
async fn only_two_pages_wait_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("编码,名称,电话\n");
    for i in 0..20_000 {
        text.push_str(&format!("C{i},甲,1\n"));
    }
    let path = write(dir.path(), "a.csv", text);
    let connector = connector(&path, CUSTOMERS, Limits::default());
    let (all, _) = pages(&connector, None).await;
    assert!(
        all.iter()
            .all(|p| p.records.len() <= jinke_sdk::MAX_PAGE_RECORDS)
    );
    assert_eq!(joined(&all).0.len(), 20_000);
    // A pull that nobody reads on from ends by itself.
    use futures::StreamExt;
    use jinke_sdk::Connector;
    let mut pull = connector.pull("a.csv", None).await;
    assert!(pull.next().await.is_some());
    drop(pull);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_a_panic(
        head in prop::sample::select(vec![
            &b""[..], b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "编码,名称,电话\n".as_bytes(), b"\xb1\xe0\xc2\xeb,\xc3\xfb\xb3\xc6,\xb5\xe7\xbb\xb0\n",
        ]),
        body in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\",;\t\r\n".to_vec())], 0..600),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "any.csv", [head, &body].concat());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let connector = connector(&path, CUSTOMERS, Limits::default());
        let (_, error) = runtime.block_on(pages(&connector, None));
        if let Some(error) = error {
            prop_assert!(!error.failure.message.contains("does not know"), "the reader panicked");
        }
    }

    #[test]
    fn no_damage_to_a_workbook_makes_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write(0, 0, "编码").unwrap().write(0, 1, "名称").unwrap();
        sheet.write(1, 0, "C1").unwrap().write(1, 1, 5).unwrap();
        let mut bytes = book.save_to_buffer().unwrap();
        let index = at.index(bytes.len());
        bytes[index] = byte;
        if byte % 4 == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "any.xlsx", bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let connector = connector(&path, CUSTOMERS, Limits::default());
        let (_, error) = runtime.block_on(pages(&connector, None));
        if let Some(error) = error {
            prop_assert!(!error.failure.message.contains("does not know"), "the reader panicked");
        }
    }
}
