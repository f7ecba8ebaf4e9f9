// Wix's own SDK, unmodified, processes webhooks from the simulator.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { AppStrategy, createClient } from "@wix/sdk";

import { app, control } from "./platform.mjs";

let config;
let server;
const bodies = [];
let arrived = () => {};

before(async () => {
  config = await app();
  server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (piece) => { body += piece; });
    request.on("end", () => {
      response.writeHead(200).end();
      bodies.push(body);
      arrived();
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  await control("PATCH", "app", { webhook_url: `http://127.0.0.1:${server.address().port}/webhook` });
});

after(async () => {
  await control("PATCH", "app", { webhook_url: "" });
  server.close();
});

/** Runs `action`, and returns its answer and the body of the next delivery. */
async function next(action) {
  bodies.length = 0;
  const arrival = new Promise((resolve) => { arrived = resolve; });
  const answer = await action();
  await arrival;
  return { body: bodies[0], answer };
}

function client(publicKey = config.publicKey) {
  return createClient({ auth: AppStrategy({ appId: config.appId, appSecret: config.appSecret, publicKey }), modules: {} });
}

test("the SDK verifies and parses an installation", async () => {
  const { body, answer } = await next(() => control("POST", "installs", {}));
  const event = await client().webhooks.process(body);
  assert.equal(event.eventType, "AppInstalled");
  assert.equal(event.instanceId, answer.instance.instance_id);
  assert.deepEqual(event.payload, { appId: config.appId, originInstanceId: "" });
  assert.deepEqual(event.identity, { identityType: "WIX_USER", wixUserId: answer.site.owner_id });
});

test("the SDK processes a Request with the delivery as its body", async () => {
  const { body } = await next(() => control("POST", "installs", {}));
  const request = new Request("http://127.0.0.1/webhook", { method: "POST", body });
  const event = await client().webhooks.processRequest(request, { expectedEvents: [{ type: "AppInstalled" }] });
  assert.equal(event.eventType, "AppInstalled");
});

test("the public key may be the base64 of its PEM", async () => {
  const { body } = await next(() => control("POST", "installs", {}));
  const encoded = Buffer.from(config.publicKey).toString("base64");
  assert.equal((await client(encoded).webhooks.process(body)).eventType, "AppInstalled");
});

test("the SDK parses every event type, and account info if the simulator's switch is on", async () => {
  const { answer } = await next(() => control("POST", "installs", {}));
  const id = answer.instance.instance_id;
  const types = [
    "PaidPlanPurchased", "PaidPlanChanged", "PaidPlanAutoRenewalCancelled", "PlanConvertedToPaid", "PlanReactivated",
    "PlanTransferred", "InvoiceStatusUpdated", "SitePropertiesUpdated",
    "wix.app.installations.v1.app_installation_created", "wix.app.installations.v1.app_installation_updated",
  ];
  await control("PATCH", "switches", { webhook_account_info: true });
  for (const type of types) {
    const { body } = await next(() => control("POST", `instances/${id}/events`, { event_type: type }));
    const event = await client().webhooks.process(body);
    assert.equal(event.eventType, type);
    assert.equal(event.accountInfo.siteId, answer.site.site_id);
  }
  await control("PATCH", "switches", { webhook_account_info: false });
});

test("a handler for installations refuses a removal", async () => {
  const { answer } = await next(() => control("POST", "installs", {}));
  const { body } = await next(() => control("POST", `instances/${answer.instance.instance_id}/remove`, {}));
  const wanted = { expectedEvents: [{ type: "AppInstalled" }] };
  await assert.rejects(client().webhooks.process(body, wanted), /Unexpected event type: AppRemoved/);
});

test("the SDK parses the pretty-printed test message of the dashboard", async () => {
  const { body } = await next(() => control("POST", "test-webhook", {}));
  const event = await client().webhooks.process(body);
  assert.equal(event.eventType, "AppInstalled");
  assert.equal(event.identity, undefined);
});

test("a message with another key's signature fails with the app's key and passes with its own", async () => {
  const { body } = await next(() => control("POST", "webhooks", { key: "other" }));
  await assert.rejects(client().webhooks.process(body), /signature verification failed/);
  assert.equal((await client(config.otherPublicKey).webhooks.process(body)).eventType, "AppInstalled");
});

test("the SDK refuses a changed signature, alg none, an expired message and an object as data", async () => {
  for (const [raw, message] of [
    [{ corrupt_signature: true }, /signature verification failed/],
    [{ alg: "none" }, /./],
    [{ alg: "HS256" }, /./],
    [{ exp: 1767225600 }, /"exp" claim timestamp check failed/],
    [{ exp: "soon" }, /"exp" claim must be a number/],
    [{ envelope: { eventType: "AppInstalled" } }, /expected string, got object/],
    [{ data_text: "no json" }, /JSON/],
  ]) {
    const { jwt } = await control("POST", "webhooks", { ...raw, send: false });
    await assert.rejects(client().webhooks.process(jwt), message, JSON.stringify(raw));
  }
});
