// The questions of `wix-edge setup` and `wix-edge upgrade`, answered in a terminal.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { parse } from "jsonc-parser";

import { newFolder, terminal } from "./project.mjs";
import { APP_ID, DER, PEM, SECRET, begin, installed } from "./setup-bed.mjs";

const ENTER = "\r";
const CTRL_C = "\x03";
const CLEAR = "\x15";
const DOWN = "\x1b[B";
/** A text as a terminal gets it when it is pasted. */
const pasted = (text) => text.replaceAll("\n", ENTER);

test("setup asks for each value, refuses a wrong one at once, and takes it as it was pasted", { timeout: 120_000 }, async () => {
  const accounts = [{ id: "a1", name: "Mine" }, { id: "a2", name: "Firm" }];
  const project = begin({ loggedIn: false, accounts });
  const { answer, text, ended } = project.setupAttended();
  await answer("App ID (", `my app${ENTER}`);
  await answer("the app id must be a GUID", `${CLEAR}  ${APP_ID.toUpperCase()} \t${ENTER}`);
  await answer("Public key (", pasted(`${PEM.slice(0, 200)}\n\n`));
  await answer("the public key must end with the line", `${"\x7f".repeat(210)}${pasted(`  ${PEM}\n\n`)}`);
  await answer("https address for events", `http://app.example/events${ENTER}`);
  await answer("the URL for events must be https", `${CLEAR} https://app.example/events ${ENTER}`);
  await answer("Cloudflare account", `${DOWN}${ENTER}`);
  await answer("App Secret Key (", `two words${ENTER}`);
  await answer("without spaces", `${CLEAR}  ${SECRET} ${ENTER}`);
  assert.equal(await ended, 0, text());
  assert.ok(text().includes("The Worker is ready"), text());

  const { secrets, configuration, environment } = project.calls().at(-1);
  const { vars, account_id } = parse(configuration);
  assert.deepEqual([vars.WIX_APP_ID, vars.WIX_PUBLIC_KEYS, vars.EVENTS_URL], [APP_ID, DER, "https://app.example/events"]);
  assert.deepEqual([account_id, environment.CLOUDFLARE_ACCOUNT_ID], ["a2", "a2"]);
  assert.equal(secrets.WIX_APP_SECRET, SECRET);
  assert.ok(project.calls().some(({ words }) => words[0] === "login"), "nobody was logged in");

  const { SEALING_KEYS, EVENTS_SECRETS, api_keys } = project.keys();
  for (const secret of [SECRET, SECRET.slice(0, 8), SEALING_KEYS.split(":")[1], EVENTS_SECRETS, ...Object.values(api_keys)]) {
    assert.equal(text().includes(secret), false, "a secret is on the terminal");
  }
});

test("Ctrl-C ends setup, and nothing is written or called", { timeout: 60_000 }, async () => {
  const project = begin();
  const before = [project.file("wrangler.jsonc"), readdirSync(project.folder).join()];
  const { answer, text, ended } = project.setupAttended();
  await answer("App ID (", `${APP_ID}${ENTER}`);
  await answer("Public key (", CTRL_C);
  assert.equal(await ended, 1, text());
  assert.ok(text().includes("Run the command again"), text());
  assert.deepEqual([project.file("wrangler.jsonc"), readdirSync(project.folder).join()], before);
  assert.deepEqual(project.calls(), []);
});

test("upgrade changes the files only after a yes", { timeout: 60_000 }, async () => {
  const folder = newFolder();
  symlinkSync(join(installed, "node_modules"), join(folder, "node_modules"));
  const { durable_objects: _, migrations, ...old } = parse(readFileSync(join(installed, "wrangler.jsonc"), "utf8"));
  assert.equal(migrations.length, 1);
  const path = join(folder, "wrangler.jsonc");
  writeFileSync(path, JSON.stringify(old));
  for (const [typed, changed] of [[ENTER, undefined], ["n", undefined], ["y", migrations]]) {
    const { answer, text, ended } = terminal(installed, ["upgrade", "--from", "0.1.0", "--keys-elsewhere"], { cwd: folder });
    await answer("Change the files?", typed);
    assert.equal(await ended, 0, text());
    assert.deepEqual(parse(readFileSync(path, "utf8")).migrations, changed, text());
  }
});
