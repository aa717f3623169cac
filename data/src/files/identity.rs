//! Which file, or which directory, something is, whatever it is called by now.

use std::fs::Metadata;
use std::path::Path;

/// What tells a file, or a directory, from all others that are there at the same time: its file system, and its number there. All
/// are the same where the system does not tell: only Unix does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(Option<(u64, u64)>);

impl Identity {
    #[cfg(unix)]
    pub(super) fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self(Some((file.dev(), file.ino())))
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Self {
        Self(None)
    }

    /// Of what has the name `path`; a link is a file of its own.
    ///
    /// # Errors
    /// If there is nothing, or it cannot be looked at.
    pub(super) fn at(path: &Path) -> std::io::Result<Self> {
        path.symlink_metadata().map(|found| Self::of(&found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_is_the_same_by_another_name_and_another_one_by_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let file = std::fs::File::create(path("a")).unwrap();
        let held = Identity::of(&file.metadata().unwrap());
        assert_eq!(Identity::at(&path("a")).unwrap(), held);
        std::fs::rename(path("a"), path("b")).unwrap();
        assert_eq!(Identity::at(&path("b")).unwrap(), held);
        std::fs::write(path("a"), "").unwrap();
        assert_ne!(Identity::at(&path("a")).unwrap(), held);
        std::os::unix::fs::symlink(path("b"), path("c")).unwrap();
        assert_ne!(Identity::at(&path("c")).unwrap(), held);
    }
}
