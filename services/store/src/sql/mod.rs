//! One SQL text for both engines: arguments, rows, connections.
//!
//! Write `$1, $2, …` for parameters and `IN LIST($3)` for membership in a list; the kit
//! turns the latter into `= ANY($3)` on PostgreSQL and `IN (SELECT value FROM json_each($3))`
//! on SQLite. Statements are prepared once per connection and cached by their text.

mod arg;
mod conn;
mod row;
mod rows;
mod session;

pub use arg::{Arg, Sql};
pub(crate) use conn::Inner as ConnInner;
pub use conn::{Conn, Engine};
pub use row::Row;
pub use rows::Rows;
pub(crate) use session::Session;

/// The arguments of a statement: `args![id, name.as_str(), None::<i64>]`.
///
/// Gives a `Vec<Arg>`; every value is turned into an [`Arg`] with `Into`.
#[macro_export]
macro_rules! args {
    () => { ::std::vec::Vec::<$crate::Arg>::new() };
    ($($value:expr),+ $(,)?) => { ::std::vec![$($crate::Arg::from($value)),+] };
}
