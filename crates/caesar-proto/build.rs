//! Compiles `proto/caesar/v1` without protoc and keeps the descriptors for reflection.

use std::{env, error::Error, fs, path::Path};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = ["caesar/v1/jobs.proto", "caesar/v1/peer.proto"];
    let descriptors = protox::compile(files, [&root])?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".caesar.v1.Frame.body").compile_fds(descriptors)?;
    Ok(())
}
