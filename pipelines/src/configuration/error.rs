//! Why settings cannot be read.

use spfde_data::parameter::ParameterError;

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// A file that is no configuration, or a value that no key takes, such as a list or a date.
    #[error("{place}: {what}")]
    Unreadable {
        /// The file, with the line if it is known, or the word.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// No data set has the name, nor is there anything at the path.
    #[error(
        "data.path is {found:?}: no data set of the program has this name (`spfde list data`), and there is \
         nothing at this path{}; `spfde import` makes a directory of images",
        meant.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
    )]
    NoData {
        /// The value.
        found: String,
        /// A data set with a name like that.
        meant: Option<String>,
    },
    /// A word that is not `key=value`.
    #[error("`{word}` is neither key=value nor, as the first word, a file ending in .toml")]
    Word {
        /// The word.
        word: String,
    },
    /// Words of a command that do not go together, or lack one: what, and what would do.
    #[error("{0}")]
    Usage(String),
    /// A key or value that does not fit.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}
