//! The controller with a whole site of virtual devices, in virtual time.

mod measured;
mod rotation;
mod storm;
mod world;
