// The first steps of README, from the packages of a release, in a clean folder of a user without Rust: each test continues
// where the one before it ended. PACKAGES names the folder with the packages, CHROME the browser. The tests need npm's
// registry or cache.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { accessSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";

import { chromium } from "playwright-core";

const { PACKAGES, CHROME } = process.env;
assert.ok(PACKAGES, "PACKAGES must be the folder with the packages, which `cargo xtask test` makes");
// From the start of the command to the delivered event, in seconds.
const LIMIT = 60;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"];

const folder = mkdtempSync(join(tmpdir(), "wix-edge-package-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

// A PATH with these programs alone: neither cargo nor the npm packages of the repository.
const bin = join(folder, "bin");
mkdirSync(bin);
for (const name of ["env", "node", "npm", "npx", "rm", "sh", "sleep"]) symlinkSync(found(name), join(bin, name));
const temporary = join(folder, "tmp");
mkdirSync(temporary);
// npm's downloads are shared with other runs; what npx installs is not, since it would be kept for the next run.
const cache = join(folder, "npm");
const shared = join(spawnSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).stdout.trim(), "_cacache");
mkdirSync(shared, { recursive: true });
mkdirSync(cache);
symlinkSync(shared, join(cache, "_cacache"));
const env = { HOME: process.env.HOME, PATH: bin, TMPDIR: temporary, WRANGLER_SEND_METRICS: "false", npm_config_cache: cache };
// Where the packages would come from the registry if they were published.
const archives = readdirSync(PACKAGES).filter((name) => name.endsWith(".tgz")).map((name) => join(PACKAGES, name));
const app = join(folder, "my-app");

function found(name) {
  for (const place of process.env.PATH.split(delimiter).filter((place) => !place.includes("node_modules"))) {
    try {
      accessSync(join(place, name));
      return join(place, name);
    } catch {
      // It is in another one.
    }
  }
  throw new Error(`${name} must be on PATH`);
}

const run = (command, ...words) => runIn(app, command, ...words);

function runIn(cwd, command, ...words) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, env, encoding: "utf8" });
  assert.equal(status, 0, `${command} ${words.join(" ")}\n${stdout}\n${stderr}`);
  return { stdout, seconds: (performance.now() - start) / 1000 };
}

const tell = (step, seconds) => console.log(`${step}: ${seconds.toFixed(1)} s`);

test("init writes a project, without cargo", { timeout: 300_000 }, () => {
  assert.notEqual(spawnSync("cargo", ["--version"], { env }).error, undefined, "cargo must not be on PATH");
  assert.equal(archives.length, 3);
  const packages = archives.map((archive) => `--package=${archive}`);
  const init = runIn(folder, "npx", "--yes", "--prefer-offline", ...packages, "wix-edge", "init", "my-app");
  assert.ok(init.stdout.includes("cd my-app\n  npm install\n  npx wix-edge setup"), init.stdout);
  assert.deepEqual(readdirSync(app).sort(), [".github", ".gitignore", "README.md", "package.json", "wrangler.jsonc"]);
  tell("npx wix-edge init", init.seconds);
});

test("the project installs", { timeout: 300_000 }, () => {
  const { dependencies } = JSON.parse(readFileSync(join(app, "package.json")));
  assert.ok(archives.some((archive) => archive.endsWith(`/wix-edge-${dependencies["wix-edge"]}.tgz`)), "it depends on this version");
  tell("npm install", run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", ...archives).seconds);
});

test("the checksums are those of the Worker's files", () => {
  const worker = join(app, "node_modules/wix-edge/worker");
  const { version, files } = JSON.parse(readFileSync(join(worker, "checksums.json")));
  assert.ok(run("npx", "wix-edge", "--version").stdout.includes(version));
  for (const name of ["index.js", "index_bg.wasm", "wrangler.json"]) {
    const bytes = readFileSync(join(worker, name));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    assert.deepEqual(files[name], { size: bytes.length, sha256 }, name);
  }
});

test("the client can be imported", () => {
  run("node", "--input-type=module", "-e", 'await import("wix-edge-client")');
});

test("the project can be deployed as it was written", () => {
  const dry = run("npm", "run", "deploy", "--", "--dry-run");
  for (const binding of ["INSTALLATIONS", "INSTANCES", "RATE_LIMITER"]) assert.ok(dry.stdout.includes(`env.${binding}`), dry.stdout);
  tell("wrangler deploy --dry-run", dry.seconds);
});

test("a dry run of setup explains each step and changes nothing", () => {
  const before = readFileSync(join(app, "wrangler.jsonc"), "utf8");
  const key = join(folder, "key.pem");
  writeFileSync(key, generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" }));
  const id = "11111111-2222-4333-8444-555555555555";
  const dry = run("npx", "wix-edge", "setup", "--dry-run", "--app-id", id, "--public-key-file", key);
  const values = ["wrangler.jsonc: WIX_APP_ID, WIX_PUBLIC_KEYS", "https://my-app.<your account>.workers.dev/webhook", `https://dev.wix.com/apps/${id}/webhooks`];
  for (const text of values) assert.ok(dry.stdout.includes(text), dry.stdout);
  assert.equal(readFileSync(join(app, "wrangler.jsonc"), "utf8"), before);
  assert.equal(existsSync(join(app, "wix-edge.keys.json")), false);
  tell("wix-edge setup --dry-run", dry.seconds);
});

test("the simulator runs alone, with its own options, and ends with the command", { timeout: 60_000 }, async () => {
  assert.ok(run("npx", "wix-edge", "sim", "--help").stdout.includes("--time-scale <TIME_SCALE>"));
  const options = ["--app-id", "11111111-2222-4333-8444-555555555555", "--webhook-url", "http://127.0.0.1:9/webhook"];
  const main = join(app, "node_modules/wix-edge/dist/main.js");
  const sim = spawn("node", [main, "sim", ...options], { cwd: app, env, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const { value: ready = "no line" } = await createInterface({ input: sim.stdout })[Symbol.asyncIterator]().next();
    const [url] = /http:\/\/[\w.:]+$/.exec(ready);
    const { app_id, webhook_url } = await (await fetch(`${url}/_sim/app`)).json();
    assert.deepEqual(["--app-id", app_id, "--webhook-url", webhook_url], options);
    const ended = once(sim, "exit");
    sim.kill("SIGTERM");
    await ended;
    assert.ok(await refuses(url), `${url} must be closed`);
  } finally {
    sim.kill("SIGKILL");
  }
});

test("the demo runs within a minute, and nothing is left after Ctrl-C", { timeout: 180_000 }, async () => {
  const start = performance.now();
  const since = () => (performance.now() - start) / 1000;
  // In a group of its own, so that Ctrl-C reaches npx and the command as in a terminal.
  const dev = spawn("npx", ["wix-edge", "dev"], { cwd: app, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  try {
    const { text, urls } = await welcome(dev);
    tell("wix-edge dev, until it is ready", since());
    const key = /Bearer ([\w-]+)'/.exec(text)[1];
    const instance = await demo(urls.simulator);
    tell("wix-edge dev, until an event is delivered", since());
    assert.ok(since() < LIMIT, `the demo took ${since()} s`);
    const list = await (await fetch(`${urls.worker}/v1/instances`, { headers: { authorization: `Bearer ${key}` } })).text();
    assert.ok(list.includes(instance), list);
    // A static asset of the Worker.
    assert.equal((await fetch(`${urls.worker}/console`)).status, 200);

    const ended = once(dev, "exit");
    process.kill(-dev.pid, "SIGINT");
    await ended;
    for (const url of Object.values(urls)) assert.ok(await refuses(url), `${url} must be closed`);
    assert.deepEqual(readdirSync(temporary).filter((name) => name.startsWith("wix-edge-dev")), []);
  } finally {
    if (dev.exitCode === null && dev.signalCode === null) process.kill(-dev.pid, "SIGKILL");
  }
});

// The text with which the command says that both run, and the addresses in it.
async function welcome(dev) {
  let text = "";
  dev.stderr.on("data", (data) => { text += data; });
  for await (const line of createInterface({ input: dev.stdout })) {
    text += `${line}\n`;
    if (!line.includes("Ctrl-C stops everything")) continue;
    dev.stdout.resume();
    const [simulator, worker] = [...text.matchAll(/^ +(http:\/\/[\w.]+:\d+)$/gm)].map(([, url]) => url);
    return { text, urls: { simulator, worker } };
  }
  throw new Error(`wix-edge dev ended: ${text}`);
}

// Installs the app and sends it an event, as a developer does who follows the text.
async function demo(url) {
  const browser = await chromium.launch({ executablePath: CHROME, args: FLAGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(url);
    const opens = page.waitForEvent("popup");
    await page.getByRole("button", { name: "Install app" }).click();
    const popup = await opens;
    const callback = popup.waitForRequest((request) => new URL(request.url()).pathname === "/redirect");
    await popup.getByRole("button", { name: /agree/i }).click();
    const instance = new URL((await callback).url()).searchParams.get("instanceId");
    const rows = (table) => page.getByRole("region", { name: table }).getByRole("row").filter({ hasText: instance.slice(0, 8) });
    await rows("Installs").filter({ hasText: "configured" }).waitFor();
    await rows("Webhooks").filter({ hasText: /AppInstalled.*delivered \(attempt \d/ }).waitFor();
    // The page replaces its tables every second, unless a list in them has the focus.
    const list = rows("Installs").getByLabel("Event");
    await list.focus();
    await list.selectOption({ label: "order_approved" });
    await list.locator("xpath=following-sibling::button").click();
    await rows("Webhooks").filter({ hasText: /order_approved.*delivered \(attempt \d/ }).waitFor();
    return instance;
  } finally {
    await browser.close();
  }
}

function refuses(url) {
  const { hostname, port } = new URL(url);
  return new Promise((done) => {
    const socket = createConnection({ host: hostname, port });
    socket.on("error", () => done(true));
    socket.on("connect", () => { socket.destroy(); done(false); });
  });
}
