//! `docs/errors.md` lists every reason in the code, and no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Words that are written like a reason and are none: environment variables, enum values of the
/// contract, SQL types, gRPC codes where they are named as codes.
fn is_something_else(word: &str) -> bool {
    let prefixes = ["JINKE_", "CARGO_", "PARTY_KIND_", "XDG_"];
    let words = [
        "ABORTED",
        "APPDATA",
        "BOOL",
        "DATA_LOSS",
        "FAILED_PRECONDITION",
        "FIELD",
        "FILE",
        "HOME",
        "HOSTNAME",
        "INT2",
        "INT4",
        "INT8",
        "MEMORY",
        "NULL",
        "ORGANIZATION",
        "OUT_OF_RANGE",
        "PERSON",
        "RESOURCE_EXHAUSTED",
        "SIGINT",
        "SIGTERM",
        "TEXT",
        "TOKEN",
        "UNKNOWN",
        "BYTEA",
        "BLOB",
        "INTEGER",
        "REAL",
        "FLOAT8",
        "NUMERIC",
        "KIND_",
        "FIELD_CLASS_",
        "DESC",
        "POST",
        "PAR1",
        "CALL",
        "CONVERTED",
        "DISQUALIFIED",
        "DONE",
        "FOLLOW_UP",
        "LOST",
        "MEETING",
        "MESSAGE",
        "NOTE",
        "OPEN",
        "OTHER",
        "OVERDUE",
        "QUALIFIED",
        "RETENTION",
        "VISIT",
        "CALLBACK",
        "EVENT",
        "LATER",
        "SIGNATURE",
        "STALE",
        "SUCCESS",
        "SYSTEM",
        "UNREADABLE",
        "LIFECYCLE_STAGE_",
        "OWNER",
        "STATE_",
        "USCC",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "IBAN",
        "EEF3FD",
    ];
    words.contains(&word) || prefixes.iter().any(|p| word.starts_with(p))
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !matches!(
                &*name,
                "target" | "tests" | "examples" | "samples" | "conformance" | "simulator"
            ) {
                sources(&path, out);
            }
        } else if name.ends_with(".rs")
            && !["test", "conformance", "simulator"]
                .iter()
                .any(|word| name.contains(word))
        {
            out.push(path);
        }
    }
}

/// Whether a file names the fields and forms of a vendor, which are written like reasons.
fn is_vendors_words(file: &Path) -> bool {
    let vendor = [
        "connectors/kingdee",
        "connectors/sap",
        "connectors/runner/src/simulate",
    ];
    let rooms = [
        "forms.rs",
        "records.rs",
        "model.rs",
        "streams.rs",
        "clients.rs",
    ];
    vendor.iter().any(|v| file.to_string_lossy().contains(v))
        && rooms.iter().any(|r| file.ends_with(r))
}

/// String literals of the product's code that look like a reason, with a file that has them.
fn in_code() -> BTreeMap<String, PathBuf> {
    let mut files = Vec::new();
    for area in ["services", "connectors"] {
        for member in fs::read_dir(root().join(area)).unwrap().flatten() {
            let src = member.path().join("src");
            if src.is_dir() {
                sources(&src, &mut files);
            }
        }
    }
    let mut found = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        // A module of tests alone is not the product's.
        if text.contains("#![cfg(test)]") || file.ends_with("permission_matrix.rs") {
            continue;
        }
        if is_vendors_words(&file) {
            continue;
        }
        let product = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for line in product
            .lines()
            // What a flag's value is called in the help is no reason either.
            .filter(|l| !l.trim_start().starts_with("//") && !l.contains("value_name"))
        {
            for word in line.split('"').skip(1).step_by(2) {
                let shaped = word.len() >= 4
                    && word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
                if shaped && !is_something_else(word) {
                    found.insert(word.to_owned(), file.clone());
                }
            }
        }
    }
    found
}

/// Reasons of the tables in `docs/errors.md`, with how often each is listed.
fn in_docs() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut listed = BTreeMap::new();
    // The table of codes stands before the first section.
    for line in text.split("\n## ").skip(1).flat_map(str::lines) {
        if let Some(reason) = line.strip_prefix("| `").and_then(|l| l.split('`').next()) {
            *listed.entry(reason.to_owned()).or_default() += 1;
        }
    }
    listed
}

#[test]
fn every_reason_is_listed_and_every_listed_reason_exists() {
    let (code, docs) = (in_code(), in_docs());
    assert!(code.len() > 100, "the reasons of the code were found");
    let missing: Vec<_> = code
        .iter()
        .filter(|(reason, _)| !docs.contains_key(*reason))
        .map(|(reason, file)| format!("{reason} ({})", file.display()))
        .collect();
    let twice: Vec<_> = docs
        .iter()
        .filter(|(_, n)| **n > 1)
        .map(|(r, _)| r)
        .collect();
    let gone: BTreeSet<_> = docs.keys().filter(|r| !code.contains_key(*r)).collect();
    assert!(
        missing.is_empty() && gone.is_empty() && twice.is_empty(),
        "docs/errors.md\nlacks: {missing:#?}\nlists what is not in the code: {gone:?}\nlists twice: {twice:?}"
    );
}
