//! Tests over the finished house. Everything is in the test binary `house` (`tests/house/`);
//! this library is empty on purpose and only gives the package a target for `cargo check`.
