// The files of this package.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The path of a file or folder of this package. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/** The version of this package, and of the Worker in it. */
export function version(): string {
  return (JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string }).version;
}
