#![doc = include_str!("how_it_is_built.md")]
