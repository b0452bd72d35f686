//! Power Brains, meters and houses that fail, in virtual time. The world itself looks at every
//! event that no fuse is overloaded by what is allowed, and that no device has cause to complain.

mod crashes;
mod lab;
mod lost_links;
mod metered_fuse;
mod modes;
mod stale_meters;
mod storm;
