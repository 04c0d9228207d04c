//! jinke-store
