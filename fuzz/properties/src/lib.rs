//! What the fuzz targets run, one function for each, which panics when something does not hold. `cargo test` feeds it the
//! corpora.

mod configuration;
mod model;
#[cfg(test)]
mod random;
mod replies;
mod transport;

pub use configuration::{configuration, url};
pub use replies::{calls, reply, splice};
pub use transport::{decode, topology};

use redis::Value;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// The targets and the names of their corpora.
pub const TARGETS: [(&str, Target); 7] = [
    ("calls", calls),
    ("configuration", configuration),
    ("decode", decode),
    ("reply", reply),
    ("splice", splice),
    ("topology", topology),
    ("url", url),
];

/// The replies that bytes from a server are, up to the first that is none.
pub fn values(data: &[u8]) -> impl Iterator<Item = Value> + '_ {
    let (mut parser, mut rest) = (redis::Parser::new(), data);
    std::iter::from_fn(move || parser.parse_value(&mut rest).ok()).take(64)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn what_the_fuzzers_found_worth_keeping_holds() {
        for (name, target) in super::TARGETS {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
            let files: Vec<_> = fs::read_dir(&corpus).unwrap().map(|file| file.unwrap().path()).collect();
            assert!(!files.is_empty(), "{name} has no corpus");
            for file in files {
                println!("{}", file.display());
                target(&fs::read(file).unwrap());
            }
        }
    }
}
