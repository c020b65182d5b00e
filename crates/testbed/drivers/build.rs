//! Links the image as the driver is linked.

fn main() {
    if let Err(error) = wdk_build::configure_wdk_binary_build() {
        println!("cargo::error={error}");
    }
}
