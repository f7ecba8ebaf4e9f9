// Runs the examples of docs/your-app.md unchanged. `client.test.mjs` imports this file.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { FOREIGN, NEW, OLD, ORDER, delivery } from "./events.cases.mjs";
import { run, serve, until } from "./program.mjs";
import { installed, key, removed, signed, unknown, url } from "./stand.mjs";

const text = readFileSync(new URL("../../../docs/your-app.md", import.meta.url), "utf8");
// A folder of this package that git ignores. Node finds the imports of the examples from here.
const folder = fileURLToPath(new URL("../dist/your-app/", import.meta.url));
const files = new Map([...text.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, name, content]) => [name, content]));
for (const [name, content] of files) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}

/** Starts server.mjs with the Worker at `edge`. */
function server(edge = url) {
  return serve(folder, { WIX_EDGE_URL: edge, WIX_EDGE_API_KEY: key, WIX_API_URL: process.env.WIX_URL });
}

async function site(base, headers) {
  const response = await fetch(`${base}/api/site`, { headers });
  return { status: response.status, body: await response.json(), retryAfter: response.headers.get("retry-after") };
}

test("the document has these examples", () => {
  const names = ["server.mjs", "events.mjs", "job.mjs", "public/index.html", ".dev.vars"];
  assert.deepEqual([...files.keys()].sort(), names.sort());
});

test("the example back end answers the owner only", async () => {
  const { base, output } = await server();
  const id = await installed();
  const instance = await signed(id);
  const answer = await site(base, { "x-wix-instance": instance });
  assert.equal(answer.status, 200, output.text);
  assert.ok(answer.body.name.length > 0 && answer.body.free === true, JSON.stringify(answer.body));

  assert.equal((await site(base, {})).status, 401);
  assert.equal((await site(base, { "x-wix-instance": `${instance}x` })).status, 401);
  assert.equal((await site(base, { authorization: "no token" })).status, 401);
  assert.ok([401, 403].includes((await site(base, { "x-wix-instance": await signed(id, { uid: null }) })).status));
  // A token of the app itself is genuine, but has no user.
  const token = await fetch(`${url}/v1/instances/${id}/token`, { method: "POST", headers: { authorization: `Bearer ${key}` } });
  assert.equal((await site(base, { authorization: (await token.json()).access_token })).status, 403);

  const page = /<script type="module">(.*?)<\/script>/s.exec(await (await fetch(base)).text())[1];
  const shown = {};
  const browser = { querySelector: (selector) => (selector === "#site" ? shown : null) };
  const AsyncFunction = (async () => {}).constructor;
  const open = (search) => new AsyncFunction("location", "document", "fetch", page)({ search }, browser, (path, init) => fetch(base + path, init));
  await open(`?instance=${instance}`);
  assert.equal(shown.textContent, `${answer.body.name}, free`);
  await open("");
  assert.match(shown.textContent, /Open this page/);

  await removed(id);
  assert.equal((await site(base, { "x-wix-instance": instance })).status, 410);
  assert.match(output.text, /wix-edge: .*\(410, removed_instance\), request [0-9a-f]{32}/);
});

test("the example back end handles every failure in the document's table", async (t) => {
  let failure;
  const stub = createServer((request, response) => {
    const answer = (status, body, headers) => response.writeHead(status, headers).end(JSON.stringify(body));
    if (request.url === "/v1/identity") return answer(200, { instance_id: unknown, user: "u" });
    const [status, code, headers] = failure;
    const problem = { type: `/problems#${code}`, title: "No", status, detail: "No.", code, request_id: "r" };
    return answer(status, problem, { "content-type": "application/problem+json", ...headers });
  });
  await new Promise((resolve) => stub.listen(0, "127.0.0.1", resolve));
  t.after(() => stub.close());
  const { base } = await server(`http://127.0.0.1:${stub.address().port}`);
  for (const [given, status, retryAfter] of [
    [[409, "needs_reconnect", { "retry-after": "30" }], 409, null],
    [[410, "removed_instance"], 410, null],
    [[404, "unknown_instance"], 410, null],
    [[503, "app_credentials_refused"], 500, null],
    [[503, "not_configured"], 500, null],
    [[401, "unauthorized"], 500, null],
    [[502, "wix_failed", { "retry-after": "7" }], 503, "7"],
    [[504, "wix_timeout"], 503, "5"],
    [[503, "store_failed"], 503, "5"],
  ]) {
    failure = given;
    const answer = await site(base, { "x-wix-instance": "x" });
    assert.deepEqual([answer.status, answer.retryAfter, typeof answer.body.error], [status, retryAfter, "string"], given[1]);
    assert.ok(text.includes(`${given[0]} \`${given[1]}\``) || /not_configured|unauthorized/.test(given[1]), `${given[1]} must be in the table`);
  }
});

test("the example back end stores each event once, and ignores an older status", async () => {
  const { base, output } = await serve(folder, { EVENTS_SECRETS: `${NEW}, ${OLD}` }, "events.mjs");
  const post = async (event, options) => (await fetch(`${base}/events`, { method: "POST", ...delivery(event, options) })).status;
  const change = (name, sequence) => ({ ...ORDER, source: "wix-edge", type: `installation.${name}`, sequence, data: { status: name } });
  for (const [event, options, line] of [
    [ORDER, { id: "a" }, "stored wix.ecom.v1.order_approved: 1 orders, app undefined"],
    [ORDER, { id: "a", secrets: [OLD] }, "stored wix.ecom.v1.order_approved: 1 orders, app undefined"],
    [{ ...ORDER, type: "wix.new.v9.thing_done" }, { id: "b" }, "stored wix.new.v9.thing_done: 1 orders, app undefined"],
    [change("removed", 5), { id: "c" }, "stored installation.removed: 1 orders, app removed"],
    [change("installed", 4), { id: "d" }, "stored installation.installed: 1 orders, app removed"],
    [{ ...ORDER, source: "wix-edge", type: "wix-edge.test" }, { id: "e" }, "stored wix-edge.test: 1 orders, app removed"],
    [ORDER, { id: "f" }, "stored wix.ecom.v1.order_approved: 2 orders, app removed"],
  ]) {
    assert.equal(await post(event, options), 204, output.text);
    await until(line, () => (output.text.trimEnd().endsWith(line) ? true : undefined));
  }
  assert.equal(await post(ORDER, { secrets: [FOREIGN] }), 401);
  assert.equal(await post(ORDER, { seconds: -360 }), 401);
  assert.equal(await post("no event"), 400);
  assert.equal((await fetch(`${base}/events`, { method: "POST" })).status, 400);
});

test("the example job lists the installations of this week", async () => {
  const id = await installed();
  const output = run(folder, "job.mjs", { WIX_EDGE_URL: url, WIX_EDGE_API_KEY: key });
  await until("the end of the job", () => output.code);
  assert.equal(output.code, 0, output.text);
  assert.match(output.text, new RegExp(`^${id} installed 20..-..-..T.*, token until \\d+$`, "m"));
});
