//! Connections: bytes between the machine and the server, and how both lose sight of each other.

use super::network::{Arrival, Pipe};
use super::world::{World, log};
use crate::transport::connection::machine::Need;
use crate::transport::error::ConnectError;
use crate::transport::simulation::server::{Client, Effect, Naming};

/// A connection, as the network sees it.
pub struct Connection {
    pub id: u64,
    pub to_server: Pipe,
    pub to_client: Pipe,
    /// The client uses it.
    pub client_open: bool,
    /// The server uses it.
    pub server_open: bool,
    pub client: Client,
    /// Bytes that the server has answered.
    pub answered: u64,
}

impl World {
    /// The server takes a connection.
    pub fn accept(&mut self) -> u64 {
        let id = self.next_connection;
        self.next_connection += 1;
        let client = Client::new(self.server.next_id, id);
        self.server.next_id += 1;
        self.server.ports.insert(id, client.id);
        self.connections.push(Connection {
            id,
            to_server: Pipe::new(self.now),
            to_client: Pipe::new(self.now),
            client_open: true,
            server_open: true,
            client,
            answered: 0,
        });
        id
    }

    /// Sends bytes to the server over a connection that it has not closed.
    pub fn send(&mut self, id: u64, bytes: &[u8]) {
        let (now, conditions) = (self.now, self.plan.conditions);
        let World { connections, random, .. } = self;
        let open = connections.iter_mut().find(|connection| connection.id == id && connection.server_open);
        if let Some(connection) = open {
            connection.to_server.push(bytes, now, &conditions, random);
        }
    }

    pub fn connection(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    pub fn serve(&mut self) -> bool {
        if self.paused_until.is_some() {
            return false;
        }
        let mut any = false;
        for index in 0..self.connections.len() {
            while let Some(connection) = self.connections.get_mut(index)
                && connection.server_open
                && let Some(arrival) = connection.to_server.pop(self.now)
            {
                any = true;
                let Arrival::Bytes(bytes) = arrival else {
                    connection.server_open = false;
                    self.server.ports.remove(&connection.client.port);
                    break;
                };
                let mut out = Vec::new();
                if self.plan.forgets {
                    self.journal.push((self.server.keys.clone(), connection.id, connection.answered));
                }
                let effect = self.server.take(&mut connection.client, &bytes, self.now, &mut self.random, &mut out);
                let id = connection.id;
                connection.answered += out.len() as u64;
                if connection.client_open {
                    connection.to_client.push(&out, self.now, &self.plan.conditions, &mut self.random);
                }
                log!(self, "#{id} server: {} -> {}", show(&bytes), show(&out));
                match effect {
                    Effect::None => {}
                    Effect::Close => self.end_from_server(id),
                    Effect::Kill { port } => {
                        log!(self, "#{id} kills #{port}");
                        self.end_from_server(port);
                    }
                }
            }
        }
        self.connections.retain(|connection| connection.client_open || connection.server_open);
        any
    }

    pub fn end_from_server(&mut self, id: u64) {
        self.server.ports.remove(&id);
        let (now, conditions) = (self.now, self.plan.conditions);
        if let Some(connection) = self.connection(id).filter(|connection| connection.server_open) {
            connection.server_open = false;
            connection.to_server.clear();
            connection.to_client.end(now, &conditions);
        }
    }

    pub fn hear(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.current
            && let now = self.now
            && let Some(arrival) = self.connection(id).and_then(|connection| connection.to_client.pop(now))
        {
            any = true;
            match arrival {
                Arrival::Bytes(bytes) => {
                    log!(self, "#{id} client: {}", show(&bytes));
                    *self.heard.entry(id).or_default() += bytes.len() as u64;
                    self.machine.received(&bytes, now);
                }
                Arrival::End => {
                    log!(self, "#{id} client: the server has closed");
                    self.lose(ConnectError::closed(), self.plan.unix);
                }
            }
            self.drop_if_unused();
        }
        any
    }

    /// The connection in use ends.
    pub fn lose(&mut self, error: ConnectError, done_with: bool) {
        let Some(id) = self.current else { return };
        self.machine.disconnected(error, done_with, self.now);
        self.abandon(id);
    }

    /// The machine may have stopped using its connection.
    pub fn drop_if_unused(&mut self) {
        if let Some(id) = self.current
            && !matches!(self.machine.need(), Need::Bytes | Need::BytesAndConnection)
        {
            self.abandon(id);
        }
    }

    /// The client closes a connection. What it has sent may arrive later.
    pub fn abandon(&mut self, id: u64) {
        log!(self, "#{id} is abandoned");
        if self.current == Some(id) {
            self.current = None;
        }
        let late = self.random.millis(0, self.plan.late);
        let (now, conditions) = (self.now, self.plan.conditions);
        // Without a name, closing the socket without sending what it holds has to do.
        let is_fenced = self.plan.naming == Naming::Tells && !self.plan.unix;
        let Some(connection) = self.connection(id) else { return };
        connection.client_open = false;
        connection.to_client.clear();
        if !is_fenced {
            connection.to_server.clear();
        }
        connection.to_server.stall(now + late);
        connection.to_server.end(now, &conditions);
    }

    pub fn write(&mut self) -> bool {
        let Some(id) = self.current else { return false };
        let mut any = false;
        while !self.machine.unwritten().is_empty() {
            let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else { break };
            let room = self.plan.conditions.window.saturating_sub(connection.to_server.len());
            let length = self.machine.unwritten().len().min(room);
            if length == 0 && connection.server_open {
                self.write_blocked = true;
                break;
            }
            if connection.server_open {
                let bytes = &self.machine.unwritten()[..length];
                connection.to_server.push(bytes, self.now, &self.plan.conditions, &mut self.random);
                self.machine.wrote(length, crate::moment::Moment::default());
            } else {
                // The system takes bytes until it knows that the server has closed.
                self.machine.wrote(self.machine.unwritten().len(), crate::moment::Moment::default());
            }
            if std::mem::take(&mut self.write_blocked) {
                self.machine.drained(self.now);
            }
            any = true;
        }
        any
    }
}

/// Bytes in one short line.
fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", " ");
    text.chars().take(300).collect()
}
