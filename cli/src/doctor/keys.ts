// The vars of wrangler's configuration, and the keys in the file that `wix-edge setup` writes.

import { createHash } from "node:crypto";
import { basename } from "node:path";

import { appId, publicKeys } from "../shapes.js";
import type { Result } from "./finding.js";
import { fault, fine, warning } from "./finding.js";
import { object } from "./json.js";
import type { KeyFile, Local } from "./local.js";
import { apiKeys, entries, eventsSecrets, fingerprint, isPlaceholder, origin, problemOf, sealingKeys, type Problem } from "./values.js";

const SECRETS = ["WIX_APP_SECRET", "WIX_APP_SECRET_PREVIOUS", "SEALING_KEYS", "API_KEYS", "EVENTS_SECRETS"];
const FOR_TESTS = ["WIX_API_URL", "WIX_SITE_URL", "CLOCK_OFFSET_SECONDS"];

/** Checks the vars. */
export function vars({ file, config, vars }: Local, isTest: boolean): Result[] {
  const results: Result[] = [];
  const where = (name: string) => `${file}, vars.${name}`;
  for (const [name, value] of Object.entries(object(config["vars"]))) {
    if (SECRETS.includes(name) && value !== "") {
      const what = "a secret must not be in this file, which others can read and which is in the repository";
      results.push(fault("vars.secret", where(name), what, `Remove it, replace the secret, and put the new one with \`npx wrangler secret put ${name}\`.`));
    } else if (typeof value !== "string") {
      results.push(fault("vars.not-text", where(name), "the value must be text", "Put it in quotes, and deploy."));
    } else if (isPlaceholder(value)) {
      results.push(fault("vars.placeholder", where(name), "the value is an example and must be replaced", FIX[name] ?? `Set ${name} to your own value, and deploy.`));
    } else if (FOR_TESTS.includes(name) && value !== "" && !isTest) {
      results.push(fault("vars.for-tests", where(name), "the value is for tests and must not be set in production", "Remove it, and deploy."));
    }
  }
  if (vars["ENVIRONMENT"] === "development" && !isTest) {
    results.push(fault("vars.environment", where("ENVIRONMENT"), "a public Worker must not run as development", 'Set it to "production", and deploy.'));
  }
  const known = new Set(results.flatMap((result) => ("where" in result ? [result.where] : [])));
  const checked: [string, Problem][] = [
    ["WIX_APP_ID", problemOf(() => appId(vars["WIX_APP_ID"] ?? ""))],
    ["WIX_PUBLIC_KEYS", problemOf(() => publicKeys(vars["WIX_PUBLIC_KEYS"] ?? ""))],
    ["PUBLIC_URL", vars["PUBLIC_URL"] ? origin(vars["PUBLIC_URL"]) : undefined],
  ];
  for (const [name, problem] of checked) {
    if (problem === undefined || known.has(where(name))) continue;
    results.push(fault("vars.form", where(name), problem, FIX[name] ?? ""));
  }
  if (results.length > 0) return results;
  const prints = publicKeys(vars["WIX_PUBLIC_KEYS"] ?? "").split(",").map((key) => fingerprint(Buffer.from(key, "base64")));
  return [fine(`${file}: the vars have the right form (SHA-256 of WIX_PUBLIC_KEYS: ${prints.join(", ")})`)];
}

const FIX: Record<string, string> = {
  WIX_APP_ID: "Copy the App ID from the Wix app dashboard, Develop, OAuth, and deploy.",
  WIX_PUBLIC_KEYS: "Copy the public key from the Wix app dashboard, Develop, Webhooks, Get Public Key, and deploy.",
  PUBLIC_URL: "Set it to the origin that Wix and browsers use, such as https://wix.example.com, or leave it empty, and deploy.",
};

const FORMS: [string, (value: string) => Problem, string][] = [
  ["SEALING_KEYS", sealingKeys, "Restore the file from your copy. Only if there is none, make an entry with `npx wix-edge keygen sealing-key`: it cannot open what is sealed already."],
  ["API_KEYS", apiKeys, "Make an entry with `npx wix-edge keygen api-key`, and put the whole list with `npx wrangler secret put API_KEYS`."],
  ["EVENTS_SECRETS", eventsSecrets, "Make a secret with `npx wix-edge keygen events-secret`, give it to the back end, and put the list with `npx wrangler secret put EVENTS_SECRETS`."],
];

/** Checks the file with the keys, and the API key against it. */
export function keys({ path, values, isShared, isInGit }: KeyFile, key: string | undefined): Result[] {
  const results: Result[] = [];
  const file = basename(path);
  if (isShared) {
    results.push(fault("keys.mode", file, "other users of this computer can read the keys", `Run \`chmod 600 ${file}\`.`));
  }
  if (isInGit) {
    const fix = `Add ${file} to .gitignore. If it was committed, replace every key in it.`;
    results.push(fault("keys.not-ignored", file, "git does not ignore the file, so the keys can come into the repository", fix));
  }
  for (const [name, form, fix] of FORMS) {
    const value = values[name];
    if (value === undefined) continue;
    const problem = isPlaceholder(value) ? "the value is an example and must be replaced" : form(value);
    if (problem !== undefined) results.push(fault("keys.form", `${file}, ${name}`, problem, fix));
  }
  const hash = createHash("sha256").update(key ?? "").digest("hex");
  const { API_KEYS } = values;
  if (key !== undefined && API_KEYS !== undefined && !API_KEYS.toLowerCase().includes(hash)) {
    const what = "API_KEYS has no entry for the API key that doctor uses";
    results.push(warning("keys.unmatched", `${file}, API_KEYS`, what, "Use the key that belongs to an entry, or keep the list here that the Worker has."));
  }
  return results.length > 0 ? results : [fine(`${file}: ${shown(values)}`)];
}

/** Ids, names and fingerprints. */
function shown({ SEALING_KEYS, API_KEYS, EVENTS_SECRETS }: Record<string, string>): string {
  const parts = (value: string | undefined) => entries(value ?? "").map((entry) => entry.split(":"));
  const list = [
    ...parts(SEALING_KEYS).map(([id, key = ""]) => `sealing key ${id} ${fingerprint(Buffer.from(key, "base64"))}`),
    ...parts(API_KEYS).map(([name, hash = ""]) => `API key ${name} ${hash.slice(0, 8)}`),
    ...parts(EVENTS_SECRETS).map(([secret = ""]) => `events secret ${fingerprint(secret)}`),
  ];
  return `the keys have the right form (${list.join(", ")})`;
}
