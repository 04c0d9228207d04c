//! jinke-resolution
