//! Writes the contract in its binary form: what a component's functions are compared with at upload.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    // Build scripts run in the folder of their package.
    let contract = Path::new("../../wit");
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(contract)?;
    let bytes = wit_component::encode(&resolve, package)?;
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("contract.wasm"), bytes)?;
    println!("cargo::rerun-if-changed={}", contract.display());
    Ok(())
}
