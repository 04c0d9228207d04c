//! jinke-identity
