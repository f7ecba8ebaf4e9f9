// A project, an account at Cloudflare and a deployed Worker for `wix-edge setup`: wrangler is replaced by fake-wrangler.mjs, the
// Worker by a server on this machine.

import { createHash, generateKeyPairSync } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after } from "node:test";

import { parse } from "jsonc-parser";

import { ROOT, newFolder, newProject, run, terminal } from "./project.mjs";

export const installed = newProject();
await run(installed, ["init", "--name", "app"]);

export const APP_ID = "0c52d1a4-2a7a-4d3c-9a51-7e1f0f1c9b10";
export const SECRET = "b3f1c9e2-the-app-secret-7d41";
const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const PEM = publicKey.export({ type: "spki", format: "pem" });
export const DER = publicKey.export({ type: "spki", format: "der" }).toString("base64");

/** Answers as a deployed Worker whose configuration is `worker`. */
export const worker = { ready: true, keys: () => [] };
const server = createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  if (request.url === "/readyz") {
    const problems = [{ name: "WIX_PUBLIC_KEYS", problem: "it is missing", fix: "Set it." }];
    return worker.ready ? answer(200, { status: "ready", problems: [] }) : answer(503, { status: "not_ready", problems });
  }
  const hash = createHash("sha256").update((request.headers.authorization ?? "").replace("Bearer ", "")).digest("hex");
  answer(worker.keys().some((entry) => entry.includes(hash)) ? 200 : 401, {});
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => server.close());
export const URL = `http://127.0.0.1:${server.address().port}`;

/** A project after `wix-edge init`, and an account at Cloudflare. */
export function begin(account = {}) {
  const folder = newFolder();
  copyFileSync(join(installed, "wrangler.jsonc"), join(folder, "wrangler.jsonc"));
  mkdirSync(join(folder, "fake"));
  mkdirSync(join(folder, "tmp"));
  const state = { loggedIn: true, accounts: [{ id: "a1", name: "Mine" }], workers: {}, namespaces: [], url: URL, ...account };
  writeFileSync(join(folder, "fake/state.json"), JSON.stringify(state));
  writeFileSync(join(folder, "key.pem"), PEM);
  writeFileSync(join(folder, "secret.txt"), SECRET);
  return projectIn(folder);
}

/** The project in a folder. */
export function projectIn(folder) {
  const fake = join(folder, "fake");
  const temporary = join(folder, "tmp");
  const path = join(fake, "state.json");
  const write = (state) => writeFileSync(path, JSON.stringify(state));
  const state = () => JSON.parse(readFileSync(path, "utf8"));
  worker.ready = true;
  worker.keys = () => Object.values(state().workers).flatMap((secrets) => (secrets.API_KEYS ?? "").split(","));

  const env = { WIX_EDGE_WRANGLER: join(ROOT, "cli/test/fake-wrangler.mjs"), FAKE_WRANGLER: fake, TMPDIR: temporary };
  return {
    folder,
    temporary,
    state,
    change: (values) => write({ ...state(), ...values }),
    file: (name) => readFileSync(join(folder, name), "utf8"),
    config: () => parse(readFileSync(join(folder, "wrangler.jsonc"), "utf8")),
    keys: (name = "wix-edge.keys.json") => JSON.parse(readFileSync(join(folder, name), "utf8")),
    calls: () => {
      const log = join(fake, "calls.jsonl");
      return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").map((line) => JSON.parse(line)) : [];
    },
    setup: (words = VALUES, more = {}) => run(installed, ["setup", "--wait", "1", ...words], { ...more, cwd: folder, env: { ...env, ...more.env } }),
    /** Runs setup in a terminal. */
    setupAttended: () => terminal(installed, ["setup", "--wait", "1"], { cwd: folder, env }),
  };
}
/** Every value, as options. */
export const VALUES = ["--app-id", APP_ID, "--public-key-file", "key.pem", "--secret-file", "secret.txt"];
