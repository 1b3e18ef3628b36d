//! Upstash over HTTP: the driver of an endpoint, the calls that wait for it, the requests that carry them and their
//! encoding, the pauses after refusals, and the HTTP client below.
//!
//! HTTP has no connection to fence: a request that was cut may be carried out after it was sent again. So a request that
//! writes is waited for as long as its calls have time, and never raced by a second one while its connection is good.

mod batch;
mod client;
mod connections_in_use;
mod connector;
pub mod console;
mod decode;
pub mod driver;
mod encode;
mod error;
mod pace;
mod proxy;
mod rests;
mod seen;
mod waiting;

pub use driver::serve;
