// Cases of `verifyEvent`, for Node (events.mjs) and for workerd (caller.mjs).

import { Webhook } from "standardwebhooks";
import { EventError, verifyEvent } from "wix-edge-client";

export const [NEW, OLD, FOREIGN] = ["new", "old", "foreign"].map((name) => `whsec_${btoa(`${name} secret, 32 bytes `.padEnd(32, "."))}`);

export const ORDER = {
  type: "wix.ecom.v1.order_approved",
  timestamp: "2026-11-25T18:00:00Z",
  instance_id: "01234567-89ab-4cde-8f01-23456789abcd",
  sequence: 17,
  source: "wix",
  data: { actionEvent: { body: { order: { number: "10001", buyer: "Zo\u00eb \u{1f600}" } } } },
  identity: { identityType: "WIX_USER" },
  account: { site_id: "11111111-2222-4333-8444-555555555555" },
  anonymize: false,
};
const { instance_id } = ORDER;
const REMOVED = { ...ORDER, source: "wix-edge", type: "installation.removed", data: { instance_id, status: "removed" } };
const TEST = { source: "wix-edge", type: "wix-edge.test", timestamp: ORDER.timestamp, sequence: 1, data: {} };

/** A delivery that the Worker would send: an object, or a text, signed with each of the secrets. */
export function delivery(event, { secrets = [NEW], id = "msg_1", seconds = 0 } = {}) {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const at = new Date(Date.now() + 1000 * seconds);
  const signature = secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(" ");
  const headers = { "webhook-id": id, "webhook-timestamp": String(Math.floor(at / 1000)), "webhook-signature": signature };
  return { headers: { ...headers, "content-type": "application/json" }, body };
}

function without(name) {
  const { headers, body } = delivery(ORDER);
  return { headers: { ...headers, [name]: undefined }, body };
}

function changed(change, event = ORDER) {
  const { headers, body } = delivery(event);
  return change(headers, body);
}

/** Each: the request, the secrets, and the event or the code of the error. In workerd, only a request has the time. */
const cases = () => ({
  "a genuine event": [delivery(ORDER), NEW, ORDER],
  "signed with both secrets, the new one known": [delivery(ORDER, { secrets: [NEW, OLD] }), NEW, ORDER],
  "signed with both secrets, the old one known": [delivery(ORDER, { secrets: [NEW, OLD] }), [OLD], ORDER],
  "signed with the old secret, both known": [delivery(ORDER, { secrets: [OLD] }), [NEW, OLD], ORDER],
  "signed with the new secret, both known": [delivery(ORDER), [OLD, NEW], ORDER],
  "a line break behind the secret": [delivery(ORDER), `${NEW}\n`, ORDER],
  "four minutes old": [delivery(ORDER, { seconds: -240 }), NEW, ORDER],
  "an unknown type of Wix's": [delivery({ ...ORDER, type: "wix.new.v9.thing_done", data: null }), NEW, { ...ORDER, type: "wix.new.v9.thing_done", data: null }],
  "an installation was removed": [delivery(REMOVED), NEW, REMOVED],
  "a test event": [delivery(TEST), NEW, TEST],
  "an unknown type of wix-edge": [delivery({ ...TEST, type: "wix-edge.new" }), NEW, { ...TEST, type: "wix-edge.new" }],
  "a number above a double": [delivery(JSON.stringify(TEST).replace("{}", "1e400")), NEW, { ...TEST, data: Infinity }],
  "an id in the body": [delivery({ ...TEST, id: "other" }), NEW, TEST],
  "another secret": [delivery(ORDER, { secrets: [FOREIGN] }), [NEW, OLD], "bad_signature"],
  "an altered body": [changed((headers, body) => ({ headers, body: body.replace("10001", "10002") })), NEW, "bad_signature"],
  "a byte order mark before the body": [changed((headers, body) => ({ headers, body: `\ufeff${body}` })), NEW, "bad_signature"],
  "an altered id": [changed((headers, body) => ({ headers: { ...headers, "webhook-id": "msg_2" }, body })), NEW, "bad_signature"],
  "an altered time": [changed((headers, body) => ({ headers: { ...headers, "webhook-timestamp": String(headers["webhook-timestamp"] - 1) }, body })), NEW, "bad_signature"],
  "a signature of another version": [changed((headers, body) => ({ headers: { ...headers, "webhook-signature": headers["webhook-signature"].replace("v1", "v2") }, body })), NEW, "bad_signature"],
  "six minutes old": [delivery(ORDER, { seconds: -360 }), [NEW, OLD], "too_old"],
  "six minutes ahead": [delivery(ORDER, { seconds: 360 }), [NEW, OLD], "too_new"],
  "no id": [without("webhook-id"), NEW, "malformed"],
  "no time": [without("webhook-timestamp"), NEW, "malformed"],
  "no signature": [without("webhook-signature"), NEW, "malformed"],
  "a time that is no number": [changed((headers, body) => ({ headers: { ...headers, "webhook-timestamp": "now" }, body })), NEW, "malformed"],
  "an empty body": [delivery(""), NEW, "malformed"],
  "a body that is not JSON": [delivery("order=10001"), NEW, "malformed"],
  ...Object.fromEntries(
    ["null", "7", "[]", "{}", '"wix"', { ...ORDER, type: 7 }, { ...ORDER, sequence: "17" }, { ...ORDER, timestamp: undefined }].map((event) => {
      const signed = delivery(event);
      return [`JSON that is no event: ${signed.body.slice(0, 20)}`, [signed, NEW, "malformed"]];
    }),
  ),
  "an unknown source": [delivery({ ...ORDER, source: "elsewhere" }), NEW, "malformed"],
});

/** The forms in which a request may be given. */
export const FORMS = {
  Request: ({ headers, body }) => {
    const known = Object.entries(headers).filter(([, value]) => value !== undefined);
    return new Request("https://app.example/events", { method: "POST", headers: known, body });
  },
  text: (given) => given,
  bytes: ({ headers, body }) => ({ headers, body: new TextEncoder().encode(body) }),
  "Headers and text": (given) => ({ headers: FORMS.Request(given).headers, body: given.body }),
};

/** The outcome of a call, as text: the event, or the code and status of the error. */
export async function outcome(request, secrets) {
  try {
    return JSON.stringify(await verifyEvent(request, secrets));
  } catch (error) {
    if (!(error instanceof EventError)) return String(error);
    return /order|1000|msg|elsewhere|whsec/.test(error.message) ? `content in ${error.message}` : `${error.status} ${error.code}`;
  }
}

/** Each case with its name, its outcome, and the expected one. */
export async function outcomes() {
  const all = [];
  for (const [name, [given, secrets, expected]] of Object.entries(cases())) {
    const isCode = typeof expected === "string";
    const status = expected === "malformed" ? 400 : 401;
    const wanted = isCode ? `${status} ${expected}` : JSON.stringify({ ...expected, id: "msg_1" });
    for (const [form, make] of Object.entries(FORMS)) {
      all.push({ name: `${name} (${form})`, outcome: await outcome(make(given), secrets), wanted });
    }
  }
  return all;
}
