//! A disk as it may be after a power cut: what was made durable is there, of everything else any part. Lock
//! files are not on it: nothing that counts is in them, and whether they are there makes no difference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use spfde_data::files::operation::Change;
use spfde_data::random::{Purpose, draw};

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Directory,
    /// By its number in [`Disk::files`].
    File(usize),
}

/// The content of a file, whatever it is called.
#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// How many of them are durable.
    durable: usize,
}

/// What the disk has been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: Vec<Content>,
    /// The names as every process sees them while there is power.
    seen: BTreeMap<PathBuf, Entry>,
    /// The names that survive.
    durable: BTreeMap<PathBuf, Entry>,
    /// Changes of names that may or may not, in order: a name, and what it stands for from then on.
    pending: Vec<(PathBuf, Option<Entry>)>,
}

/// What becomes of that which was not made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it is lost.
    Lost,
    /// Names survive, the bytes of the files do not.
    NamesOnly,
    /// Names survive, files have their lengths, and zeros where the bytes were not durable.
    Zeros,
    /// Bytes survive, names do not.
    BytesOnly,
    /// Of each name and each file a draw decides.
    Drawn(u64),
}

/// The files, by path, and the directories, which have no bytes.
pub(super) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Disk {
    /// A disk on which all that is below `directory`, and the directories above it, are durable.
    pub(super) fn of(directory: &Path) -> Self {
        let mut disk = Self::default();
        for path in directory.ancestors() {
            disk.seen.insert(path.to_owned(), Entry::Directory);
        }
        disk.add(directory);
        disk.durable = disk.seen.clone();
        disk
    }

    fn add(&mut self, directory: &Path) {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.seen.insert(path.clone(), Entry::Directory);
                self.add(&path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                self.seen.insert(path, Entry::File(self.files.len()));
                self.files.push(Content { durable: bytes.len(), bytes });
            }
        }
    }

    /// Tells it of a change. A file that is emptied loses what it had at once: only unfinished ones are.
    pub(super) fn take(&mut self, change: &Change) {
        match change {
            Change::Create { path } => match self.seen.get(&**path) {
                Some(Entry::File(file)) => self.files[*file] = Content::default(),
                _ => {
                    self.name(path, Some(Entry::File(self.files.len())));
                    self.files.push(Content::default());
                }
            },
            Change::Write { path, bytes } => self.file(path).bytes.extend(bytes.iter()),
            Change::Sync { path } => {
                let file = self.file(path);
                file.durable = file.bytes.len();
            }
            Change::Rename { from, to } => {
                let entry = self.seen[&**from];
                self.name(to, Some(entry));
                self.name(from, None);
            }
            Change::Remove { path } => self.name(path, None),
            Change::CreateDirectory { path } => self.name(path, Some(Entry::Directory)),
            Change::SyncDirectory { path: directory } => {
                let (settled, pending) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|(path, _)| path.parent() == Some(directory));
                self.pending = pending;
                settled.iter().for_each(|change| apply(&mut self.durable, change));
            }
        }
    }

    fn name(&mut self, path: &Path, entry: Option<Entry>) {
        let change = (path.to_owned(), entry);
        apply(&mut self.seen, &change);
        self.pending.push(change);
    }

    fn file(&mut self, path: &Path) -> &mut Content {
        match self.seen.get(path) {
            Some(Entry::File(file)) => &mut self.files[*file],
            entry => panic!("{} is {entry:?}", path.display()),
        }
    }

    /// What is there, below `root`, when the power is back.
    pub(super) fn image(&self, root: &Path, fate: Fate) -> Image {
        let mut drawn = 0;
        let mut below = |limit: usize| {
            drawn += 1;
            let Fate::Drawn(seed) = fate else { unreachable!("nothing else is drawn") };
            (draw(seed, Purpose::Synthetic, drawn, 0) % limit as u64) as usize
        };
        let mut entries = self.durable.clone();
        for change in &self.pending {
            let survives = match fate {
                Fate::Lost | Fate::BytesOnly => false,
                Fate::NamesOnly | Fate::Zeros => true,
                Fate::Drawn(_) => below(2) == 0,
            };
            if survives {
                apply(&mut entries, change);
            }
        }
        let mut image = Image::new();
        for (path, entry) in &entries {
            let reachable =
                path.ancestors().skip(1).all(|above| entries.get(above) == Some(&Entry::Directory));
            if !path.starts_with(root) || !reachable {
                continue;
            }
            let bytes = match entry {
                Entry::Directory => None,
                Entry::File(file) => {
                    let Content { bytes, durable } = &self.files[*file];
                    let (mut bytes, lost) = (bytes.clone(), bytes.len() - durable);
                    match fate {
                        Fate::BytesOnly => (),
                        Fate::Lost | Fate::NamesOnly => bytes.truncate(*durable),
                        Fate::Zeros => bytes[*durable..].fill(0),
                        Fate::Drawn(_) => {
                            let kept = durable + below(lost + 1);
                            match below(2) {
                                0 => bytes.truncate(kept),
                                _ => bytes[kept..].fill(0),
                            }
                        }
                    }
                    Some(bytes)
                }
            };
            image.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
        }
        image
    }
}

fn apply(entries: &mut BTreeMap<PathBuf, Entry>, (path, entry): &(PathBuf, Option<Entry>)) {
    match entry {
        Some(entry) => entries.insert(path.clone(), *entry),
        None => entries.remove(path),
    };
}

/// Writes an image to the directory `to`, if there is one in it.
pub(super) fn write(image: &Image, to: &Path) {
    for (path, bytes) in image {
        let path = to.join(path);
        match bytes {
            None => std::fs::create_dir(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
    }
}

#[test]
fn what_was_not_made_durable_may_be_lost_in_any_part() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    std::fs::write(root.join("old"), b"old").unwrap();
    let mut disk = Disk::of(root);
    let path = |name: &str| root.join(name);
    disk.take(&Change::Create { path: path("a").into() });
    disk.take(&Change::Write { path: path("a").into(), bytes: b"12".to_vec().into() });
    disk.take(&Change::Sync { path: path("a").into() });
    disk.take(&Change::Write { path: path("a").into(), bytes: b"34".to_vec().into() });
    disk.take(&Change::Rename { from: path("a").into(), to: path("old").into() });
    let file = |disk: &Disk, name: &str, fate| disk.image(root, fate).get(Path::new(name)).cloned().flatten();
    let old = |disk: &Disk, fate| file(disk, "old", fate).map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(old(&disk, Fate::Lost).unwrap(), "old");
    assert_eq!(old(&disk, Fate::BytesOnly).unwrap(), "old");
    assert_eq!(old(&disk, Fate::NamesOnly).unwrap(), "12");
    assert_eq!(old(&disk, Fate::Zeros).unwrap(), "12\0\0");
    assert_eq!(file(&disk, "a", Fate::NamesOnly), None);
    let drawn: std::collections::BTreeSet<_> =
        (0..200).map(|seed| old(&disk, Fate::Drawn(seed)).unwrap()).collect();
    let all = ["12", "12\0\0", "123", "123\0", "1234", "old"].map(str::to_owned);
    assert_eq!(drawn, all.into());
    disk.take(&Change::SyncDirectory { path: root.into() });
    assert_eq!(old(&disk, Fate::Lost).unwrap(), "12");
    assert_eq!(old(&disk, Fate::BytesOnly).unwrap(), "1234");
    // What lies in a directory is reached by the directory's name.
    disk.take(&Change::CreateDirectory { path: path("d").into() });
    disk.take(&Change::Create { path: path("d/b").into() });
    disk.take(&Change::SyncDirectory { path: path("d").into() });
    assert_eq!(file(&disk, "d/b", Fate::Lost), None);
    disk.take(&Change::SyncDirectory { path: root.into() });
    assert_eq!(file(&disk, "d/b", Fate::Lost), Some(Vec::new()));
    disk.take(&Change::Remove { path: path("d/b").into() });
    assert_eq!(file(&disk, "d/b", Fate::Lost), Some(Vec::new()));
    assert_eq!(file(&disk, "d/b", Fate::NamesOnly), None);
}
