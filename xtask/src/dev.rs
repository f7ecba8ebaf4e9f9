//! `cargo xtask dev`: the Worker and a simulated Wix on this machine.
//!
//! The Worker runs as wrangler runs it, in workerd with a local KV and local objects, on `localhost`; the simulator on
//! `127.0.0.1`. These two names are different sites to a browser, as an app and Wix are. Keys and secrets are generated at
//! each start. The simulator stores nothing, so the Worker's KV and objects are emptied too.

mod settings;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use leash::Leash;
use serde_json::json;

use crate::build::{self, Profile};
use crate::dev::settings::Settings;
use crate::lane::{Lane, say};
use crate::lock::Lock;
use crate::tools::Bindgen;
use crate::workspace::Workspace;
use crate::{http, npm, process};

const WORKER_PORT: u16 = 8787;
const SIMULATOR_PORT: u16 = 8790;
/// wrangler runs the build before it starts. After a change of the sources that takes time.
const WORKER_START: Duration = Duration::from_mins(5);
const SIMULATOR_START: Duration = Duration::from_secs(20);
const READY: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// `cargo xtask dev`
#[derive(Debug, Args)]
pub struct Options {
    /// The Worker's port [default: 8787 or the next free one]
    #[arg(long)]
    port: Option<u16>,
    /// The simulator's port [default: 8790 or the next free one]
    #[arg(long)]
    sim_port: Option<u16>,
    /// Builds the Worker with optimisation, as for a deployment; a build after a change then takes longer
    #[arg(long)]
    release: bool,
}

/// Builds and runs both until Ctrl-C.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let Some(_lock) = Lock::try_take(&workspace.dev().join("lock"))? else {
        bail!("`cargo xtask dev` already runs in this folder; stop it first");
    };
    let worker_port = choose_port("the Worker", "--port", options.port, WORKER_PORT, None)?;
    let sim_port = choose_port("the simulator", "--sim-port", options.sim_port, SIMULATOR_PORT, Some(worker_port))?;

    println!("==> building the Worker and the simulator (the first time: two or three minutes)");
    build_all(workspace, if options.release { Profile::Release } else { Profile::Dev })?;

    let interrupted = Interrupted::watch()?;
    let outcome = serve(workspace, options, &interrupted, worker_port, sim_port);
    // The file holds the secrets of this run.
    let _ = fs::remove_file(settings_file(workspace));
    match outcome {
        Err(_) if interrupted.is_set() => say("\nstopped"),
        Err(error) => return Err(error),
        Ok(()) => say("\nstopped"),
    }
    Ok(())
}

/// Builds the Worker, and beside it the simulator. Neither has work for two cores all the time.
fn build_all(workspace: &Workspace, profile: Profile) -> Result<()> {
    thread::scope(|scope| {
        let npm = Lane::start(scope, || npm::ensure(workspace));
        let native = Lane::start(scope, || {
            let mut native = process::cargo();
            // One call for both, so that cargo compiles once what they share.
            native.args(["build", "--package", "wix-sim", "--package", "bindgen"]);
            process::run(native.current_dir(&workspace.root))?;
            Bindgen::find(workspace)?.keep_new()
        });
        build::compile(workspace, profile)?;
        native.join().0?;
        npm.join().0
    })?;
    build::assemble(workspace, profile)
}

/// Returns after Ctrl-C. All processes that it started end when it returns, also after an error.
fn serve(
    workspace: &Workspace,
    options: &Options,
    interrupted: &Interrupted,
    worker_port: u16,
    sim_port: u16,
) -> Result<()> {
    let settings = Settings::generate(worker_port, sim_port)?;

    println!("==> starting the simulator");
    let mut simulator = Shown::new("sim");
    let mut sim_process = simulator.spawn("the simulator", &simulator_command(workspace, &settings))?;
    await_line(&mut sim_process, interrupted, SIMULATOR_START, "Wix simulator ready on ")?;
    let app = http::get(&format!("{}/_sim/app", settings.simulator_url))?;
    let public_key = settings::public_key(&app.body)?;
    answer_other_paths(&settings.simulator_url)?;

    println!("==> starting the Worker");
    let store = workspace.dev().join("store");
    if store.exists() {
        fs::remove_dir_all(&store).with_context(|| format!("{} cannot be emptied", store.display()))?;
    }
    let file = settings_file(workspace);
    settings.write(&file, &public_key)?;
    let mut worker = Shown::new("worker");
    let command = worker_command(workspace, options, &settings, &file, &store)?;
    let mut worker_process = worker.spawn("the Worker", &command)?;
    await_line(&mut worker_process, interrupted, WORKER_START, "Ready on ")?;
    worker.show();
    await_readiness(&mut worker_process, interrupted, &settings)?;

    say(&settings.welcome());
    simulator.show();
    while !interrupted.wait(LOOK_AGAIN) {
        worker_process.check_running()?;
        sim_process.check_running()?;
    }
    say("\nstopping the Worker and the simulator");
    Ok(())
}

/// Lets the simulator answer a call to a path that it does not simulate with a description of the call. Most calls of a
/// developer with `@wix/sdk` or through the proxy have such a path, and a 404 would look like the developer's mistake.
fn answer_other_paths(simulator_url: &str) -> Result<()> {
    let answer = http::patch(&format!("{simulator_url}/_sim/switches"), &json!({ "echo_other_paths": true }))?;
    if answer.status != 200 {
        bail!("the simulator refuses the switch echo_other_paths: {} {}", answer.status, answer.body);
    }
    Ok(())
}

fn simulator_command(workspace: &Workspace, settings: &Settings) -> Command {
    let worker = &settings.worker_url;
    let mut command = Command::new(workspace.target.join("debug/wix-sim"));
    command
        .args(["--port", &settings.sim_port.to_string()])
        .args(["--app-id", &settings.app_id])
        .args(["--app-url", &format!("{worker}/install")])
        .args(["--redirect-url", &format!("{worker}/redirect")])
        .args(["--webhook-url", &format!("{worker}/webhook")])
        .args(["--plugins-url", &format!("{worker}/plugins")])
        .args(["--app-records-url", &format!("{worker}/v1/instances")])
        // A reset of the simulator restores what its command line says.
        .arg("--echo-other-paths")
        // Every user of this machine can read the arguments of a process.
        .env("WIX_SIM_APP_SECRET", &settings.app_secret)
        .env("WIX_SIM_APP_RECORDS_KEY", &settings.api_key.secret)
        .env("WIX_SIM_EVENTS_SECRETS", &settings.events_secret)
        .current_dir(&workspace.root);
    command
}

fn worker_command(
    workspace: &Workspace,
    options: &Options,
    settings: &Settings,
    file: &Path,
    store: &Path,
) -> Result<Command> {
    let mut command = Command::new(workspace.npm_bin("wrangler"));
    command
        .args(["dev", "--port", &settings.worker_port.to_string(), "--inspector-port", "0"])
        .args(["--show-interactive-dev-session=false", "--persist-to"])
        .arg(store)
        .arg("--env-file")
        .arg(file)
        // No questions, no update notices, and no request to the network at the start.
        .env("CI", "1")
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
        // Otherwise wrangler records every request, with the codes in its URL.
        .env("X_LOCAL_OBSERVABILITY", "false")
        .current_dir(&workspace.root);
    if options.release {
        command.env_remove(build::DEV_VARIABLE);
    } else {
        command.env(build::DEV_VARIABLE, "1");
    }
    process::with_node(workspace, &mut command)?;
    Ok(command)
}

fn settings_file(workspace: &Workspace) -> std::path::PathBuf {
    workspace.dev().join("settings.env")
}

/// The given port if it is free. If none is given, the usual one or the next free one.
fn choose_port(who: &str, flag: &str, given: Option<u16>, usual: u16, taken: Option<u16>) -> Result<u16> {
    let free = |port: u16| Some(port) != taken && leash::is_free(port);
    if let Some(port) = given {
        if !free(port) {
            bail!("port {port} is in use; choose another one for {who} with {flag}");
        }
        return Ok(port);
    }
    let Some(port) = (usual..usual.saturating_add(100)).find(|port| free(*port)) else {
        bail!("port {usual} and the hundred after it are in use; choose one for {who} with {flag}");
    };
    if port != usual {
        println!("==> port {usual} is in use: {who} gets {port}");
    }
    Ok(port)
}

/// Waits for a line that contains `wanted`. Ctrl-C is an error.
fn await_line(process: &mut Leash, interrupted: &Interrupted, limit: Duration, wanted: &str) -> Result<()> {
    let until = Instant::now() + limit;
    loop {
        match process.wait_for_line(LOOK_AGAIN, |line| line.contains(wanted)) {
            Ok(_) => return Ok(()),
            Err(leash::Error::Deadline { name, tail, .. }) if Instant::now() >= until => {
                bail!("{name} was not ready after {} s; its last lines:\n{tail}", limit.as_secs())
            }
            Err(leash::Error::Deadline { .. }) => interrupted.check()?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until `/readyz` answers 200. Prints every other answer when it first comes.
fn await_readiness(process: &mut Leash, interrupted: &Interrupted, settings: &Settings) -> Result<()> {
    let url = format!("{}/readyz", settings.worker_url);
    let until = Instant::now() + READY;
    let mut said = String::new();
    loop {
        let now = match http::get(&url) {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("{url} answers {}: {}", answer.status, answer.body),
            Err(error) => format!("{error:#}"),
        };
        if now != said {
            println!("==> the Worker is not ready yet: {now}");
            said = now;
        }
        if Instant::now() >= until {
            bail!("the Worker was not ready after {} s: {said}", READY.as_secs());
        }
        process.check_running()?;
        interrupted.check()?;
        thread::sleep(LOOK_AGAIN);
    }
}

/// The output of one program: hidden until everything is ready, then printed line by line.
struct Shown {
    name: &'static str,
    on: Arc<AtomicBool>,
}

impl Shown {
    fn new(name: &'static str) -> Self {
        Self { name, on: Arc::default() }
    }

    fn spawn(&mut self, full_name: &str, command: &Command) -> Result<Leash> {
        let (name, on) = (self.name, Arc::clone(&self.on));
        let show = move |line: &str| {
            if on.load(Ordering::Relaxed) {
                say(&format!("{name:<6} | {line}"));
            }
        };
        Ok(Leash::spawn(full_name, command, show)?)
    }

    fn show(&self) {
        self.on.store(true, Ordering::Relaxed);
    }
}

/// Ctrl-C, or a TERM signal.
struct Interrupted {
    set: Arc<AtomicBool>,
    told: mpsc::Receiver<()>,
}

impl Interrupted {
    fn watch() -> Result<Self> {
        let set = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let handler = Arc::clone(&set);
        ctrlc::set_handler(move || {
            handler.store(true, Ordering::Relaxed);
            let _ = tell.send(());
        })
        .context("the handler for Ctrl-C cannot be installed")?;
        Ok(Self { set, told })
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<()> {
        if self.is_set() {
            bail!("interrupted");
        }
        Ok(())
    }

    fn wait(&self, limit: Duration) -> bool {
        self.is_set() || self.told.recv_timeout(limit).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::answer_other_paths;

    /// Answers one request, and returns the request.
    fn once(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a call");
            let mut asked = String::new();
            let mut buffer = [0; 1024];
            while !asked.ends_with('}') {
                let length = stream.read(&mut buffer).expect("a request");
                assert_ne!(length, 0, "broken off: {asked}");
                asked.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
            stream.write_all(answer.as_bytes()).expect("a listener");
            asked
        });
        (url, asked)
    }

    #[test]
    fn calls_to_paths_that_are_not_simulated_are_answered() {
        let (url, asked) = once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        answer_other_paths(&url).expect("taken");
        let asked = asked.join().expect("asked");
        assert!(asked.starts_with("PATCH /_sim/switches "), "{asked}");
        assert!(asked.ends_with("\r\n\r\n{\"echo_other_paths\":true}"), "{asked}");
    }

    #[test]
    fn a_refused_switch_is_an_error() {
        let (url, asked) = once("HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\nconnection: close\r\n\r\nno switch");
        let error = answer_other_paths(&url).expect_err("refused").to_string();
        assert!(error.contains("echo_other_paths") && error.contains("no switch"), "{error}");
        asked.join().expect("asked");
    }
}
