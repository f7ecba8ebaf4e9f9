// `wix-edge init`: a folder for the user's own repository.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

import type { Command } from "commander";

import { UserError } from "../error.js";
import { projectFiles } from "../project/template.js";

/** Adds the command. */
export function init(program: Command): void {
  program
    .command("init")
    .description("Write a folder with the configuration of the Worker, for a repository of your own.")
    .argument("[folder]", "the folder; it may exist, but none of the files in it", ".")
    .option("--name <name>", "the Worker's name, a part of its address (default: the folder's name)")
    .action((folder: string, { name }: { name?: string }) => run(resolve(folder), name));
}

function run(folder: string, name?: string): void {
  const files = Object.entries(projectFiles(name === undefined ? nameOf(folder) : checked(name)));
  const existing = files.map(([path]) => path).filter((path) => existsSync(join(folder, path)));
  if (existing.length > 0) {
    throw new UserError(`${folder} has ${existing.join(", ")} already. Nothing is written: choose another folder.`);
  }
  for (const [path, text] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { flag: "wx" });
  }
  const here = relative(process.cwd(), folder);
  console.log(`${files.map(([path]) => join(here, path)).join("\n")}

Next:
${here === "" ? "" : `
  cd ${here}`}
  npm install
  npx wix-edge setup      (or first, without an account: npx wix-edge dev)`);
}

/** The Worker's name for a folder. */
function nameOf(folder: string): string {
  const name = basename(folder).toLowerCase().replace(/[^a-z\d]+/g, "-").replace(/^-+|-+$/g, "");
  return /^[a-z][a-z\d-]{0,39}$/.test(name) ? name : "wix-edge";
}

function checked(name: string): string {
  if (!/^[a-z][a-z\d-]{0,39}$/.test(name) || name.endsWith("-")) {
    throw new UserError("the Worker's name must be 1 to 40 lower-case letters, digits or -, and begin with a letter");
  }
  return name;
}
