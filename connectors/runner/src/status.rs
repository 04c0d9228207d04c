//! How far every part of every connector is proven, as the table of `docs/connectors.md`.

use std::fmt::Write as _;

use jinke_sdk::{PartKind, Verification};

use crate::registry::kinds;

/// What a verification is called in documentation.
pub const fn word(verification: Verification) -> &'static str {
    match verification {
        Verification::RealServer => "real server",
        Verification::OfficialSdk => "official SDK agrees with our simulator",
        Verification::DocumentationOnly => "documentation only",
        Verification::Unverified => "unverified",
    }
}

const fn kind_word(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Stream => "stream",
        PartKind::Directory => "directory",
        PartKind::Sweep => "sweep",
        PartKind::Message => "messages out",
        PartKind::Push => "records out",
        PartKind::Callback => "events in",
    }
}

/// The whole document, from what the connectors say of themselves.
pub fn document() -> String {
    let mut out = String::from(
        "# Connectors, and how far they are proven\n\n\
         Made from the code, which `jinke connectors` shows too; a test holds both together \
         (`UPDATE_GOLDEN=1 cargo test -p jinke-runner --lib status` writes it). Each part says \
         against what it was tested, and nothing claims more than was run:\n\n\
         | status | means |\n|---|---|\n\
         | real server | tests run it against the real server |\n\
         | official SDK agrees with our simulator | the vendor's own or best known SDK reads and \
         writes our simulator, against which the connector is tested; no real server was at hand |\n\
         | documentation only | written by the vendor's documentation and tested against our \
         simulator of it only |\n\
         | unverified | nothing of it was compared with the vendor |\n\n\
         A message is for somebody in the connector's own words, or for one of our users, \
         `users/…`. A connector with a part of the kind directory then reaches the member whom the \
         directory of the connection's source ties to the user at the time of sending (`jinke` \
         makes the ids of users, so they are not always those of members): pull the directory and \
         send the messages over one connection, or over two with one source. Without a link, or \
         when the member is gone, the delivery fails with `RECIPIENT_NOT_LINKED` and nobody gets \
         it. `log` and `webhook` keep no directory; they are told the name, `users/…`.\n",
    );
    for kind in kinds() {
        let spec = &kind.spec;
        // Writing to a text does not fail.
        let _ = write!(
            out,
            "\n## `{}` {}\n\n{}\n\n| part | kind | what | status | evidence |\n|---|---|---|---|---|\n",
            spec.kind, spec.display_name, spec.about
        );
        for part in &spec.parts {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                part.name,
                kind_word(part.kind),
                part.about,
                word(part.verification),
                part.evidence
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/connectors.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, document()).expect("docs/connectors.md");
        }
        let written = std::fs::read_to_string(path).expect("docs/connectors.md");
        assert!(
            written == document(),
            "docs/connectors.md differs; run with UPDATE_GOLDEN=1 and read what changed"
        );
    }
}
