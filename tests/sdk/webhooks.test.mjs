// Wix's own SDK, unmodified, takes webhooks that the simulator delivers.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { AppStrategy, createClient } from "@wix/sdk";

import { app, control } from "./platform.mjs";

let facts;
let server;
const bodies = [];
let arrived = () => {};

before(async () => {
  facts = await app();
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

/** The body that the next delivery brings. */
async function next(cause) {
  bodies.length = 0;
  const came = new Promise((resolve) => { arrived = resolve; });
  const answer = await cause();
  await came;
  return { body: bodies[0], answer };
}

function client(publicKey = facts.publicKey) {
  return createClient({ auth: AppStrategy({ appId: facts.appId, appSecret: facts.appSecret, publicKey }), modules: {} });
}

test("an install is verified and taken apart", async () => {
  const { body, answer } = await next(() => control("POST", "installs", {}));
  const event = await client().webhooks.process(body);
  assert.equal(event.eventType, "AppInstalled");
  assert.equal(event.instanceId, answer.instance.instance_id);
  assert.deepEqual(event.payload, { appId: facts.appId, originInstanceId: "" });
  assert.deepEqual(event.identity, { identityType: "WIX_USER", wixUserId: answer.site.owner_id });
});

test("a request with the delivery as its body is taken too", async () => {
  const { body } = await next(() => control("POST", "installs", {}));
  const request = new Request("http://127.0.0.1/webhook", { method: "POST", body });
  const event = await client().webhooks.processRequest(request, { expectedEvents: [{ type: "AppInstalled" }] });
  assert.equal(event.eventType, "AppInstalled");
});

test("the public key may be given as base64 of its PEM", async () => {
  const { body } = await next(() => control("POST", "installs", {}));
  const encoded = Buffer.from(facts.publicKey).toString("base64");
  assert.equal((await client(encoded).webhooks.process(body)).eventType, "AppInstalled");
});

test("every event of the catalogue is read, with account facts where the switch says so", async () => {
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

test("a removal is not what a handler of installs expects", async () => {
  const { answer } = await next(() => control("POST", "installs", {}));
  const { body } = await next(() => control("POST", `instances/${answer.instance.instance_id}/remove`, {}));
  const wanted = { expectedEvents: [{ type: "AppInstalled" }] };
  await assert.rejects(client().webhooks.process(body, wanted), /Unexpected event type: AppRemoved/);
});

test("the dashboard's test message is read although it is pretty-printed", async () => {
  const { body } = await next(() => control("POST", "test-webhook", {}));
  const event = await client().webhooks.process(body);
  assert.equal(event.eventType, "AppInstalled");
  assert.equal(event.identity, undefined);
});

test("a message signed by another key is refused by the app's key and accepted by its own", async () => {
  const { body } = await next(() => control("POST", "webhooks", { key: "other" }));
  await assert.rejects(client().webhooks.process(body), /signature verification failed/);
  assert.equal((await client(facts.otherPublicKey).webhooks.process(body)).eventType, "AppInstalled");
});

test("a touched signature, alg none, an ended message and an object for data are refused", async () => {
  for (const [raw, told] of [
    [{ corrupt_signature: true }, /signature verification failed/],
    [{ alg: "none" }, /./],
    [{ alg: "HS256" }, /./],
    [{ exp: 1767225600 }, /"exp" claim timestamp check failed/],
    [{ exp: "soon" }, /"exp" claim must be a number/],
    [{ envelope: { eventType: "AppInstalled" } }, /expected string, got object/],
    [{ data_text: "no json" }, /JSON/],
  ]) {
    const { jwt } = await control("POST", "webhooks", { ...raw, send: false });
    await assert.rejects(client().webhooks.process(jwt), told, JSON.stringify(raw));
  }
});
