//! Environment variables, as `process.env` of this thread has them.

use std::path::Path;

use idioteque_redis_core::config;
use idioteque_redis_core::config::{Settings, Topology, upstash};

use crate::node_api::{Engine, Thrown};

/// The variables that name a server.
pub fn of_servers(engine: Engine) -> Result<Vec<(String, String)>, Thrown> {
    variables(engine, &config::ENVIRONMENT_NAMES)
}

/// Completes settings with what the environment variables set for every connection: trusted authorities, and the proxy.
pub fn complete(engine: Engine, settings: &mut Settings) -> Result<(), Thrown> {
    if let Topology::Upstash(upstash) = &mut settings.topology {
        upstash.use_proxy(&variables(engine, &upstash::PROXY_NAMES)?);
    }
    trust_extra(engine, settings)
}

/// Trusts the authorities of `NODE_EXTRA_CA_CERTS`: <https://nodejs.org/api/cli.html#node_extra_ca_certsfile>.
pub fn trust_extra(engine: Engine, settings: &mut Settings) -> Result<(), Thrown> {
    if settings.is_encrypted()
        && let Some(file) = variable(engine, "NODE_EXTRA_CA_CERTS")?.filter(|file| !file.is_empty())
    {
        settings.trust_file(Path::new(&file));
    }
    Ok(())
}

/// Whether Node.js is told to verify no server: <https://nodejs.org/api/cli.html#node_tls_reject_unauthorizedvalue>.
pub fn verifies_nobody(engine: Engine) -> Result<bool, Thrown> {
    Ok(variable(engine, "NODE_TLS_REJECT_UNAUTHORIZED")?.as_deref() == Some("0"))
}

fn variables(engine: Engine, names: &[&str]) -> Result<Vec<(String, String)>, Thrown> {
    let mut found = Vec::new();
    for name in names {
        if let Some(text) = variable(engine, name)? {
            found.push(((*name).to_owned(), text));
        }
    }
    Ok(found)
}

fn variable(engine: Engine, name: &str) -> Result<Option<String>, Thrown> {
    let process = engine.get(engine.global()?, c"process")?;
    let env = engine.get(process, c"env")?;
    Ok(engine.string(engine.get_by(env, engine.text(name.as_bytes())?)?))
}
