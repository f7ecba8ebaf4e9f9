// Tests of `verifyPluginCall`. `client.test.mjs` imports this file.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { verifyEvent, verifyPluginCall } from "wix-edge-client";

import { FOREIGN, FORMS, NEW, OLD, ORDER, delivery } from "./events.cases.mjs";

const METADATA = { appExtensionType: "ECOM_SHIPPING_RATES", instanceId: ORDER.instance_id, languages: ["fi"], name: "Zo\u00eb" };
const REQUEST = { lineItems: [{ name: "Teapot \u{1f600}" }] };

const base64url = (value) => Buffer.from(value).toString("base64url");
const idOf = (metadata) => `plugin_${createHash("sha256").update(metadata).digest("base64url")}`;

/** A call that the Worker would send. */
function call({ metadata = base64url(JSON.stringify(METADATA)), id = idOf(metadata), ...options } = {}) {
  const { headers, body } = delivery(REQUEST, { id, ...options });
  return { headers: { ...headers, "wix-edge-metadata": metadata }, body };
}

test("verifyPluginCall returns Wix's request and metadata in every form", async () => {
  for (const [name, make] of Object.entries(FORMS)) {
    for (const secrets of [NEW, [OLD, NEW]]) {
      assert.deepEqual(await verifyPluginCall(make(call()), secrets), { request: REQUEST, metadata: METADATA }, name);
    }
  }
});

test("a call with other metadata, another id or another signature is refused", async () => {
  const other = base64url(JSON.stringify({ ...METADATA, instanceId: "99999999-89ab-4cde-8f01-23456789abcd" }));
  const genuine = call();
  const event = delivery(REQUEST);
  for (const [name, request, code] of [
    ["exchanged metadata", { ...genuine, headers: { ...genuine.headers, "wix-edge-metadata": other } }, "bad_signature"],
    ["metadata with padding", { ...genuine, headers: { ...genuine.headers, "wix-edge-metadata": `${genuine.headers["wix-edge-metadata"]}=` } }, "bad_signature"],
    ["an exchanged id", { ...genuine, headers: { ...genuine.headers, "webhook-id": idOf(other), "wix-edge-metadata": other } }, "bad_signature"],
    ["another body", { ...genuine, body: genuine.body.replace("Teapot", "Kettle") }, "bad_signature"],
    ["another secret", call({ secrets: [FOREIGN] }), "bad_signature"],
    ["an event with metadata", { ...event, headers: { ...event.headers, "wix-edge-metadata": other } }, "bad_signature"],
    ["six minutes old", call({ seconds: -360 }), "too_old"],
    ["no metadata", { ...genuine, headers: { ...genuine.headers, "wix-edge-metadata": undefined } }, "malformed"],
    ["metadata that is not JSON", call({ metadata: base64url("no JSON") }), "malformed"],
    ["metadata that is not base64url", call({ metadata: "***" }), "malformed"],
  ]) {
    await assert.rejects(verifyPluginCall(request, NEW), { name: "EventError", code }, name);
  }
});

test("a plugin call is no event", async () => {
  await assert.rejects(verifyEvent(call(), NEW), { code: "malformed" });
});
