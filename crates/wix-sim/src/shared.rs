//! The state that all handlers share: the world behind a lock, the clock, the keys, and an HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use tokio::sync::watch;
use url::{Host, Url};

use crate::app_backend::Secrets;
use crate::clock::Clock;
use crate::ids;
use crate::keys::SigningKey;
use crate::records::RecordsSource;
use crate::switches::Switches;
use crate::world::World;

/// The shared state, as handlers and tasks hold it.
pub(crate) type Ctx = Arc<Shared>;

/// The state of a running simulator.
pub(crate) struct Shared {
    world: Mutex<World>,
    pub clock: Clock,
    /// The app's key. The dashboard shows its public key.
    pub own_key: SigningKey,
    /// A key that the app does not trust.
    pub other_key: Arc<SigningKey>,
    /// The HMAC key of Wix's tokens.
    pub token_key: Vec<u8>,
    pub token_kid: String,
    pub http: reqwest::Client,
    /// The simulator's origin, without a trailing slash.
    pub url: String,
    pub records: Option<RecordsSource>,
    /// What the app verifies events with; `None` without a back end.
    pub events_secrets: Option<Secrets>,
    /// The switches at the start, which a reset restores.
    pub initial_switches: Switches,
    changed: watch::Sender<u64>,
    pub stop: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(
        world: World,
        own_key: SigningKey,
        url: String,
        records: Option<RecordsSource>,
        events_secrets: Option<Secrets>,
    ) -> anyhow::Result<Self> {
        let initial_switches = world.switches.clone();
        Ok(Self {
            world: Mutex::new(world),
            clock: Clock::new(),
            own_key,
            other_key: other_key()?,
            token_key: ids::random_bytes(32),
            token_kid: ids::random_text(8),
            http: client()?,
            url,
            records,
            events_secrets,
            initial_switches,
            changed: watch::Sender::new(0),
            stop: watch::Sender::new(false),
        })
    }

    /// Reads the world.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the world, and notifies the receivers of [`Self::changes`].
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let result = act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
        result
    }

    /// A receiver that is notified of every later change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// The foreign key. All simulators of a process share it, since generating one takes time.
fn other_key() -> anyhow::Result<Arc<SigningKey>> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key.clone());
    }
    let fresh = Arc::new(SigningKey::generate()?);
    Ok(KEY.get_or_init(|| fresh).clone())
}

/// A client that follows no redirects, uses no proxy, and resolves `localhost` to loopback.
fn client() -> anyhow::Result<reqwest::Client> {
    let loopback =
        [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .resolve_to_addrs("localhost", &loopback)
        .build()
        .context("could not create an HTTP client")
}

/// Parses a URL whose host is loopback; the error says what the URL must be.
pub(crate) fn loopback_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|reason| format!("{text:?} must be a URL: {reason}"))?;
    if url.scheme() != "http" && url.scheme() != "https" {
        return Err(format!("{text:?} must be an http or https URL"));
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_loopback {
        Ok(url)
    } else {
        Err(format!("the host of {text:?} must be loopback; the simulator connects to this machine only"))
    }
}

#[cfg(test)]
mod tests;
