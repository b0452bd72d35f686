//! A charge point's side towards a billing backend.

pub mod keys;
pub mod profiles;
pub mod tags;
