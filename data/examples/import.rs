//! Imports a data set from IDX files: `import NAME OUT PATH…`, where PATH is a directory or the four files.

use std::path::{Path, PathBuf};

use spfde_data::files::{data_set, idx};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: import NAME OUT PATH…".into());
    };
    let paths: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let files = idx::find(&paths, Default::default())?;
    data_set::write(&idx::import(&files, &idx::Options::named(name))?.set, Path::new(&out))?;
    Ok(())
}
