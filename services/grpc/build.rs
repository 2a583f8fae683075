//! Makes Rust of the protocol's messages. The compiler of `.proto` files is a crate, so that no
//! program has to be installed for it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/open_inference.proto"], ["proto"])?;
    // Elements come as bytes that belong to the message already received: no copy is made of them.
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
