//! What a connector is.
pub mod connector;
pub mod mapping;
pub mod parse;
pub mod row;
pub mod spec;

pub use connector::{
    Column, Connector, Cursor, Effect, Location, MAX_CURSOR_BYTES, MAX_PAGE_ERRORS,
    MAX_PAGE_RECORDS, Page, Progress, PullError, PullErrorKind, RowError, StreamSchema,
};
pub use mapping::{Guess, Mapping, Output, Preview, RowReader, guess};
pub use row::{Cell, Row};
pub use spec::{ConfigKey, Settings, Spec, ValueType};
