//! The tools written in Rust: the wasm target, and the wasm-bindgen that fits the one in `Cargo.lock`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

const WASM_TARGET: &str = "wasm32-unknown-unknown";
const CARGO_FUZZ: &str = "0.13.2";

/// The tools as they are used: found, and of the right version.
#[derive(Debug)]
pub struct Tools {
    /// The path of wasm-bindgen.
    pub wasm_bindgen: PathBuf,
    /// Changes when it does.
    pub versions: String,
}

/// Has rustup add the wasm target, unless the compiler has it.
pub fn ensure_wasm_target() -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    let folder = String::from_utf8(process::output(&mut rustc)?)?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if !process::exists("rustup") {
        bail!("this Rust cannot compile for {WASM_TARGET}, and there is no rustup to add it: see https://rustup.rs");
    }
    println!("==> rustup target add {WASM_TARGET} (seconds)");
    process::run(Command::new("rustup").args(["target", "add", WASM_TARGET]))
}

/// Has rustup add rustfmt and clippy, unless they are there: a minimal toolchain comes without.
pub fn ensure_lints() -> Result<()> {
    let works = |name: &str| process::succeeds(Command::new("cargo").args([name, "--version"]));
    if (works("fmt") && works("clippy")) || !process::exists("rustup") {
        return Ok(());
    }
    println!("==> rustup component add rustfmt clippy (seconds)");
    process::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))
}

/// Installs wasm-bindgen where it is missing or of another version.
pub fn ensure(workspace: &Workspace) -> Result<Tools> {
    let bindgen =
        Tool { name: "wasm-bindgen", package: "wasm-bindgen-cli", version: workspace.locked_version("wasm-bindgen")? };

    let wasm_bindgen = bindgen.ensure(workspace)?;
    // What it was compiled from is of no more use.
    let build = build_folder(workspace);
    if build.exists() {
        fs::remove_dir_all(build)?;
    }
    let versions = format!("wasm-bindgen {}", bindgen.version);
    Ok(Tools { wasm_bindgen, versions })
}

/// Installs cargo-fuzz where it is missing, and says what to do where there is no nightly compiler.
pub fn ensure_fuzz(workspace: &Workspace) -> Result<PathBuf> {
    if !process::succeeds(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])) {
        bail!("fuzzing needs a nightly compiler: `rustup toolchain install nightly --profile minimal`");
    }
    let fuzz = Tool { name: "cargo-fuzz", package: "cargo-fuzz", version: CARGO_FUZZ.to_owned() };
    fs::create_dir_all(workspace.tools())?;
    let found = fuzz.ensure(workspace)?;
    let build = build_folder(workspace);
    if build.exists() {
        fs::remove_dir_all(build)?;
    }
    Ok(found)
}

struct Tool {
    name: &'static str,
    package: &'static str,
    version: String,
}

impl Tool {
    fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let own = workspace.tools().join("bin").join(self.name);
        if self.is(&own) {
            return Ok(own);
        }
        // One that is installed for everything will do, if it is of the same version.
        let on_path = env::var_os("PATH").unwrap_or_default();
        if let Some(found) = env::split_paths(&on_path).map(|folder| folder.join(self.name)).find(|path| self.is(path))
        {
            return Ok(found);
        }
        self.install(workspace)?;
        if !self.is(&own) {
            bail!("{} was installed but is not version {}; remove {}", self.name, self.version, own.display());
        }
        Ok(own)
    }

    /// `--version` writes the version, with the tool's name before it or alone.
    fn is(&self, program: &Path) -> bool {
        program.is_file()
            && process::version(program).is_some_and(|line| line.split_whitespace().next_back() == Some(&self.version))
    }

    /// Without optimisation: it is there in a minute instead of three, and takes 0.3 s more for a release build and 1.2 s
    /// more for a `--dev` one. Not `--locked`: the lock file in a
    /// published package may name versions that were withdrawn since, and the tool's own version is what counts.
    fn install(&self, workspace: &Workspace) -> Result<()> {
        println!("==> cargo install {} {} (a minute or two, once)", self.package, self.version);
        let start = Instant::now();
        let mut cargo = process::cargo();
        cargo
            .args(["install", self.package, "--version", &self.version, "--bin", self.name, "--force", "--root"])
            .arg(workspace.tools())
            .current_dir(workspace.tools())
            // Or it advises to put that folder on PATH.
            .env("PATH", with_own_tools(workspace)?)
            .env("CARGO_TARGET_DIR", build_folder(workspace))
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(name);
        }
        process::run(&mut cargo)?;
        println!("    done in {} s", start.elapsed().as_secs());
        Ok(())
    }
}

fn with_own_tools(workspace: &Workspace) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(env::split_paths(&path).chain([workspace.tools().join("bin")]))?)
}

fn build_folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("build")
}
