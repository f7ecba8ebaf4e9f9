// `wix-edge setup`, with every value given. terminal.test.mjs answers its questions.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { parse } from "jsonc-parser";

import { newFolder } from "./project.mjs";
import { APP_ID, DER, PEM, SECRET, URL, VALUES, begin, projectIn, worker } from "./setup-bed.mjs";

/** A project after `wix-edge setup`: a copy of one for which it ran once. */
function deployed() {
  const folder = newFolder();
  cpSync(ready.project.folder, folder, { recursive: true });
  return projectIn(folder);
}

const ready = { project: begin() };
ready.run = await ready.project.setup();

test("setup deploys the Worker with every secret as one version, and says what to enter at Wix", () => {
  const project = deployed();
  assert.equal(ready.run.status, 0, ready.run.all);

  const commands = project.calls().map(({ words }) => words.filter((word) => !word.startsWith("-")).slice(0, 3).join(" "));
  assert.deepEqual(commands.slice(0, 5), ["whoami", "secret list json", "kv namespace list", "kv namespace create", "kv namespace list"]);
  assert.match(commands[5], /^deploy/);
  assert.equal(commands.length, 6);

  const { secrets, mode, folderMode, file, configuration } = project.calls().at(-1);
  assert.deepEqual(Object.keys(secrets).sort(), ["API_KEYS", "EVENTS_SECRETS", "SEALING_KEYS", "WIX_APP_SECRET"]);
  assert.equal(secrets.WIX_APP_SECRET, SECRET);
  assert.deepEqual([mode, folderMode], [0o600, 0o700]);
  assert.equal(existsSync(file), false, "the file with the secrets is removed");

  const { vars, kv_namespaces } = parse(configuration);
  assert.equal(vars.WIX_APP_ID, APP_ID);
  assert.equal(vars.WIX_PUBLIC_KEYS, DER);
  assert.deepEqual(kv_namespaces, [{ binding: "INSTANCES", id: "id-of-app-instances" }]);
  assert.ok(project.file("wrangler.jsonc").includes("// The built Worker of the installed package."), "comments stay");

  const keys = project.keys();
  for (const name of ["SEALING_KEYS", "API_KEYS", "EVENTS_SECRETS"]) assert.equal(keys[name], secrets[name], name);
  for (const [client, scopes] of [["backend", "token+instances+events+proxy"], ["console", "admin+instances+events"]]) {
    const hash = createHash("sha256").update(keys.api_keys[client]).digest("hex");
    assert.ok(keys.API_KEYS.split(",").includes(`${client}:${hash}:${scopes}`), client);
  }
  assert.equal(statSync(join(project.folder, "wix-edge.keys.json")).mode & 0o777, 0o600);

  for (const text of [`${URL}/webhook`, `${URL}/install`, `${URL}/redirect`, `${URL}/plugins`, "App Instance Installed, App Instance Removed", `https://dev.wix.com/apps/${APP_ID}/webhooks`]) {
    assert.ok(ready.run.stdout.includes(text), text);
  }
});

test("no secret is in an argument, in the environment of wrangler, or in the output", async () => {
  const project = begin();
  const outputs = [await project.setup(VALUES.slice(0, 4), { env: { WIX_APP_SECRET: SECRET } })];
  project.change({ fail: "deploy", workers: {} });
  outputs.push(await project.setup());
  const { SEALING_KEYS, EVENTS_SECRETS, api_keys } = project.keys();
  const secrets = [SECRET, SEALING_KEYS.split(":")[1], EVENTS_SECRETS, ...Object.values(api_keys)];
  const words = project.calls().map(({ words, environment }) => JSON.stringify([words, environment])).join("\n");
  for (const secret of secrets) {
    assert.equal(words.includes(secret), false);
    for (const { all } of outputs) assert.equal(all.includes(secret), false);
  }
  assert.deepEqual(readdirSync(project.temporary), [], "no file with secrets is left, also after a failure");
});

test("a second run changes nothing and deploys nothing", async () => {
  const project = deployed();
  const before = [project.file("wix-edge.keys.json"), project.file("wrangler.jsonc"), JSON.stringify(project.state())];
  const count = project.calls().length;
  const { status, all } = await project.setup(["--yes"]);
  assert.equal(status, 0, all);
  assert.ok(all.includes("nothing has changed"), all);
  assert.deepEqual([project.file("wix-edge.keys.json"), project.file("wrangler.jsonc"), JSON.stringify(project.state())], before);
  const commands = project.calls().slice(count).map(({ words }) => words[0]);
  assert.deepEqual(commands, ["whoami", "secret"]);
});

test("setup continues after a failure of each command of wrangler", async () => {
  const project = begin();
  let made;
  for (const fail of ["whoami", "secret list", "kv namespace list", "kv namespace create", "deploy"]) {
    project.change({ fail });
    const { status, stderr } = await project.setup();
    assert.equal(status, 1, fail);
    assert.ok(stderr.includes(fail === "whoami" ? "log in to Cloudflare" : `wrangler ${fail}\` failed`), stderr);
    if (existsSync(join(project.folder, "wix-edge.keys.json"))) made ??= project.keys();
  }
  project.change({ fail: "" });
  const { status, all } = await project.setup();
  assert.equal(status, 0, all);
  const { secrets } = project.calls().at(-1);
  assert.equal(Object.keys(secrets).length, 4);
  assert.equal(project.state().namespaces.length, 1);
  assert.equal(project.keys().SEALING_KEYS, made.SEALING_KEYS, "the key that was made first is used");
});

test("a deployment whose end was not seen is not repeated with other secrets", async () => {
  const project = begin({ failAfter: "deploy" });
  assert.equal((await project.setup()).status, 1);
  const { SEALING_KEYS } = project.keys();
  project.change({ failAfter: "" });
  const { status, all } = await project.setup();
  assert.equal(status, 0, all);
  assert.equal(project.calls().at(-1).secrets.SEALING_KEYS, undefined, "the Worker has the key");
  assert.equal(project.state().workers[""].SEALING_KEYS, SEALING_KEYS);
});

test("setup says what is missing if the Worker does not become ready, and continues", async () => {
  const project = begin();
  worker.ready = false;
  const first = await project.setup();
  assert.equal(first.status, 1);
  assert.ok(first.stderr.includes("WIX_PUBLIC_KEYS: it is missing. Set it."), first.stderr);
  worker.ready = true;
  const second = await project.setup(["--yes"]);
  assert.equal(second.status, 0, second.all);
  assert.equal(project.calls().filter(({ words }) => words[0] === "deploy").length, 1);
});

test("a list that the Worker has and the key file has not is never replaced", async () => {
  for (const name of ["SEALING_KEYS", "API_KEYS", "EVENTS_SECRETS"]) {
    const project = begin({ workers: { "": { [name]: "the old one" } } });
    const { status, stderr } = await project.setup();
    assert.equal(status, 1);
    assert.ok(stderr.includes(`the Worker has ${name} already`), stderr);
    assert.ok(stderr.includes("npx wrangler secret delete"), stderr);
    assert.equal(existsSync(join(project.folder, "wix-edge.keys.json")), false);
    assert.equal(project.calls().some(({ words }) => words[0] === "deploy"), false);
    assert.equal(project.config().vars.WIX_APP_ID, "", "nothing is written");
  }
});

test("lists in a key file that the user wrote are kept, and the others are made", async () => {
  const project = begin({ workers: { "": { SEALING_KEYS: "k1:old" } } });
  writeFileSync(join(project.folder, "wix-edge.keys.json"), JSON.stringify({ SEALING_KEYS: "k1:old" }), { mode: 0o644 });
  const { status, all } = await project.setup();
  assert.equal(status, 0, all);
  assert.equal(project.state().workers[""].SEALING_KEYS, "k1:old");
  assert.equal(project.keys().SEALING_KEYS, "k1:old");
  assert.equal(statSync(join(project.folder, "wix-edge.keys.json")).mode & 0o777, 0o600);
});

test("a damaged key file is refused and stays as it is", async () => {
  for (const text of ["{", '{"API_KEYS":""}']) {
    const project = begin();
    writeFileSync(join(project.folder, "wix-edge.keys.json"), text);
    const { status, stderr } = await project.setup();
    assert.equal(status, 1);
    assert.ok(stderr.includes("Put your copy of the file back"), stderr);
    assert.equal(project.file("wix-edge.keys.json"), text);
  }
});

test("a new app secret replaces the old one, and nothing else", async () => {
  const project = deployed();
  const before = project.state().workers[""];
  await project.setup(["--secret-stdin", "--yes"], { input: ` ${SECRET}-new\n` });
  assert.deepEqual(project.state().workers[""], { ...before, WIX_APP_SECRET: `${SECRET}-new` });
});

test("a Worker that exists keeps its namespace, also without an id in wrangler.jsonc", async () => {
  const project = begin({ workers: { "": { WIX_APP_SECRET: "x" } } });
  assert.equal((await project.setup()).status, 0);
  assert.deepEqual(project.config().kv_namespaces, [{ binding: "INSTANCES" }]);
  assert.deepEqual(project.state().namespaces, []);
});

test("an environment has a namespace, objects, a counter, secrets and keys of its own", async () => {
  const project = deployed();
  const { status, all } = await project.setup([...VALUES, "--env", "staging"]);
  assert.equal(status, 0, all);
  const { env, ratelimits, kv_namespaces, migrations } = project.config();
  assert.deepEqual(env.staging.kv_namespaces, [{ binding: "INSTANCES", id: "id-of-app-staging-instances" }]);
  assert.notDeepEqual(env.staging.kv_namespaces, kv_namespaces);
  assert.deepEqual(env.staging.migrations, migrations);
  assert.notEqual(env.staging.ratelimits[0].namespace_id, ratelimits[0].namespace_id);
  const { workers } = project.state();
  assert.notEqual(workers.staging.SEALING_KEYS, workers[""].SEALING_KEYS);
  assert.equal(project.keys("wix-edge.staging.keys.json").SEALING_KEYS, workers.staging.SEALING_KEYS);
  assert.ok(project.calls().at(-1).words.includes("--env=staging"));
});

test("--dry-run prints each step, asks nothing of Cloudflare, and changes nothing", async () => {
  const project = begin();
  const before = [project.file("wrangler.jsonc"), readdirSync(project.folder).join()];
  const { status, stdout, all } = await project.setup([...VALUES, "--dry-run"]);
  assert.equal(status, 0, all);
  for (const step of ["SEALING_KEYS, API_KEYS, EVENTS_SECRETS", "app-instances", "WIX_APP_ID, WIX_PUBLIC_KEYS", "--secrets-file", "/readyz", "/webhook"]) {
    assert.ok(stdout.includes(step), step);
  }
  assert.deepEqual([project.file("wrangler.jsonc"), readdirSync(project.folder).join()], before);
  assert.deepEqual(project.calls(), []);
});

test("with several accounts one must be chosen, and later deployments go there", async () => {
  const project = begin({ accounts: [{ id: "a1", name: "Mine" }, { id: "a2", name: "Firm" }] });
  const first = await project.setup();
  assert.equal(first.status, 1);
  assert.ok(first.stderr.includes("a2  Firm"), first.stderr);
  assert.equal((await project.setup([...VALUES, "--account", "a2"])).status, 0);
  assert.equal(project.config().account_id, "a2");
  assert.equal(project.calls().at(-1).environment.CLOUDFLARE_ACCOUNT_ID, "a2");
});

test("nobody logged in: setup says how to log in", async () => {
  const project = begin({ loggedIn: false });
  const { status, stderr } = await project.setup();
  assert.equal(status, 1);
  assert.ok(stderr.includes("npx wrangler login"), stderr);
});

test("what is pasted with a value is removed", async () => {
  const project = begin();
  writeFileSync(join(project.folder, "key.pem"), `\ufeff \n${PEM.replaceAll("\n", "\r\n")}\n\n`);
  writeFileSync(join(project.folder, "secret.txt"), `\u200b ${SECRET}\r\n`);
  const { status, all } = await project.setup(["--app-id", `\u2060 ${APP_ID.toUpperCase()} \n`, ...VALUES.slice(2)]);
  assert.equal(status, 0, all);
  assert.equal(project.config().vars.WIX_PUBLIC_KEYS, DER);
  assert.equal(project.config().vars.WIX_APP_ID, APP_ID);
  assert.equal(project.state().workers[""].WIX_APP_SECRET, SECRET);
});

test("a wrong value stops setup before anything is called or written", async () => {
  const project = begin();
  writeFileSync(join(project.folder, "wrong.pem"), DER.slice(0, 200));
  const { status, stderr } = await project.setup(["--app-id", APP_ID, "--public-key-file", "wrong.pem"]);
  assert.equal(status, 1);
  assert.ok(stderr.includes("altered or cut off"), stderr);
  assert.deepEqual(project.calls(), []);
  assert.equal(project.config().vars.WIX_APP_ID, "");
});

test("a value that is missing is named with its option", async () => {
  const project = begin();
  for (const [words, option] of [[[], "--app-id"], [VALUES.slice(0, 4), "--secret-file"]]) {
    const { status, stderr } = await project.setup(words);
    assert.equal(status, 1);
    assert.ok(stderr.includes(option), stderr);
  }
});
