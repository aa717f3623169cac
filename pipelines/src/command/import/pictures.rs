//! What kinds with pictures take.

use clap::Args;
use spfde_data::files::import::SIDE_LIMIT;
use spfde_data::files::import::picture::Pictures;
use spfde_data::files::picture::Fit;
use spfde_data::{Setting, Value};

/// What pictures become.
#[derive(Args, Debug)]
pub(super) struct Shape {
    /// Rows and columns of every image, such as 64 or 48x64; without it all pictures must have the same size
    #[arg(long, value_name = "ROWSxCOLUMNS", value_parser = size)]
    size: Option<[usize; 2]>,
    /// Of a picture of other proportions: crop what is too much from its sides, pad it with
    /// black, or refuse it
    #[arg(long, value_name = "HOW", default_value = "crop", value_parser = Fit::NAMES.to_vec())]
    fit: String,
    /// 1 for grey, 3 for colours [default: 1 if no picture has colours, or else 3]
    #[arg(long, value_name = "N", value_parser = ["1", "3"])]
    channels: Option<String>,
    /// Leave out pictures that cannot be read, and name them
    #[arg(long)]
    skip_bad: bool,
}

impl Shape {
    pub(super) fn pictures(&self) -> Pictures {
        Pictures {
            size: self.size,
            fit: Fit::from_value(&Value::Text(self.fit.clone())).expect("the names were checked"),
            channels: self
                .channels
                .as_ref()
                .map(|channels| channels.parse().expect("the numbers were checked")),
            skip_bad: self.skip_bad,
        }
    }
}

/// One side of a square, or two.
fn size(text: &str) -> Result<[usize; 2], String> {
    let (rows, columns) = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=SIDE_LIMIT).contains(side));
    let size = side(rows).zip(side(columns)).map(<[usize; 2]>::from);
    size.ok_or_else(|| format!("it takes rows and columns, such as 64 or 48x64, up to {SIDE_LIMIT}"))
}
