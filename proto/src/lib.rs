//! The contract: everything `jinke/*/v1/*.proto` says, as Rust, and nothing else.
//!
//! Messages and services stand in modules named like their packages, e.g.
//! [`jinke::customer::v1`]. [`FILE_DESCRIPTOR_SET`] is the encoded descriptor set with custom
//! options, for reflection, access control and REST.

#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    reason = "generated; the documentation is in the protos"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}

pub use generated::{google, jinke};

/// The encoded `google.protobuf.FileDescriptorSet` of all files, imports and source info included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
