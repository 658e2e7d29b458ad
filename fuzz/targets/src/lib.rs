//! What is fuzzed: readers of bytes that somebody else wrote. Each target is a module with `run`, which panics when a promise
//! is broken and otherwise names the outcome; [`explore`] looks for inputs with new outcomes.
//!
//! The same functions run under libFuzzer (`fuzz/fuzz_targets`), where coverage guides the search.

pub mod explore;
pub mod message;
pub mod mutate;
pub mod press;
pub mod resp;
pub mod token;

use std::path::{Path, PathBuf};

/// Longest input, in bytes; what is longer is cut.
pub const INPUT_MAX: usize = 4096;

/// A reader under test.
pub struct Target {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// Reads one input, panics when a promise is broken, and names what came of it.
    pub run: fn(&[u8]) -> String,
    /// Words that its language is made of.
    pub words: &'static [&'static str],
    /// Seeds that cannot be kept in files.
    pub made: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 4] = [
    Target { name: "resp", run: resp::run, words: resp::WORDS, made: Vec::new },
    Target { name: "press", run: press::run, words: press::WORDS, made: Vec::new },
    Target { name: "token", run: token::run, words: token::WORDS, made: token::seeds },
    Target { name: "message", run: message::run, words: message::WORDS, made: message::seeds },
];

impl Target {
    /// The inputs that every run starts with: its files in their order, then those that are made.
    ///
    /// # Panics
    /// When the folder of seeds cannot be read.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let folder = folder().join("seeds").join(self.name);
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        files.sort();
        let files = files.iter().map(|file| std::fs::read(file).expect("a readable seed"));
        files.chain((self.made)()).collect()
    }
}

/// `fuzz` in the source tree.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in fuzz")
}
