// Facts about each release that an upgrade depends on.

import { existsSync, readFileSync } from "node:fs";

import type { Config } from "./config.js";
import { packageFile, version } from "./package.js";
import { workerConfig } from "./project/worker.js";

/** What a release stores and what it needs. */
export interface Release {
  /** Its version, or `unreleased` for what the next release will be. */
  version: string;
  /** The schema of the keys in KV that it writes, and those that it reads. */
  kv: { writes: string; reads: string[] };
  /** The tags of its migrations of Durable Objects, in order. */
  migrations: string[];
  /** The bindings with stored data: KV namespaces and classes of objects. */
  stores: { kv: string[]; objects: string[] };
  /** Settings that it added. */
  settings: string[];
}

/** The older releases, and the settings of each. The bindings of this package's own release are in its `wrangler.json`. */
const EARLIER: Release[] = [
  {
    version: "0.1.0",
    kv: { writes: "v1", reads: ["v1"] },
    migrations: [],
    stores: { kv: ["INSTANCES"], objects: [] },
    settings: [
      "WIX_APP_ID",
      "WIX_APP_SECRET",
      "WIX_APP_SECRET_PREVIOUS",
      "WIX_PUBLIC_KEYS",
      "SEALING_KEYS",
      "API_KEYS",
      "INSTANCES",
      "PUBLIC_URL",
      "AFTER_INSTALL_URL",
      "FINISH_CONFIGURATION",
      "RATE_LIMITER",
      "ENVIRONMENT",
      "WIX_API_URL",
      "WIX_SITE_URL",
      "CLOCK_OFFSET_SECONDS",
    ],
  },
];

/** This package's own release. After its publication, it moves to `EARLIER`, with its version and its bindings. */
const PRESENT = {
  kv: { writes: "v1", reads: ["v1"] },
  settings: [
    "INSTALLATIONS",
    "EVENTS_URL",
    "EVENTS_TARGET",
    "EVENTS_SECRETS",
    "EVENTS_KEEP_HOURS",
    "EVENTS_RETAIN_HOURS",
    "EVENTS_TYPES",
    "PLUGINS_URL",
    "PLUGINS_TARGET",
    "WIX_SHARE_URL_ID",
    "RECHECK_HOURS",
    "RETENTION_DAYS",
    "WIX_RATE_LIMIT",
    "APP_NAME",
    "SUPPORT_URL",
    "LOG_LEVEL",
    "METRICS",
  ],
};

/** All releases that this package knows, in order. The last one is its own. */
export function releases(worker: Config = workerConfig()): Release[] {
  const kv = (worker.kv_namespaces ?? []).map(({ binding }) => binding);
  const objects = (worker.durable_objects?.bindings ?? []).map(({ name }) => name);
  const migrations = (worker.migrations ?? []).map(({ tag }) => tag);
  return [...EARLIER, { ...PRESENT, version: present(), migrations, stores: { kv, objects } }];
}

/** Between two releases the package still has the version of the former one. */
function present(): string {
  return EARLIER.some((release) => release.version === version()) ? "unreleased" : version();
}

/** The release of a version. `undefined` if the version is not known here: it is newer than this package. */
export function releaseOf(wanted: string, known: Release[]): Release | undefined {
  return known.find((release) => release.version === wanted);
}

/** The schema of the keys in KV that a version writes. `undefined` if the version is not known here. */
export function kvSchema(wanted: string): string | undefined {
  return wanted === version() ? PRESENT.kv.writes : releaseOf(wanted, EARLIER)?.kv.writes;
}

/** Whether a version is later than another one, by its three numbers. */
export function isLater(one: string, other: string): boolean {
  const [a, b] = [numbers(one), numbers(other)];
  const at = a.findIndex((number, index) => number !== b[index]);
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0);
}

function numbers(text: string): number[] {
  return text.split(/[.+-]/, 3).map(Number);
}

/** The sections of the changelog behind one version, up to another one, newest first. */
export function changes(from: string, to: string, text: string = changelog()): string {
  const sections = text.split(/^(?=## )/m).slice(1);
  const names = sections.map((section) => (/^## (\S+)/.exec(section)?.[1] ?? "").toLowerCase());
  const first = Math.max(0, names.indexOf(to));
  const end = names.indexOf(from);
  return sections.slice(first, end < 0 ? undefined : end).join("").trim();
}

/** CHANGELOG.md, which is in the package, and in the repository above it. */
function changelog(): string {
  const paths = ["CHANGELOG.md", "../CHANGELOG.md"].map(packageFile);
  const path = paths.find((candidate) => existsSync(candidate));
  return path === undefined ? "" : readFileSync(path, "utf8");
}
