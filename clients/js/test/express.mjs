// Runs `examples/express`. `client.test.mjs` imports this file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { FOREIGN, NEW, OLD, ORDER, delivery } from "./events.cases.mjs";
import { run, serve, until } from "./program.mjs";
import { installed, key, removed, signed, url, wix } from "./stand.mjs";

const folder = fileURLToPath(new URL("../../../examples/express/", import.meta.url));
const ADMIN_TOKEN = "an-admin-token";
const settings = { WIX_EDGE_URL: url, WIX_EDGE_API_KEY: key, ADMIN_TOKEN, NODE_ENV: "production" };

async function ask(base, path, headers = {}) {
  const response = await fetch(base + path, { headers });
  return { status: response.status, body: await response.json(), retryAfter: response.headers.get("retry-after") };
}

async function site(base, id, overrides) {
  return ask(base, "/api/site", { "x-wix-instance": await signed(id, overrides) });
}

test("the Express example answers the owner only", async () => {
  const { base } = await serve(folder, settings);
  const id = await installed();
  const answer = await site(base, id);
  assert.equal(answer.status, 200);
  assert.ok(answer.body.name.length > 0 && answer.body.free === true, JSON.stringify(answer.body));

  assert.equal((await ask(base, "/api/site")).status, 401);
  assert.equal((await ask(base, "/api/site", { "x-wix-instance": `${await signed(id)}x` })).status, 401);
  assert.equal((await site(base, id, { uid: null })).status, 401);
  assert.equal((await site(base, id, { permissions: "" })).status, 403);
});

test("the Express example lists installations for its operator only", async () => {
  const { base } = await serve(folder, settings);
  const ids = [await installed(), await installed()];
  const authorization = `Bearer ${ADMIN_TOKEN}`;
  const listed = [];
  let next = "";
  do {
    const { status, body } = await ask(base, `/admin/installations${next}`, { authorization });
    assert.equal(status, 200);
    listed.push(...body.instances.map(({ instance_id }) => instance_id));
    next = body.next_cursor && `?cursor=${encodeURIComponent(body.next_cursor)}`;
  } while (next);
  assert.ok(ids.every((id) => listed.includes(id)));

  for (const wrong of [{}, { authorization: ADMIN_TOKEN }, { authorization: "Bearer wrong" }, { authorization: `Bearer ${key}` }]) {
    assert.equal((await ask(base, "/admin/installations", wrong)).status, 401);
  }
  assert.equal((await ask(base, "/admin/installations?cursor=no%20cursor", { authorization })).status, 400);
});

test("the Express example stores each approved order once, and refuses other requests", async () => {
  const { base, output } = await serve(folder, { ...settings, EVENTS_SECRETS: `${NEW},${OLD}` });
  const post = (event, options) => fetch(`${base}/events`, { method: "POST", ...delivery(event, options) });
  const order = (entityId) => ({ ...ORDER, data: { entityId } });
  for (const [entityId, options] of [["o1", { id: "a" }], ["o1", { id: "a", secrets: [OLD] }], ["o2", { id: "b", secrets: [NEW, OLD] }]]) {
    assert.equal((await post(order(entityId), options)).status, 204, output.text);
  }
  assert.equal((await post({ ...ORDER, type: "wix.new.v9.thing_done" })).status, 204);
  const refused = await post(order("o3"), { secrets: [FOREIGN] });
  assert.equal(refused.status, 401);
  assert.doesNotMatch(await refused.text(), /events\.js|o3|whsec/, "no stack trace in production");
  assert.equal((await post("no event")).status, 400);
  const authorization = `Bearer ${ADMIN_TOKEN}`;
  assert.deepEqual((await ask(base, "/admin/orders", { authorization })).body, ["o1", "o2"]);
  assert.equal((await ask(base, "/admin/orders")).status, 401);
  assert.doesNotMatch(output.text, /o3|whsec/);

  const without = await serve(folder, { ...settings, EVENTS_SECRETS: "" });
  assert.equal((await fetch(`${without.base}/events`, { method: "POST", ...delivery(ORDER, {}) })).status, 404);
});

test("the Express example answers each failure, and logs no secret", async () => {
  const { base, output } = await serve(folder, settings);
  // The identity makes the installation known. Wix knows none, and refuses a token.
  const unheardOf = "89abcdef-0123-4cde-8f01-23456789abcd";
  assert.equal((await site(base, unheardOf, { uid: unheardOf })).status, 409);

  const id = await installed();
  await wix("POST", "faults", { kind: "status", status: 503, endpoint: "oauth2_token", times: 1000, instance_id: id });
  const failed = await site(base, id);
  assert.equal(failed.status, 503);
  assert.match(failed.retryAfter, /^\d+$/);
  await wix("DELETE", `faults?instance_id=${id}`);

  await wix("POST", "faults", { kind: "status", status: 500, endpoint: "app_instance", times: 1, instance_id: id });
  assert.equal((await site(base, id)).status, 502);

  const refused = await installed();
  await wix("POST", "faults", { kind: "refused", status: 404, error: "invalid_request", endpoint: "oauth2_token", times: 2, instance_id: refused });
  assert.equal((await site(base, refused)).status, 409);

  await removed(id);
  assert.equal((await site(base, id)).status, 410);

  const misconfigured = await serve(folder, { ...settings, WIX_EDGE_API_KEY: "wrong-key" });
  const answer = await site(misconfigured.base, id);
  assert.deepEqual([answer.status, answer.body.error], [500, "The service is misconfigured."]);

  for (const code of ["wix_failed", "needs_reconnect", "removed_instance"]) {
    assert.match(output.text, new RegExp(`${code}\\), request [0-9a-f]{32}`));
  }
  const log = output.text + misconfigured.output.text;
  for (const secret of [key, ADMIN_TOKEN, "wrong-key", await signed(id)]) assert.ok(!log.includes(secret), log);
});

test("the Express example does not start without its settings", async () => {
  for (const name of ["WIX_EDGE_URL", "WIX_EDGE_API_KEY", "ADMIN_TOKEN"]) {
    const output = run(folder, "server.mjs", { ...settings, [name]: "" });
    await until("the end of the program", () => output.code);
    assert.equal(output.code, 1, output.text);
  }
});

test("the package and the examples pin the versions that these tests run with", () => {
  const read = (path) => JSON.parse(readFileSync(new URL(`../../../${path}/package.json`, import.meta.url), "utf8"));
  const pinned = read(".").devDependencies;
  for (const path of ["clients/js", "examples/express", "examples/saas", "examples/worker-binding"]) {
    const { dependencies, devDependencies } = read(path);
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      if (name !== "wix-edge-client") assert.equal(version, pinned[name], name);
    }
  }
});
