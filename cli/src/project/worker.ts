// The configuration of the packaged Worker, as a project binds it.

import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";

import type { Config, Environment } from "../config.js";
import { UserError } from "../error.js";
import { packageFile } from "../package.js";

/** The folder of the built Worker in the project. */
const INSTALLED = "./node_modules/wix-edge/worker";

/** Settings that only tests of the Worker, or few projects, change. They have defaults. */
const LEFT_OUT = ["WIX_API_URL", "WIX_SITE_URL", "ENVIRONMENT", "RECHECK_HOURS", "RETENTION_DAYS", "WIX_RATE_LIMIT", "LOG_LEVEL"];

/** `wrangler.json` of the built Worker, with the paths that a project needs. */
export function workerConfig(): Config {
  const path = packageFile("worker/wrangler.json");
  if (!existsSync(path)) throw new UserError(`${path} is missing: install the package wix-edge again`);
  const { main = "index.js", assets, vars = {}, ...rest } = JSON.parse(readFileSync(path, "utf8")) as Config;
  const config: Config = { ...rest, main: installed(main) };
  if (assets) config.assets = { ...assets, directory: installed(assets.directory) };
  config.vars = Object.fromEntries(Object.entries(vars).filter(([name]) => !LEFT_OUT.includes(name)));
  return config;
}

function installed(path: string): string {
  return `./${posix.join(INSTALLED, path)}`;
}

/**
 * The settings of another environment. wrangler does not pass vars and bindings on to environments, so all are repeated.
 * The environment has a KV namespace, objects and a counter of its own.
 */
export function environmentConfig(worker: Config, name: string, others: string[]): Environment {
  const { vars = {}, kv_namespaces = [], durable_objects, migrations, ratelimits, analytics_engine_datasets } = worker;
  const environment: Environment = { vars, kv_namespaces: kv_namespaces.map(({ binding }) => ({ binding })) };
  if (durable_objects) environment.durable_objects = durable_objects;
  if (migrations) environment.migrations = migrations;
  if (ratelimits) {
    environment.ratelimits = ratelimits.map((limit, at) => ({ ...limit, namespace_id: freeId(limit.namespace_id, others, at) }));
  }
  if (analytics_engine_datasets) {
    environment.analytics_engine_datasets = analytics_engine_datasets.map(({ binding, dataset = binding }) => ({
      binding,
      dataset: `${dataset}_${name.replaceAll("-", "_")}`,
    }));
  }
  return environment;
}

/** Two Workers with one id would share a counter. */
function freeId(id: string, others: string[], at: number): string {
  const used = [id, ...others].map(Number);
  return String(Math.max(...used) + 1 + at);
}
