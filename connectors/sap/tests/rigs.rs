//! Against the real client or server; see README.md.
