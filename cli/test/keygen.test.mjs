// The keys that `wix-edge keygen` prints.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { test } from "node:test";

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
