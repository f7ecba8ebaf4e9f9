// Tests without a Worker. `client.test.mjs` imports this file.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WixEdge, WixEdgeError } from "wix-edge-client";

import { Tokens } from "../dist/tokens.js";
import { unknown } from "./stand.mjs";

const url = "https://wix-edge.example";
const key = "key";

/** The error of a call with this answer. */
async function refusal(status, headers = {}, body = "") {
  const fetch = async () => new Response(body, { status, headers });
  const error = await new WixEdge({ url, key, fetch }).getInstance(unknown).catch((error) => error);
  assert.ok(error instanceof WixEdgeError, String(error));
  return error;
}

const PROBLEM = JSON.stringify({
  type: "/problems#removed_instance",
  title: "The app was removed from this site",
  status: 410,
  detail: "No token.",
  code: "removed_instance",
  request_id: "0123456789abcdef0123456789abcdef",
});

test("Retry-After may be seconds or an HTTP date", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 10, 25, 18, 0, 0, 250) });
  const after = async (value) => (await refusal(503, { "retry-after": value })).retryAfter;
  assert.equal(await after("30"), 30);
  assert.equal(await after("0"), 0);
  // The three forms of RFC 9110. A fraction of a second is rounded up.
  assert.equal(await after("Wed, 25 Nov 2026 18:01:30 GMT"), 90);
  assert.equal(await after("Wednesday, 25-Nov-26 18:01:30 GMT"), 90);
  assert.equal(await after("Wed Nov 25 18:01:30 2026"), 90);
  assert.equal(await after("Sun Nov 29 18:00:00 2026"), 4 * 86_400);
  assert.equal(await after("Tue Dec  1 18:00:00 2026"), 6 * 86_400);
  assert.equal(await after("Wed, 25 Nov 2026 17:00:00 GMT"), 0, "never negative");
  for (const invalid of ["", "soon", "-5", "7 apples", "1.5", "2026-11-25", "Wed, 99 Nov 2026 18:00:00 GMT", "9".repeat(400)]) {
    assert.equal(await after(invalid), undefined, invalid);
  }
  assert.equal((await refusal(503)).retryAfter, undefined);
});

test("the Worker's errors are recognised by media type, with parameters or in capitals too", async () => {
  for (const type of [
    "application/problem+json",
    "application/problem+json; charset=utf-8",
    "application/problem+json;charset=UTF-8",
    "Application/Problem+JSON ; charset=utf-8",
  ]) {
    const error = await refusal(410, { "content-type": type }, PROBLEM);
    assert.deepEqual([error.status, error.code], [410, "removed_instance"], type);
    const fetch = async () => new Response(PROBLEM, { status: 410, headers: { "content-type": type } });
    await assert.rejects(new WixEdge({ url, key, fetch }).wix(unknown).fetch("/x"), { code: "removed_instance" }, type);
  }
  for (const type of ["application/json", "application/problem+jsonx", "text/html; a=application/problem+json", ""]) {
    assert.equal((await refusal(410, { "content-type": type }, PROBLEM)).code, undefined, type);
  }
  const broken = await refusal(410, { "content-type": "application/problem+json" }, "{");
  assert.deepEqual([broken.status, broken.code], [410, undefined]);
});

test("a 200 that is not the Worker's is an error", async () => {
  for (const body of ["<h1>Sign in</h1>", "", "null", "7", "[]"]) {
    const error = await refusal(200, { "content-type": "text/html" }, body);
    assert.deepEqual([error.status, error.code], [200, undefined]);
    assert.match(error.message, /not one of the Worker's/);
  }
});

test("whitespace around a key is removed", async () => {
  const keys = [];
  const fetch = async (_, init) => {
    keys.push(new Headers(init.headers).get("authorization"));
    return Response.json({});
  };
  for (const key of ["secret", " secret", "secret\n", "secret\r\n", "\tsecret \n"]) {
    await new WixEdge({ url, key, fetch }).getInstance(unknown);
    await new WixEdge({ url, key, fetch }).wix(unknown).fetch("/x");
  }
  assert.deepEqual([...new Set(keys)], ["Bearer secret"]);
});

test("an invalid key is a TypeError whose message does not contain it", () => {
  const bad = ["", " ", "\n", "\u00a0", "schl\u00fcssel", "se\u200bcret", "\ufeffsecret", "sec\nret", "sec\u0000ret", "sec ret", "Bearer secret"];
  for (const key of [...bad, undefined, null, 7]) {
    assert.throws(
      () => new WixEdge({ url, key }),
      (error) => error instanceof TypeError && /key must/.test(error.message) && !/sec|schl/.test(error.message),
      JSON.stringify(key),
    );
  }
});

test("connectUrl has the ref as it is", () => {
  const edge = new WixEdge({ url: "https://wix-edge.example/", key });
  assert.equal(edge.connectUrl(), "https://wix-edge.example/connect");
  for (const ref of ["7", " a+b&c=d;e#f%41/?\"'é😀\u2028\u202e", "😀".repeat(512)]) {
    const url = new URL(edge.connectUrl({ ref, shareUrlId: unknown }));
    assert.equal(url.origin + url.pathname, "https://wix-edge.example/connect");
    assert.deepEqual([...url.searchParams], [["ref", ref], ["shareUrlId", unknown]]);
  }
  for (const ref of ["", "a\nb", "\u0000", "\u007f", "\u0085", "\ud800", "a".repeat(513), "😀".repeat(513)]) {
    assert.throws(() => edge.connectUrl({ ref }), (error) => error instanceof TypeError && /ref must/.test(error.message));
  }
  assert.throws(() => edge.connectUrl({ shareUrlId: "x" }), TypeError);
  assert.throws(() => new WixEdge({ key, fetch: { fetch } }).connectUrl({ ref: "7" }), /url must be set/);
});

test("handoff sends the value", async () => {
  const sent = [];
  const fetch = async (input, init) => {
    sent.push([init.method, input, init.body, new Headers(init.headers).get("idempotency-key")]);
    return Response.json({ instance_id: unknown, flow: "connect" });
  };
  assert.deepEqual(await new WixEdge({ url, key, fetch }).handoff("a.b"), { instance_id: unknown, flow: "connect" });
  await new WixEdge({ url, key, fetch }).handoff("a.b", { idempotencyKey: "session" });
  const call = ["POST", `${url}/v1/handoffs`, '{"handoff":"a.b"}'];
  assert.deepEqual(sent, [[...call, null], [...call, "session"]]);
});

test("url must be an origin", async () => {
  const asked = [];
  const fetch = async (input) => {
    asked.push(input);
    return Response.json({});
  };
  for (const url of ["https://wix-edge.example", "https://wix-edge.example/", " https://WIX-edge.example:443/\n", new URL("https://wix-edge.example")]) {
    await new WixEdge({ url, key, fetch }).getInstance(unknown);
  }
  assert.deepEqual([...new Set(asked)], [`https://wix-edge.example/v1/instances/${unknown}`]);
  for (const url of ["http://127.0.0.1:8787", "http://localhost:8787/", "http://[::1]:8787", "http://LOCALHOST:8787"]) new WixEdge({ url, key });
  for (const url of [
    "https://wix-edge.example/v1",
    "https://wix-edge.example//",
    "https://wix-edge.example/?x=1",
    "https://wix-edge.example/#x",
    "https://user:password@wix-edge.example",
    "wix-edge.example",
    "localhost:8787",
    "/v1",
    "http://wix-edge.example",
    "http://127.0.0.1.example.com",
    "http://localhost.example.com",
    "http://0.0.0.0:8787",
    "ftp://wix-edge.example",
    "",
    " ",
  ]) {
    assert.throws(() => new WixEdge({ url, key }), { name: "TypeError", message: /url must/ }, url);
  }
  assert.throws(() => new WixEdge({ key }), { name: "TypeError", message: /url must/ });
});

test("the calls for deliveries have the routes of the app API", async () => {
  const calls = [];
  const fetch = async (input, { method, body }) => {
    calls.push([method, input.slice(url.length), body]);
    const answer = { event_id: "evt_1", events: [], instances: [] };
    return Response.json(answer, { status: method === "GET" ? 200 : 202 });
  };
  const edge = new WixEdge({ url, key, fetch });
  const instance = `/v1/instances/${unknown}`;
  for (const [call, expected] of [
    [edge.events(unknown), ["GET", `${instance}/events`, undefined]],
    [edge.events(unknown, { cursor: "a+b", limit: 7 }), ["GET", `${instance}/events?cursor=a%2Bb&limit=7`, undefined]],
    [edge.reconciliation(), ["GET", "/v1/reconciliation", undefined]],
    [edge.statistics(), ["GET", "/v1/statistics", undefined]],
    [edge.statistics({ days: 7 }), ["GET", "/v1/statistics?days=7", undefined]],
    [edge.listPage({ search: "ab-1", status: "removed" }), ["GET", "/v1/instances?search=ab-1&status=removed", undefined]],
    [edge.redeliver(unknown, "evt_a-B9"), ["POST", `${instance}/events/evt_a-B9/redeliver`, undefined]],
    [edge.parkedEvents(), ["GET", "/v1/parked-events", undefined]],
    [edge.parkedEvents({ cursor: undefined, limit: 1 }), ["GET", "/v1/parked-events?limit=1", undefined]],
    [edge.redeliverParked(), ["POST", "/v1/parked-events/redeliver", undefined]],
    [edge.redeliverParked({ instanceId: unknown }), ["POST", "/v1/parked-events/redeliver", JSON.stringify({ instance_id: unknown })]],
    [edge.sendTestEvent(), ["POST", "/v1/events/test", undefined]],
  ]) {
    const answer = await call;
    assert.deepEqual(calls.shift(), expected);
    assert.equal(answer === undefined, expected[1].endsWith("redeliver"));
  }
  for (const id of ["", "..", "a/b", "a?b", "a.b", "a".repeat(257)]) await assert.rejects(edge.redeliver(unknown, id), TypeError, id);
  await assert.rejects(edge.redeliver("..", "a"), TypeError);
  assert.throws(() => edge.events(".."), TypeError);
  assert.deepEqual(calls, []);
});

/** A cache with numbered tokens of a given lifetime; `asked` counts the requests of each installation. */
function numbered(seconds = 14_400) {
  const asked = new Map();
  let number = 0;
  const tokens = new Tokens(async (id) => {
    asked.set(id, (asked.get(id) ?? 0) + 1);
    number += 1;
    return { access_token: `t${number}`, token_type: "Bearer", expires_at: Math.floor(Date.now() / 1000) + seconds };
  });
  return { tokens, asked };
}

test("the cache has the 10,000 installations that were used most recently", async () => {
  const { tokens, asked } = numbered();
  for (let id = 0; id < 10_000; id++) await tokens.get(`i${id}`);
  await tokens.get("i0");
  assert.equal(asked.get("i0"), 1, "it is in the cache, and now the most recently used");
  await tokens.get("another");
  await tokens.get("i0");
  assert.equal(asked.get("i0"), 1);
  await tokens.get("i1");
  assert.equal(asked.get("i1"), 2, "it was the least recently used");
  assert.equal(tokens.size, 10_000);
  for (let id = 0; id < 25_000; id++) await tokens.get(`j${id}`);
  assert.equal(tokens.size, 10_000);
});

test("adding a token drops expired tokens", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_800_000_000_000 });
  const { tokens } = numbered(300);
  for (let id = 0; id < 100; id++) await tokens.get(`i${id}`);
  t.mock.timers.tick(301_000);
  assert.equal(tokens.cached("i0"), "t1", "an expired token stays until another one is added");
  await tokens.get("another");
  assert.equal(tokens.size, 1);
});

test("after a refresh that did not help, no token is requested for a minute", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_800_000_000_000 });
  const { tokens, asked } = numbered();
  const refused = await tokens.get("a");
  assert.equal(await tokens.replacementFor("a", refused), "t2");
  assert.ok(tokens.isOf("a", refused) && tokens.isOf("a", "t2"), "a call may still be using the previous token");
  tokens.refreshDidNotHelp("a");
  assert.equal(await tokens.replacementFor("a", "t2"), undefined);
  assert.equal(await tokens.get("a"), "t2", "the token stays in the cache");
  t.mock.timers.tick(60_000);
  assert.equal(await tokens.replacementFor("a", "t2"), "t3");
  assert.equal(asked.get("a"), 3);
  tokens.refreshDidNotHelp("never seen");
  assert.equal(await tokens.replacementFor("never seen", "x"), undefined);
});
