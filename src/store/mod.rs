//! The journal on disk: SQLite with one writer thread.
