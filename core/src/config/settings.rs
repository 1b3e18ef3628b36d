//! Where and how to connect.

use std::path::Path;
use std::time::Duration;

use super::address::{Address, Family};
use super::secret::Secret;
use super::tls;
use super::tls::Tls;
use super::topology::Topology;

/// Where and how to connect to one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The server. Where it has to be found first, the one that is asked or was found last.
    pub address: Address,
    /// How the server is found.
    pub topology: Topology,
    /// The IP versions to use.
    pub family: Family,
    /// How the connection is encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
    /// ACL user; `None` is the server's `default` user.
    pub username: Option<String>,
    /// Password; `None` sends no AUTH. A user without a password has an empty one, as ACL users with `nopass` need it.
    pub password: Option<Secret>,
    /// The database to SELECT.
    pub database: u32,
    /// Name given with CLIENT SETNAME.
    pub client_name: Option<String>,
    /// Put before every key, unless the store has the option itself.
    pub key_prefix: String,
    /// The client's own limit for one connection attempt.
    pub connect_timeout: Option<Duration>,
    /// The client's own limit for one command.
    pub command_timeout: Option<Duration>,
}

impl Settings {
    /// Trusts the authorities in a file besides Mozilla's, as Node does with `NODE_EXTRA_CA_CERTS`: a configuration
    /// that names authorities of its own trusts no others.
    pub fn trust_file(&mut self, file: &Path) {
        let of_sentinels = match &mut self.topology {
            Topology::Sentinel(sentinels) => sentinels.tls.as_mut(),
            Topology::Single | Topology::Cluster(_) | Topology::Upstash(_) => None,
        };
        for tls in self.tls.iter_mut().chain(of_sentinels) {
            if let tls::Authorities::Mozilla { extra } = &mut tls.authorities {
                *extra = Some(file.to_owned());
            }
        }
    }

    /// Whether any of the connections is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some() || matches!(&self.topology, Topology::Sentinel(sentinels) if sentinels.tls.is_some())
    }
}
