//! How many servers there are, and how one is found: alone, watched by sentinels, or a cluster.

use super::{Address, ConfigError, Family, Input, Secret, read, url};

/// The port of a sentinel that is given without one.
const SENTINEL_PORT: u16 = 26_379;
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 6379;

/// How the server that has a key is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Topology {
    /// There is one server.
    #[default]
    Single,
    /// Sentinels know which server is the primary.
    Sentinel(Sentinels),
    /// The keys are spread over a cluster, of which these nodes are asked first.
    Cluster(Vec<Address>),
}

impl Topology {
    /// What a store over it says of itself in `backend`.
    pub fn backend(&self) -> &'static str {
        match self {
            Topology::Single => "redis",
            Topology::Sentinel(_) => "redis-sentinel",
            Topology::Cluster(_) => "redis-cluster",
        }
    }

    /// Where a connection begins.
    pub fn first(&self) -> Option<&Address> {
        match self {
            Topology::Single => None,
            Topology::Sentinel(sentinels) => sentinels.addresses.first(),
            Topology::Cluster(nodes) => nodes.first(),
        }
    }
}

/// Who is asked which server is the primary.
#[derive(Clone, Debug, PartialEq)]
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
}

/// The sentinels of a configuration. `master` is the value of `name`.
pub(super) fn sentinels(key: &str, list: &Input, master: Option<&Input>) -> Result<Sentinels, ConfigError> {
    let addresses = addresses(key, list, SENTINEL_PORT)?;
    let master = match master {
        Some(name) => read::text("name", name)?.to_owned(),
        None => String::new(),
    };
    if master.is_empty() {
        return Err(ConfigError::wrong_type(format!(
            "`name` is missing beside `{key}`: it says what the sentinels call the primary, such as \"mymaster\""
        )));
    }
    Ok(Sentinels { addresses, master, username: None, password: None, family: Family::Any })
}

/// The addresses in a list of `{ host, port }`.
fn addresses(key: &str, list: &Input, default_port: u16) -> Result<Vec<Address>, ConfigError> {
    let items = items(key, list)?;
    items.iter().enumerate().map(|(index, item)| address(&format!("{key}[{index}]"), item, default_port)).collect()
}

fn address(place: &str, item: &Input, default_port: u16) -> Result<Address, ConfigError> {
    let Input::Map(map) = item else {
        let shown = read::kind(item);
        return Err(ConfigError::wrong_type(format!(
            "`{place}` must be an object such as {{ host, port }}, got {shown}"
        )));
    };
    let (mut host, mut port) = (DEFAULT_HOST.to_owned(), default_port);
    for (name, value) in map.iter().filter(|(_, value)| *value != Input::Null) {
        let key = format!("{place}.{name}");
        match name.as_str() {
            "host" => host = read::host(&key, value)?,
            "port" => port = read::port(&key, value)?,
            "family" => {}
            _ => {
                return Err(ConfigError::wrong_type(format!(
                    "`{key}` is not a setting of one server here. Those that count are: host, port"
                )));
            }
        }
    }
    Ok(Address::Tcp(host, port))
}

fn items<'a>(key: &str, list: &'a Input) -> Result<&'a [Input], ConfigError> {
    match list {
        Input::List(items) if items.is_empty() => {
            Err(ConfigError::wrong_type(format!("`{key}` is empty: name at least one server")))
        }
        Input::List(items) => Ok(items),
        other => Err(ConfigError::wrong_type(format!("`{key}` must be an array, got {}", read::describe(other)))),
    }
}

/// Start-up nodes as ioredis takes them: objects, URLs, and bare ports. Returns what the first URL says besides, too.
pub(super) fn nodes(key: &str, list: &Input) -> Result<(Vec<Address>, super::parts::Parts), ConfigError> {
    let mut nodes = Vec::new();
    let mut login = super::parts::Parts::default();
    for (index, item) in items(key, list)?.iter().enumerate() {
        let place = format!("{key}[{index}]");
        match item {
            Input::Number(_) => nodes.push(Address::Tcp(DEFAULT_HOST.to_owned(), read::port(&place, item)?)),
            Input::Text(text) => nodes.push(node_of_url(url::parts(text)?, &mut login)),
            Input::Map(map) => match map.iter().find(|(name, _)| name == "url") {
                Some((_, Input::Text(text))) => nodes.push(node_of_url(url::parts(text)?, &mut login)),
                _ => match map.iter().find(|(name, _)| name == "socket") {
                    Some((_, socket)) => nodes.push(address(&format!("{place}.socket"), socket, DEFAULT_PORT)?),
                    None => nodes.push(address(&place, item, DEFAULT_PORT)?),
                },
            },
            other => {
                return Err(ConfigError::wrong_type(format!(
                    "`{place}` must be a URL, a port or an object such as {{ host, port }}, got {}",
                    read::kind(other)
                )));
            }
        }
    }
    Ok((nodes, login))
}

fn node_of_url(parts: super::parts::Parts, login: &mut super::parts::Parts) -> Address {
    let host = parts.host.clone().unwrap_or_else(|| DEFAULT_HOST.to_owned());
    let port = parts.port.unwrap_or(DEFAULT_PORT);
    if login.password.is_none() {
        (login.username, login.password) = (parts.username, parts.password);
    }
    Address::Tcp(host, port)
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

    #[test]
    fn nodes_are_objects_urls_and_ports() {
        let url = Input::Text("redis://user:secret@h:7".into());
        let of_url = Input::Map(vec![("url".into(), Input::Text("redis://g:8".into()))]);
        let of_socket = Input::Map(vec![("socket".into(), node("s", 9))]);
        let list = Input::List(vec![node("a", 1), Input::Number(2.0), url, of_url, of_socket]);
        let (nodes, login) = nodes("rootNodes", &list).unwrap();
        let expected = [("a", 1), ("127.0.0.1", 2), ("h", 7), ("g", 8), ("s", 9)];
        assert_eq!(nodes, expected.map(|(host, port)| Address::Tcp(host.into(), port)));
        assert_eq!((login.username.as_deref(), login.password), (Some("user"), Some(Secret::new("secret"))));
    }
}
