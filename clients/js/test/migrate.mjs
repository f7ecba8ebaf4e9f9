// Runs the two servers of docs/migrate-from-express.md unchanged. `client.test.mjs` imports this file.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { NEW, ORDER, delivery } from "./events.cases.mjs";
import { serve } from "./program.mjs";
import { installed, key, signed, url } from "./stand.mjs";

const text = readFileSync(new URL("../../../docs/migrate-from-express.md", import.meta.url), "utf8");
// A folder of this package that git ignores. Node finds the imports of the programs from here.
const folder = fileURLToPath(new URL("../dist/migrate/", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const [, name, content] of text.matchAll(/^```js (\S+)\n(.*?)^```$/gms)) writeFileSync(join(folder, name), content);

const wix = process.env.WIX_URL;

/** A message as Wix sends it to a webhook, not sent. */
async function message(fields) {
  const response = await fetch(`${wix}/_sim/webhooks`, { method: "POST", body: JSON.stringify({ send: false, ...fields }) });
  return (await response.json()).jwt;
}

test("the server before the change verifies webhooks", async () => {
  const app = await (await fetch(`${wix}/_sim/app`)).json();
  const secrets = { WIX_APP_ID: app.app_id, WIX_APP_SECRET: "unused", WIX_PUBLIC_KEY: app.public_key_pem };
  const { base } = await serve(folder, secrets, "before.mjs");
  const instance_id = await installed();
  const post = async (body) => (await fetch(`${base}/webhook`, { method: "POST", headers: { "content-type": "text/plain" }, body })).status;
  assert.equal(await post(await message({ event_type: "AppInstalled", instance_id })), 200);
  assert.equal(await post(await message({ event_type: "AppInstalled", instance_id, key: "other" })), 401);
  assert.equal((await fetch(`${base}/api/site`, { headers: { "x-wix-instance": "x.e30" } })).status, 401);
});

test("the server after the change answers the owner and takes events", async () => {
  const values = { WIX_EDGE_URL: url, WIX_EDGE_API_KEY: key, WIX_API_URL: wix, EVENTS_SECRETS: NEW };
  const { base, output } = await serve(folder, values, "after.mjs");
  const instance = await signed(await installed());
  const site = (value) => fetch(`${base}/api/site`, { headers: { "x-wix-instance": value } });
  const answer = await site(instance);
  assert.equal(answer.status, 200, output.text);
  assert.ok((await answer.json()).name.length > 0);
  assert.equal((await site(`${instance}x`)).status, 401);
  assert.equal((await fetch(`${base}/events`, { method: "POST", ...delivery(ORDER) })).status, 204);
  assert.equal((await fetch(`${base}/events`, { method: "POST", body: "{}" })).status, 400);
});
