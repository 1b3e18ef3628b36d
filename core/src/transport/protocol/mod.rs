//! What a stream of replies looks like, apart from what they say.

pub(super) mod guarded_stream;
pub mod reply_framer;
