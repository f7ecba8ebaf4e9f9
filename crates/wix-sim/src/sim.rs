//! A running simulator. It listens on loopback and stops when it is dropped.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app_backend;
use crate::control;
use crate::ids;
use crate::keys::SigningKey;
use crate::line::{Connection, CuttableListener};
use crate::page;
use crate::settings::Settings;
use crate::shared::{Ctx, Shared};
use crate::switches::Switches;
use crate::wix;
use crate::world::{App, World};

/// The credentials of the simulator's app, for the configuration of the app under test.
#[derive(Clone)]
pub struct AppCredentials {
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: String,
    /// The public key that verifies webhooks: SPKI in PEM.
    pub public_key_pem: String,
    /// The same key as base64 of its DER.
    pub public_key_base64: String,
}

/// A simulator that serves until the value is dropped.
pub struct Sim {
    shared: Ctx,
    server: JoinHandle<()>,
}

impl Sim {
    /// Binds to 127.0.0.1 and serves. Fails if a setting is invalid or the port is in use.
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
        let secrets = settings.events_secrets.as_deref().map(app_backend::Secrets::parse).transpose()?;
        let world = World {
            app: App {
                previous_secret: None,
                app_id: settings.app_id.map_or_else(ids::guid, |id| id.to_ascii_lowercase()),
                secret: settings.app_secret.unwrap_or_else(ids::guid),
                name: "Demo".to_owned(),
                app_url: settings.app_url,
                redirect_urls: settings.redirect_urls,
                webhook_url: settings.webhook_url,
                plugins_url: settings.plugins_url,
                sends_finished_configuration: false,
            },
            switches: Switches {
                time_scale: settings.time_scale,
                echo_other_paths: settings.echo_other_paths,
                ..Switches::default()
            },
            ..World::default()
        };
        let shared = Arc::new(Shared::new(world, key, url, records, secrets)?);
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { shared, server })
    }

    /// The origin, without a trailing slash. It serves both of Wix's hosts.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The app's id, secret and public key.
    #[must_use]
    pub fn app(&self) -> AppCredentials {
        self.shared.read(|world| AppCredentials {
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
        .merge(app_backend::routes())
        .merge(wix::routes(&shared))
        .layer(from_fn(control::check))
        .with_state(shared.clone());
    let mut stop = shared.stop.subscribe();
    let stopped = async move {
        // An error means that the sender was dropped with `shared`: stop too.
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    // `axum::serve` returns after the shutdown signal only.
    let _ = axum::serve(CuttableListener(listener), app.into_make_service_with_connect_info::<Connection>())
        .with_graceful_shutdown(stopped)
        .await;
}
