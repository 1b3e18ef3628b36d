//! AUTH: how it is sent, and what its reply says. Nothing that a server repeats of the credentials is passed on.

use redis::{Pipeline, Value};

use crate::config::{Address, Secret, Settings};
use crate::error_texts::connections::password_not_needed;
use crate::error_texts::replies as texts;
use crate::store::ErrorReply;
use crate::transport::error::display_address;
use crate::transport::warning::Warning;

/// What to log in with; neither part is needed where a server wants none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credentials {
    /// ACL user; `None` is the server's `default` user.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The server took it.
    Accepted,
    /// The server's `default` user has no password. As in ioredis, that is no reason not to connect.
    NotNeeded,
}

impl Credentials {
    /// Those for the servers themselves.
    pub fn of(settings: &Settings) -> Self {
        Self { username: settings.username.clone(), password: settings.password.clone() }
    }

    /// Adds AUTH to a pipeline, if there is anything to log in with, and returns how many replies it brings.
    /// <https://redis.io/docs/latest/commands/auth/>
    pub fn append_to(&self, pipeline: &mut Pipeline) -> usize {
        if self.username.is_none() && self.password.is_none() {
            return 0;
        }
        pipeline.cmd("AUTH");
        if let Some(username) = &self.username {
            pipeline.arg(username);
        }
        pipeline.arg(self.password.as_ref().map_or("", Secret::reveal));
        1
    }

    /// Reads the reply to AUTH.
    ///
    /// # Errors
    /// The server's refusal, without any of the credentials.
    pub fn read(&self, reply: &Value) -> Result<Login, ErrorReply> {
        let Value::ServerError(error) = reply else { return Ok(Login::Accepted) };
        let error_reply = ErrorReply::new(error);
        // Before Redis 6, and since: https://github.com/redis/redis/blob/7.0/src/acl.c (authCommand).
        let not_needed = ["no password is set", "without any password configured for the default user"];
        if not_needed.iter().any(|words| error_reply.detail.contains(words)) {
            return Ok(Login::NotNeeded);
        }
        if error_reply.detail.starts_with("unknown command") {
            return Err(ErrorReply { detail: texts::NO_AUTH_COMMAND.into(), ..error_reply });
        }
        // The name of every server's first user says nothing.
        let username = self.username.as_ref().filter(|name| *name != "default").map(Secret::new);
        let secrets = [self.password.as_ref(), username.as_ref()];
        Err(conceal(error_reply, secrets.into_iter().flatten(), texts::WORDS_WITH_LOGIN))
    }

    /// Why every command is refused although AUTH said that there is no password.
    pub fn default_user_is_off() -> ErrorReply {
        ErrorReply { code: "NOAUTH".into(), detail: texts::DEFAULT_USER_IS_OFF.into() }
    }

    /// What to say about a login that was not needed.
    pub fn not_needed(address: &Address) -> Warning {
        Warning::new("IDIOTEQUE_REDIS_PASSWORD", address, password_not_needed(display_address(address)))
    }
}

/// What Redis itself says, whatever the secret: codes, and how the rest begins.
const CODES: [&str; 21] = [
    "ERR",
    "WRONGPASS",
    "NOAUTH",
    "NOPERM",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "EXECABORT",
    "CROSSSLOT",
    "READONLY",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "MOVED",
    "ASK",
    "WRONGTYPE",
    "OOM",
    "MISCONF",
    "DENIED",
    "NOPROTO",
    "NOSCRIPT",
];
const SENTENCES: [&str; 3] =
    ["invalid username-password pair or user is disabled", "invalid password", "Authentication required"];

/// A refusal that repeats none of these secrets, nor how one begins; one that does is put into other words.
pub fn conceal<'s>(error_reply: ErrorReply, secrets: impl Iterator<Item = &'s Secret>, words: &str) -> ErrorReply {
    let is_known_code = CODES.contains(&error_reply.code.as_str());
    if is_known_code && SENTENCES.contains(&error_reply.detail.trim_end_matches('.')) {
        return error_reply;
    }
    for secret in secrets {
        if !is_known_code && secret.is_in(&error_reply.code) {
            return ErrorReply { code: "ERR".into(), detail: words.into() };
        }
        if secret.is_in(&error_reply.detail) {
            return ErrorReply { detail: words.into(), ..error_reply };
        }
    }
    error_reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials { username: Some("worker".into()), password: Some(Secret::new("hunter2")) }
    }

    fn read(line: &str) -> Result<Login, ErrorReply> {
        credentials().read(&redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap())
    }

    #[test]
    fn a_password_that_nobody_asked_for_is_no_failure() {
        for line in [
            "-ERR Client sent AUTH, but no password is set",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ] {
            assert_eq!(read(line), Ok(Login::NotNeeded));
        }
        assert_eq!(read("+OK"), Ok(Login::Accepted));
        assert_eq!(
            read("-WRONGPASS invalid username-password pair or user is disabled.").unwrap_err().code,
            "WRONGPASS"
        );
    }

    #[test]
    fn what_a_server_repeats_of_the_login_is_not_passed_on() {
        for line in [
            "-ERR unknown command 'AUTH', with args beginning with: 'worker' 'hunter2' ",
            "-ERR unknown command `AUTH`, with args beginning with: `worker`, `hunter2`, ",
            "-ERR no such thing: AUTH worker hunter2",
            "-HUNTER hunter",
            "-ERR worker?",
        ] {
            let error_reply = read(line).unwrap_err();
            let text = format!("{error_reply:?}");
            assert!(!text.contains("hunter") && !text.contains("worker"), "{text}");
        }
    }

    #[test]
    fn what_every_server_says_is_said_whatever_the_password_is() {
        let error_reply = ErrorReply::of("WRONGPASS invalid username-password pair or user is disabled.");
        let concealed = conceal(error_reply.clone(), [Secret::new("wrong"), Secret::new("user")].iter(), "hidden");
        assert_eq!(concealed, error_reply);
    }
}
