// The form of what the user enters. crates/core/src/config has the same rules for the Worker.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";

import { parseObject } from "../dist/jsonc.js";
import { appId, appSecret, eventsUrl, publicKeys } from "../dist/shapes.js";

const shapes = { appId, appSecret, eventsUrl, publicKeys };
const APP_ID = "0c52d1a4-2a7a-4d3c-9a51-7e1f0f1c9b10";
const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const PEM = publicKey.export({ type: "spki", format: "pem" });
const DER = publicKey.export({ type: "spki", format: "der" }).toString("base64");

test("a public key is taken in every form in which the Worker takes it", () => {
  const oneLine = PEM.trim().replaceAll("\n", "\\n");
  const forms = {
    "PEM": PEM,
    "one line": `"${oneLine}"`,
    "one line, escaped twice": oneLine.replaceAll("\\n", "\\\\n"),
    "base64 of PEM": Buffer.from(PEM).toString("base64"),
    "base64 of the DER, broken into lines": DER.replace(/.{60}/g, "$&\n "),
    "base64 in the URL alphabet without padding": DER.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
  };
  for (const [form, key] of Object.entries(forms)) assert.equal(shapes.publicKeys(key), DER, form);
  assert.equal(shapes.publicKeys(`${PEM}${PEM}`), `${DER},${DER}`);
  assert.equal(shapes.publicKeys(`${DER}, ${PEM}`), `${DER},${DER}`);
});

test("a value of the wrong form is refused, and the message says what it must be and does not show it", () => {
  const other = (type, options) => generateKeyPairSync(type, options).publicKey.export({ type: "spki", format: "pem" });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const wrong = [
    ["publicKeys", other("ec", { namedCurve: "P-256" }), "must be an RSA key"],
    ["publicKeys", other("rsa", { modulusLength: 1024 }), "2048 to 4096 bits"],
    ["publicKeys", withExponentOne(), "odd exponent of at least 3"],
    ["publicKeys", privateKey.export({ type: "pkcs8", format: "pem" }), "this is a private key"],
    ["publicKeys", publicKey.export({ type: "pkcs1", format: "pem" }), "-----BEGIN PUBLIC KEY-----"],
    ["publicKeys", "-----BEGIN PUB", "must begin with the whole BEGIN line"],
    ["publicKeys", PEM.slice(0, 200), "must end with the line"],
    ["publicKeys", DER.slice(0, 200), "altered or cut off"],
    ["publicKeys", "the key!", "PEM or base64"],
    ["publicKeys", " , ", "must not be empty"],
    ["appId", "my app", "must be a GUID"],
    ["appId", APP_ID.slice(1), "must be a GUID"],
    ["appId", "00000000-0000-0000-0000-000000000000", "must be a GUID"],
    ["appSecret", "short", "at least 8 characters"],
    ["appSecret", "two words here", "without spaces"],
    ["appSecret", '"quoted-secret"', "quotes"],
    ["eventsUrl", "http://app.example.com/e", "must be https"],
    ["eventsUrl", "http://localhost.example.com/e", "must be https"],
    ["eventsUrl", "the events", "must be a whole URL"],
    ["eventsUrl", "https://u:p@app.example.com/", "user name"],
  ];
  for (const [shape, value, message] of wrong) {
    assert.throws(() => shapes[shape](value), (error) => error.message.includes(message) && !error.message.includes(value), message);
  }
  assert.equal(shapes.eventsUrl("http://127.0.0.1:3000/e"), "http://127.0.0.1:3000/e");
});

test("a configuration that is no object is refused with the line and the reason", () => {
  const reasons = {
    '{\n  "name": "a"\n  "main": "b"\n}': "comma expected in line 3",
    '{ // A comment.\n  "name": "a",\n}': undefined,
    "[]": "it must be an object in braces",
    '"text"': "it must be an object in braces",
    "": "value expected in line 1",
  };
  for (const [text, reason] of Object.entries(reasons)) {
    if (reason === undefined) assert.deepEqual(parseObject(text), { name: "a" });
    else assert.throws(() => parseObject(text), { message: reason }, text);
  }
});

/** An RSA key with which every message is its own signature: the exponent 65537 (03 01 00 01) made 1. */
function withExponentOne() {
  const hex = Buffer.from(DER, "base64").toString("hex");
  assert.ok(hex.endsWith("0203010001"));
  return Buffer.from(hex.replace(/0203010001$/, "0203000001"), "hex").toString("base64");
}
