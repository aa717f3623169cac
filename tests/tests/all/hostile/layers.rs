//! The layers of a network that another program trains.

use std::path::Path;

use spfde::grid::{Axes, GridOptions, LAYERS_NAME, judge_gradients};

use super::{Case, Class, message};

/// A layer of 5 × 4 weights.
const LAYER: &str = "[[layer]]\nname = \"a\"\nkind = \"linear\"\noutputs = 5\ninputs = 4\n";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join(LAYERS_NAME);
    let now =
        || message(directory, judge_gradients(directory, 0, &[], &Axes::default(), &GridOptions::default()));
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        now()
    };
    let good = read(&format!("{LAYER}block = \"b\"\n"));
    let none =
        "has no rows of gradients; the files of gradients are Parquet, such as spfde_recorder.py writes them";
    assert_eq!(good, format!("{}: {none}", directory.display()));
    let case = |class, text: &str, expected: &str| Case {
        class,
        found: read(text),
        expected: format!("{LAYERS_NAME}: {expected}"),
    };
    let of = |more: &str| format!("{LAYER}{more}\n");
    let mut cases = vec![
        case(Class::Empty, "", "line 1: missing field `layer`"),
        case(Class::Truncated, "[[layer]]\nname = \"a", "line 2: invalid basic string, expected `\"`"),
        case(Class::WrongMagic, "\u{89}PNG", "line 1: key with no value, expected `=`"),
        case(
            Class::TooLarge,
            &" ".repeat((16 << 20) + 1),
            "has more than 16777216 bytes; it is no list of layers",
        ),
        case(
            Class::TooLarge,
            &of("block = \"b\"\nkernel = [1, 1]").replace("outputs = 5", "outputs = 4294967295"),
            "layer 0, \"a\": outputs × inputs × kernel is not from 1 to 4294967295 weights",
        ),
        case(Class::WrongType, &of("block = 5"), "line 6: invalid type: integer `5`, expected a string"),
        case(Class::Missing, "[[layer]]\nname = \"a\"\n", "line 1: missing field `kind`"),
        case(Class::Missing, &of(""), "no layer is of a block: nothing could freeze"),
        case(Class::Duplicate, &of("inputs = 4"), "line 6: duplicate key"),
        case(
            Class::OutOfRange,
            &of("weights = 21\nblock = \"b\""),
            "layer 0, \"a\": weights is 21; outputs × inputs × kernel is 20",
        ),
        case(
            Class::OutOfRange,
            &of("output = [0, 4]"),
            "layer 0, \"a\": output is [0, 4], not rows and columns of 1 to 2^32 positions",
        ),
        case(
            Class::OutOfRange,
            &format!("{LAYER}block = \"b\"\n{LAYER}\n{LAYER}block = \"b\"\n"),
            "layer 2, \"a\": the layers of block \"b\" have to stand together, before those of none",
        ),
        case(
            Class::OutOfRange,
            &of("color = 1"),
            "line 6: unknown field `color`, expected one of `name`, `kind`, `outputs`, `inputs`, `kernel`, \
             `output`, `weights`, `block`, `reads_block_input`",
        ),
        case(
            Class::Trailing,
            &of("block = \"b\" more"),
            "line 6: unexpected key or value, expected newline, `#`",
        ),
    ];
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let expected = format!("{LAYERS_NAME}: cannot read the list of layers: it is not an ordinary file");
    cases.push(Case { class: Class::NotAFile, found: now(), expected });
    std::fs::remove_dir(&path).unwrap();
    cases
}
