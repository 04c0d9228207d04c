//! Compiles the protos with protox, so that no protoc is needed. The encoded descriptor set
//! keeps the custom options, which reflection, access control and REST read.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: &[&str] = &[
    "jinke/type/v1/options.proto",
    "jinke/type/v1/operation.proto",
    "jinke/identity/v1/token_service.proto",
    "jinke/identity/v1/identity_service.proto",
    "jinke/identity/v1/access_service.proto",
    "jinke/identity/v1/directory_service.proto",
    "jinke/identity/v1/audit_service.proto",
    "jinke/customer/v1/source_service.proto",
    "jinke/customer/v1/customer_service.proto",
    "jinke/customer/v1/match_service.proto",
    "jinke/customer/v1/stewardship_service.proto",
    "jinke/connector/v1/connector_service.proto",
    "jinke/pipeline/v1/pipeline_service.proto",
    "jinke/pipeline/v1/lead_service.proto",
    "jinke/pipeline/v1/opportunity_service.proto",
    "jinke/pipeline/v1/activity_service.proto",
    "jinke/pipeline/v1/task_service.proto",
    "jinke/reporting/v1/analytics_service.proto",
    "jinke/reporting/v1/insight_service.proto",
    "jinke/reporting/v1/projection_service.proto",
    "jinke/reporting/v1/report_service.proto",
    "jinke/reporting/v1/segment_service.proto",
    "vendor/google/longrunning/operations.proto",
    "vendor/google/rpc/error_details.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=jinke");
    println!("cargo:rerun-if-changed=vendor");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["vendor", "."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    // `file_descriptor_set()` drops custom options; the encoded form keeps them.
    fs::write(
        out.join("descriptor.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    // Messages know their full names, which `google.protobuf.Any` needs.
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .include_file("mod.rs")
        .compile_well_known_types(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}
