//! Layers of odd shapes, against the f64 reference of the integration tests.

mod large;
mod layers;
#[path = "../tests/model/reference.rs"]
mod reference;
mod schedules;
