//! Soma.
fn main() {}
