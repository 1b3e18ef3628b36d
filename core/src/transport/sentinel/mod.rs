//! Sentinels: which server is the primary.

pub mod discovery;
