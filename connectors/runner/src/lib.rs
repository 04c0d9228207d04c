//! jinke-runner
