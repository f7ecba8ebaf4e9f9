// The keys that `wix-edge keygen` prints.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { apiKey, sealingKey } from "../dist/keys.js";

const keygen = (...words) => {
  const { status, stdout, stderr } = spawnSync("node", ["cli/dist/main.js", "keygen", ...words], { encoding: "utf8" });
  return { status, stdout, stderr };
};

test("an entry for API_KEYS holds the hash of the key and not the key", () => {
  const { stdout } = keygen("api-key", "--name", "shop", "--scopes", "token+admin");
  const [, key] = /^ {2}([\w-]{43})$/m.exec(stdout);
  const hash = createHash("sha256").update(key).digest("hex");
  assert.ok(stdout.includes(`\n  shop:${hash}:token+admin\n`), stdout);
  assert.equal(stdout.split(key).length, 2, "the key is printed once");
});

test("a sealing key has an id and 32 bytes", () => {
  const [, bytes] = /^ {2}k[\da-f]{6}:(\S+)$/m.exec(keygen("sealing-key").stdout);
  assert.equal(Buffer.from(bytes, "base64").length, 32);
});

test("a secret for events has 32 bytes", () => {
  const [, bytes] = /^ {2}whsec_(\S+)$/m.exec(keygen("events-secret").stdout);
  assert.equal(Buffer.from(bytes, "base64").length, 32);
});

test("no two keys are alike", () => {
  assert.notEqual(keygen("sealing-key").stdout, keygen("sealing-key").stdout);
});

test("a wrong name or scope is refused, and the message says what it must be", () => {
  for (const [words, message] of [
    [["--scopes", "token+everything"], 'scopes must be some of token, instances, events, proxy, admin, joined by "+"'],
    [["--name", "a:b"], 'a key\'s name must be 1 to 64 letters, digits, "-", "_" or "."'],
  ]) {
    const { status, stdout, stderr } = keygen("api-key", ...words);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.ok(stderr.includes(message), stderr);
  }
});

test("names are those that the Worker takes", () => {
  for (const name of ["a", "backend", "Shop-2.eu_west", "2026.11", "n".repeat(64)]) apiKey(name, "token");
  for (const name of ["", "a,b", "a:b", "a b", "a\n", "caf\u{e9}", "a+b", "n".repeat(65)]) assert.throws(() => apiKey(name, "token"), name);
});

test("scopes that the Worker does not take are refused", () => {
  for (const scopes of ["", "token,instances", "token+", "Token", "token instances"]) assert.throws(() => apiKey("dev", scopes), scopes);
});

test("a name is not made twice", () => {
  const names = [1, 2, 3, 4].map(() => /^API key "([^"]+)"/.exec(keygen("api-key").stdout)[1]);
  assert.ok(new Set(names).size > 1, names.join());
  for (const name of names) apiKey(name, "token");
});

test("two sealing keys have different ids", () => {
  const ids = [1, 2, 3, 4].map(() => sealingKey().split(":")[0]);
  assert.ok(new Set(ids).size > 1, ids.join());
});

// What the secret holds after each step of a text, by somebody who enters what it shows, letter by letter.
function followed(text, list) {
  // A value to enter has no blanks but those of the placeholder.
  const shown = text.split("\n").map((line) => line.trim()).filter((line) => line.includes("<the old list>") && line.split(" ").length === 3);
  return [list, ...shown.map((line) => line.replace("<the old list>", list))];
}

test("a new sealing key, followed to the letter, loses nothing", () => {
  const { stdout } = keygen("sealing-key");
  const [, entry] = /^ {2}(k[\da-f]{6}:\S+)$/m.exec(stdout);
  const lists = followed(stdout, "k1:b25l,k0:emVybw==").map((list) => list.split(","));
  assert.equal(lists.length, 3);
  lists.slice(1).forEach((after, place) => {
    const before = lists[place];
    assert.ok(before.every((old) => after.includes(old)), "an old key is kept");
    assert.equal(after.length, 3, "no key is there twice");
    // While a deployment spreads, both lists are live: what one seals the other must open.
    assert.ok(after.includes(before[0]) && before.includes(after[0]), `${before} ${after}`);
  });
  assert.deepEqual(lists[2], [entry, "k1:b25l", "k0:emVybw=="], "the new key seals in the end");
});

test("a new API key, followed to the letter, locks nobody out", () => {
  const { stdout } = keygen("api-key", "--name", "shop-2", "--scopes", "token");
  const [, entry] = /^ {2}(shop-2:\S+)$/m.exec(stdout);
  const list = "shop-1:aa,other:bb:token";
  assert.deepEqual(followed(stdout, list), [list, `${list},${entry}`]);
  const steps = stdout.slice(stdout.indexOf("If it is set"));
  const order = ["Add the new entry", "npx wrangler secret put API_KEYS", "Move the client over", "remove the old entry"];
  const places = order.map((step) => steps.indexOf(step));
  assert.ok(!places.includes(-1));
  assert.deepEqual(places, places.toSorted((one, other) => one - other));
  assert.ok(stdout.includes("name must differ") && stdout.includes("`client`"));
});

test("a text says what a secret store does", () => {
  const texts = [[keygen("api-key").stdout, "API_KEYS", "SEALING_KEYS"], [keygen("sealing-key").stdout, "SEALING_KEYS", "API_KEYS"]];
  for (const [text, name, other] of texts) {
    for (const part of ["never shows a secret again", "REPLACES the whole value", "password manager", "do not have the list"]) {
      assert.ok(text.includes(part), part);
    }
    // Each list that is shown is followed by the command, before the next one.
    const steps = text.split("<the old list>").slice(2);
    assert.ok(steps.every((step) => step.includes(`  npx wrangler secret put ${name}\n`)), text);
    assert.ok(!text.includes(other), "one kind at a time");
    assert.ok(text.split("\n").every((line) => line.length <= 160));
  }
  assert.ok(texts[1][0].includes("APPEND the new entry behind the old ones"));
});
