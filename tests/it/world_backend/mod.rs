//! Wallboxes behind billing backends in virtual time. The world itself looks at every event that no
//! fuse is overloaded and that neither a wallbox nor a backend has cause to complain; at the end of
//! each test the bills must be right. The numbers of cases are those of the list of interoperability
//! cases that this program was built by.

mod away;
mod bad_backends;
mod crashes;
mod dual;
mod lab;
mod limits;
mod outages;
mod sessions;
mod storm;
