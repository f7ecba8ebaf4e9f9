// The settings of `wix-edge dev`, and what it refuses. `package.test.mjs` runs it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { choosePort, isFree } from "../dist/dev/ports.js";
import { envFile, generate, simulatorArguments, simulatorSecrets, welcome, writeEnvFile } from "../dist/dev/settings.js";
import { simulator } from "../dist/dev/simulator.js";

const settings = generate(1, 2, "");
const lines = envFile(settings, "MIIB");
const text = welcome(settings, "");

test("only the owner may read the file of settings", () => {
  const folder = mkdtempSync(join(tmpdir(), "settings-"));
  try {
    const path = join(folder, "settings.env");
    writeEnvFile(path, settings, "MIIB");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(readFileSync(path, "utf8"), lines);
    assert.throws(() => writeEnvFile(path, settings, "MIIB"), { code: "EEXIST" });
  } finally {
    rmSync(folder, { recursive: true });
  }
  assert.ok(lines.includes('WIX_PUBLIC_KEYS="MIIB"\n') && !lines.includes("$"), lines);
});

test("the browser goes where the environment says", () => {
  const url = "http://localhost:3000/connected";
  assert.ok(envFile(generate(1, 2, url), "MIIB").includes(`AFTER_INSTALL_URL="${url}"\n`));
});

test("the Worker's configuration does not contain the API key, and the text does", () => {
  assert.ok(!lines.includes(settings.apiKey.secret));
  assert.ok(text.includes(settings.apiKey.secret));
});

test("no secret is an argument of a process", () => {
  const words = simulatorArguments(settings).join(" ");
  for (const secret of Object.values(simulatorSecrets(settings))) assert.ok(!words.includes(secret));
});

test("events are delivered to the simulator with a secret that is not printed", () => {
  const url = "http://127.0.0.1:2/_app/events";
  assert.ok(lines.includes(`EVENTS_URL="${url}"\n`), lines);
  assert.ok(lines.includes('PLUGINS_URL="http://127.0.0.1:2/_app/plugins"\n'), lines);
  assert.ok(lines.includes(`EVENTS_SECRETS="${settings.eventsSecret}"\n`), lines);
  assert.ok(text.includes(url) && !text.includes("whsec_"), text);
});

test("the first command is complete and the other explains its placeholder", () => {
  const commands = text.replaceAll("\\\n", "").split("\n").map((line) => line.trim()).filter((line) => line.startsWith("curl "));
  const [list, token] = commands;
  const header = `Bearer ${settings.apiKey.secret}'`;
  assert.equal(commands.length, 2);
  assert.ok(list.startsWith("curl http://localhost:1/v1/instances ") && list.endsWith(header) && !/[<>]/.test(list), list);
  // In quotes: a shell would read from a file of that name.
  assert.ok(token.includes("'http://localhost:1/v1/instances/<instance id>/token'"), token);
  assert.ok(token.includes("-X POST") && token.endsWith(header), token);
  assert.ok(text.includes("<instance id> is the"), text);
});

test("a program's settings are in the form of the shell", () => {
  const values = { WIX_EDGE_URL: "http://localhost:1", WIX_EDGE_API_KEY: settings.apiKey.secret, WIX_API_URL: "http://127.0.0.1:2" };
  for (const [name, value] of Object.entries(values)) assert.ok(text.includes(`export ${name}=${value}\n`), name);
  assert.ok(text.includes("echo_other_paths"), text);
});

const hosts = ["127.0.0.1", ...(Object.values(networkInterfaces()).flat().some(({ address }) => address === "::1") ? ["::1"] : [])];

// A server on a port of one of this machine's addresses.
async function occupied(host) {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  return { port: server.address().port, server };
}

test("a port that is in use is refused if it was given, and otherwise the next one is taken", async () => {
  for (const host of hosts) {
    const { port, server } = await occupied(host);
    assert.equal(await isFree(port), false, host);
    await assert.rejects(choosePort("the Worker", "--port", port, 8787), { message: /^port \d+ is in use; .* with --port$/ });
    assert.ok((await choosePort("the Worker", "--port", undefined, port)) > port);
    server.close();
    await once(server, "close");
    assert.equal(await choosePort("the Worker", "--port", port, 8787), port);
    await assert.rejects(choosePort("the simulator", "--sim-port", port, 8790, port), { message: /in use/ });
  }
});

test("a missing simulator is an error that says what to do", () => {
  assert.throws(() => simulator(undefined, "linux-riscv64"), { message: /no built simulator for linux-riscv64, only for .*cargo build/s });
  assert.throws(() => simulator(undefined, "win32-x64"), { message: /the package wix-edge-sim-win32-x64 must be installed/ });
  assert.throws(() => simulator("/nowhere/wix-sim"), { message: /--simulator must be the path of wix-sim/ });
});

const dev = (...words) => spawnSync("node", ["cli/dist/main.js", "dev", "--simulator", "/bin/true", ...words], { encoding: "utf8" });

test("a wrong option is refused before anything starts", async () => {
  const { port, server } = await occupied("127.0.0.1");
  for (const [words, message] of [
    [["--port", String(port)], /^\nerror: port \d+ is in use/],
    [["--port", "none"], /must be a whole number from 1 to 65535/],
    [["--worker", "/nowhere"], /^\nerror: --worker must be a folder with a built Worker; there is no \/nowhere\/wrangler.json/],
  ]) {
    const { status, stdout, stderr } = dev(...words);
    assert.equal(status, 1);
    assert.ok(!stdout.includes("starting"), stdout);
    assert.match(stderr, message);
  }
  server.close();
});

test("a simulator that ends is an error", () => {
  const { status, stderr } = dev("--worker", "build");
  assert.equal(status, 1);
  assert.match(stderr, /^\nerror: the simulator ended with status 0/);
});
