// wrangler, of this package's own version, on a Node that is new enough for it.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { UserError } from "./error.js";

/** The oldest Node that wrangler runs on. */
const OLDEST_NODE = 22;

/** The folder of an installed package, if there is one. */
export function installed(name: string): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

/** A command line that runs wrangler with these arguments. */
export function wrangler(...args: string[]): { command: string; args: string[] } {
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
