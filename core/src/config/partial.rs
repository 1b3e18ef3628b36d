//! What is known so far of where and how to connect, before defaults.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{Address, Family};
use super::error::ConfigError;
use super::secret::Secret;
use super::settings::Settings;
use super::{Tls, Topology};
use crate::error_texts::values as texts;

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 6379;

/// Settings of which any may be missing; the fields are those of [`Settings`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parts {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub topology: Option<Topology>,
    /// The path of a Unix domain socket. It wins over host and port, as in both clients.
    pub path: Option<PathBuf>,
    pub family: Option<Family>,
    pub tls: Option<Tls>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<u32>,
    pub client_name: Option<String>,
    pub key_prefix: Option<String>,
    pub connect_timeout: Option<Duration>,
    pub command_timeout: Option<Duration>,
}

impl Parts {
    /// Adds the settings from another place of the same configuration. `location` names both in messages.
    ///
    /// # Errors
    /// When both set the same thing to different values.
    pub fn join(self, other: Parts, location: &str) -> Result<Parts, ConfigError> {
        if self.path.is_some() && (other.host.is_some() || other.port.is_some()) {
            return Err(contradiction("host", location));
        }
        if other.path.is_some() && (self.host.is_some() || self.port.is_some()) {
            return Err(contradiction("path", location));
        }
        Ok(Parts {
            host: same(self.host, other.host, "host", location)?,
            port: same(self.port, other.port, "port", location)?,
            topology: same(self.topology, other.topology, "servers", location)?,
            path: same(self.path, other.path, "path", location)?,
            family: same(self.family, other.family, "family", location)?,
            tls: same(self.tls, other.tls, "tls", location)?,
            username: same(self.username, other.username, "username", location)?,
            password: same(self.password, other.password, "password", location)?,
            database: same(self.database, other.database, "database", location)?,
            client_name: same(self.client_name, other.client_name, "name", location)?,
            key_prefix: same(self.key_prefix, other.key_prefix, "keyPrefix", location)?,
            connect_timeout: same(self.connect_timeout, other.connect_timeout, "connectTimeout", location)?,
            command_timeout: same(self.command_timeout, other.command_timeout, "commandTimeout", location)?,
        })
    }

    /// Fills in the defaults of the clients: port 6379 on localhost, database 0.
    pub fn into_settings(self) -> Settings {
        let topology = self.topology.unwrap_or_default();
        let address = match (topology.first(), self.path) {
            (Some(first), _) => first.clone(),
            (None, Some(path)) => Address::Unix(path),
            (None, None) => {
                let host = self.host.unwrap_or_else(|| DEFAULT_HOST.to_owned());
                Address::Tcp(host, self.port.unwrap_or(DEFAULT_PORT))
            }
        };
        // A named user without a password is logged in with an empty one, as ioredis does: an ACL user may have
        // `nopass`, and silently working as the default user instead could reach other data.
        let password = self.password.or_else(|| self.username.as_ref().map(|_| Secret::new("")));
        Settings {
            address,
            topology,
            family: self.family.unwrap_or_default(),
            tls: self.tls,
            username: self.username,
            password,
            database: self.database.unwrap_or(0),
            client_name: self.client_name,
            key_prefix: self.key_prefix.unwrap_or_default(),
            connect_timeout: self.connect_timeout,
            command_timeout: self.command_timeout,
        }
    }
}

/// Either value, or the one they agree on.
pub(super) fn same<T: PartialEq>(
    one: Option<T>,
    other: Option<T>,
    key: &str,
    location: &str,
) -> Result<Option<T>, ConfigError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(contradiction(key, location)),
        (one, other) => Ok(one.or(other)),
    }
}

fn contradiction(key: &str, location: &str) -> ConfigError {
    ConfigError::wrong_type(texts::given_twice(key, location))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_clients() {
        let settings = Parts::default().into_settings();
        assert_eq!(settings.address, Address::Tcp("localhost".into(), 6379));
        assert_eq!((settings.database, settings.key_prefix.as_str(), settings.password), (0, "", None));
    }

    #[test]
    fn a_user_without_a_password_is_still_logged_in() {
        let settings = Parts { username: Some("worker".into()), ..Parts::default() }.into_settings();
        assert_eq!(settings.password, Some(Secret::new("")));
    }

    #[test]
    fn joined_parts_agree_or_fail_without_showing_the_password() {
        let one = Parts { port: Some(1), password: Some(Secret::new("hunter2")), ..Parts::default() };
        let joined = one.clone().join(Parts { port: Some(1), database: Some(3), ..Parts::default() }, "here and there");
        assert_eq!(joined, Ok(Parts { database: Some(3), ..one.clone() }));
        let error =
            one.clone().join(Parts { password: Some(Secret::new("hunter3")), ..Parts::default() }, "here and there");
        let expected = "`password` is given twice, with different values: here and there. Give it once";
        assert_eq!(error.unwrap_err().message, expected);
        let error = one.join(Parts { path: Some("/x".into()), ..Parts::default() }, "here and there").unwrap_err();
        assert!(error.message.starts_with("`path` is given twice"), "{error}");
    }
}
