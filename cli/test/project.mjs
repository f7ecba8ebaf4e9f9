// A folder as a user has it after `npm install`: the package with the built Worker in node_modules, and an empty project.

import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after } from "node:test";

/** The repository. */
export const ROOT = resolve(import.meta.dirname, "../..");

const folders = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A new folder, which is removed at the end. */
export function newFolder() {
  const folder = mkdtempSync(join(tmpdir(), "wix-edge-cli-"));
  folders.push(folder);
  return folder;
}

/** A new project folder. */
export function newProject() {
  const folder = newFolder();
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (!name.startsWith("wix-edge")) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  installPackage(join(modules, "wix-edge"));
  return folder;
}

/** Copies what the package `wix-edge` has in it. */
function installPackage(folder) {
  mkdirSync(join(folder, "worker"), { recursive: true });
  cpSync(join(ROOT, "cli/dist"), join(folder, "dist"), { recursive: true });
  cpSync(join(ROOT, "cli/package.json"), join(folder, "package.json"));
  cpSync(join(ROOT, "CHANGELOG.md"), join(folder, "CHANGELOG.md"));
  for (const name of ["index.js", "index_bg.wasm", "wrangler.json", "assets"]) {
    const built = join(ROOT, "build", name);
    if (existsSync(built)) cpSync(built, join(folder, "worker", name), { recursive: true });
  }
}

/** Runs `wix-edge` in a project. */
export function run(folder, words, { input = "", env = {}, cwd = folder } = {}) {
  const main = join(folder, "node_modules/wix-edge/dist/main.js");
  const child = spawn(process.execPath, [main, ...words], {
    cwd,
    env: { ...process.env, NO_COLOR: "1", WRANGLER_SEND_METRICS: "false", ...env },
  });
  child.stdin.end(input);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].on("data", (chunk) => (output[name] += chunk));
  return new Promise((resolve) => {
    child.on("close", (status) => resolve({ status, ...output, all: output.stdout + output.stderr }));
  });
}

// A pseudo-terminal between this process and the program. A new one has no size, and prompts need one.
const PTY = `import os, pty, sys
words = ["sh", "-c", 'stty cols 120 rows 40 && exec "$@"', "sh", *sys.argv[1:]]
sys.exit(os.waitstatus_to_exitcode(pty.spawn(words)))`;

/** Runs `wix-edge` in a project and in a terminal, in which a person answers. */
export function terminal(folder, words, { env = {}, cwd = folder } = {}) {
  const main = join(folder, "node_modules/wix-edge/dist/main.js");
  const { CI: _, ...others } = process.env;
  const child = spawn("python3", ["-c", PTY, process.execPath, main, ...words], {
    cwd,
    env: { ...others, TERM: "xterm", NO_COLOR: "1", WRANGLER_SEND_METRICS: "false", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  // With the terminal, its session ends.
  after(() => child.kill());
  let text = "";
  let seen = 0;
  let isEnded = false;
  child.stdout.on("data", (chunk) => (text += chunk));
  const ended = new Promise((resolve) => child.on("close", resolve)).then((status) => {
    isEnded = true;
    return status;
  });
  return {
    /** All that the terminal has shown. */
    text: () => text,
    /** Waits until the terminal shows a text that it did not show when it was asked last, and then types. */
    async answer(shown, typed = "") {
      while (!text.includes(shown, seen)) {
        if (isEnded) throw new Error(`the command ended, and did not show ${shown}:\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      seen = text.length;
      child.stdin.write(typed);
    },
    ended,
  };
}

/** Runs the real wrangler in a project. It needs no account for what the tests do. */
export function wrangler(folder, words) {
  const program = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  return spawnSync(process.execPath, [program, ...words], { cwd: folder, encoding: "utf8", env: wranglerEnv(folder) });
}

/** The environment in which wrangler neither asks nor reports anything. */
export function wranglerEnv(folder) {
  return {
    ...process.env,
    CI: "1",
    NO_COLOR: "1",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: join(folder, "wrangler-logs"),
    WRANGLER_REGISTRY_PATH: join(folder, "registry"),
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
  };
}
