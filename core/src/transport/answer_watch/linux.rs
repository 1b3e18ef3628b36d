//! With epoll.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::transport::inbox::Inbox;
use crate::transport::io::AsyncStream;

/// Connections that are looked at at once; others have their turn behind them.
const MAX_READY: usize = 16;

/// The answers that one thread waits for.
pub struct AnswerWatch {
    /// Readable when an answer has come. `None` once somebody else has closed it: its number may be another's by now.
    poll: RefCell<Option<OwnedFd>>,
    /// The connections that have been watched; the place of one is its key.
    inboxes: RefCell<Vec<Weak<Inbox>>>,
}

impl AnswerWatch {
    /// Waits for nothing yet.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn new() -> io::Result<Rc<Self>> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Rc::new(Self { poll: RefCell::new(Some(poll)), inboxes: RefCell::default() }))
    }

    /// A descriptor that is readable while [`AnswerWatch::read_answers`] has something to do; `None` once it never has.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.poll.borrow().as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Reads the answers that have come, and delivers them.
    pub fn read_answers(self: &Rc<Self>) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(MAX_READY);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.with_poll(|poll| epoll::wait(poll, spare_capacity(&mut events), Some(&at_once)).map(drop));
        for event in events {
            let inbox = self.inboxes.borrow().get(event.data.u64() as usize).and_then(Weak::upgrade);
            if let Some(inbox) = inbox {
                inbox.visit(self);
            }
        }
    }

    /// Has this thread visit the driver of a connection when something comes to its socket, once. Whether that will be so.
    pub(in crate::transport) fn watch(&self, stream: &dyn AsyncStream, inbox: &Arc<Inbox>) -> bool {
        let Some(socket) = stream.socket() else { return false };
        let data = epoll::EventData::new_u64(self.key_of(inbox) as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        self.with_poll(|poll| match epoll::modify(poll, socket, data, flags) {
            Err(Errno::NOENT) => epoll::add(poll, socket, data, flags),
            watched => watched,
        })
    }

    /// Whether the descriptor is there and something could be done with it.
    fn with_poll(&self, act: impl FnOnce(&OwnedFd) -> Result<(), Errno>) -> bool {
        let mut poll = self.poll.borrow_mut();
        let acted = poll.as_ref().map(act);
        if let Some(Err(Errno::BADF | Errno::INVAL)) = acted {
            // To close it would close what somebody else has opened since.
            mem::forget(poll.take());
        }
        acted.is_some_and(|acted| acted.is_ok())
    }

    fn key_of(&self, inbox: &Arc<Inbox>) -> usize {
        let mut inboxes = self.inboxes.borrow_mut();
        if let Some(key) = inboxes.iter().position(|other| other.as_ptr() == Arc::as_ptr(inbox)) {
            return key;
        }
        let free = inboxes.iter().position(|other| other.strong_count() == 0);
        let key = free.unwrap_or(inboxes.len());
        match inboxes.get_mut(key) {
            Some(place) => *place = Arc::downgrade(inbox),
            None => inboxes.push(Arc::downgrade(inbox)),
        }
        key
    }
}
