//! `wix-sim`: runs a simulator until it is interrupted.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use wix_sim::{Settings, Sim};

/// Simulates the Wix app platform on this machine.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Port on 127.0.0.1; 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The app's id, a GUID [default: a fresh one]
    #[arg(long)]
    app_id: Option<String>,
    /// The app's secret [default: a fresh one]
    #[arg(long, env = "WIX_SIM_APP_SECRET", hide_env_values = true)]
    app_secret: Option<String>,
    /// PEM file with the app's private RSA key [default: a fresh key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The App URL, for custom authentication
    #[arg(long)]
    app_url: Option<String>,
    /// A registered redirect URL; may be given several times
    #[arg(long)]
    redirect_url: Vec<String>,
    /// Where webhooks are delivered
    #[arg(long)]
    webhook_url: Option<String>,
    /// Divides webhook waits: at 3600 an hour's wait takes a second
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Where the app lists what it has stored, to show it on the page
    #[arg(long)]
    app_records_url: Option<String>,
    /// API key for that list
    #[arg(long, env = "WIX_SIM_APP_RECORDS_KEY", hide_env_values = true)]
    app_records_key: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let fresh_secret = options.app_secret.is_none();
    let private_key_pem = match &options.key {
        Some(file) => Some(
            std::fs::read_to_string(file).with_context(|| format!("the key file {} cannot be read", file.display()))?,
        ),
        None => None,
    };
    let sim = Sim::start(Settings {
        port: options.port,
        app_id: options.app_id,
        app_secret: options.app_secret,
        private_key_pem,
        app_url: options.app_url,
        redirect_urls: options.redirect_url,
        webhook_url: options.webhook_url,
        time_scale: options.time_scale,
        app_records_url: options.app_records_url,
        app_records_key: options.app_records_key,
    })
    .await?;
    announce(&sim, fresh_secret)?;
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}

/// Says that it serves, in one line that other programs wait for; then what an app must be told.
fn announce(sim: &Sim, fresh_secret: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Wix simulator ready on {}", sim.url()).context("standard output is closed")?;
    out.flush().context("standard output is closed")?;
    let app = sim.app();
    let secret = if fresh_secret { format!("app secret  {}\n", app.app_secret) } else { String::new() };
    let rest = format!("app id      {}\n{secret}public key  {}\n", app.app_id, app.public_key_base64);
    // Whoever waited for the first line may have stopped reading.
    let _ = out.write_all(rest.as_bytes()).and_then(|()| out.flush());
    Ok(())
}
