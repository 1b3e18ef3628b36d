//! The only rooms that touch the JavaScript engine: what was passed is recognised here, the store object is made here, and
//! finished calls are turned back into settled promises here.

mod door;
mod engine;
mod environment;
mod error;
mod input;
mod later;
mod live;
mod method;
mod outbox;
mod pin;
mod read;
mod realm;
mod recognise;
mod settle;
mod store_object;
mod turn;
mod variables;
