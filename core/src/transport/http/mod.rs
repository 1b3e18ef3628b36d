//! Upstash over HTTP: a driver that sends what waits in as few requests as the order allows, hands back the answers,
//! gives up what is past its deadline, and sends again what was refused for now.
//!
//! HTTP has no connection to fence: a request that was cut may be carried out after it was sent again. So a request that
//! writes is waited for as long as its calls have time, and never raced by a second one while its connection is good.

mod batch;
mod client;
mod connector;
mod decode;
pub mod driver;
mod encode;
mod error;
mod pace;
mod proxy;
mod waiting;

pub use driver::serve;
