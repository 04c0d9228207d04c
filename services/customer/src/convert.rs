//! Between the contract and the words of the suite, both ways.
//!
//! Requests are parsed, not validated twice: whoever holds a domain value knows that it is
//! well-formed and bounded. Every bad field becomes one [`jinke_types::Violation`] with its path in
//! proto field names, e.g. `records[3].party.values[2].text`; the first 50 are reported.
//!
//! | module | what it converts |
//! |---|---|
//! | [`check`] | the collector of violations, bounded text, names of resources |
//! | [`number`] | timestamps, dates, decimals, money |
//! | [`value`] | record keys, values, addresses |
//! | [`record`] | source records with their four bodies |
//! | [`answer`] | what goes out: customers, revisions, changes, reviews, judgements, sources |

pub mod answer;
pub mod check;
pub mod number;
pub mod record;
pub mod value;

/// The contract's messages of this service.
pub use jinke_proto::jinke::customer::v1 as pb;

pub use check::Check;
