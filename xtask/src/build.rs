//! `cargo xtask build`: the Worker, as wrangler takes it, in `build/`.
//!
//! wrangler runs this at its own start and at each change of the sources, so a run with nothing to do has to be quick
//! and must not touch `build/`: cargo is asked first, and worker-build only if another wasm came of it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::keygen::hex;
use crate::process;
use crate::setup::{self, Lock};
use crate::tools::Tools;
use crate::wasm;
use crate::workspace::Workspace;

/// Makes wrangler's own builds during `cargo xtask dev` quick ones too.
pub const DEV_VARIABLE: &str = "XTASK_DEV_BUILD";

/// What the release wasm may have when gzipped, in bytes.
const GZIP_LIMIT: usize = 250_000;

/// `cargo xtask build`
#[derive(Debug, Args)]
pub struct Options {
    /// Built in seconds, but large and slow: for work on the code, never for a deployment
    #[arg(long)]
    dev: bool,
}

/// The two ways to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small and fast: what is deployed and tested.
    Release,
    /// There soon.
    Dev,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// Sets up and builds.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let dev = options.dev || std::env::var_os(DEV_VARIABLE).is_some();
    let tools = setup::ensure(workspace)?;
    build(workspace, &tools, if dev { Profile::Dev } else { Profile::Release })
}

/// Builds `build/index.js` and what it needs, unless it is there already.
pub fn build(workspace: &Workspace, tools: &Tools, profile: Profile) -> Result<()> {
    let _lock = Lock::take(&workspace.tools().join("build.lock"), "another build")?;
    let start = Instant::now();

    let mut cargo = process::for_wasm("cargo");
    cargo.args(["build", "--lib", "--target", "wasm32-unknown-unknown"]).current_dir(&workspace.root);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;

    let folder = workspace.target.join("wasm32-unknown-unknown").join(profile.folder());
    let wasm = folder.join("wix_edge.wasm");
    let named = folder.join("wix_edge.named.wasm");
    let key = key(workspace, tools, &wasm, profile)?;
    let out = workspace.root.join("build");
    let stamp = out.join(".xtask");
    let is_whole = out.join("index.js").exists() && out.join("index_bg.wasm").exists() && named.exists();
    if is_whole && fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == key) {
        println!("==> build/ is up to date");
        return if profile == Profile::Release { report(&out).map(|_| ()) } else { Ok(()) };
    }
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }

    let mut worker_build = process::for_wasm(&tools.worker_build);
    match profile {
        Profile::Release => worker_build.arg("--release"),
        Profile::Dev => worker_build.args(["--dev", "--no-opt"]),
    };
    worker_build
        .current_dir(&workspace.root)
        .env("WASM_BINDGEN_BIN", &tools.wasm_bindgen)
        .env("WASM_OPT_BIN", workspace.npm_bin("wasm-opt"))
        .env("ESBUILD_BIN", workspace.npm_bin("esbuild"))
        // A request is finished even if whoever asked goes away: an install half stored helps nobody.
        .env("RUN_TO_COMPLETION", "1");
    process::with_node(workspace, &mut worker_build)?;
    process::run(&mut worker_build)?;

    if profile == Profile::Release {
        // Names are a seventh of the compressed size. The copy that has them is for profiles and for reading stacks.
        let built = out.join("index_bg.wasm");
        let module = fs::read(&built)?;
        fs::write(&named, &module)?;
        fs::write(&built, wasm::without_names(&module)?)?;
    }

    fs::write(&stamp, &key).with_context(|| format!("{} cannot be written", stamp.display()))?;
    println!("==> build/ made in {:.1} s", start.elapsed().as_secs_f64());
    if profile == Profile::Release { report(&out).map(|_| ()) } else { Ok(()) }
}

/// Fails if the release wasm in `build/` has become too large.
pub fn check_size(workspace: &Workspace) -> Result<()> {
    let gzip = report(&workspace.root.join("build"))?;
    ensure!(
        gzip <= GZIP_LIMIT,
        "the wasm has {gzip} B when gzipped, more than the {GZIP_LIMIT} B it may have (`GZIP_LIMIT` in xtask/src/build.rs).\n\
         target/wasm32-unknown-unknown/release/wix_edge.named.wasm has the names of its functions: see docs/performance.md"
    );
    Ok(())
}

/// What `build/` depends on: the wasm, and everything that works on it.
fn key(workspace: &Workspace, tools: &Tools, wasm: &Path, profile: Profile) -> Result<String> {
    let mut hash = Sha256::new();
    for path in [wasm, &workspace.root.join("package-lock.json")] {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        hash.update(Sha256::digest(&bytes));
    }
    hash.update(format!("{} {profile:?}", tools.versions));
    Ok(hex(&hash.finalize()))
}

/// Says how large the wasm is; Cloudflare's limits count it gzipped.
fn report(out: &Path) -> Result<usize> {
    let wasm = fs::read(out.join("index_bg.wasm"))?;
    let gzip = wasm::gzipped(&wasm)?;
    println!("wasm: {} B, gzip {gzip} B", wasm.len());
    Ok(gzip)
}
