// Calls every route of the app API on a real Worker with the package.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { WixEdge, WixEdgeError } from "wix-edge-client";

import "./events.mjs";
import "./express.mjs";
import "./offline.mjs";
import "./plugins.mjs";
import "./saas.mjs";
import "./migrate.mjs";
import "./your-app.mjs";
import { called, counting, installed, key, unknown, url, wix } from "./stand.mjs";

const edge = new WixEdge({ url, key });

test("token returns the same token again, and a new one with force", async () => {
  const id = await installed();
  const token = await edge.token(id);
  assert.equal(token.token_type, "Bearer");
  assert.ok(token.expires_at > Date.now() / 1000 + 14_000);
  assert.deepEqual(await edge.token(id), token);
  assert.notEqual((await edge.token(id, { force: true })).access_token, token.access_token);
});

test("getInstance returns one installation, and listInstances requests page by page", async () => {
  const ids = new Set([await installed(), await installed(), await installed()]);
  const [one] = ids;
  const instance = await edge.getInstance(one);
  assert.equal(instance.instance_id, one);
  assert.equal(instance.status, "installed");

  const { calls, fetch } = counting();
  const counted = new WixEdge({ url, key, fetch });
  const found = [];
  for await (const instance of counted.listInstances({ limit: 1 })) found.push(instance.instance_id);
  assert.ok([...ids].every((id) => found.includes(id)));
  assert.equal(new Set(found).size, found.length);
  assert.equal(calls.length, found.length, "one page for each installation");

  calls.length = 0;
  for await (const _ of counted.listInstances({ limit: 1 })) break;
  assert.equal(calls.length, 1, "a page is requested only when it is needed");

  const removed = await counted.listPage({ status: "removed", limit: 1000, cursor: undefined });
  assert.ok(removed.instances.every((instance) => instance.status === "removed"));
  assert.equal(removed.next_cursor, undefined);
});

test("handoff returns what a flow has established, once", async () => {
  const { status, headers } = await fetch(edge.connectUrl({ ref: "Käufer 7 😀" }), { redirect: "manual" });
  assert.equal(status, 302);
  const installer = new URL(headers.get("location"));
  const cookie = headers.get("set-cookie").split(";")[0];
  const form = new URLSearchParams([...installer.searchParams, ["flow", "external"], ["site_id", "new"], ["decision", "agree"]]);
  const consent = await fetch(new URL("/installer/consent", installer), { method: "POST", body: form, redirect: "manual" });
  const back = await fetch(consent.headers.get("location"), { headers: { cookie }, redirect: "manual" });
  const value = new URL(back.headers.get("location")).searchParams.get("handoff");
  const instance_id = new URL(consent.headers.get("location")).searchParams.get("instanceId");
  const first = await edge.handoff(value, { idempotencyKey: "session" });
  assert.deepEqual({ ...first, site_id: undefined }, { instance_id, site_id: undefined, ref: "Käufer 7 😀", flow: "connect" });
  assert.deepEqual(await edge.handoff(value, { idempotencyKey: "session" }), first);
  await assert.rejects(edge.handoff(value), { status: 422, code: "not_genuine" });
  await assert.rejects(edge.handoff(""), { status: 422, code: "not_genuine" });
  // Webhook and callback write the record at the same moment, so that it may lack the ref for a second.
  for (let times = 0; times < 100 && (await edge.getInstance(instance_id)).ref === undefined; times++) await sleep(50);
  assert.equal((await edge.getInstance(instance_id)).ref, "Käufer 7 😀");
});

test("identity accepts a signed instance and an access token", async () => {
  const id = await installed();
  const { instance } = await wix("POST", "signed-instance", { instance_id: id });
  assert.equal((await edge.identity({ instance })).instance_id, id);
  const { access_token } = await edge.token(id);
  assert.deepEqual((await edge.identity({ access_token })).subject.type, "app");
  await assert.rejects(edge.identity({ instance: `${instance}x` }), { status: 422, code: "not_genuine" });
});

test("biEvent sends an event, and finishConfiguration sends its event once", async () => {
  const id = await installed();
  const event = { event_name: "CHARGE", event_data: { sum: "5.99" } };
  assert.deepEqual(await edge.biEvent(id, event), { instance_id: id, event_name: "CHARGE" });
  const first = await edge.finishConfiguration(id);
  assert.deepEqual(await edge.finishConfiguration(id), first);
  assert.equal((await called(id)).filter((endpoint) => endpoint === "bi_event").length, 2);
});

test("wix calls Wix's API through the Worker", async () => {
  const id = await installed();
  for (const path of ["/apps/v1/instance", "apps/v1/instance"]) {
    const response = await edge.wix(id).fetch(path);
    assert.equal(response.status, 200);
    assert.equal((await response.json()).instance.instanceId, id);
  }
  const sent = await edge.wix(id).fetch("/apps/v1/bi-event", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "another token" },
    body: JSON.stringify({ eventName: "APP_UPGRADED" }),
  });
  assert.equal(sent.status, 200);
  assert.equal((await edge.wix(id).fetch("/nowhere")).status, 404, "an error of Wix is returned as an answer");
  await assert.rejects(edge.wix(unknown).fetch("/apps/v1/instance"), { status: 404, code: "unknown_instance" });
});

test("a path cannot reach another route or another installation", async () => {
  const { calls, fetch } = counting();
  const watched = new WixEdge({ url, key, fetch });
  for (const path of ["../token", "/../token", "a/../../token", "%2e%2e/token", "..", "\\..\\..\\token", "a/..\\../../x"]) {
    await assert.rejects(watched.wix(unknown).fetch(path), TypeError, path);
  }
  for (const id of ["..", "", `${unknown}/token`, `${unknown}?`, "a".repeat(36)]) {
    assert.throws(() => watched.getInstance(id), TypeError, id);
    assert.throws(() => watched.wix(id), TypeError, id);
    assert.throws(() => watched.sdk(id), TypeError, id);
  }
  assert.deepEqual(calls, []);
});

test("an error has status, code and request id", async () => {
  const error = await edge.getInstance(unknown).catch((error) => error);
  assert.ok(error instanceof WixEdgeError && error instanceof Error);
  assert.equal(error.status, 404);
  assert.equal(error.code, "unknown_instance");
  assert.match(error.requestId, /^[0-9a-f]{32}$/);
  assert.match(error.message, /The instance is unknown/);
  await assert.rejects(new WixEdge({ url, key: "wrong" }).getInstance(unknown), { status: 401, code: "unauthorized" });
});

test("an answer that is not the Worker's is an error without a code", async () => {
  const fetch = async () => new Response("<h1>no</h1>", { status: 530, headers: { "retry-after": "7" } });
  const error = await new WixEdge({ url, key, fetch }).token(unknown).catch((error) => error);
  assert.deepEqual([error.status, error.code, error.requestId, error.retryAfter], [530, undefined, undefined, 7]);
});

test("an error has the seconds of Retry-After", async () => {
  const id = await installed();
  const faults = { kind: "refused", status: 404, error: "invalid_request", endpoint: "oauth2_token", times: 2, instance_id: id };
  await wix("POST", "faults", faults);
  await assert.rejects(edge.token(id), { status: 409, code: "needs_reconnect", retryAfter: 30 });
});

test("plain http is refused, except to this machine", () => {
  assert.throws(() => new WixEdge({ url: "http://wix-edge.example", key }), TypeError);
  assert.throws(() => new WixEdge({ key }), TypeError);
  new WixEdge({ url: "http://127.0.0.1:8787", key });
});
