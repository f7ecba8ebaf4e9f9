//! Runs other programs, without the variables that cargo has set for xtask.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::lane;
use crate::workspace::Workspace;

/// `cargo`, without the variables that cargo has set for xtask. Build scripts depend on some of them and would run again,
/// now and in the next `cargo build` of the user.
pub fn cargo() -> Command {
    without_cargos_own(Command::new("cargo"))
}

/// A program that runs cargo, without the variables that cargo has set for xtask.
pub fn for_this_machine(program: impl AsRef<OsStr>) -> Command {
    without_cargos_own(Command::new(program))
}

/// `cargo` or a program that runs it, for wasm: the user's compiler flags are for this machine and not for the Worker.
pub fn for_wasm(program: impl AsRef<OsStr>) -> Command {
    let mut command = without_cargos_own(Command::new(program));
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    // As worker-build sets it: wasm-bindgen then uses the futures and promises of js-sys.
    command.env("WASM_BINDGEN_USE_JS_SYS", "1");
    command
}

fn without_cargos_own(mut command: Command) -> Command {
    const EXACT: [&str; 6] = [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_BIN_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if EXACT.contains(&text) || text.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs one test by its full name, with its output. Fails if there is no such test; cargo would run none and pass.
pub fn run_test(
    workspace: &Workspace,
    of: &[&str],
    name: &str,
    prepare: impl Fn(&mut Command) -> Result<()>,
) -> Result<()> {
    let test = |how: &str| {
        let mut command = cargo();
        command.arg("test").args(of).args(["--", "--exact", name, "--include-ignored", how]);
        prepare(command.current_dir(&workspace.root))?;
        Ok::<_, anyhow::Error>(command)
    };
    let listed = test("--list")?.stderr(Stdio::inherit()).output().context("cargo could not be started")?;
    let is_there = String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == format!("{name}: test"));
    if !listed.status.success() || !is_there {
        bail!("there is no test {name}");
    }
    run(&mut test("--nocapture")?)
}

/// Puts the programs that npm installed, Node among them, first on the program's search path.
pub fn with_node(workspace: &Workspace, command: &mut Command) -> Result<()> {
    let mut path = vec![workspace.root.join("node_modules/.bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    command.env("PATH", env::join_paths(path).context("the path of the project's folder must not contain a colon")?);
    Ok(())
}

/// Runs a program to its end. Its output goes where xtask's own output goes.
pub fn run(command: &mut Command) -> Result<()> {
    let status = lane::status(command.stdin(Stdio::null())).with_context(|| not_started(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a program to its end and returns its standard output. Its errors go to the terminal.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().with_context(|| not_started(command))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", shown(command), output.status);
    }
    Ok(output.stdout)
}

/// The first line that `program --version` writes; nothing if it cannot run.
pub fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    text.lines().next().map(str::to_owned)
}

/// Whether a program ends with success. Its output is discarded.
pub fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether a program of this name can be started.
pub fn exists(program: &str) -> bool {
    let started = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !started.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A command as it would be typed, without its environment.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn not_started(command: &Command) -> String {
    format!("`{}` could not be started; is it installed and on PATH?", command.get_program().to_string_lossy())
}
