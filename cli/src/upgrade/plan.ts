// What an upgrade, or a step back, changes in a project, and what speaks against it. This decides; it does nothing.

import { isDeepStrictEqual } from "node:util";

import type { Config, Environment } from "../config.js";
import type { Release } from "../releases.js";

/** What is known of the project and of both releases. */
export interface Facts {
  /** The release that is deployed. `undefined` if it is not known. */
  from: Release | undefined;
  to: Release;
  /** Whether `to` is older than `from`. */
  isBack: boolean;
  /** The settings of the environment as `wrangler.jsonc` has them. */
  project: Environment;
  /** `wrangler.json` of the Worker of `to`. An older release has none here. */
  worker: Config | undefined;
  /** Whether a copy of `SEALING_KEYS` is in the key file. */
  hasSealingKeys: boolean;
  /** The name of the key file. */
  keyFile: string;
}

/** A change of `wrangler.jsonc`. */
export interface Change {
  what: string;
  path: (string | number)[];
  value: unknown;
}

/** The result. */
export interface Plan {
  changes: Change[];
  /** Reasons to do nothing: data would be lost. */
  refusals: string[];
  /** What cannot be undone. */
  final: string[];
}

/** Compares the project with the release. */
export function plan(facts: Facts): Plan {
  const result: Plan = { changes: [], refusals: [], final: [] };
  checkKeys(facts, result);
  checkSchema(facts, result);
  checkMigrations(facts, result);
  checkStores(facts, result);
  if (facts.worker && !facts.isBack) addBindings(facts.project, facts.worker, result);
  const { to } = facts;
  const added = to.migrations.filter((tag) => !tagsOf(facts.project).includes(tag));
  if (added.length > 0 && !facts.isBack) {
    result.final.push(
      `The migration ${added.join(", ")} cannot be undone: after it, neither \`wrangler rollback\` nor \`wix-edge upgrade\n` +
        "  --to` goes back to a version before it. It cannot be deployed gradually either (`wrangler versions deploy`): it\n" +
        "  takes effect everywhere at once, with `wrangler deploy`.",
    );
  }
  if (facts.from && facts.from.kv.writes !== to.kv.writes && !facts.isBack) {
    result.final.push(`The new version writes KV in the form ${to.kv.writes}. No version that cannot read it can follow.`);
  }
  return result;
}

function checkKeys({ hasSealingKeys, keyFile }: Facts, { refusals }: Plan): void {
  if (hasSealingKeys) return;
  refusals.push(
    `${keyFile} has no SEALING_KEYS: there is no copy of the keys that seal the refresh tokens. Copy the file from\n` +
      "  where `wix-edge setup` ran. If you keep the list elsewhere, say so with --keys-elsewhere.",
  );
}

function checkSchema({ from, to }: Facts, { refusals }: Plan): void {
  if (!from || to.kv.reads.includes(from.kv.writes)) return;
  const reads = to.kv.reads.join(", ");
  refusals.push(`KV has data in the form ${from.kv.writes}, and ${to.version} reads ${reads} only: installations would be lost.`);
}

function checkMigrations({ from, to, project }: Facts, { refusals }: Plan): void {
  const done = new Set([...tagsOf(project), ...(from?.migrations ?? [])]);
  const unknown = [...done].filter((tag) => !to.migrations.includes(tag));
  if (unknown.length > 0) {
    refusals.push(
      `the migration ${unknown.join(", ")} is deployed, and ${to.version} does not have it. Cloudflare goes back behind no\n` +
        "  migration, and the objects hold events that are not delivered yet.",
    );
  }
  const classes = (project.migrations ?? []).flatMap((migration) => [
    ...(migration.deleted_classes ?? []),
    ...(migration.renamed_classes ?? []).map(({ from: old }) => old),
  ]);
  const ours = new Set((project.durable_objects?.bindings ?? []).map(({ class_name }) => class_name));
  const lost = classes.filter((name) => ours.has(name));
  if (lost.length === 0) return;
  const names = lost.join(", ");
  refusals.push(`a migration in wrangler.jsonc deletes or renames ${names}: its objects and their events would be lost.`);
}

/** A binding with data that the deployed version has, and the project or the new version has not. */
function checkStores({ from, to, project }: Facts, { refusals }: Plan): void {
  const kv = (project.kv_namespaces ?? []).map(({ binding }) => binding);
  const objects = (project.durable_objects?.bindings ?? []).map(({ name }) => name);
  for (const name of (from ?? to).stores.kv.filter((binding) => !kv.includes(binding))) {
    refusals.push(
      `wrangler.jsonc does not bind the KV namespace ${name} any more: a deployment would begin with an empty one.\n` +
        '  Put it back under "kv_namespaces", with the id that Cloudflare\'s dashboard shows.',
    );
  }
  const stores = (release: Release | undefined): string[] => [...(release?.stores.kv ?? []), ...(release?.stores.objects ?? [])];
  const present = [...kv, ...objects].filter((name) => stores(from).includes(name));
  const unused = present.filter((name) => !stores(to).includes(name));
  if (unused.length > 0) refusals.push(`${to.version} does not use ${unused.join(", ")} any more: what is stored there would be lost.`);
}

function tagsOf({ migrations = [] }: Environment): string[] {
  return migrations.map(({ tag }) => tag);
}

/** The bindings and settings of the Worker that the project lacks. */
function addBindings(project: Environment, worker: Config, { changes, refusals }: Plan): void {
  const add = (what: string, path: (string | number)[], value: unknown): void => {
    changes.push({ what, path, value });
  };
  const objects = project.durable_objects?.bindings ?? [];
  for (const binding of worker.durable_objects?.bindings ?? []) {
    const present = objects.find(({ name }) => name === binding.name);
    if (!present) add(`Durable Objects ${binding.name} (class ${binding.class_name})`, ["durable_objects", "bindings"], binding);
    else if (present.class_name !== binding.class_name) {
      const instead = `${present.class_name} instead of ${binding.class_name}`;
      refusals.push(`wrangler.jsonc binds ${binding.name} to the class ${instead}: the objects would be out of reach.`);
    }
  }
  for (const migration of (worker.migrations ?? []).filter(({ tag }) => !tagsOf(project).includes(tag))) {
    add(`migration ${migration.tag}`, ["migrations"], migration);
  }
  for (const limit of (worker.ratelimits ?? []).filter(({ name }) => !project.ratelimits?.some((present) => present.name === name))) {
    add(`rate limiter ${limit.name}`, ["ratelimits"], limit);
  }
  const sets = project.analytics_engine_datasets ?? [];
  for (const set of (worker.analytics_engine_datasets ?? []).filter(({ binding }) => !sets.some((present) => present.binding === binding))) {
    add(`Analytics Engine dataset ${set.binding}`, ["analytics_engine_datasets"], set);
  }
}

/** The settings at the top of `wrangler.jsonc` that an upgrade sets. Environments inherit them. */
export const TOP = ["main", "compatibility_date", "compatibility_flags", "assets", "triggers"] as const;

/** Those that differ from the Worker's. */
export function topChanges(project: Config, worker: Config): Change[] {
  const flags = [...new Set([...(project.compatibility_flags ?? []), ...(worker.compatibility_flags ?? [])])];
  const wanted: Config = worker.compatibility_flags ? { ...worker, compatibility_flags: flags } : worker;
  const differs = TOP.filter((name) => wanted[name] !== undefined && !isDeepStrictEqual(wanted[name], project[name]));
  return differs.map((name) => ({ what: `${name} (at the top, for all environments)`, path: [name], value: wanted[name] }));
}
