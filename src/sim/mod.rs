//! Simulated wallboxes with cars, and a whole world in virtual time.
