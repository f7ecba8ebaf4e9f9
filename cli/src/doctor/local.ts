// The files of a deployment's folder: wrangler's configuration and the file with the keys.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { parse as parseToml } from "smol-toml";

import { parseObject } from "../jsonc.js";
import type { Finding } from "./finding.js";
import { fault } from "./finding.js";
import { list, object, parsed, text } from "./json.js";

/** wrangler's configuration, as one environment has it. */
export interface Local {
  /** The folder. */
  folder: string;
  /** The name of wrangler's file. */
  file: string;
  /** The configuration. What a wrangler environment does not inherit is that environment's. */
  config: Record<string, unknown>;
  /** The vars that are texts. */
  vars: Record<string, string>;
}

/** The file with the keys that `wix-edge setup` writes. */
export interface KeyFile {
  path: string;
  /** Its texts, by name. */
  values: Record<string, string>;
  /** Whether other users of this computer can read it. */
  isShared: boolean;
  /** Whether git would add it to the repository. */
  isInGit: boolean;
}

const FILES = ["wrangler.jsonc", "wrangler.json", "wrangler.toml"];
/** A wrangler environment does not inherit these. */
const OWN = ["vars", "kv_namespaces", "durable_objects", "services", "ratelimits", "analytics_engine_datasets"];

/** Reads wrangler's configuration in a folder; nothing if there is none. */
export function readLocal(folder: string, environment?: string): Local | Finding | undefined {
  const file = FILES.find((name) => existsSync(join(folder, name)));
  if (file === undefined) return undefined;
  const fix = "Correct the file; `npx wrangler deploy --dry-run` shows whether wrangler can read it.";
  let whole: Record<string, unknown>;
  try {
    whole = (file.endsWith(".toml") ? parseToml : parseObject)(readFileSync(join(folder, file), "utf8"));
  } catch (error) {
    return fault("local.unreadable", file, `the file cannot be read: ${firstLine(error)}`, fix);
  }
  const environments = object(whole["env"]);
  if (environment !== undefined && !(environment in environments)) {
    return fault("local.environment", file, `the file has no environment "${environment}"`, "Add it under env, or run doctor with another --env.");
  }
  const own = environment === undefined ? {} : object(environments[environment]);
  const inherited = environment === undefined ? whole : Object.fromEntries(Object.entries(whole).filter(([name]) => !OWN.includes(name)));
  const config = { ...inherited, ...own };
  const texts = Object.entries(object(config["vars"])).filter((pair): pair is [string, string] => typeof pair[1] === "string");
  return { folder, file, config, vars: Object.fromEntries(texts) };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}

/** Reads the file with the keys; nothing if there is none. */
export function readKeyFile(path: string): KeyFile | Finding | undefined {
  if (!existsSync(path)) return undefined;
  const value = parsed(readFileSync(path, "utf8"));
  if (value === undefined) {
    return fault("keys.unreadable", basename(path), "the file must be JSON", "Restore it from your copy. Do not make new sealing keys in its place: they cannot open what the old ones sealed.");
  }
  const values: Record<string, string> = {};
  collect(value, values);
  return { path, values, isShared: (statSync(path).mode & 0o077) !== 0, isInGit: isInGit(path) };
}

function isInGit(path: string): boolean {
  const options = { cwd: dirname(path), stdio: "ignore" } as const;
  const { status } = spawnSync("git", ["check-ignore", "--quiet", basename(path)], options);
  // 0: ignored; 128: no repository.
  return status === 1;
}

/** All texts of an object and of the objects in it, by name. A list of texts is joined by commas. */
function collect(value: unknown, values: Record<string, string>): void {
  for (const [name, inner] of Object.entries(object(value))) {
    const joined = Array.isArray(inner) ? list(inner).flatMap((entry) => text(entry) ?? []).join(",") : text(inner);
    if (joined === undefined) collect(inner, values);
    else values[name] ??= joined;
  }
}

/** The address of the deployment, if the configuration names one. */
export function addressOf({ config, vars }: Local): string | undefined {
  const { PUBLIC_URL } = vars;
  if (PUBLIC_URL && URL.canParse(PUBLIC_URL)) return new URL(PUBLIC_URL).origin;
  const routes = [config["route"], ...list(config["routes"])].map(object);
  const domain = routes.find((route) => route["custom_domain"] === true);
  return domain === undefined ? undefined : `https://${String(domain["pattern"])}`;
}
