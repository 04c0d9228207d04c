//! jinke-tests
