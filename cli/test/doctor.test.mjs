// `wix-edge doctor`. `doctor.table.json` has the exact finding of each misconfiguration, and `docs/doctor.md` shows them.
// UPDATE_TABLES=1 writes both anew.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { bindings } from "../dist/doctor/bindings.js";
import { vars } from "../dist/doctor/keys.js";
import { readLocal } from "../dist/doctor/local.js";
import { version } from "../dist/package.js";
import { bed, examined, sound } from "./doctor/bed.mjs";
import { front } from "./doctor/front.mjs";
import { certificate, goodKeys, inFolder, offline } from "./doctor/offline.mjs";
import { development, online } from "./doctor/online.mjs";
import { document } from "./doctor/document.mjs";

const TABLE = "cli/test/doctor.table.json";
const UPDATES = process.env.UPDATE_TABLES === "1";
const table = UPDATES ? [] : JSON.parse(readFileSync(TABLE, "utf8"));
const rows = new Map();

/** A text without what differs from run to run. */
function stable(text, url) {
  return text
    .replaceAll(url ?? "\0", "https://wix-edge.example")
    .replaceAll(bed.wix, "http://127.0.0.1:4100")
    .replaceAll(/http:\/\/127\.0\.0\.1:\d{4,5}/g, "https://other.example")
    .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, "<id>")
    .replaceAll(version(), "<version>")
    .replaceAll(/\d+ s (ahead|behind|ago)/g, "600 s $1")
    .replaceAll(/ran last \d+ minutes/g, "ran last 16 minutes")
    .replaceAll(/takes \d+ ms/g, "takes 1400 ms");
}

/** Runs a case, and compares its findings with the table. */
async function check({ name, ids, run }) {
  const { url, findings, also } = await run();
  const secrets = [bed.key, bed.token_key, goodKeys.SEALING_KEYS.split(":")[1], bed.events_secrets, "never-shown"];
  for (const secret of secrets) assert.ok(!JSON.stringify(findings).includes(secret), `a secret is shown: ${name}`);
  const wanted = ids === "all" ? findings : findings.filter(({ id }) => ids.includes(id));
  const others = findings.filter((finding) => !wanted.includes(finding) && !also.includes(finding.id) && finding.severity !== "note");
  assert.deepEqual(others, [], `${name}: no other finding`);
  const found = wanted.map(({ id, severity, where, what, fix }) => ({
    case: name, id, severity, where: stable(where, url), what: stable(what, url), fix: stable(fix, url),
  }));
  assert.ok(found.length > 0, `${name} must be found: ${JSON.stringify(findings)}`);
  rows.set(name, found);
  if (!UPDATES) assert.deepEqual(found, table.filter((row) => row.case === name));
}

test("a sound deployment has no finding", async () => {
  const { findings, fine, status } = await examined(bed.workers.good, { key: bed.key, local: {} });
  assert.deepEqual(findings, []);
  assert.equal(status, "ok");
  assert.ok(fine.length >= 10, fine.join("\n"));
});

test("a sound folder has no finding, and fingerprints are shown in place of keys", () => {
  const { findings, fine } = inFolder({ config: sound(), keyFile: goodKeys, key: bed.key });
  assert.deepEqual(findings, []);
  const text = fine.map(({ what }) => what).join("\n");
  assert.ok(text.includes("data points go to the Analytics Engine dataset wix_edge"), text);
  assert.match(text, /sealing key it1 [\da-f]{8}, API key back-end [\da-f]{8}, API key token [\da-f]{8}, events secret [\da-f]{8}/);
});

describe("misconfigurations of the folder", () => {
  for (const one of offline) test(one.name, () => check(one));
});

describe("misconfigurations of the deployment", { concurrency: 6, timeout: 300_000 }, () => {
  for (const one of online) test(one.name, () => check(one));
});

describe("misconfigurations with the simulator", () => {
  for (const one of development) test(one.name, () => check(one));
  test("a round trip with the simulator", async () => {
    const urls = { app_url: `${bed.workers.good}/install`, redirect_urls: [`${bed.workers.good}/redirect`], webhook_url: `${bed.workers.good}/webhook` };
    await fetch(`${bed.wix}/_sim/app`, { method: "PATCH", body: JSON.stringify(urls) });
    const { findings, fine } = await examined(bed.workers.good, { simulator: bed.wix, key: bed.key });
    assert.deepEqual(findings, []);
    assert.ok(fine.includes("the back end gets the event of a webhook"), fine.join("\n"));
  });
});

/** Runs the command. Its words must not have a key. */
function doctor(words, variables = {}) {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined, WIX_EDGE_URL: undefined, WIX_API_URL: undefined, ...variables };
    const child = spawn("node", ["cli/dist/main.js", "doctor", ...words], { env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/** What the command finds behind a proxy with a certificate, in a process of its own that may trust it. */
async function secured(days, trusts, host = "localhost") {
  const made = certificate(days);
  const { port } = await front(bed.workers.good, { tls: { key: readFileSync(made.keyPath), cert: readFileSync(made.path) } });
  const words = [`https://${host}:${port}`, "--json", "--folder", "cli/test/doctor"];
  const { stdout } = await doctor(words, trusts ? { NODE_EXTRA_CA_CERTS: made.path } : {});
  // The proxy connects to the Worker by plain http, so that the Worker sees another address.
  return { ...JSON.parse(stdout), also: ["flow.host"] };
}

const certificates = [
  { name: "the certificate is self-signed", ids: ["reach.certificate"], run: () => secured(30, false) },
  { name: "the certificate is another host's", ids: ["reach.certificate"], run: () => secured(30, true, "127.0.0.1") },
  { name: "the certificate expires soon", ids: ["reach.certificate-expires"], run: () => secured(3, true) },
];

describe("the certificate", { concurrency: 4 }, () => {
  const skip = certificate(1) === undefined && "openssl is not installed";
  for (const one of certificates) test(one.name, { skip }, () => check(one));
  test("a certificate for 30 days is in order", { skip }, async () => {
    const { findings, fine } = await secured(30, true);
    assert.ok(!findings.some(({ id }) => id.startsWith("reach.")), JSON.stringify(findings));
    assert.ok(fine.some((what) => /^the certificate is valid for (29|30) more days$/.test(what)), fine.join("\n"));
  });
});

describe("the command", { concurrency: 4 }, () => {
  const { good, plain, empty } = bed.workers;
  const quiet = ["--folder", "cli/test/doctor"];

  test("the exit status is 0 without a fault, 1 with one, and 2 if nobody answers", async () => {
    assert.equal((await doctor([good, ...quiet])).status, 0);
    assert.equal((await doctor([empty, ...quiet])).status, 1);
    assert.equal((await doctor(["https://nothing.invalid", ...quiet])).status, 2);
    assert.equal((await doctor(quiet)).status, 2, "no address");
    assert.equal((await doctor(["ftp://shop.example", ...quiet])).status, 2);
  });

  test("a warning fails with --strict only, and a note never", async () => {
    assert.equal((await doctor([plain, ...quiet])).status, 0);
    assert.equal((await doctor([plain, ...quiet, "--strict"])).status, 1);
    assert.equal((await doctor([good, ...quiet, "--strict"])).status, 0);
  });

  test("each finding is one line, and there is no colour without a terminal", async () => {
    const { stdout } = await doctor([plain, ...quiet]);
    const lines = stdout.split("\n").filter((line) => /^(fault|warning|note) {2}/.test(line));
    assert.match(lines[0], /^warning {2}INSTALLATIONS: no Durable Object namespace is bound: .*\. Bind the class Installation .* \[note\.INSTALLATIONS\]$/);
    assert.match(stdout, /^0 faults, 1 warning, 2 notes$/m);
    assert.ok(!stdout.includes("\u001b"), stdout);
  });

  test("the JSON has a stable form", async () => {
    const { stdout } = await doctor([plain, ...quiet, "--json"]);
    const report = JSON.parse(stdout);
    assert.deepEqual(Object.keys(report), ["version", "url", "status", "findings", "fine"]);
    assert.deepEqual([report.version, report.url, report.status], [1, plain, "ok"]);
    for (const finding of report.findings) assert.deepEqual(Object.keys(finding), ["id", "severity", "where", "what", "fix"]);
  });

  test("neither the key nor a token is printed, and the key is sent to no other server", async () => {
    const secrets = [bed.key];
    const { url } = await front(good, {
      change: (response, { path }) => path.endsWith("/token") && secrets.push(JSON.parse(response.body).access_token),
    });
    const keyed = await doctor([url, ...quiet], { WIX_EDGE_API_KEY: bed.key });
    assert.equal(keyed.status, 0, keyed.stdout + keyed.stderr);
    assert.match(keyed.stdout, /Wix issues a token for an installation/);
    assert.match(keyed.stdout, /the back end accepts a test event/);
    assert.equal(secrets.length, 2, "a token was requested");
    for (const secret of secrets) assert.ok(!(keyed.stdout + keyed.stderr).includes(secret));

    let authorized = 0;
    const other = await front(good, { answer: ({ headers }) => (headers.authorization && authorized++, { status: 200, headers: {}, body: "{}" }) });
    assert.equal((await doctor([other.url, ...quiet], { WIX_EDGE_API_KEY: bed.key })).status, 1);
    assert.equal(authorized, 0);
    assert.match((await doctor(["--key", bed.key, ...quiet])).stderr, /unknown option/);
  });

  test("--no-test-event sends none", async () => {
    const paths = [];
    const { url } = await front(good, { change: (_, { path }) => paths.push(path) });
    assert.equal((await doctor([url, ...quiet, "--no-test-event"], { WIX_EDGE_API_KEY: bed.key })).status, 0);
    assert.ok(paths.includes("/v1/parked-events?limit=1000") && !paths.includes("/v1/events/test"), paths.join(" "));
  });
});

test("the repository's own configuration lacks values and the optional dataset only", () => {
  const local = readLocal(".");
  const ids = [...bindings(local), ...vars(local, false)].flatMap(({ id = [] }) => id);
  assert.deepEqual([...new Set(ids)], ["local.metrics", "vars.form"]);
});

test("every finding of the sources is in the table", () => {
  const folder = "cli/src/doctor";
  const sources = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8")).join("\n");
  const ids = [...sources.matchAll(/(?:fault|warning|note|id:)\)?\(?\s*"([a-z]+\.[a-z-]+)"/g)].map(([, id]) => id);
  const known = new Set([...(UPDATES ? [...rows.values()].flat() : table)].map(({ id }) => id));
  assert.ok(new Set(ids).size >= 70, `${new Set(ids).size}`);
  assert.deepEqual([...new Set(ids)].filter((id) => !known.has(id)), []);
});

test("the table has no finding that no case provokes", { skip: UPDATES }, () => {
  const names = new Set(rows.keys());
  const unprovoked = table.filter((row) => !names.has(row.case) && !row.id.startsWith("reach.certificate"));
  assert.deepEqual(unprovoked, []);
});

after(() => {
  const path = "docs/doctor.md";
  const order = [...offline, ...online, ...certificates, ...development].map(({ name }) => name);
  const all = UPDATES ? order.flatMap((name) => rows.get(name) ?? []) : table;
  const current = readFileSync(path, "utf8");
  const wanted = document(current, all);
  if (UPDATES) {
    writeFileSync(TABLE, `[\n${all.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`);
    writeFileSync(path, wanted);
  }
  assert.equal(readFileSync(path, "utf8"), wanted, `${path} must have the findings of ${TABLE}: run with UPDATE_TABLES=1`);
});
