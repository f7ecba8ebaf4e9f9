//! `cargo xtask build`: the Worker, as wrangler takes it, in `build/`.
//!
//! wrangler runs this when it starts and after each change of the sources. A run with nothing to do must be quick and must
//! not touch `build/`: cargo runs first, and the other steps only if the wasm has changed.
//!
//! The steps are those of worker-build, with another entry (`src/entry.js`): docs/adr/0005-own-entry.md.

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::lane::{Lane, say};
use crate::lock::Lock;
use crate::tools::{self, Bindgen, WASM_TARGET};
use crate::workspace::Workspace;
use crate::{assets, npm, problems, process, wasm, wrangler_config};

/// Set for wrangler by `cargo xtask dev`: the builds that wrangler starts are then of the profile `dev`.
pub const DEV_VARIABLE: &str = "XTASK_DEV_BUILD";

/// The module that the runtime calls.
const ENTRY: &str = "src/entry.js";

/// The limit of the gzipped release wasm, in bytes.
const GZIP_LIMIT: usize = 433_000;

/// `cargo xtask build`
#[derive(Debug, Args)]
pub struct Options {
    /// Compiles without optimisation: for work on the code, not for a deployment
    #[arg(long)]
    dev: bool,
}

/// The two ways to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small and fast: what is deployed and tested.
    Release,
    /// Compiled without optimisation: quick to build, large and slow to run.
    Dev,
}

impl Profile {
    /// Its name in Cargo.toml, and its folder under `target`.
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "worker-dev",
        }
    }
}

/// Sets up and builds.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let dev = options.dev || std::env::var_os(DEV_VARIABLE).is_some();
    build(workspace, if dev { Profile::Dev } else { Profile::Release })
}

/// Installs what is missing and builds `build/index.js` and what it needs, unless it is there already.
pub fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    thread::scope(|scope| {
        let npm = Lane::start(scope, || npm::ensure(workspace));
        let bindgen = Lane::start(scope, || Bindgen::find(workspace)?.ensure(workspace));
        compile(workspace, profile)?;
        bindgen.join().0?;
        npm.join().0
    })?;
    assemble(workspace, profile)
}

/// Compiles the wasm.
pub fn compile(workspace: &Workspace, profile: Profile) -> Result<()> {
    tools::ensure_wasm_target()?;
    let mut cargo = process::for_wasm("cargo");
    cargo.args(["build", "--lib", "--target", WASM_TARGET, "--profile", profile.name()]);
    process::run(cargo.current_dir(&workspace.root))
}

/// Makes `build/` from the compiled wasm, with the npm packages and `crates/bindgen`.
pub fn assemble(workspace: &Workspace, profile: Profile) -> Result<()> {
    let _lock = Lock::take(&workspace.tools().join("build.lock"), "another build")?;
    let start = Instant::now();

    let bindgen = Bindgen::find(workspace)?;
    let folder = workspace.target.join(WASM_TARGET).join(profile.name());
    let wasm = folder.join("wix_edge.wasm");
    let named = folder.join("wix_edge.named.wasm");
    let key = key(workspace, &bindgen, &wasm, profile)?;
    let out = workspace.root.join("build");
    fs::create_dir_all(&out)?;
    let generated = problems::assets(workspace)?;
    assets::write(&workspace.root.join("console"), &generated, &out.join(wrangler_config::ASSETS))?;
    wrangler_config::write(&workspace.root, &out)?;
    let stamp = out.join(".xtask");
    let is_whole = out.join("index.js").exists() && out.join("index_bg.wasm").exists() && named.exists();
    if is_whole && fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == key) {
        say("==> build/ is up to date");
        return if profile == Profile::Release { report(&out).map(|_| ()) } else { Ok(()) };
    }
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }

    let staging = folder.join("bindgen");
    bind(workspace, &bindgen, &wasm, &staging)?;
    match profile {
        Profile::Release => optimise(workspace, &staging.join("index_bg.wasm"), &named)?,
        Profile::Dev => fs::copy(staging.join("index_bg.wasm"), &named).map(|_| ())?,
    }
    bundle(workspace, &staging, &out.join("index.js"))?;
    let module = fs::read(&named)?;
    // Names are a seventh of the compressed size. The copy that has them is for profiles and for reading stacks.
    let module = if profile == Profile::Release { wasm::without_names(&module)? } else { module };
    fs::write(out.join("index_bg.wasm"), module)?;

    fs::write(&stamp, &key).with_context(|| format!("{} cannot be written", stamp.display()))?;
    say(&format!("==> build/ made in {:.1} s", start.elapsed().as_secs_f64()));
    if profile == Profile::Release { report(&out).map(|_| ()) } else { Ok(()) }
}

/// Generates the JavaScript between the runtime and the wasm.
fn bind(workspace: &Workspace, bindgen: &Bindgen, wasm: &Path, staging: &Path) -> Result<()> {
    if staging.exists() {
        fs::remove_dir_all(staging)?;
    }
    process::run(Command::new(&bindgen.program).arg(wasm).arg(staging))?;
    let index = staging.join("index.js");
    // wasm-bindgen writes source phase imports. The runtime imports a wasm module by an ordinary import.
    fs::write(&index, fs::read_to_string(&index)?.replace("import source ", "import "))?;
    fs::copy(workspace.root.join(ENTRY), staging.join("entry.js"))?;
    Ok(())
}

/// Makes the wasm smaller and faster. The features are listed so that binaryen uses none that the runtime lacks.
fn optimise(workspace: &Workspace, wasm: &Path, optimised: &Path) -> Result<()> {
    const FEATURES: [&str; 8] = [
        "--enable-simd",
        "--enable-mutable-globals",
        "--enable-sign-ext",
        "--enable-nontrapping-float-to-int",
        "--enable-bulk-memory",
        "--enable-multivalue",
        "--enable-reference-types",
        "--enable-exception-handling",
    ];
    let mut opt = process::for_wasm(workspace.npm_bin("wasm-opt"));
    // Functions of one name are alike, and gzip looks back only 32 KiB: that order saves 6 kB.
    opt.arg(wasm).arg("-o").arg(optimised).args(["-O", "--reorder-functions-by-name", "--debuginfo"]).args(FEATURES);
    process::with_node(workspace, &mut opt)?;
    process::run(&mut opt)
}

/// Bundles all JavaScript into one module.
fn bundle(workspace: &Workspace, staging: &Path, index: &Path) -> Result<()> {
    let mut esbuild = process::for_wasm(workspace.npm_bin("esbuild"));
    esbuild.arg("./entry.js").args(["--bundle", "--format=esm", "--minify", "--log-level=warning"]);
    // wasm-bindgen would register each closure to free it after its collection as garbage. Rust frees it before.
    esbuild.arg("--define:FinalizationRegistry=undefined");
    // wasm-bindgen names a module once for each function that it imports from it.
    esbuild.arg("--log-override:duplicate-object-key=silent");
    esbuild.args(["--external:./index_bg.wasm", "--external:cloudflare:*"]);
    esbuild.arg(format!("--outfile={}", index.display())).current_dir(staging);
    process::with_node(workspace, &mut esbuild)?;
    process::run(&mut esbuild)
}

/// Fails if the release wasm in `build/` is larger than the limit.
pub fn check_size(workspace: &Workspace) -> Result<()> {
    let gzip = report(&workspace.root.join("build"))?;
    ensure!(
        gzip <= GZIP_LIMIT,
        "the gzipped wasm has {gzip} B and must have at most {GZIP_LIMIT} B (`GZIP_LIMIT` in xtask/src/build.rs).\n\
         target/wasm32-unknown-unknown/release/wix_edge.named.wasm still has the names of its functions, for a profiler;\n\
         docs/performance.md lists what each feature costs"
    );
    Ok(())
}

/// A hash of everything that `build/` is made from.
fn key(workspace: &Workspace, bindgen: &Bindgen, wasm: &Path, profile: Profile) -> Result<String> {
    let mut hash = Sha256::new();
    for path in [wasm, &workspace.root.join(ENTRY), &workspace.root.join("package-lock.json")] {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        hash.update(Sha256::digest(&bytes));
    }
    hash.update(format!("{} {profile:?}", bindgen.key));
    Ok(hex(&hash.finalize()))
}

/// Prints the size of the wasm and returns the gzipped size, which Cloudflare's limits refer to.
fn report(out: &Path) -> Result<usize> {
    let wasm = fs::read(out.join("index_bg.wasm"))?;
    let gzip = wasm::gzipped(&wasm)?;
    say(&format!("wasm: {} B, gzip {gzip} B", wasm.len()));
    Ok(gzip)
}
