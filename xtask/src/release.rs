//! `cargo xtask release`: the npm packages, as `npm publish` takes them.
//!
//! The simulator has a package for each platform, with the program in it. `wix-edge` names them as optional dependencies,
//! and npm installs the one whose `os` and `cpu` are the machine's. Only the packed `wix-edge` names them: they are in no
//! registry before the first release, and `package-lock.json` must be valid without them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::build::{self, Profile};
use crate::hex::hex;
use crate::lane::say;
use crate::workspace::Workspace;
use crate::{client, process};

/// The platforms that a release has a simulator for, with npm's `os` and `cpu`.
const PLATFORMS: [(&str, &str); 5] =
    [("darwin", "arm64"), ("darwin", "x64"), ("linux", "arm64"), ("linux", "x64"), ("win32", "x64")];

/// `cargo xtask release`
#[derive(Debug, Args)]
pub struct Options {
    /// The folder for the packages [default: target/packages]
    #[arg(long)]
    out: Option<PathBuf>,
    /// A folder with compiled simulators, such as linux-x64/wix-sim; without it this machine's simulator is compiled
    #[arg(long, value_name = "DIR")]
    simulators: Option<PathBuf>,
}

/// Builds everything with optimisation and packs it.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    // Only the workflow publishes, and GitHub sets the variable there.
    if let Ok(repository) = env::var("GITHUB_REPOSITORY") {
        check_button(&fs::read_to_string(workspace.root.join("deploy/README.md"))?, &repository)?;
    }
    build::build(workspace, Profile::Release)?;
    build::check_size(workspace)?;
    // Without the outputs of sources that are gone.
    for folder in ["cli/dist", "clients/js/dist"] {
        fs::remove_dir_all(workspace.root.join(folder)).or_else(missing_is_fine)?;
    }
    client::build(workspace)?;
    let simulators = match &options.simulators {
        Some(folder) => compiled(folder)?,
        None => BTreeMap::from([(this_platform()?, compile_simulator(workspace)?)]),
    };
    let out = options.out.clone().unwrap_or_else(|| workspace.target.join("packages"));
    pack(workspace, &out, &simulators)
}

/// The deploy button must lead to the repository that publishes: it has a placeholder before the first release.
fn check_button(readme: &str, repository: &str) -> Result<()> {
    let address = format!("https://github.com/{repository}");
    if readme.contains(&format!("?url={address}/tree/main/deploy)")) {
        return Ok(());
    }
    bail!(
        "the button in deploy/README.md must lead to {address}: set REPOSITORY in cli/src/project/texts.ts, and run \
         `UPDATE_TEMPLATE=1 cargo xtask test --only it -- init_writes`"
    )
}

/// The folder with the packages for the tests.
pub fn for_tests(workspace: &Workspace) -> PathBuf {
    workspace.target.join("test-packages")
}

/// Packs for the tests, with the simulator that cargo compiled beside them: its optimisation would take minutes.
pub fn pack_for_tests(workspace: &Workspace) -> Result<()> {
    let simulator = workspace.target.join("debug/wix-sim");
    pack(workspace, &for_tests(workspace), &BTreeMap::from([(this_platform()?, simulator)]))
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Compiles the simulator for this machine, small and without symbols.
fn compile_simulator(workspace: &Workspace) -> Result<PathBuf> {
    say("==> the simulator, with optimisation (the first time: some minutes)");
    let mut cargo = process::cargo();
    cargo.args(["build", "--package", "wix-sim", "--profile", "prebuilt"]);
    process::run(cargo.current_dir(&workspace.root))?;
    Ok(workspace.target.join("prebuilt").join(format!("wix-sim{}", env::consts::EXE_SUFFIX)))
}

/// The name of this machine's platform, in npm's words.
fn this_platform() -> Result<String> {
    let os = match env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let cpu = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    if !PLATFORMS.contains(&(os, cpu)) {
        bail!("a release has no simulator for {os}-{cpu}; `PLATFORMS` in xtask/src/release.rs lists the platforms");
    }
    Ok(format!("{os}-{cpu}"))
}

/// The simulators in a folder of the form that `--simulators` takes.
fn compiled(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for (os, cpu) in PLATFORMS {
        let name = if os == "win32" { "wix-sim.exe" } else { "wix-sim" };
        let program = folder.join(format!("{os}-{cpu}")).join(name);
        if !program.is_file() {
            bail!("{} must exist: a release has a simulator for each platform", program.display());
        }
        found.insert(format!("{os}-{cpu}"), program);
    }
    Ok(found)
}

/// Packs what is built: the Worker in `build/`, both packages of TypeScript, and these simulators, by platform.
pub fn pack(workspace: &Workspace, out: &Path, simulators: &BTreeMap<String, PathBuf>) -> Result<()> {
    let staging = out.join("staging");
    fs::remove_dir_all(out).or_else(missing_is_fine).with_context(|| format!("{} cannot be emptied", out.display()))?;
    let package = Package { workspace, staging: &staging, out };
    let version = version(workspace)?;

    for (platform, program) in simulators {
        let name = simulator_package(platform);
        let manifest = simulator_manifest(&name, platform, &version)?;
        let file = program.file_name().unwrap_or_default();
        package.stage(&name, &manifest, &workspace.root.join("crates/wix-sim/README.md"))?;
        copy(program, &staging.join(&name).join("bin").join(file))?;
        make_executable(&staging.join(&name).join("bin").join(file))?;
        package.pack(&name)?;
    }

    let of_client = workspace.root.join("clients/js");
    package.stage("wix-edge-client", &manifest(&of_client)?, &of_client.join("README.md"))?;
    copy(&of_client.join("dist"), &staging.join("wix-edge-client/dist"))?;
    package.pack("wix-edge-client")?;

    let of_cli = workspace.root.join("cli");
    let mut manifest = manifest(&of_cli)?;
    let optional: BTreeMap<_, _> = simulators.keys().map(|platform| (simulator_package(platform), &version)).collect();
    manifest.insert("optionalDependencies".to_owned(), json!(optional));
    package.stage("wix-edge", &manifest, &of_cli.join("README.md"))?;
    let staged = staging.join("wix-edge");
    copy(&workspace.root.join("CHANGELOG.md"), &staged.join("CHANGELOG.md"))?;
    copy(&of_cli.join("dist"), &staged.join("dist"))?;
    copy_worker(&workspace.root.join("build"), &staged.join("worker"), &version)?;
    package.pack("wix-edge")?;
    fs::remove_dir_all(&staging)?;
    Ok(())
}

/// The version of all packages.
fn version(workspace: &Workspace) -> Result<String> {
    let manifest: toml::Table = fs::read_to_string(workspace.root.join("Cargo.toml"))?.parse()?;
    let version =
        manifest.get("workspace").and_then(|table| table.get("package")).and_then(|table| table.get("version"));
    Ok(version.and_then(toml::Value::as_str).context("Cargo.toml has no version")?.to_owned())
}

fn simulator_package(platform: &str) -> String {
    format!("wix-edge-sim-{platform}")
}

fn simulator_manifest(name: &str, platform: &str, version: &str) -> Result<Map<String, Value>> {
    let (os, cpu) = platform.split_once('-').context("a platform must have the form os-cpu")?;
    let manifest = json!({
        "name": name,
        "version": version,
        "description": format!("The simulator of `wix-edge dev` for {platform}."),
        "license": "MIT OR Apache-2.0",
        "os": [os],
        "cpu": [cpu],
        // Yarn would leave it in an archive, where it cannot be started.
        "preferUnplugged": true,
    });
    let mut manifest = manifest.as_object().cloned().unwrap_or_default();
    if os == "linux" {
        manifest.insert("libc".to_owned(), json!(["glibc"]));
    }
    Ok(manifest)
}

fn manifest(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join("package.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} must be JSON", path.display()))
}

/// The built Worker, with the size and the SHA-256 of each file.
fn copy_worker(build: &Path, worker: &Path, version: &str) -> Result<()> {
    for name in ["index.js", "index_bg.wasm", "wrangler.json", "assets"] {
        if build.join(name).exists() {
            copy(&build.join(name), &worker.join(name))?;
        }
    }
    let mut files = BTreeMap::new();
    list(worker, "", &mut files)?;
    let checksums = json!({ "version": version, "files": files });
    Ok(fs::write(worker.join("checksums.json"), serde_json::to_string_pretty(&checksums)? + "\n")?)
}

fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Value>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            let bytes = fs::read(entry.path())?;
            files.insert(name, json!({ "size": bytes.len(), "sha256": hex(&Sha256::digest(&bytes)) }));
        }
    }
    Ok(())
}

struct Package<'a> {
    workspace: &'a Workspace,
    staging: &'a Path,
    out: &'a Path,
}

impl Package<'_> {
    /// Begins a package: manifest, readme and licences.
    fn stage(&self, name: &str, manifest: &Map<String, Value>, readme: &Path) -> Result<()> {
        let mut manifest = manifest.clone();
        // npm adds a file LICENSE by itself, and no other name. Without a list it packs all files.
        if let Some(files) = manifest.get_mut("files").and_then(Value::as_array_mut) {
            files.push(json!("LICENSE-*"));
        }
        // npm compares it with the repository that the provenance names.
        if let Ok(repository) = env::var("GITHUB_REPOSITORY") {
            let url = format!("git+https://github.com/{repository}.git");
            manifest.insert("repository".to_owned(), json!({ "type": "git", "url": url }));
        }
        let folder = self.staging.join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), serde_json::to_string_pretty(&manifest)? + "\n")?;
        copy(readme, &folder.join("README.md"))?;
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            copy(&self.workspace.root.join(licence), &folder.join(licence))?;
        }
        Ok(())
    }

    fn pack(&self, name: &str) -> Result<()> {
        let mut command = Command::new("npm");
        command.args(["pack", "--loglevel=error", "--pack-destination"]).arg(fs::canonicalize(self.out)?);
        let output = process::output(command.current_dir(self.staging.join(name)))?;
        let file = self.out.join(String::from_utf8(output)?.trim());
        let size = fs::metadata(&file).with_context(|| format!("npm made no {}", file.display()))?.len();
        say(&format!("{}: {size} B", file.display()));
        Ok(())
    }
}

/// Copies a file, or a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(())
}

/// A program that another machine compiled may have lost its mode on the way.
fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(program, fs::Permissions::from_mode(0o755))?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{check_button, manifest, simulator_manifest, version};
    use crate::workspace::Workspace;

    #[test]
    fn a_release_needs_a_button_that_leads_to_its_repository() {
        let readme = |owner: &str| {
            format!(
                "[![Deploy](https://x/button)](https://x/?url=https://github.com/{owner}/wix-edge/tree/main/deploy)"
            )
        };
        assert!(check_button(&readme("acme"), "acme/wix-edge").is_ok());
        for other in ["OWNER", "another"] {
            let error = check_button(&readme(other), "acme/wix-edge").expect_err(other);
            assert!(error.to_string().contains("set REPOSITORY in cli/src/project/texts.ts"), "{error}");
        }
    }

    #[test]
    fn all_packages_have_one_version() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let version = version(&Workspace { target: root.join("target"), root: root.clone() }).expect("a version");
        for folder in ["cli", "clients/js"] {
            assert_eq!(manifest(&root.join(folder)).expect("JSON")["version"], version, "{folder}/package.json");
        }
    }

    #[test]
    fn npm_installs_a_simulator_only_on_its_platform() {
        let manifest = simulator_manifest("wix-edge-sim-linux-arm64", "linux-arm64", "1.2.3").expect("a platform");
        assert_eq!(manifest["os"], json!(["linux"]));
        assert_eq!(manifest["cpu"], json!(["arm64"]));
        assert_eq!(manifest["libc"], json!(["glibc"]));
    }
}
