//! jinke-kit
