//! jinke-suite
