//! The controller with a whole site of virtual devices, in virtual time.

mod house;
mod measured;
mod metered;
mod phases;
mod rotation;
mod storm;
mod table;
mod world;
