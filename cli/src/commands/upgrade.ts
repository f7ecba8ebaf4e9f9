// `wix-edge upgrade`: what another version changes, and the change of the project. It deploys nothing.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { confirm, isCancel } from "@clack/prompts";
import type { Command } from "commander";
import { applyEdits, modify } from "jsonc-parser";

import { ConfigFile, environmentName, type Environment } from "../config.js";
import { UserError } from "../error.js";
import { KeyFile } from "../keyfile.js";
import { version } from "../package.js";
import { environmentConfig, workerConfig } from "../project/worker.js";
import { changes as changelogOf, isLater, releaseOf, releases, type Release } from "../releases.js";
import { plan, TOP, topChanges, type Change, type Plan } from "../upgrade/plan.js";

interface Options {
  env?: string;
  to?: string;
  from?: string;
  url?: string;
  yes?: boolean;
  dryRun?: boolean;
  keysElsewhere?: boolean;
}

/** Adds the command. */
export function upgrade(program: Command): void {
  program
    .command("upgrade")
    .description("Show what this version changes in a project that runs another one, and prepare the change.")
    .option("--to <version>", "the version to go to, also back to an older one (default: this package's)")
    .option("--from <version>", "the deployed version (default: what /healthz says)")
    .option("--env <name>", "a wrangler environment, such as staging")
    .option("--url <url>", "the Worker's address (default: PUBLIC_URL, or where setup deployed it)")
    .option("--keys-elsewhere", "you have a copy of SEALING_KEYS, and not in the key file")
    .option("--dry-run", "change no file")
    .option("--yes", "change the files without asking")
    .action((options: Options) => run(resolve(process.cwd()), options));
}

async function run(folder: string, options: Options): Promise<void> {
  const name = options.env === undefined ? undefined : environmentName(options.env);
  const file = ConfigFile.read(folder);
  const project = file.environment(name);
  if (!project) throw new UserError(`wrangler.jsonc has no environment "${name}": \`wix-edge setup --env ${name}\` makes it`);
  const keyFile = new KeyFile(folder, name);
  const worker = workerConfig();
  const known = releases(worker);

  const deployed = options.from ?? (await deployedVersion(folder, options.url ?? (project.vars?.PUBLIC_URL || keyFile.keys.url)));
  if (deployed !== undefined && isLater(deployed, version())) {
    const back = `npx wix-edge@${deployed} upgrade --to ${options.to ?? version()}`;
    throw new UserError(
      `version ${deployed} is deployed, which is later than this package, ${version()}. Only its own package knows whether\n` +
        `there is a way back: \`${back}\``,
    );
  }
  const wanted = options.to ?? version();
  const to = options.to === undefined ? known.at(-1) : releaseOf(wanted, known);
  if (!to) throw new UserError(`this package, ${version()}, does not know version ${wanted}. Run \`npx wix-edge@${wanted} upgrade\`.`);
  const from = deployed === undefined ? undefined : fromRelease(deployed, known, project);
  const isBack = from !== undefined && known.indexOf(to) < known.indexOf(from);
  const result = plan({
    from,
    to,
    isBack,
    project,
    worker: to === known.at(-1) ? worker : undefined,
    hasSealingKeys: options.keysElsewhere === true || keyFile.keys.SEALING_KEYS !== undefined,
    keyFile: keyFile.name,
  });
  if (to === known.at(-1)) result.changes.push(...topChanges(file.config, worker));
  console.log(report(from, to, wanted, isBack, known, result));
  if (result.refusals.length > 0) {
    throw new UserError(`refused, because data would be lost:\n\n${result.refusals.map((reason) => `- ${reason}`).join("\n\n")}`);
  }
  if (options.dryRun !== true && (await isAgreed(options, result.changes.length > 0 || isBack))) {
    apply(file, name, result.changes);
    if (file.save()) console.log("- wrangler.jsonc: written");
    if (setDependency(folder, wanted)) console.log(`- package.json: wix-edge ${wanted}`);
  }
  console.log(next(name, result, isBack));
}

/** The version that runs, or that the project has installed. */
async function deployedVersion(folder: string, url: string | undefined): Promise<string | undefined> {
  if (url) {
    try {
      const response = await fetch(new URL("/healthz", url), { redirect: "manual", signal: AbortSignal.timeout(10_000) });
      const body = (await response.json()) as { version?: unknown };
      if (typeof body.version === "string" && /^[\w.+-]{1,40}$/.test(body.version)) return body.version;
    } catch {
      // The next source follows.
    }
    console.log(`- ${url}/healthz does not tell the deployed version: taking that of package.json`);
  }
  const path = join(folder, "package.json");
  if (!existsSync(path)) return undefined;
  const { dependencies = {} } = JSON.parse(readFileSync(path, "utf8")) as { dependencies?: Record<string, string> };
  return /\d+\.\d+\.\d+\S*/.exec(dependencies["wix-edge"] ?? "")?.[0];
}

/**
 * The release of the deployed version. A version between two releases has the number of the former one, and the objects
 * of the latter: the migrations in `wrangler.jsonc` decide.
 */
function fromRelease(deployed: string, known: Release[], { migrations = [] }: Environment): Release | undefined {
  const exact = known.find((release) => release.version === deployed);
  const last = known.at(-1);
  const has = (release: Release): boolean => migrations.every(({ tag }) => release.migrations.includes(tag));
  if (exact && last && !has(exact) && has(last) && deployed === version()) return last;
  return exact;
}

function report(from: Release | undefined, to: Release, wanted: string, isBack: boolean, known: Release[], { changes, final }: Plan): string {
  const after = known.slice(from ? known.indexOf(from) + 1 : 0, known.indexOf(to) + 1);
  const settings = isBack ? [] : after.flatMap((release) => release.settings);
  const schema = from && from.kv.writes !== to.kv.writes ? `changes from ${from.kv.writes} to ${to.kv.writes}` : `stays ${to.kv.writes}`;
  const log = from && !isBack && from !== to ? changelogOf(from.version, to.version) : "";
  const parts = [
    `${from?.version ?? "an unknown version"} -> ${wanted}${wanted === to.version ? "" : ` (${to.version})`}`,
    log,
    `KV schema: ${schema}`,
    `Migrations of Durable Objects: ${to.migrations.join(", ") || "none"}`,
    changes.length > 0 ? `Changes of wrangler.jsonc:\n${changes.map(({ what }) => `- ${what}`).join("\n")}` : "wrangler.jsonc: no change",
    settings.length > 0 ? `New settings, all optional (docs/configuration.md): ${settings.join(", ")}` : "",
    final.length > 0 ? `CANNOT BE UNDONE:\n${final.map((text) => `- ${text}`).join("\n")}` : "",
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

async function isAgreed({ yes = false }: Options, isNeeded: boolean): Promise<boolean> {
  if (yes || !isNeeded) return true;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    console.log("No file is changed: run the command again with --yes.");
    return false;
  }
  const answer = await confirm({ message: "Change the files?", initialValue: false });
  return !isCancel(answer) && answer;
}

/** Values of a list are appended to it; others are set. Only the environment's own bindings differ by environment. */
function apply(file: ConfigFile, name: string | undefined, changes: Change[]): void {
  for (const { path, value } of changes) {
    if (TOP.some((name) => name === path[0])) file.set(path, value);
    else append(file, name, path, value);
  }
}

function append(file: ConfigFile, name: string | undefined, path: (string | number)[], value: unknown): void {
  const list = path.reduce<unknown>((at, key) => (at as Record<string | number, unknown> | undefined)?.[key], file.environment(name));
  const own = name === undefined ? value : ofEnvironment(file, name, String(path[0]), value);
  file.setIn(name, path, [...(Array.isArray(list) ? list : []), own]);
}

/** A binding of an environment: with a counter and a dataset of its own. */
function ofEnvironment(file: ConfigFile, name: string, key: string, value: unknown): unknown {
  const own = environmentConfig({ [key]: [value] }, name, file.counters()) as Record<string, unknown>;
  return key === "ratelimits" || key === "analytics_engine_datasets" ? (own[key] as unknown[])[0] : value;
}

/** Sets the version in package.json, exactly: the next installation must not bring another one. */
function setDependency(folder: string, wanted: string): boolean {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return false;
  const text = readFileSync(path, "utf8");
  const edits = modify(text, ["dependencies", "wix-edge"], wanted, { formattingOptions: { insertSpaces: true, tabSize: 2 } });
  const edited = applyEdits(text, edits);
  if (edited !== text) writeFileSync(path, edited);
  return edited !== text;
}

function next(name: string | undefined, { final }: Plan, isBack: boolean): string {
  const environment = ` --env="${name ?? ""}"`;
  const rollback = isBack || final.length > 0 ? "" : `\nGo back at once, if need be: npx wrangler rollback${environment}\n`;
  return `
Next:

  npm install
  npx wrangler deploy${environment}
  npx wix-edge doctor${name === undefined ? "" : ` --env ${name}`}
${rollback}
docs/upgrading.md of wix-edge explains staging, going back, and the copy of the keys.`;
}
