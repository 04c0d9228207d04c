//! The Cedar schema of a snapshot.
