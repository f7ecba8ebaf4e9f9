//! A running simulator: bound to loopback, stopped on drop.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::control;
use crate::ids;
use crate::keys::SigningKey;
use crate::line::{Line, Lines};
use crate::page;
use crate::settings::Settings;
use crate::shared::{Ctx, Shared};
use crate::switches::Switches;
use crate::wix;
use crate::world::{App, World};

/// What an app must know of itself to be this simulator's app.
#[derive(Clone)]
pub struct AppFacts {
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: String,
    /// The public key that verifies webhooks: SPKI in PEM.
    pub public_key_pem: String,
    /// The same as bare base64 of the DER.
    pub public_key_base64: String,
}

/// A simulator that serves until it is dropped.
pub struct Sim {
    shared: Ctx,
    server: JoinHandle<()>,
}

impl Sim {
    /// Binds to 127.0.0.1 and serves. Fails on settings that cannot work and on a port that is taken.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        settings.check()?;
        let key = match &settings.private_key_pem {
            Some(text) => SigningKey::from_pem(text)?,
            None => SigningKey::generate()?,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))
            .await
            .with_context(|| format!("port {} on 127.0.0.1 cannot be used", settings.port))?;
        let url = format!("http://{}", listener.local_addr().context("the port is not known")?);
        let records = settings.records()?;
        let world = World {
            app: App {
                previous_secret: None,
                app_id: settings.app_id.map_or_else(ids::guid, |id| id.to_ascii_lowercase()),
                secret: settings.app_secret.unwrap_or_else(ids::guid),
                name: "Demo".to_owned(),
                app_url: settings.app_url,
                redirect_urls: settings.redirect_urls,
                webhook_url: settings.webhook_url,
                sends_finished_configuration: false,
            },
            switches: Switches { time_scale: settings.time_scale, ..Switches::default() },
            ..World::default()
        };
        let shared = Arc::new(Shared::new(world, key, url, records)?);
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { shared, server })
    }

    /// Where it is reached, without a slash at the end; stands for both of Wix's hosts.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The app's id, secret and public key.
    #[must_use]
    pub fn app(&self) -> AppFacts {
        self.shared.read(|world| AppFacts {
            app_id: world.app.app_id.clone(),
            app_secret: world.app.secret.clone(),
            public_key_pem: self.shared.own_key.public_pem(),
            public_key_base64: self.shared.own_key.public_der_base64(),
        })
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Ctx) {
    let app = Router::new()
        .merge(page::routes())
        .merge(control::routes())
        .merge(wix::routes(&shared))
        .layer(from_fn(control::check))
        .with_state(shared.clone());
    let mut stop = shared.stop.subscribe();
    let stopped = async move {
        // The sender lives as long as `shared`; its end is a stop too.
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    // `axum::serve` ends only when told to.
    let _ = axum::serve(Lines(listener), app.into_make_service_with_connect_info::<Line>())
        .with_graceful_shutdown(stopped)
        .await;
}
