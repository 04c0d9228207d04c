//! jinke-sdk
