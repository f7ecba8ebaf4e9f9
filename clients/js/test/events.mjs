// Tests of `verifyEvent`. `client.test.mjs` imports this file.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";

import { EventError, verifyEvent } from "wix-edge-client";

import { FOREIGN, NEW, OLD, ORDER, delivery, outcome, outcomes } from "./events.cases.mjs";

test("verifyEvent returns genuine events, and refuses all others with a code", async () => {
  const all = await outcomes();
  assert.ok(all.length > 100);
  for (const { name, outcome, wanted } of all) assert.equal(outcome, wanted, name);
});

test("the signature is that of the Standard Webhooks specification", async () => {
  const body = JSON.stringify(ORDER);
  const time = Math.floor(Date.now() / 1000);
  const key = Buffer.from(NEW.slice("whsec_".length), "base64");
  const tag = createHmac("sha256", key).update(`msg_1.${time}.${body}`).digest("base64");
  const headers = { "Webhook-Id": "msg_1", "Webhook-Timestamp": String(time), "Webhook-Signature": `v1,${tag}` };
  assert.deepEqual(await verifyEvent({ headers, body: Buffer.from(body) }, NEW), { ...ORDER, id: "msg_1" });
});

test("a body that is not raw, or not UTF-8, is refused", async () => {
  const { headers, body } = delivery(ORDER);
  for (const parsed of [JSON.parse(body), undefined, null, 7]) {
    await assert.rejects(verifyEvent({ headers, body: parsed }, NEW), { name: "EventError", code: "malformed", message: /express\.raw/ });
  }
  const bytes = Buffer.from(body);
  bytes[bytes.indexOf(0xc3)] = 0xff;
  await assert.rejects(verifyEvent({ headers, body: bytes }, NEW), { code: "malformed", message: /UTF-8/ });
});

test("invalid secrets are a TypeError whose message does not contain them", async () => {
  const request = delivery(ORDER);
  for (const secrets of [undefined, null, "", "whsec_", [], [NEW, undefined], [NEW, ""], NEW.slice(6), "whsec_no*base64", `${NEW},${OLD}`, 7]) {
    const isClean = (error) => error instanceof TypeError && /secret/.test(error.message) && !/no\*base64|bmV3/.test(error.message);
    await assert.rejects(verifyEvent(request, secrets), isClean, String(secrets));
  }
});

test("an EventError is an Error with code and status, and nothing of the request", async () => {
  const error = await verifyEvent(delivery(ORDER), FOREIGN).catch((error) => error);
  assert.ok(error instanceof EventError && error instanceof Error);
  assert.deepEqual([error.name, error.code, error.status], ["EventError", "bad_signature", 401]);
  assert.doesNotMatch(inspect(error), /10001|msg_1|whsec|v1,/);
});

test("an error of the connection is not an EventError", async () => {
  const broken = new ReadableStream({ start: (controller) => controller.error(new Error("the connection broke")) });
  const request = new Request("https://app.example", { method: "POST", body: broken, duplex: "half", headers: delivery(ORDER).headers });
  assert.match(await outcome(request, NEW), /the connection broke/);
});
