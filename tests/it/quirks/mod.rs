//! What real wallboxes do differently, and that they charge, share and are billed all the same.

mod appearing;
mod desk;
mod lab;
mod matrix;
mod profiles;
mod telling;
mod transactions;
