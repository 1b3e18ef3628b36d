//! Answers that a thread reads by itself which has sent a lone call: waking the I/O thread first, to be woken by it, takes longer than
//! a server nearby takes to answer. The I/O thread hears of the answer too, and reads what the other has no time for.
//!
//! Linux only, where a descriptor for [`AnswerWatch::descriptor`] can stand for the sockets of any number of connections that come and go:
//! one that is closed is not watched any more, whoever closes it.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::AnswerWatch;
#[cfg(target_os = "linux")]
pub use linux::AnswerWatch;
