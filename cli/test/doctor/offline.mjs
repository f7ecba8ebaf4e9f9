// Misconfigurations that show in the files of the deployment's folder.

import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { bindings } from "../../dist/doctor/bindings.js";
import { keys, vars } from "../../dist/doctor/keys.js";
import { readKeyFile, readLocal } from "../../dist/doctor/local.js";
import { keyFileName } from "../../dist/keyfile.js";
import { bed, sound } from "./bed.mjs";

/** What doctor finds in a folder with these files, for a public deployment. */
export function inFolder({ config, keyFile, key, environment, mode = 0o600, isTest = false, isRepository = false }) {
  const folder = mkdtempSync(join(tmpdir(), "doctor-"));
  if (isRepository) execFileSync("git", ["init", "--quiet", folder]);
  const text = typeof config === "object" ? `// A comment.\n${JSON.stringify(config, null, 2)}` : config;
  if (text !== undefined) writeFileSync(join(folder, "wrangler.jsonc"), text);
  if (keyFile !== undefined) {
    const content = typeof keyFile === "string" ? keyFile : JSON.stringify(keyFile);
    writeFileSync(join(folder, keyFileName()), content);
    chmodSync(join(folder, keyFileName()), mode);
  }
  const local = readLocal(folder, environment);
  const file = readKeyFile(join(folder, keyFileName()));
  const results = [
    ...(local === undefined ? [] : "id" in local ? [local] : [...bindings(local), ...vars(local, isTest)]),
    ...(file === undefined ? [] : "id" in file ? [file] : keys(file, key)),
  ];
  return { findings: results.filter((result) => "id" in result), fine: results.filter((result) => !("id" in result)), also: [] };
}

/** A case in which one thing of the configuration is changed. */
function changed(name, id, change, more = {}) {
  return { name, ids: [id], run: async () => {
    const config = sound();
    change(config);
    return inFolder({ config, ...more });
  } };
}

const withVar = (name, id, variable, value) => changed(name, id, (config) => (config.vars[variable] = value));

/** The keys as the file has them. */
export const goodKeys = { SEALING_KEYS: bed.sealing_keys, API_KEYS: bed.api_keys, EVENTS_SECRETS: bed.events_secrets };

function keyCase(name, id, value, more = {}) {
  return { name, ids: [id], run: async () => inFolder({ keyFile: { ...goodKeys, ...value }, ...more }) };
}

const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ type: "spki", format: "pem" });
const curve = generateKeyPairSync("ec", { namedCurve: "P-256" });

const configuration = [
  { name: "wrangler.jsonc has a syntax error", ids: ["local.unreadable"], run: async () => inFolder({ config: '{\n  "vars": {\n    "A" "b"\n  }\n}' }) },
  { name: "the environment does not exist", ids: ["local.environment"], run: async () => inFolder({ config: sound(), environment: "staging" }) },
  { name: "an environment without its own KV namespace", ids: ["local.store"], run: async () => {
    const { kv_namespaces, ...staging } = sound();
    return inFolder({ config: { ...sound(), env: { staging } }, environment: "staging" });
  } },
  changed("no KV namespace", "local.store", (config) => delete config.kv_namespaces),
  changed("no rate limiter", "local.rate-limiter", (config) => delete config.ratelimits),
  changed("no Durable Objects", "local.objects", (config) => (delete config.durable_objects, delete config.migrations)),
  changed("no Durable Objects with a target for events", "local.objects", (config) => {
    delete config.durable_objects;
    config.vars.EVENTS_URL = "https://shop.example/events";
  }),
  changed("another class of Durable Objects", "local.class", (config) => (config.durable_objects.bindings[0].class_name = "Installations")),
  changed("no migration", "local.migration", (config) => delete config.migrations),
  changed("a migration without SQLite", "local.migration-kind", (config) => (config.migrations = [{ tag: "v1", new_classes: ["Installation"] }])),
  changed("no dataset for metrics", "local.metrics", (config) => delete config.analytics_engine_datasets),
  changed("a dataset under another name", "local.metrics-name", (config) => (config.analytics_engine_datasets[0].binding = "DATA")),
  changed("no Cron Trigger", "local.cron", (config) => delete config.triggers),
  changed("invocation logs are on", "local.invocation-logs", (config) => delete config.observability.logs),
  changed("traces are on", "local.traces", (config) => (config.observability.traces.enabled = true)),
  changed("query strings are not redacted", "local.query-strings", (config) => delete config.observability.redact_query_string),
  changed("an old compatibility date", "local.date", (config) => (config.compatibility_date = "2024-01-01")),
  changed("a compatibility flag is missing", "local.flags", (config) => delete config.compatibility_flags),
  changed("preview URLs are on", "local.previews", (config) => delete config.preview_urls),
  changed("workers.dev beside a custom domain", "local.workers-dev", (config) => (config.routes = [{ pattern: "edge.shop.example", custom_domain: true }])),
];

const values = [
  withVar("a secret among the vars", "vars.secret", "WIX_APP_SECRET", "never-shown-0123456789"),
  withVar("a number in place of a text", "vars.not-text", "RECHECK_HOURS", 24),
  withVar("an example in place of a value", "vars.placeholder", "WIX_APP_ID", "<your app id>"),
  withVar("WIX_API_URL is set in production", "vars.for-tests", "WIX_API_URL", "http://127.0.0.1:4100"),
  withVar("a public Worker in development", "vars.environment", "ENVIRONMENT", "development"),
  withVar("the app id is cut off", "vars.form", "WIX_APP_ID", "9a7e5f3c-1b2d-4c6e-8f90-a1b2c3d4e5f"),
  withVar("the public key is missing", "vars.form", "WIX_PUBLIC_KEYS", ""),
  withVar("the public key is cut off", "vars.form", "WIX_PUBLIC_KEYS", bed.public_key.slice(0, 200)),
  withVar("the public key is a private one", "vars.form", "WIX_PUBLIC_KEYS", curve.privateKey.export({ type: "pkcs8", format: "pem" })),
  withVar("the public key is not RSA", "vars.form", "WIX_PUBLIC_KEYS", curve.publicKey.export({ type: "spki", format: "pem" })),
  withVar("the public key is too short", "vars.form", "WIX_PUBLIC_KEYS", weak.replaceAll("\n", "\\n")),
  changed("PUBLIC_URL has a path", "vars.form", (config) => {
    config.vars.PUBLIC_URL = "https://edge.shop.example/install";
    config.workers_dev = false;
  }),
];

const fileOfKeys = [
  { name: "the file with the keys is no JSON", ids: ["keys.unreadable"], run: async () => inFolder({ keyFile: "SEALING_KEYS=…" }) },
  keyCase("others can read the file with the keys", "keys.mode", {}, { mode: 0o644 }),
  keyCase("git does not ignore the file with the keys", "keys.not-ignored", {}, { isRepository: true }),
  keyCase("a sealing key is an example", "keys.form", { SEALING_KEYS: "paste the entry of: npx wix-edge keygen sealing-key" }),
  keyCase("a sealing key is too short", "keys.form", { SEALING_KEYS: "k1:c2hvcnQ=" }),
  keyCase("a sealing key of zeros", "keys.form", { SEALING_KEYS: `k1:${Buffer.alloc(32).toString("base64")}` }),
  keyCase("one id for two sealing keys", "keys.form", { SEALING_KEYS: `${bed.sealing_keys},it1:${Buffer.from([...Array(32).keys()]).toString("base64")}` }),
  keyCase("one key under two ids", "keys.form", { SEALING_KEYS: `${bed.sealing_keys},${bed.sealing_keys.replace("it1", "it2")}` }),
  keyCase("an API key in place of its hash", "keys.form", { API_KEYS: "back-end:it-key-in-clear-0123456789" }),
  keyCase("the hash of an empty API key", "keys.form", { API_KEYS: "back-end:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }),
  keyCase("an unknown scope", "keys.form", { API_KEYS: `${bed.api_keys.split(",")[0]}:everything` }),
  keyCase("an events secret without its prefix", "keys.form", { EVENTS_SECRETS: bed.events_secrets.replace("whsec_", "") }),
  keyCase("an events secret of equal bytes", "keys.form", { EVENTS_SECRETS: `whsec_${Buffer.alloc(32, 7).toString("base64")}` }),
  keyCase("the API key has no entry", "keys.unmatched", {}, { key: "it-key-that-nobody-knows-0123456789" }),
];

export const offline = [...configuration, ...values, ...fileOfKeys];

/** A certificate for `localhost`, by an authority of its own; `undefined` where there is no openssl. */
export function certificate(days) {
  const folder = mkdtempSync(join(tmpdir(), "doctor-tls-"));
  const [keyPath, path] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", keyPath, "-out", path, "-days", `${days}`];
  try {
    execFileSync("openssl", [...words, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return { keyPath, path };
}
