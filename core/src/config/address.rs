//! Where a server listens.

use std::net::IpAddr;
use std::path::PathBuf;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host name or IP address (without brackets), and port.
    Tcp(String, u16),
    /// Path of a Unix domain socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Tcp(host, _) => match host.parse::<IpAddr>() {
                Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
                Err(_) => {
                    let host = host.trim_end_matches('.').to_ascii_lowercase();
                    host == "localhost" || host.ends_with(".localhost")
                }
            },
        }
    }
}

/// Which IP versions a host name may resolve to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Either, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_local() {
        let tcp = |host: &str| Address::Tcp(host.into(), 1);
        for host in ["localhost", "LOCALHOST.", "redis.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::"] {
            assert!(tcp(host).is_local(), "{host}");
        }
        for host in ["redis", "localhost.example", "10.0.0.1", "fe80::1", "1270.0.0.1", ""] {
            assert!(!tcp(host).is_local(), "{host}");
        }
        assert!(Address::Unix("/run/redis.sock".into()).is_local());
    }
}
