//! The command line of `unseen`.

fn main() {}
