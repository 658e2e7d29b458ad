//! Sets `cfg(loom)` for this crate alone: set for all of them, it would change tokio.

fn main() {
    println!("cargo:rustc-cfg=loom");
}
