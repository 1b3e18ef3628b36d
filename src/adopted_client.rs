//! A live client whose settings a native store uses: how they are read, on its own thread, and how the I/O thread
//! asks for them. Nothing of the client is changed, and no listener is added to it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use idioteque_redis_core::config::{Secret, Settings};
use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::error_texts::{calls, connections as texts};
use idioteque_redis_core::transport::{Asked, ConnectError, SettingsProvider};
use napi::sys;
use tokio::sync::oneshot;

use crate::completion_queue::CompletionQueue;
use crate::detect::{ClientFamily, ioredis, node_redis};
use crate::env_vars::trust_extra;
use crate::node_api::{Engine, EnvHandle, Reference, Thrown, Type, Value};

/// The state of a live client.
pub enum ClientState {
    /// Its next command would go to this database.
    Database(u32),
    /// Which database it has selected can only be asked of the server.
    Unknown,
    /// It has ended.
    Ended,
}

/// One live client, shared by all stores made from it. JavaScript thread only. The stores' functions keep it alive.
pub struct AdoptedClient {
    env: EnvHandle,
    family: ClientFamily,
    /// What has the client, and what `lib/adopted-client.js` made to ask it. The other references are to parts of it.
    watched: Reference,
    client: Reference,
    /// `state()` of `lib/adopted-client.js`
    state: Reference,
    /// `login(answer)` of `lib/adopted-client.js`, where the family has it.
    login: Option<Reference>,
    /// How the I/O thread asks.
    source: Arc<RemoteHandle>,
}

/// The live clients of an environment, each for as long as a store has it.
pub type AdoptedClients = RefCell<Vec<Weak<AdoptedClient>>>;

/// A question of the I/O thread about a live client.
pub struct SettingsQuestion {
    source: Arc<RemoteHandle>,
    about: About,
}

enum About {
    Settings(u32, oneshot::Sender<Result<Settings, ConnectError>>),
    End(oneshot::Sender<Option<ConnectError>>),
}

/// A live client as the I/O thread sees it.
struct RemoteHandle {
    completions: Arc<CompletionQueue<SettingsQuestion>>,
    /// To make questions of it: the trait gives out only `&self`.
    itself: std::sync::Weak<RemoteHandle>,
}

impl AdoptedClient {
    /// The live client, which all stores made from it share; `clients` are those of the environment that are known, `completions`
    /// takes the questions about them. `helpers` is `lib/adopted-client.js`. Comes with the object that the store has to keep
    /// alive for it.
    pub fn of(
        env: &EnvHandle,
        clients: &AdoptedClients,
        completions: &Arc<CompletionQueue<SettingsQuestion>>,
        family: ClientFamily,
        client: Value,
        helpers: Value,
    ) -> Result<(Rc<Self>, Value), Thrown> {
        let engine = env.engine();
        let same = |known: Rc<Self>| {
            let watched = known.watched.get()?;
            engine.same(known.client.value(), client).then_some((known, watched))
        };
        if let Some(known) = clients.borrow().iter().filter_map(Weak::upgrade).find_map(same) {
            return Ok(known);
        }
        let watch = match family {
            ClientFamily::Ioredis => c"watchIoredis",
            ClientFamily::NodeRedis => c"watchNodeRedis",
            ClientFamily::IoredisCluster => c"watchIoredis",
            ClientFamily::NodeRedisCluster => c"watchNodeRedisCluster",
        };
        let watched = engine.call(engine.get(helpers, watch)?, helpers, &[client])?;
        engine.set(watched, c"client", client)?;
        let login = engine.get(watched, c"login")?;
        let completions = completions.clone();
        let live = Rc::new(Self {
            env: env.clone(),
            family,
            watched: env.refer(watched)?,
            client: env.refer(client)?,
            state: env.refer(engine.get(watched, c"state")?)?,
            login: match engine.type_of(login) {
                Type::Function => Some(env.refer(login)?),
                _ => None,
            },
            source: Arc::new_cyclic(|itself| RemoteHandle { completions, itself: itself.clone() }),
        });
        let mut clients = clients.borrow_mut();
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Rc::downgrade(&live));
        drop(clients);
        Ok((live, watched))
    }

    fn engine(&self) -> Engine {
        self.env.engine()
    }

    /// The provider of its settings, for a connection.
    pub fn source(&self) -> Arc<dyn SettingsProvider> {
        self.source.clone()
    }

    /// What the client is doing. A client that cannot be asked has been meddled with and counts as before.
    pub fn state(&self) -> ClientState {
        let engine = self.engine();
        let answer = engine.call(self.state.value(), engine.undefined(), &[]);
        match (answer.ok().and_then(|answer| engine.to_f64(answer)), self.family) {
            (Some(number), _) if number < 0.0 => ClientState::Ended,
            (Some(number), ClientFamily::Ioredis) => ClientState::Database(number as u32),
            _ => ClientState::Unknown,
        }
    }

    /// The settings as far as they are in the client's options.
    pub fn settings(&self) -> Result<Settings, StoreError> {
        let client = self.client.value();
        let settings = match self.family {
            ClientFamily::Ioredis => ioredis::settings(self.engine(), client),
            ClientFamily::NodeRedis => node_redis::settings(self.engine(), client),
            ClientFamily::IoredisCluster => ioredis::cluster_settings(self.engine(), client),
            ClientFamily::NodeRedisCluster => node_redis::cluster_settings(self.engine(), client),
        };
        let trusting = settings.and_then(|mut settings| match trust_extra(self.engine(), &mut settings) {
            Ok(()) => Ok(settings),
            Err(_) => Err(texts::ENVIRONMENT_UNREADABLE.into()),
        });
        trusting.map_err(|why| texts::client_settings_unusable(why).error())
    }

    fn answer(&self, about: About) {
        // No store has it any more.
        if self.watched.get().is_none() {
            return;
        }
        let ended = matches!(self.state(), ClientState::Ended).then(|| ConnectError::Fatal(ended()));
        match (about, ended) {
            // Whoever asked may have stopped waiting.
            (About::End(reply), ended) => drop(reply.send(ended)),
            (About::Settings(_, reply), Some(ended)) => drop(reply.send(Err(ended))),
            (About::Settings(database, reply), None) => match (self.settings(), &self.login) {
                (Err(error), _) => drop(reply.send(Err(ConnectError::Fatal(error)))),
                (Ok(settings), Some(login)) => self.log_in(settings, login, reply),
                (Ok(settings), None) => drop(reply.send(Ok(Settings { database, ..settings }))),
            },
        }
    }

    /// Completes the settings with what only the client has, asynchronously.
    fn log_in(&self, settings: Settings, login: &Reference, reply: oneshot::Sender<Result<Settings, ConnectError>>) {
        let engine = self.engine();
        let waiting: Rc<Waiting> = Rc::new(RefCell::new(Some((settings, reply))));
        // What throws leaves the question unanswered, which the other side takes for an answer.
        if let Ok(answer) = engine.function_sharing("answer", answered, waiting) {
            let _ = engine.call(login.value(), engine.undefined(), &[answer]);
        }
    }
}

/// What a call rejects with when the client it was made from has ended.
pub fn ended() -> StoreError {
    calls::client_ended().error()
}

/// The client has no settings to connect with right now.
fn no_answer() -> StoreError {
    texts::client_cannot_say().error()
}

/// The user may not ask the server which database the client has selected.
fn unknown_database() -> StoreError {
    texts::database_unknown().error()
}

/// Settings that wait for a login.
type Waiting = RefCell<Option<(Settings, oneshot::Sender<Result<Settings, ConnectError>>)>>;

/// `answer(undefined, database, { username, password })` or `answer(problem, lasting)`
///
/// # Safety
/// Called by N-API as a function made with a share of what is waiting.
unsafe extern "C" fn answered(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, waiting: &Rc<Waiting>, [problem, database, login, ..]| {
            let Some((settings, reply)) = waiting.borrow_mut().take() else { return Ok(engine.undefined()) };
            let answer = match (engine.string(problem), engine.to_f64(database)) {
                (None, Some(database)) => Ok(logged_in(engine, settings, database as u32, login)?),
                (cause, _) => Err(match engine.to_bool(database) {
                    Some(true) => ConnectError::Fatal(StoreError { cause, ..unknown_database() }),
                    _ => ConnectError::Transient(StoreError { cause, ..no_answer() }),
                }),
            };
            // Whoever asked may have stopped waiting.
            drop(reply.send(answer));
            Ok(engine.undefined())
        })
    }
}

/// The settings with what only the client has. A user without a password has an empty one, as node-redis sends it.
fn logged_in(engine: Engine, settings: Settings, database: u32, login: Value) -> Result<Settings, Thrown> {
    let username = engine.string(engine.get(login, c"username")?);
    let empty = username.as_ref().map(|_| Secret::new(""));
    let password = engine.string(engine.get(login, c"password")?).map(Secret::new).or(empty);
    Ok(Settings { database, username, password, ..settings })
}

impl SettingsQuestion {
    /// Answers on the JavaScript thread. About a client that no store has any more, there is no answer.
    pub fn answer(self, clients: &AdoptedClients) {
        let live =
            clients.borrow().iter().filter_map(Weak::upgrade).find(|live| Arc::ptr_eq(&live.source, &self.source));
        if let Some(live) = live {
            live.answer(self.about);
        }
    }
}

impl RemoteHandle {
    fn ask<T: Send + 'static>(&self, about: impl FnOnce(oneshot::Sender<T>) -> About) -> Asked<T> {
        let (reply, answer) = oneshot::channel();
        if let Some(source) = self.itself.upgrade() {
            self.completions.ask(SettingsQuestion { source, about: about(reply) });
        }
        Box::pin(async move { answer.await.ok() })
    }
}

impl SettingsProvider for RemoteHandle {
    fn current(&self, database: u32) -> Asked<Result<Settings, ConnectError>> {
        self.ask(|reply| About::Settings(database, reply))
    }

    fn ended(&self) -> Asked<Option<ConnectError>> {
        self.ask(About::End)
    }
}
