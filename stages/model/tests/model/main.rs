//! Networks from the outside: gradients against a plain f64 reference, masks, freezing, updates, state.

mod families;
mod gradients;
mod reference;
mod support;
