//! jinke-file
