// wrangler, which does all work at Cloudflare: of this package's own version, on a Node that is new enough for it.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

import { UserError } from "./error.js";

/** The oldest Node that wrangler runs on. */
const OLDEST_NODE = 22;

/** What a call of wrangler returned. */
export interface Output {
  ok: boolean;
  stdout: string;
  stderr: string;
}

/** How wrangler is called. */
export interface Call {
  /** The folder with `wrangler.jsonc`. */
  folder: string;
  /** More variables of the environment. */
  variables?: Record<string, string>;
  /** Whether wrangler may ask questions in the terminal. Then no output is returned. */
  attended?: boolean;
}

/** Variables of the environment that hold a secret for this command and that no child process needs. */
const PRIVATE = ["WIX_APP_SECRET"];

/** Calls wrangler and waits for its end. */
export function wrangler(words: string[], { folder, variables = {}, attended = false }: Call): Output {
  const { command, args } = wranglerCommand(...words);
  const env: NodeJS.ProcessEnv = { ...process.env, WRANGLER_HIDE_BANNER: "true", ...variables };
  for (const name of PRIVATE) delete env[name];
  env["PATH"] = `${dirname(node())}${delimiter}${env["PATH"] ?? ""}`;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    env,
    encoding: "utf8",
    stdio: attended ? "inherit" : ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  return { ok: status === 0, stdout: stdout ?? "", stderr: stderr ?? "" };
}

/** A command line that runs wrangler with these arguments. `WIX_EDGE_WRANGLER` names another program, for the tests. */
export function wranglerCommand(...args: string[]): { command: string; args: string[] } {
  const other = process.env["WIX_EDGE_WRANGLER"];
  if (other) return { command: process.execPath, args: [other, ...args] };
  const folder = installed("wrangler");
  if (folder === undefined) throw new UserError("the package wrangler must be installed beside wix-edge: run `npm install`");
  return { command: node(), args: [join(folder, "bin/wrangler.js"), ...args] };
}

/** The present Node, or the one of the package `node` if the present one is too old for wrangler. */
function node(): string {
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) return process.execPath;
  const program = join(installed("node") ?? "", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (existsSync(program)) return program;
  throw new UserError(
    `wrangler needs Node ${OLDEST_NODE} or later, and this is Node ${process.versions.node}. Install a later Node from\n` +
      "https://nodejs.org, or run `npm rebuild node`, which completes the one that wix-edge brings.",
  );
}

/** The folder of an installed package, if there is one. */
export function installed(name: string): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}
