//! Writes the OpenAPI document: `cargo run -p jinke-gateway --example openapi -- docs/openapi.json`.
//! Without an argument it goes to standard output.

use std::{error::Error, fs, io::Write};

use jinke_gateway::{openapi, table::Table};
use prost_reflect::DescriptorPool;

fn main() -> Result<(), Box<dyn Error>> {
    let pool = DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET)?;
    let text = openapi::text(&pool, &Table::read(&pool)?);
    match std::env::args_os().nth(1) {
        Some(path) => fs::write(path, text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}
