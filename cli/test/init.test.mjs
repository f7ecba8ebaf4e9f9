// `wix-edge init`, and the template of the deploy button, which the same code writes.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { parse } from "jsonc-parser";

import { Leash } from "../dist/leash.js";
import { ROOT, newFolder, newProject, run, wrangler, wranglerEnv } from "./project.mjs";

const TEMPLATE = join(ROOT, "deploy");
/** How long wrangler may take to start on a machine with other work, in seconds. */
const START = 120;

/** The code of the package, as it is installed in a project. */
const importFrom = (folder, path) => import(pathToFileURL(join(folder, "node_modules/wix-edge/dist", path)));

test("init writes a folder that wrangler deploys without an edit", async () => {
  const folder = newProject();
  const { status, stdout, stderr } = await run(folder, ["init", "my app"]);
  assert.equal(status, 0, stderr);
  assert.ok(stdout.includes("npx wix-edge setup"), stdout);
  const project = join(folder, "my app");
  assert.deepEqual(filesOf(project), [
    ".github/workflows/deploy.yml",
    ".gitignore",
    "README.md",
    "package.json",
    "wrangler.jsonc",
  ]);
  const config = parse(readFileSync(join(project, "wrangler.jsonc"), "utf8"));
  assert.equal(config.name, "my-app");
  assert.deepEqual(config.kv_namespaces, [{ binding: "INSTANCES" }]);
  assert.equal(config.build, undefined);

  symlinkSync(join(folder, "node_modules"), join(project, "node_modules"));
  const deployed = wrangler(project, ["deploy", "--dry-run"]);
  assert.equal(deployed.status, 0, deployed.stdout + deployed.stderr);
  for (const binding of ["env.INSTANCES", "env.INSTALLATIONS", "env.RATE_LIMITER", "env.WIX_APP_ID"]) {
    assert.ok(deployed.stdout.includes(binding), deployed.stdout);
  }
  assert.equal(deployed.stderr.includes("WARNING"), false, deployed.stderr);
});

test("init writes nothing into a folder that has one of the files", async () => {
  const folder = newProject();
  writeFileSync(join(folder, "README.md"), "mine");
  const { status, stderr } = await run(folder, ["init"]);
  assert.equal(status, 1);
  assert.ok(stderr.includes("README.md already"), stderr);
  assert.equal(readFileSync(join(folder, "README.md"), "utf8"), "mine");
  assert.equal(existsSync(join(folder, "wrangler.jsonc")), false);
});

test("init refuses a name that Cloudflare does not take", async () => {
  const { status, stderr } = await run(newProject(), ["init", "x", "--name", "My App"]);
  assert.equal(status, 1);
  assert.ok(stderr.includes("the Worker's name must be"), stderr);
});

test("the keys that setup makes never get into git", async () => {
  const folder = newProject();
  await run(folder, ["init", "p"]);
  const ignored = readFileSync(join(folder, "p/.gitignore"), "utf8").split("\n");
  for (const entry of ["wix-edge*.keys.json", ".dev.vars", "node_modules"]) assert.ok(ignored.includes(entry), entry);
});

// UPDATE_TEMPLATE=1 writes the folder `deploy/` again.
test("the template of the deploy button is made by the code of init", async () => {
  const folder = newProject();
  const { buttonFiles, projectFiles } = await importFrom(folder, "project/template.js");
  const files = buttonFiles();
  if (process.env.UPDATE_TEMPLATE) {
    rmSync(TEMPLATE, { recursive: true, force: true });
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(TEMPLATE, path)), { recursive: true });
      writeFileSync(join(TEMPLATE, path), text);
    }
  }
  assert.deepEqual(filesOf(TEMPLATE), Object.keys(files).sort());
  for (const [path, text] of Object.entries(files)) {
    assert.equal(readFileSync(join(TEMPLATE, path), "utf8"), text, `deploy/${path}: run this test with UPDATE_TEMPLATE=1`);
  }
  assert.equal(files["wrangler.jsonc"], projectFiles("wix-edge")["wrangler.jsonc"]);
});

test("Cloudflare asks for each value that the Worker requires, and describes it", async () => {
  const { cloudflare } = JSON.parse(readFileSync(join(TEMPLATE, "package.json"), "utf8"));
  const { vars } = parse(readFileSync(join(TEMPLATE, "wrangler.jsonc"), "utf8"));
  const secrets = readFileSync(join(TEMPLATE, ".dev.vars.example"), "utf8").match(/^\w+(?==)/gm);
  const asked = [...Object.keys(vars), ...secrets];
  for (const name of ["WIX_APP_ID", "WIX_PUBLIC_KEYS", "WIX_APP_SECRET", "SEALING_KEYS", "API_KEYS"]) {
    assert.ok(asked.includes(name), name);
    assert.ok(cloudflare.bindings[name].description, name);
  }
  for (const name of Object.keys(cloudflare.bindings)) assert.ok(asked.includes(name), name);
});

test("the Worker refuses the example secrets of the template, and names them", { timeout: 2 * START * 1000 }, async () => {
  const installed = newProject();
  const folder = newFolder();
  cpSync(TEMPLATE, folder, { recursive: true });
  cpSync(join(folder, ".dev.vars.example"), join(folder, ".dev.vars"));
  symlinkSync(join(installed, "node_modules"), join(folder, "node_modules"));
  const { status, body, console } = await withDev(folder, async (url) => {
    const response = await fetch(`${url}/readyz`);
    return { status: response.status, body: await response.json(), console: (await fetch(`${url}/console`)).status };
  });
  assert.equal(console, 200, "the assets of the package are served");
  assert.equal(status, 503);
  const problems = Object.fromEntries(body.problems.map(({ name, problem }) => [name, problem]));
  for (const name of ["WIX_APP_ID", "WIX_PUBLIC_KEYS"]) assert.equal(problems[name], "it is missing", name);
  // Given, and refused for its form.
  for (const name of ["WIX_APP_SECRET", "SEALING_KEYS", "API_KEYS"]) {
    assert.ok(problems[name] !== undefined && problems[name] !== "it is missing", `${name}: ${problems[name]}`);
  }
});

/** Runs `wrangler dev` in a folder while a function uses it. A wrangler that ends by itself is an error with its output. */
async function withDev(folder, use) {
  const program = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const words = ["dev", "--cwd", folder, "--port", "0", "--inspector-port", "0", "--show-interactive-dev-session=false"];
  let url;
  const onLine = (line) => { url ??= /Ready on (http:\/\/\S+)/.exec(line)?.[1]; };
  const leash = new Leash({ name: "wrangler dev", command: process.execPath, args: [program, ...words], env: wranglerEnv(folder), onLine });
  try {
    await leash.line("Ready on ", START, new AbortController().signal);
    return await use(url);
  } finally {
    await leash.end();
  }
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
}
