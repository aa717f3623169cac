//! A directory in which commands run, what they print, and small IDX files for them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use spfde_data::random::{Purpose, draw};
use tempfile::TempDir;

/// What a command printed and returned.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Asserts that the command was refused in one line on standard error that starts and ends like this.
    pub(crate) fn refused(&self, code: i32, start: &str, end: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        let message = self.err.strip_prefix("spfde: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        assert!(message.starts_with(start) && message.trim_end().ends_with(end), "{message}");
    }

    /// Asserts that a run was stopped: standard error ends with one line that starts and ends like this.
    pub(crate) fn stopped(&self, code: i32, start: &str, end: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let message = self.err.lines().last().and_then(|line| line.strip_prefix("spfde: "));
        let message = message.unwrap_or_else(|| panic!("{self:?}"));
        assert!(message.starts_with(start) && message.ends_with(end), "{message}");
    }

    /// Asserts that the command did what it was asked to.
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Trains a small run on the data of a place; the seed and the directory are still to be said.
pub(crate) const RUN: [&str; 6] = [
    "train",
    "data.path=data",
    "model.name=lenet5",
    "mask.sparsity=0.5",
    "freeze.flops_reduction=0.1",
    "train.epochs=5",
];

/// An empty directory in which commands run.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A place with a small data set in `data`, imported from IDX files in `idx`.
    pub(crate) fn with_data() -> Self {
        let place = Self::new();
        write_idx(&place.path("idx"));
        place.run(&["import", "idx", "idx", "--out", "data"]).done();
        place
    }

    /// A place with data and runs of these seeds (`seed=1`) in these directories.
    pub(crate) fn with_runs(seeds: &[(&str, &str)]) -> Self {
        let place = Self::with_data();
        for (directory, seed) in seeds {
            place.run(&[&RUN[..], &[seed, "--run-dir", directory]].concat()).done();
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spfde"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        let output = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The names of what is here, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) fn idx(dimensions: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, dimensions.len() as u8];
    let sizes = dimensions.iter().flat_map(|size| size.to_be_bytes());
    header.into_iter().chain(sizes).chain(bytes.iter().copied()).collect()
}

/// The four files of a data set of 12 × 12 pixels in ten classes: 120 images to train, 40 to test.
pub(crate) fn write_idx(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for (part, images) in [("train", 120_u32), ("t10k", 40)] {
        let pixels: Vec<u8> = (0..u64::from(images) * 144)
            .map(|position| {
                let (class, pixel) = (position / 144 % 10, position % 144);
                (draw(0, Purpose::Synthetic, class, pixel) % 200 + position % 50) as u8
            })
            .collect();
        let labels: Vec<u8> = (0..images).map(|image| (image % 10) as u8).collect();
        let write =
            |name: &str, bytes| std::fs::write(directory.join(format!("{part}-{name}")), bytes).unwrap();
        write("images-idx3-ubyte", idx(&[images, 12, 12], &pixels));
        write("labels-idx1-ubyte", idx(&[images], &labels));
    }
}
