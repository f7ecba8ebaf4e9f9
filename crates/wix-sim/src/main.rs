//! `wix-sim`: runs a simulator until an interrupt.

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
    /// The app's id, a GUID [default: random]
    #[arg(long)]
    app_id: Option<String>,
    /// The app's secret [default: random]
    #[arg(long, env = "WIX_SIM_APP_SECRET", hide_env_values = true)]
    app_secret: Option<String>,
    /// PEM file with the app's private RSA key [default: a new RSA-2048 key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The App URL, for custom authentication
    #[arg(long)]
    app_url: Option<String>,
    /// A registered redirect URL; repeat the option for several
    #[arg(long)]
    redirect_url: Vec<String>,
    /// The URL that webhooks are delivered to
    #[arg(long)]
    webhook_url: Option<String>,
    /// The base URI of the app's service plugins
    #[arg(long)]
    plugins_url: Option<String>,
    /// Divides the pauses between webhook attempts: at 3600 an hour takes a second
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Describe calls to paths that are not simulated, in a 200, instead of answering 404
    #[arg(long)]
    echo_other_paths: bool,
    /// The app's list of instances (GET), which the page shows
    #[arg(long)]
    app_records_url: Option<String>,
    /// The API key for that list
    #[arg(long, env = "WIX_SIM_APP_RECORDS_KEY", hide_env_values = true)]
    app_records_key: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let is_secret_random = options.app_secret.is_none();
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
        plugins_url: options.plugins_url,
        time_scale: options.time_scale,
        echo_other_paths: options.echo_other_paths,
        app_records_url: options.app_records_url,
        app_records_key: options.app_records_key,
        // No option: every user of a machine can read the arguments of a process.
        events_secrets: std::env::var("WIX_SIM_EVENTS_SECRETS").ok().filter(|text| !text.is_empty()),
    })
    .await?;
    announce(&sim, is_secret_random)?;
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}

/// Prints the ready line, for which other programs wait, and then the app's id, secret and public key.
fn announce(sim: &Sim, is_secret_random: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Wix simulator ready on {}", sim.url()).context("standard output is closed")?;
    out.flush().context("standard output is closed")?;
    let app = sim.app();
    let secret = if is_secret_random { format!("app secret  {}\n", app.app_secret) } else { String::new() };
    let rest = format!("app id      {}\n{secret}public key  {}\n", app.app_id, app.public_key_base64);
    // A program that waits for the ready line may have stopped reading.
    let _ = out.write_all(rest.as_bytes()).and_then(|()| out.flush());
    Ok(())
}
