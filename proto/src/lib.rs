//! jinke-proto
