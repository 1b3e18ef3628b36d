//! Where there is nothing like it: the I/O thread reads all answers.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::transport::inbox::Inbox;
use crate::transport::io::AsyncStream;

/// There are none.
pub enum AnswerWatch {}

impl AnswerWatch {
    /// # Errors
    /// Always.
    pub fn new() -> io::Result<Rc<Self>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether this thread visits the driver of a connection when something comes to its socket.
    pub(in crate::transport) fn watch(&self, _: &dyn AsyncStream, _: &Arc<Inbox>) -> bool {
        match *self {}
    }
}
