//! `config.toml`, and the file that `spfde train` takes.

use spfde::configuration::{Configuration, Source};

/// Reads and resolves it; what resolves comes back from its own text.
pub(super) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(source) = Source::parse_file("config.toml", text) else { return };
    let Ok(configuration) = Configuration::resolve(source.entries()) else { return };
    let again = Source::parse_file("config.toml", &configuration.to_toml()).unwrap();
    let again = Configuration::resolve(again.entries()).unwrap();
    assert_eq!(again.values(), configuration.values());
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let defaults = Configuration::resolve(&[]).unwrap().to_toml().into_bytes();
    let short = "seed = 1\n[mask]\npolicy = \"mest-em\"\nsparsity = 0.95\nsoft = 0.2\n\n[train]\nepochs = 3\n\
                 learning_rate = 1e-2\n[sieve]\npolicy = 'random'\nfraction = 0.5\n";
    let dotted = "train.epochs = 4\nfreeze.policy = \"gradient-norm\"\nfreeze.threshold = 0.1\n# a comment\n";
    vec![("defaults", defaults), ("short", short.into()), ("dotted", dotted.into())]
}
