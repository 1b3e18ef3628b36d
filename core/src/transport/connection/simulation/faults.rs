//! What goes wrong, when it is time to.

use std::time::Duration;

use super::plan::Fault;
use super::world::{World, log};
use crate::transport::error::ConnectError;

impl World {
    pub fn faults(&mut self) -> bool {
        let mut any = false;
        self.down_until = self.down_until.filter(|until| *until > self.now);
        self.paused_until = self.paused_until.filter(|until| *until > self.now);
        self.dial = self.dial.filter(|(_, until)| *until > self.now);
        if self.plan.close_at.is_some_and(|at| self.start + at <= self.now) && !self.closed {
            log!(self, "the last handle is dropped");
            self.close();
            any = true;
        }
        while let Some((at, fault)) = self.plan.faults.get(self.next_fault).copied()
            && self.start + at <= self.now
        {
            self.next_fault += 1;
            any = true;
            log!(self, "fault: {fault:?}");
            self.fault(fault);
        }
        any
    }

    /// Drops the last handle.
    pub fn close(&mut self) {
        self.closed = true;
        self.machine.close(false, self.now);
    }

    pub fn fault(&mut self, fault: Fault) {
        let now = self.now;
        let after = |millis: u64| now + Duration::from_millis(millis);
        match fault {
            Fault::Cut => self.lose(ConnectError::lost("connection reset by peer"), false),
            Fault::Replace => {
                if let Some(id) = self.current {
                    self.machine.replace(ConnectError::closed(), now);
                    self.abandon(id);
                }
            }
            Fault::Stall { to_server, to_client, millis } => {
                let until = millis.map_or(now + Duration::from_secs(100_000), after);
                if let Some(connection) = self.current.and_then(|id| self.connection(id)) {
                    if to_server {
                        connection.to_server.stall(until);
                    }
                    if to_client {
                        connection.to_client.stall(until);
                    }
                }
            }
            Fault::Kill { millis, reset } => {
                // Nobody is told of what it has forgotten.
                let reset = reset || self.plan.forgets;
                for connection in self.connections.iter_mut().filter(|connection| connection.server_open || reset) {
                    connection.server_open = false;
                    connection.to_server.clear();
                    if reset {
                        connection.to_client.clear();
                    }
                    connection.to_client.end(now, &self.plan.conditions);
                }
                while let Some((keys, _, _)) =
                    self.journal.pop_if(|(_, id, byte)| self.heard.get(id).copied().unwrap_or(0) <= *byte)
                {
                    self.server.keys = keys;
                }
                self.journal.clear();
                self.server.ports.clear();
                self.server.next_id = 1;
                self.server.mishap = None;
                self.down_until = Some(after(millis));
                self.paused_until = None;
            }
            Fault::Pause { millis } => self.paused_until = Some(after(millis)),
            Fault::Refuse { refusal, millis } => self.server.refusal = Some((refusal, after(millis))),
            Fault::Nameless { millis } => self.server.nameless_until = Some(after(millis)),
            Fault::Mishap { commands, mishap } => self.server.mishap = Some((commands, mishap)),
            Fault::Dial { dial, millis } => self.dial = Some((dial, after(millis))),
            Fault::Unsolicited => {
                let Some(connection) = self.current.and_then(|id| self.connection(id)) else { return };
                let idle = connection.to_server.is_empty() && connection.to_client.is_empty();
                // With anything on its way it could be taken for the answer to that.
                if idle && connection.server_open && self.machine.unwritten().is_empty() && !self.machine_owes() {
                    self.machine.received(b"+OK\r\n", now);
                }
            }
        }
    }

    pub fn machine_owes(&self) -> bool {
        self.machine.owes() || self.history.pending > 0
    }

    /// Nothing goes wrong any more, except that what ended for good stays so.
    pub fn heal(&mut self) {
        log!(self, "nothing goes wrong any more");
        (self.down_until, self.paused_until, self.dial) = (None, None, None);
        self.healed_at = Some(self.now);
        (self.server.refusal, self.server.nameless_until, self.server.mishap) = (None, None, None);
    }

    /// Whether nothing goes wrong any more.
    pub fn is_healed(&self) -> bool {
        self.healed_at.is_some()
    }
}
