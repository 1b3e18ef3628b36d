//! How many servers there are, and how one is found: alone, watched by sentinels, a cluster, or behind HTTP.

use super::address::{Address, Family};
use super::error::ConfigError;
use super::input::Input;
use super::secret::Secret;
use super::{Tls, values};
use crate::error_texts::values as texts;

/// The port of a sentinel that is given without one.
const SENTINEL_PORT: u16 = 26_379;
pub(super) const DEFAULT_HOST: &str = "127.0.0.1";

/// How the server that has a key is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Topology {
    /// There is one server.
    #[default]
    Single,
    /// Sentinels name the server that is the primary.
    Sentinel(Sentinels),
    /// The keys are spread over a cluster, of which these nodes are asked first.
    Cluster(Vec<Address>),
    /// There is one database, which is reached over HTTP.
    Upstash(Upstash),
}

impl Topology {
    /// The `backend` of a store over it.
    pub fn backend(&self) -> &'static str {
        match self {
            Topology::Single => "redis",
            Topology::Sentinel(_) => "redis-sentinel",
            Topology::Cluster(_) => "redis-cluster",
            Topology::Upstash(_) => "upstash",
        }
    }

    /// Where a connection begins.
    pub fn first(&self) -> Option<&Address> {
        match self {
            Topology::Single | Topology::Upstash(_) => None,
            Topology::Sentinel(sentinels) => sentinels.addresses.first(),
            Topology::Cluster(nodes) => nodes.first(),
        }
    }
}

/// Who is asked which server is the primary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentinels {
    /// The sentinels, at least one.
    pub addresses: Vec<Address>,
    /// What they call the primary.
    pub master: String,
    /// ACL user on the sentinels.
    pub username: Option<String>,
    /// Password on the sentinels.
    pub password: Option<Secret>,
    /// The IP versions to use for them.
    pub family: Family,
    /// How the connections to them are encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
    /// Only these are asked, and no others that they name.
    pub only_given: bool,
    /// The configuration epoch of their last answer, 0 before the first one.
    pub epoch: u64,
}

/// A database that is reached over HTTP. The address and TLS are in the `Settings` around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstash {
    /// The URL that requests go to, without a slash at its end.
    pub url: String,
    /// What is sent as the bearer token.
    pub token: Secret,
    /// Whether the sync token of each answer is sent with the next request, so that it sees what was written before it.
    pub read_your_writes: bool,
    /// The URL of the proxy that the environment names for such a URL, which may have credentials in it.
    pub proxy: Option<Secret>,
    /// The hosts that are reached without it, as `NO_PROXY` has them.
    pub no_proxy: String,
}

/// The sentinels of a configuration. `master` is the value of `name`.
pub(super) fn sentinels(key: &str, list: &Input, master: Option<&Input>) -> Result<Sentinels, ConfigError> {
    let addresses = addresses(key, list, SENTINEL_PORT)?;
    let master = match master {
        Some(name) => values::text("name", name)?.to_owned(),
        None => String::new(),
    };
    if master.is_empty() {
        return Err(ConfigError::wrong_type(texts::name_missing(key)));
    }
    Ok(Sentinels {
        addresses,
        master,
        username: None,
        password: None,
        family: Family::Any,
        tls: None,
        only_given: false,
        epoch: 0,
    })
}

/// The addresses in a list of `{ host, port }`.
fn addresses(key: &str, list: &Input, default_port: u16) -> Result<Vec<Address>, ConfigError> {
    let items = items(key, list)?;
    items.iter().enumerate().map(|(index, item)| address(&format!("{key}[{index}]"), item, default_port)).collect()
}

/// One `{ host, port }`.
pub(super) fn address(location: &str, item: &Input, default_port: u16) -> Result<Address, ConfigError> {
    let Input::Map(map) = item else {
        let shown = values::kind(item);
        return Err(ConfigError::wrong_type(texts::must_be_server(location, shown)));
    };
    let (mut host, mut port) = (DEFAULT_HOST.to_owned(), default_port);
    for (name, value) in map.iter().filter(|(_, value)| *value != Input::Null) {
        let key = format!("{location}.{name}");
        match name.as_str() {
            "host" => host = values::host(&key, value)?,
            "port" => port = values::port(&key, value)?,
            "family" => {}
            _ => {
                return Err(ConfigError::wrong_type(texts::not_a_setting_of_a_server(key)));
            }
        }
    }
    Ok(Address::Tcp(host, port))
}

/// An array that is not empty.
pub(super) fn items<'a>(key: &str, list: &'a Input) -> Result<&'a [Input], ConfigError> {
    match list {
        Input::List(items) if items.is_empty() => Err(ConfigError::wrong_type(texts::list_empty(key))),
        Input::List(items) => Ok(items),
        other => Err(ConfigError::wrong_type(texts::must_be_array(key, values::describe(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Input {
        Input::Map(vec![("host".into(), Input::Text(host.into())), ("port".into(), Input::Number(port.into()))])
    }

    #[test]
    fn sentinels_need_a_name_and_an_address() {
        let name = Input::Text("main".into());
        let read = sentinels("sentinels", &Input::List(vec![node("h", 1), Input::Map(vec![])]), Some(&name)).unwrap();
        assert_eq!(read.addresses, [Address::Tcp("h".into(), 1), Address::Tcp("127.0.0.1".into(), 26_379)]);
        assert_eq!(read.master, "main");
        for (list, name, wrong) in [
            (Input::List(vec![node("h", 1)]), None, "`name`"),
            (Input::List(vec![]), Some(&name), "empty"),
            (Input::List(vec![Input::Number(1.0)]), Some(&name), "sentinels[0]"),
            (Input::Text("h:1".into()), Some(&name), "array"),
        ] {
            let error = sentinels("sentinels", &list, name).unwrap_err();
            assert!(error.message.contains(wrong), "{error}");
        }
    }
}
