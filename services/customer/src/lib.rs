//! jinke-customer
