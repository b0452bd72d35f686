//! A charge point's side towards a billing backend.

pub mod profiles;
