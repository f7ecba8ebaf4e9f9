//! `cargo xtask build`: the Worker, as wrangler takes it, in `build/`.
//!
//! wrangler runs this at its own start and at each change of the sources, so a run with nothing to do has to be quick
//! and must not touch `build/`: cargo is asked first, and the rest is done only if another wasm came of it.
//!
//! The steps are those of worker-build, with an entry of our own (`src/entry.js`) in the place of its general one, which
//! puts several proxies before each request.

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

/// What the runtime calls.
const ENTRY: &str = "src/entry.js";

/// What the release wasm may have when gzipped, in bytes.
const GZIP_LIMIT: usize = 270_000;

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

    let staging = folder.join("bindgen");
    bind(workspace, tools, &wasm, &staging)?;
    match profile {
        Profile::Release => optimise(workspace, &staging.join("index_bg.wasm"), &named)?,
        Profile::Dev => fs::copy(staging.join("index_bg.wasm"), &named).map(|_| ())?,
    }
    fs::create_dir_all(&out)?;
    bundle(workspace, &staging, &out.join("index.js"))?;
    let module = fs::read(&named)?;
    // Names are a seventh of the compressed size. The copy that has them is for profiles and for reading stacks.
    let module = if profile == Profile::Release { wasm::without_names(&module)? } else { module };
    fs::write(out.join("index_bg.wasm"), module)?;

    fs::write(&stamp, &key).with_context(|| format!("{} cannot be written", stamp.display()))?;
    println!("==> build/ made in {:.1} s", start.elapsed().as_secs_f64());
    if profile == Profile::Release { report(&out).map(|_| ()) } else { Ok(()) }
}

/// wasm and JavaScript get to know each other.
fn bind(workspace: &Workspace, tools: &Tools, wasm: &Path, staging: &Path) -> Result<()> {
    if staging.exists() {
        fs::remove_dir_all(staging)?;
    }
    let mut bindgen = process::for_wasm(&tools.wasm_bindgen);
    bindgen.arg(wasm).arg("--out-dir").arg(staging).args(["--out-name", "index", "--no-typescript"]);
    // A wasm instance that trapped can be replaced, and is known to have trapped: `src/entry.js` replaces it.
    bindgen.args(["--target", "module", "--experimental-reset-state-function", "--force-enable-abort-handler"]);
    process::run(&mut bindgen)?;
    let index = staging.join("index.js");
    // A source phase import, which the runtime's modules of wasm are without the word.
    fs::write(&index, fs::read_to_string(&index)?.replace("import source ", "import "))?;
    fs::copy(workspace.root.join(ENTRY), staging.join("entry.js"))?;
    Ok(())
}

/// Makes the wasm smaller and faster. Its features are named, so that binaryen uses no newer one than the runtime has.
fn optimise(workspace: &Workspace, wasm: &Path, optimised: &Path) -> Result<()> {
    const FEATURES: [&str; 7] = [
        "--enable-mutable-globals",
        "--enable-sign-ext",
        "--enable-nontrapping-float-to-int",
        "--enable-bulk-memory",
        "--enable-multivalue",
        "--enable-reference-types",
        "--enable-exception-handling",
    ];
    let mut opt = process::for_wasm(workspace.npm_bin("wasm-opt"));
    opt.arg(wasm).arg("-o").arg(optimised).args(["-O", "--debuginfo"]).args(FEATURES);
    process::with_node(workspace, &mut opt)?;
    process::run(&mut opt)
}

/// One module of all the JavaScript.
fn bundle(workspace: &Workspace, staging: &Path, index: &Path) -> Result<()> {
    let mut esbuild = process::for_wasm(workspace.npm_bin("esbuild"));
    esbuild.arg("./entry.js").args(["--bundle", "--format=esm", "--minify", "--log-level=warning"]);
    esbuild.args(["--external:./index_bg.wasm", "--external:cloudflare:*"]);
    esbuild.arg(format!("--outfile={}", index.display())).current_dir(staging);
    process::with_node(workspace, &mut esbuild)?;
    process::run(&mut esbuild)
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
    for path in [wasm, &workspace.root.join(ENTRY), &workspace.root.join("package-lock.json")] {
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
