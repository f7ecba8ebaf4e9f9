// Wix's own SDK, unmodified, gets tokens from a real Worker.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inspect } from "node:util";

import { appInstances } from "@wix/app-management";
import { AppStrategy, createClient } from "@wix/sdk";
import { WixEdge, WixEdgeError } from "wix-edge-client";

import { called, counting, installed, key, removed, toWix, unknown, url, wix } from "./stand.mjs";

const INSTANCE = "https://www.wixapis.com/apps/v1/instance";

/** A module like those that Wix publishes: one call with the SDK's own client. */
const instances = { get: (client) => () => client.fetchWithAuth(INSTANCE).then((response) => response.json()) };

function stand(id) {
  const [toWorker, toPlatform] = [counting(), counting(toWix)];
  const edge = new WixEdge({ url, key, fetch: toWorker.fetch });
  const client = createClient({ ...edge.sdk(id, { fetch: toPlatform.fetch }), modules: { instances } });
  return { client, edge, worker: toWorker.calls, wix: toPlatform.calls };
}

test("a program with the SDK changes one line", async () => {
  const id = await installed();
  const before = createClient({ auth: AppStrategy({ appId: unknown, appSecret: "s", instanceId: id }), modules: { instances } });
  const { client } = stand(id);
  assert.deepEqual(Object.keys(client).sort(), Object.keys(before).sort());
  assert.equal((await client.instances.get()).instance.instanceId, id);
});

test("the strategy works without fetch", async () => {
  const id = await installed();
  const client = createClient({ auth: new WixEdge({ url, key }).sdk(id).auth, fetch: toWix });
  assert.equal((await client.fetchWithAuth(INSTANCE)).status, 200);
  const { headers } = await client.auth.getAuthHeaders();
  assert.match(headers.Authorization, /^OauthNG\.JWS\./, "the token without Bearer");
  assert.equal(client.auth.getActiveToken(), headers.Authorization);
});

test("a program can still process webhooks with the SDK", async () => {
  const id = await installed();
  const { app_id: appId, public_key_pem: publicKey } = await wix("GET", "app");
  const parts = new WixEdge({ url, key }).sdk(id);
  const auth = { ...AppStrategy({ appId, publicKey }), ...parts.auth };
  const client = createClient({ ...parts, auth, fetch: toWix });
  const { jwt } = await wix("POST", "webhooks", { event_type: "AppInstalled", instance_id: id, data: { appId }, send: false });
  assert.equal((await client.webhooks.process(jwt)).instanceId, id);
  assert.equal((await client.fetchWithAuth(INSTANCE)).status, 200);
});

test("100 concurrent callers cause one request to the Worker and one to Wix", async () => {
  const id = await installed();
  const { client, worker } = stand(id);
  const answers = await Promise.all(Array.from({ length: 100 }, () => client.instances.get()));
  assert.ok(answers.every((answer) => answer.instance.instanceId === id));
  assert.equal(worker.length, 1);
  assert.equal((await called(id)).filter((endpoint) => endpoint === "oauth2_token").length, 1);
});

test("100 concurrent callers share a failure, and the next caller sends a new request", async () => {
  const id = await installed();
  const { client, worker } = stand(id);
  await wix("POST", "faults", { kind: "refused", status: 404, error: "invalid_request", endpoint: "oauth2_token", times: 2, instance_id: id });
  const answers = await Promise.allSettled(Array.from({ length: 100 }, () => client.instances.get()));
  assert.ok(answers.every((answer) => answer.reason?.code === "needs_reconnect"));
  assert.equal(worker.length, 1);
  assert.equal((await called(id)).length, 2, "the Worker confirms a refusal with a second request");
  await assert.rejects(client.instances.get());
  assert.equal(worker.length, 2);
});

test("a new token is requested shortly before the old one expires", async (t) => {
  const id = await installed();
  const { client, worker } = stand(id);
  await client.instances.get();
  const now = Date.now();
  t.mock.timers.enable({ apis: ["Date"], now: now + (14_400 - 60) * 1000 });
  await client.instances.get();
  assert.equal(worker.length, 1);
  t.mock.timers.setTime(now + (14_400 - 29) * 1000);
  await client.instances.get();
  assert.equal(worker.length, 2);
});

test("after Wix's 401 the call is repeated with a new token", async () => {
  const id = await installed();
  const { client, worker, wix: calls } = stand(id);
  await client.instances.get();
  await wix("POST", "tokens/expire", { instance_id: id, access: true });
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.instances.get()));
  assert.ok(answers.every((answer) => answer.instance.instanceId === id));
  assert.equal(worker.length, 2, "all calls share one new token");
  assert.equal(calls.length, 41);
});

test("a stream is sent once, and the next call has the new token", async () => {
  const id = await installed();
  const { client, worker, wix: calls } = stand(id);
  await client.instances.get();
  await wix("POST", "tokens/expire", { instance_id: id, access: true });
  const body = new Blob(['{"eventName":"APP_UPGRADED"}']).stream();
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body, duplex: "half" };
  assert.equal((await client.fetchWithAuth("https://www.wixapis.com/apps/v1/bi-event", init)).status, 401);
  assert.equal(calls.length, 2);
  assert.equal((await client.fetchWithAuth(INSTANCE)).status, 200);
  assert.equal(calls.length, 3);
  assert.equal(worker.length, 2);
});

test("a token from elsewhere is not replaced", async () => {
  const id = await installed();
  const toWorker = counting();
  const { fetch } = new WixEdge({ url, key, fetch: toWorker.fetch }).sdk(id, { fetch: toWix });
  assert.equal((await fetch(INSTANCE, { headers: { authorization: "another token" } })).status, 401);
  assert.equal(toWorker.calls.length, 0);
});

test("a 401 that persists causes one new token only", async () => {
  const id = await installed();
  const { client, worker, wix: calls } = stand(id);
  await wix("POST", "faults", { kind: "status", status: 401, endpoint: "app_instance", times: 100, instance_id: id });
  for (let times = 0; times < 3; times++) assert.equal((await client.fetchWithAuth(INSTANCE)).status, 401);
  assert.equal(worker.length, 2);
  assert.equal(calls.length, 4);
});

test("the token is sent only to Wix's hosts", async () => {
  const id = await installed();
  const { client, wix: calls } = stand(id);
  for (const elsewhere of [
    "https://example.com/",
    "https://wixapis.com.example.com/",
    "https://notwixapis.com/",
    "http://www.wixapis.com/",
    new Request("https://example.com/"),
  ]) {
    assert.equal((await client.fetchWithAuth(elsewhere)).status, 200);
    assert.equal(calls.at(-1).authorization, null, calls.at(-1).url);
  }
  for (const wixs of [INSTANCE, new Request(INSTANCE), "https://editor.wix.com/x", "https://edge.wixapis.com/x"]) {
    await client.fetchWithAuth(wixs);
    assert.match(calls.at(-1).authorization, /^OauthNG\./, calls.at(-1).url);
  }
});

/** The error of a call with a published module, which must equal that of the same call with `fetchWithAuth`. */
async function refused(parts) {
  const client = createClient({ ...parts, modules: { appInstances } });
  const direct = await client.fetchWithAuth(INSTANCE).catch((error) => error);
  const fields = ({ name, message, status, code, requestId, retryAfter }) => ({ name, message, status, code, retryAfter, known: !!requestId });
  const before = fields(direct);
  const error = await client.appInstances.getAppInstance().catch((error) => error);
  assert.deepEqual(fields(error), before);
  assert.deepEqual(fields(await client.appInstances.getAppInstance().catch((error) => error)), before, "the second error is the same");
  return error;
}

test("a published module uses the Worker's token", async () => {
  const id = await installed();
  const client = createClient({ ...new WixEdge({ url, key }).sdk(id, { fetch: toWix }), modules: { appInstances } });
  assert.equal((await client.appInstances.getAppInstance()).instance.instanceId, id);
});

test("a published module does not change the Worker's error", async () => {
  const edge = new WixEdge({ url, key });
  const gone = await installed();
  await removed(gone);
  const error = await refused(edge.sdk(gone));
  assert.ok(error instanceof WixEdgeError && error instanceof Error);
  assert.deepEqual([error.name, error.status, error.code, error.retryAfter], ["WixEdgeError", 410, "removed_instance", undefined]);
  assert.match(error.requestId, /^[0-9a-f]{32}$/);
  assert.doesNotMatch(error.message, /System error/);

  const lost = await installed();
  await wix("POST", "faults", { kind: "refused", status: 404, error: "invalid_request", endpoint: "oauth2_token", times: 2, instance_id: lost });
  const reconnect = await refused(edge.sdk(lost));
  assert.deepEqual([reconnect.status, reconnect.code, reconnect.retryAfter], [409, "needs_reconnect", 30]);

  assert.equal((await refused(edge.sdk(unknown))).code, "unknown_instance");
  assert.equal((await refused(new WixEdge({ url, key: "wrong" }).sdk(unknown))).code, "unauthorized");
  const fetch = async () => new Response("no", { status: 503, headers: { "retry-after": "7", "x-request-id": "r" } });
  const other = await refused(new WixEdge({ url, key, fetch }).sdk(unknown));
  assert.deepEqual([other.status, other.code, other.retryAfter, other.requestId], [503, undefined, 7, "r"]);
});

test("after Wix's 401, the error is the Worker's if it has no new token", async () => {
  const edge = new WixEdge({ url, key });
  const gone = await installed();
  const parts = edge.sdk(gone, { fetch: toWix });
  const client = createClient({ ...parts, modules: { appInstances } });
  assert.equal((await client.appInstances.getAppInstance()).instance.instanceId, gone);
  await removed(gone);
  const error = await refused(parts);
  assert.ok(error instanceof WixEdgeError);
  assert.deepEqual([error.status, error.code], [410, "removed_instance"]);

  const id = await installed();
  const fetch = async (input, init) => {
    if (JSON.parse(init.body).force) return new Response("no", { status: 503, headers: { "retry-after": "7" } });
    return globalThis.fetch(input, init);
  };
  await wix("POST", "faults", { kind: "status", status: 401, endpoint: "app_instance", times: 100, instance_id: id });
  const failed = await refused(new WixEdge({ url, key, fetch }).sdk(id, { fetch: toWix }));
  assert.deepEqual([failed.status, failed.retryAfter], [503, 7]);
});

test("an error from a published module can be logged", async () => {
  const error = await refused(new WixEdge({ url, key }).sdk(unknown));
  const { requestId } = error;
  const plain = { name: "WixEdgeError", message: error.message, status: 404, code: "unknown_instance", requestId };
  assert.deepEqual(JSON.parse(JSON.stringify(error)), plain);
  assert.match(inspect(error), new RegExp(`status: 404,\\s+code: 'unknown_instance',\\s+requestId: '${requestId}'`));
  assert.doesNotMatch(inspect({ error }), /Circular|Getter/);
  assert.deepEqual({ ...error }.code, "unknown_instance");
  assert.ok(error.stack.includes(error.message));
});

test("a published module throws the error of fetch if the Worker cannot be reached", async () => {
  const unreachable = async () => {
    throw new TypeError("fetch failed", { cause: new Error("ECONNREFUSED") });
  };
  const error = await refused(new WixEdge({ url, key, fetch: unreachable }).sdk(unknown));
  assert.equal(error.message, "fetch failed");
  assert.equal(error.cause.message, "ECONNREFUSED");

  // The error of `AbortSignal.timeout` has read-only fields.
  const late = async () => {
    throw new DOMException("The operation was aborted due to timeout", "TimeoutError");
  };
  const timeout = await refused(new WixEdge({ url, key, fetch: late }).sdk(unknown));
  assert.deepEqual([timeout.name, timeout.message], ["TimeoutError", "The operation was aborted due to timeout"]);
});

test("the token is sent to the caller's hosts over https, or to this machine", async () => {
  const id = await installed();
  const edge = new WixEdge({ url, key });
  const isSent = async (target, hosts) => {
    const { calls, fetch } = counting(async () => new Response());
    await createClient({ ...edge.sdk(id, { hosts, fetch }) }).fetchWithAuth(target);
    return calls[0].authorization !== null;
  };
  const listed = ["api.example.com", "Proxy.Example.com:8443", "plain.example.com:443", "localhost:8790", "127.0.0.1:8790", "[::1]:8790", "localhost"];
  for (const target of [
    "https://api.example.com/x",
    "https://API.EXAMPLE.com/x",
    "https://api.example.com:443/x",
    "https://proxy.example.com:8443/x",
    "https://plain.example.com/x",
    "http://localhost:8790/x",
    "http://LOCALHOST:8790/x",
    "http://127.0.0.1:8790/x",
    "http://[::1]:8790/x",
    "http://[0:0:0:0:0:0:0:1]:8790/x",
    "https://localhost:8790/x",
    "http://localhost/x",
  ]) {
    assert.equal(await isSent(target, listed), true, target);
  }
  for (const target of [
    "http://api.example.com/x",
    "http://API.example.com/x",
    "http://api.example.com:443/x",
    "https://api.example.com:8443/x",
    "http://proxy.example.com:8443/x",
    "https://x.api.example.com/x",
    "https://api.example.com./x",
    "http://localhost:8791/x",
    "http://127.0.0.2:8790/x",
    "http://localhost.example.com:8790/x",
    "ws://localhost:8790/x",
  ]) {
    assert.equal(await isSent(target, listed), false, target);
  }
  for (const target of ["http://127.0.0.1.example.com:8790/x", "http://10.0.0.1:8790/x", "http://[::ffff:10.0.0.1]:8790/x", "http://0.0.0.0:8790/x"]) {
    assert.equal(await isSent(target, [new URL(target).host]), false, target);
  }
  for (const host of ["https://api.example.com", "api.example.com/v1", "", " ", "user@api.example.com", "api.example.com?x", "a b", "a\\b", "*.example.com", undefined, 8790]) {
    assert.throws(() => edge.sdk(id, { hosts: [host] }), /hosts must/, String(host));
  }
});
