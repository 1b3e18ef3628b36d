//! The first words on a new connection: log in, choose the database, and fence off the connections it replaces.

use redis::{Pipeline, ServerError, Value};

use crate::config::Settings;
use crate::store::reply::Refusal;

/// The commands, and where their replies are.
pub struct Handshake {
    /// AUTH, SELECT, CLIENT KILL …, CLIENT SETNAME, CLIENT ID: in this order, as far as needed.
    pub pipeline: Pipeline,
    /// How many of the first replies must not be errors; calls may only follow once they are there.
    pub required: usize,
}

impl Handshake {
    /// The handshake for a server.
    ///
    /// `abandoned` are the ids of earlier connections that may still have bytes of ours on their way. Killing them first
    /// means that none of those can be applied after what is now sent again.
    /// <https://redis.io/docs/latest/commands/client-kill/>
    pub fn new(settings: &Settings, abandoned: &[i64]) -> Self {
        let mut pipeline = Pipeline::new();
        if settings.username.is_some() || settings.password.is_some() {
            pipeline.cmd("AUTH");
            if let Some(username) = &settings.username {
                pipeline.arg(username);
            }
            pipeline.arg(settings.password.as_ref().map_or("", |password| password.reveal()));
        }
        if settings.database != 0 {
            pipeline.cmd("SELECT").arg(settings.database);
        }
        let required = pipeline.len();
        for id in abandoned {
            pipeline.cmd("CLIENT").arg("KILL").arg("ID").arg(*id);
        }
        if let Some(name) = &settings.client_name {
            pipeline.cmd("CLIENT").arg("SETNAME").arg(name);
        }
        pipeline.cmd("CLIENT").arg("ID");
        Self { pipeline, required }
    }

    /// Reads the replies: this connection's id, if the server tells it.
    ///
    /// # Errors
    /// The server's refusal of the credentials or the database. Where the ACL forbids `CLIENT`, closing the old socket
    /// without sending what it still holds has to do as a fence.
    pub fn read(replies: &[Value], required: usize) -> Result<Option<i64>, Refusal> {
        let refusal = |error: &ServerError| Refusal {
            code: error.code().into(),
            detail: error.details().unwrap_or_default().into(),
        };
        for reply in &replies[..required.min(replies.len())] {
            if let Value::ServerError(error) = reply {
                return Err(refusal(error));
            }
        }
        match replies.last() {
            // Without a password the connection is accepted, and then every command refused: say so now.
            Some(Value::ServerError(error)) if concerns_all(error.code()) => Err(refusal(error)),
            _ => Ok(Self::id(replies)),
        }
    }

    /// The connection's id, from the last reply.
    pub fn id(replies: &[Value]) -> Option<i64> {
        match replies.last() {
            Some(Value::Int(id)) => Some(*id),
            _ => None,
        }
    }
}

/// Errors that concern the connection as a whole, not the permission to use `CLIENT ID`.
fn concerns_all(code: &str) -> bool {
    matches!(code, "NOAUTH" | "LOADING")
}
