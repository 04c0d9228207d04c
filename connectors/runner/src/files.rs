//! Opening files with the file connector.
