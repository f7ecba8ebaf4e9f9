//! The tools written in Rust: the wasm target, rustfmt and clippy, `crates/bindgen`, cargo-deny and cargo-fuzz.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::lane::say;
use crate::process;
use crate::workspace::Workspace;

pub const WASM_TARGET: &str = "wasm32-unknown-unknown";
const CARGO_FUZZ: &str = "0.13.2";

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
    say(&format!("==> rustup target add {WASM_TARGET} (seconds)"));
    process::run(Command::new("rustup").args(["target", "add", WASM_TARGET]))
}

/// Has rustup add rustfmt and clippy, unless they are there: a minimal toolchain comes without.
pub fn ensure_lints() -> Result<()> {
    let works = |name: &str| process::succeeds(Command::new("cargo").args([name, "--version"]));
    if (works("fmt") && works("clippy")) || !process::exists("rustup") {
        return Ok(());
    }
    say("==> rustup component add rustfmt clippy (seconds)");
    process::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))
}

/// `crates/bindgen`, compiled once and kept in `target/tools/bin`. Cargo would compile parts of it again each time it
/// is built with other packages beside it, because their features are unified.
#[derive(Debug)]
pub struct Bindgen {
    /// Where the program is kept.
    pub program: PathBuf,
    /// Changes when the program's output may change.
    pub key: String,
    compiled: PathBuf,
    stamp: PathBuf,
}

impl Bindgen {
    /// Looks up where it is and what it is made from.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let source = workspace.root.join("crates/bindgen/src/main.rs");
        let source = fs::read(&source).with_context(|| format!("{} cannot be read", source.display()))?;
        let version = workspace.locked_version("wasm-bindgen-cli-support")?;
        let folder = workspace.tools().join("bin");
        Ok(Self {
            program: folder.join("bindgen"),
            key: format!("wasm-bindgen {version}, {}", hex(&Sha256::digest(&source))),
            compiled: workspace.target.join("debug/bindgen"),
            stamp: folder.join("bindgen.key"),
        })
    }

    /// Whether the program that is kept is the present one.
    fn is_current(&self) -> bool {
        self.program.is_file() && fs::read_to_string(&self.stamp).is_ok_and(|key| key == self.key)
    }

    /// Compiles it where necessary.
    pub fn ensure(&self, workspace: &Workspace) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        say("==> compiling wasm-bindgen (a minute, once)");
        process::run(process::cargo().args(["build", "--package", "bindgen"]).current_dir(&workspace.root))?;
        self.keep()
    }

    /// Keeps what cargo has compiled just now, unless it is the program that is kept.
    pub fn keep_new(&self) -> Result<()> {
        if self.is_current() { Ok(()) } else { self.keep() }
    }

    fn keep(&self) -> Result<()> {
        if let Some(folder) = self.program.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&self.compiled, &self.program)
            .with_context(|| format!("{} cannot be copied", self.compiled.display()))?;
        fs::write(&self.stamp, &self.key).with_context(|| format!("{} cannot be written", self.stamp.display()))
    }
}

/// Installs cargo-fuzz where it is missing, and says what to do where there is no nightly compiler.
pub fn ensure_fuzz(workspace: &Workspace) -> Result<PathBuf> {
    if !process::succeeds(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])) {
        bail!("fuzzing needs a nightly compiler: `rustup toolchain install nightly --profile minimal`");
    }
    Tool { name: "cargo-fuzz", version: CARGO_FUZZ }.ensure(workspace)
}

/// A program of crates.io that runs as it is published.
#[derive(Debug)]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
}

impl Tool {
    /// The program of this version that is installed for this repository or on PATH.
    pub fn find(&self, workspace: &Workspace) -> Option<PathBuf> {
        let own = workspace.tools().join("bin").join(self.name);
        let on_path = env::var_os("PATH").unwrap_or_default();
        let on_path: Vec<PathBuf> = env::split_paths(&on_path).map(|folder| folder.join(self.name)).collect();
        std::iter::once(own).chain(on_path).find(|path| self.is(path))
    }

    /// Compiles it where it is missing or of another version.
    pub fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        if let Some(found) = self.find(workspace) {
            return Ok(found);
        }
        self.install(workspace)?;
        self.find(workspace).with_context(|| format!("{} was installed but is not version {}", self.name, self.version))
    }

    /// `--version` writes the version, with the tool's name before it or alone.
    fn is(&self, program: &Path) -> bool {
        program.is_file()
            && process::version(program).is_some_and(|line| line.split_whitespace().next_back() == Some(self.version))
    }

    /// Without optimisation: the compilation takes one minute instead of three.
    fn install(&self, workspace: &Workspace) -> Result<()> {
        say(&format!("==> cargo install {} {} (minutes, once)", self.name, self.version));
        let start = Instant::now();
        let (tools, build) = (workspace.tools(), workspace.tools().join("build"));
        fs::create_dir_all(&tools)?;
        let mut cargo = process::cargo();
        cargo
            .args(["install", "--locked", self.name, "--version", self.version, "--bin", self.name, "--force"])
            .arg("--root")
            .arg(&tools)
            .current_dir(&tools)
            // Otherwise cargo advises to put that folder on PATH.
            .env("PATH", with_own_tools(workspace)?)
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(name);
        }
        process::run(&mut cargo)?;
        if build.exists() {
            fs::remove_dir_all(build)?;
        }
        say(&format!("    done in {} s", start.elapsed().as_secs()));
        Ok(())
    }
}

fn with_own_tools(workspace: &Workspace) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(env::split_paths(&path).chain([workspace.tools().join("bin")]))?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::workspace::Workspace;

    #[test]
    fn wasm_bindgens_library_and_tool_have_the_same_version() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let workspace = Workspace { target: root.join("target"), root };
        let version = |package| workspace.locked_version(package).expect("one version");
        assert_eq!(version("wasm-bindgen-cli-support"), version("wasm-bindgen"));
    }
}
