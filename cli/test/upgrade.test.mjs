// `wix-edge upgrade`, on projects as older versions left them.

import assert from "node:assert/strict";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";

import { applyEdits, modify, parse } from "jsonc-parser";

import { plan } from "../dist/upgrade/plan.js";
import { ROOT, newFolder, newProject, run, wrangler } from "./project.mjs";

const deployed = { version: "0.1.0" };
const server = createServer((_, response) => response.end(JSON.stringify({ status: "ok", version: deployed.version })));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => server.close());
const URL = `http://127.0.0.1:${server.address().port}`;

const installed = newProject();
await run(installed, ["init", "--name", "app"]);
const PRESENT = readFileSync(join(installed, "wrangler.jsonc"), "utf8");
const MANIFEST = readFileSync(join(installed, "package.json"), "utf8");

const edit = (text, path, value) => applyEdits(text, modify(text, path, value, { formattingOptions: { insertSpaces: true, tabSize: 2 } }));
/** `wrangler.jsonc` of a version without objects. */
const WITHOUT_OBJECTS = edit(edit(PRESENT, ["durable_objects"], undefined), ["migrations"], undefined);

/** A project with this configuration, whose Worker is deployed. */
function begin(text, keys = { SEALING_KEYS: "k1:x", url: URL }, keyFile = "wix-edge.keys.json") {
  const folder = newFolder();
  symlinkSync(join(installed, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "wrangler.jsonc"), text);
  writeFileSync(join(folder, "package.json"), MANIFEST.replace(/"wix-edge": "[^"]*"/, '"wix-edge": "^0.0.9"'));
  if (keys) writeFileSync(join(folder, keyFile), JSON.stringify(keys));
  deployed.version = "0.1.0";
  return {
    folder,
    text: () => readFileSync(join(folder, "wrangler.jsonc"), "utf8"),
    config: () => parse(readFileSync(join(folder, "wrangler.jsonc"), "utf8")),
    manifest: () => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")),
    upgrade: (...words) => run(installed, ["upgrade", ...words], { cwd: folder }),
  };
}

test("an upgrade from a version without objects adds them, and says what cannot be undone", async () => {
  const project = begin(WITHOUT_OBJECTS);
  const { status, stdout, all } = await project.upgrade("--yes");
  assert.equal(status, 0, all);
  for (const text of ["0.1.0 ->", "### Added", "KV schema: stays v1", "- migration v1", "- Durable Objects INSTALLATIONS", "EVENTS_KEEP_HOURS", "CANNOT BE UNDONE", "cannot be deployed gradually", "npx wrangler deploy"]) {
    assert.ok(stdout.includes(text), `${text}\n${stdout}`);
  }
  assert.equal(stdout.includes("The first version."), false, "the changelog ends before the deployed version");
  assert.equal(stdout.includes("Go back at once"), false, "no rollback behind a migration");
  const { durable_objects, migrations } = project.config();
  assert.deepEqual(durable_objects, { bindings: [{ name: "INSTALLATIONS", class_name: "Installation" }] });
  assert.deepEqual(migrations, [{ tag: "v1", new_sqlite_classes: ["Installation"] }]);
  assert.ok(project.text().includes("// The built Worker of the installed package."), "comments stay");
  assert.equal(project.manifest().dependencies["wix-edge"], JSON.parse(readFileSync(join(ROOT, "cli/package.json"), "utf8")).version);

  const dryRun = wrangler(project.folder, ["deploy", "--dry-run"]);
  assert.equal(dryRun.status, 0, dryRun.stderr);
  assert.ok(dryRun.stdout.includes("env.INSTALLATIONS"), dryRun.stdout);

  const again = await project.upgrade("--yes");
  assert.equal(again.status, 0, again.all);
  assert.ok(again.stdout.includes("wrangler.jsonc: no change"), again.stdout);
});

test("no file changes without agreement", async () => {
  const project = begin(WITHOUT_OBJECTS);
  for (const words of [[], ["--dry-run"]]) {
    const { status, all } = await project.upgrade(...words);
    assert.equal(status, 0, all);
    assert.equal(project.text(), WITHOUT_OBJECTS);
    assert.equal(project.manifest().dependencies["wix-edge"], "^0.0.9");
  }
});

test("an upgrade is refused without a copy of SEALING_KEYS", async () => {
  for (const keys of [null, { url: URL }]) {
    const project = begin(WITHOUT_OBJECTS, keys);
    const { status, stderr } = await project.upgrade("--yes");
    assert.equal(status, 1);
    assert.ok(stderr.includes("wix-edge.keys.json has no SEALING_KEYS"), stderr);
    assert.equal(project.text(), WITHOUT_OBJECTS);
    assert.equal((await project.upgrade("--yes", "--keys-elsewhere", "--from", "0.1.0")).status, 0);
  }
});

test("an upgrade is refused if the namespace with the installations is not bound any more", async () => {
  const project = begin(edit(PRESENT, ["kv_namespaces"], []));
  const { status, stderr } = await project.upgrade("--yes");
  assert.equal(status, 1);
  assert.ok(stderr.includes("does not bind the KV namespace INSTANCES any more"), stderr);
});

test("nothing goes back behind a migration", async () => {
  const project = begin(PRESENT);
  const { status, stderr } = await project.upgrade("--to", "0.1.0", "--yes");
  assert.equal(status, 1);
  assert.ok(stderr.includes("the migration v1 is deployed, and 0.1.0 does not have it"), stderr);
  assert.equal(project.manifest().dependencies["wix-edge"], "^0.0.9");
});

test("a version that this package does not know is left to its own package", async () => {
  const { status, stderr } = await begin(PRESENT).upgrade("--to", "9.9.9");
  assert.equal(status, 1);
  assert.ok(stderr.includes("npx wix-edge@9.9.9 upgrade"), stderr);
});

test("a package that is older than the deployed version does not replace it", async () => {
  const project = begin(PRESENT);
  for (const later of ["0.1.1", "0.10.0", "1.0.0"]) {
    deployed.version = later;
    const { status, stderr } = await project.upgrade("--yes");
    assert.equal(status, 1);
    assert.ok(stderr.includes(`npx wix-edge@${later} upgrade --to 0.1.0`), stderr);
  }
  assert.equal(project.manifest().dependencies["wix-edge"], "^0.0.9");
});

test("staging is upgraded first, with a namespace and migrations of its own", async () => {
  const { vars, kv_namespaces, ratelimits } = parse(WITHOUT_OBJECTS);
  const staging = { vars, kv_namespaces: [{ binding: "INSTANCES", id: "of-staging" }], migrations: [] };
  const text = edit(WITHOUT_OBJECTS, ["env"], { staging });
  const project = begin(text, { SEALING_KEYS: "k1:x", url: URL }, "wix-edge.staging.keys.json");
  const { status, all } = await project.upgrade("--env", "staging", "--yes");
  assert.equal(status, 0, all);
  const config = project.config();
  assert.equal(config.migrations, undefined, "production is as before");
  assert.equal(config.durable_objects, undefined);
  assert.deepEqual(config.kv_namespaces, kv_namespaces);
  assert.deepEqual(config.env.staging.migrations.map(({ tag }) => tag), ["v1"]);
  assert.deepEqual(config.env.staging.kv_namespaces, [{ binding: "INSTANCES", id: "of-staging" }]);
  assert.notEqual(config.env.staging.ratelimits[0].namespace_id, ratelimits[0].namespace_id);

  const deploy = (environment) => wrangler(project.folder, ["deploy", "--dry-run", `--env=${environment}`]).stdout;
  assert.ok(deploy("staging").includes("env.INSTALLATIONS"));
  assert.equal(deploy("").includes("env.INSTALLATIONS"), false);
});

test("without an address the version of package.json counts", async () => {
  const project = begin(PRESENT, { SEALING_KEYS: "k1:x" });
  writeFileSync(join(project.folder, "package.json"), MANIFEST.replace(/"wix-edge": "[^"]*"/, '"wix-edge": "^0.1.0"'));
  const { status, stdout, all } = await project.upgrade("--dry-run");
  assert.equal(status, 0, all);
  assert.ok(stdout.includes("->"), stdout);
});

// Releases that do not exist yet.
const release = (version, more = {}) => ({
  version,
  kv: { writes: "v1", reads: ["v1"] },
  migrations: ["v1"],
  stores: { kv: ["INSTANCES"], objects: ["INSTALLATIONS"] },
  settings: [],
  ...more,
});
const present = parse(PRESENT);
const planned = (from, to, more = {}) => {
  const facts = { from, to, isBack: false, project: present, worker: present, hasSealingKeys: true, keyFile: "keys.json", ...more };
  return plan(facts);
};

test("back by one version is possible if nothing that is stored speaks against it", () => {
  const { changes, refusals } = planned(release("1.1.0"), release("1.0.0"), { isBack: true, worker: undefined });
  assert.deepEqual([changes, refusals], [[], []]);
});

test("back by one version is refused if the older one cannot read what is stored", () => {
  const newer = release("2.0.0", { kv: { writes: "v2", reads: ["v1", "v2"] } });
  const { refusals } = planned(newer, release("1.0.0"), { isBack: true, worker: undefined });
  assert.match(refusals.join(), /KV has data in the form v2, and 1\.0\.0 reads v1 only/);
});

test("a new schema of KV is announced as final", () => {
  const { refusals, final } = planned(release("1.0.0"), release("2.0.0", { kv: { writes: "v2", reads: ["v1", "v2"] } }));
  assert.deepEqual(refusals, []);
  assert.match(final.join(), /writes KV in the form v2/);
});

test("a version that no longer uses a store is refused", () => {
  const { refusals } = planned(release("1.0.0"), release("2.0.0", { stores: { kv: ["INSTANCES"], objects: [] } }));
  assert.match(refusals.join(), /does not use INSTALLATIONS any more/);
});

test("a migration or a binding that takes the objects away is refused", () => {
  const deleted = { ...present, migrations: [...present.migrations, { tag: "v1", deleted_classes: ["Installation"] }] };
  assert.match(planned(release("1.0.0"), release("1.1.0"), { project: deleted }).refusals.join(), /deletes or renames Installation/);
  const other = { ...present, durable_objects: { bindings: [{ name: "INSTALLATIONS", class_name: "Other" }] } };
  assert.match(planned(release("1.0.0"), release("1.1.0"), { project: other }).refusals.join(), /instead of Installation/);
});

test("each setting is listed with the release that added it", async () => {
  const { releases } = await import(join(installed, "node_modules/wix-edge/dist/releases.js"));
  const listed = releases().flatMap(({ settings }) => settings);
  const documented = readFileSync(join(ROOT, "docs/configuration.md"), "utf8").match(/^\| `[A-Z_]+`/gm).map((row) => row.slice(3, -1));
  assert.deepEqual(documented.filter((name) => !listed.includes(name)), [], "add it to PRESENT in cli/src/releases.ts");
  const known = [...documented, ...readFileSync(join(ROOT, "wrangler.toml"), "utf8").match(/^[A-Z_]+(?= =)/gm)];
  assert.deepEqual(listed.filter((name) => !known.includes(name)), []);
  assert.equal(new Set(listed).size, listed.length);
});
