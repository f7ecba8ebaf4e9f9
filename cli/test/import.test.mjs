// `wix-edge import` against a small server that fails now and then.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { importFile } from "../dist/commands/import.js";
import { batches, examine } from "../dist/import/file.js";

const folder = mkdtempSync(join(tmpdir(), "wix-edge-import-"));
const servers = [];
after(() => {
  servers.forEach((server) => { server.closeAllConnections(); server.close(); });
  rmSync(folder, { recursive: true });
});

// Answers requests by these steps, and then whole: how many lines it answers, and whether the response then breaks off. A
// number is a status. A line is refused if it contains `refuse`.
async function serve(steps) {
  const seen = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const lines = Buffer.concat(chunks).toString().split("\n").filter(Boolean);
    seen.push({ lines, authorization: request.headers.authorization });
    const step = steps.shift() ?? [Infinity, false];
    if (typeof step === "number") return response.writeHead(step).end();
    const [most, breaks] = step;
    let text = "";
    for (const [at, line] of lines.entries()) {
      if (at >= most && breaks) break;
      const outcome = at >= most ? "failed" : line.includes("refuse") ? "refused" : "imported";
      text += `${JSON.stringify({ line: at + 1, outcome })}\n`;
    }
    response.writeHead(200, { "content-length": Buffer.byteLength(text) + (breaks ? 100 : 0) });
    response.write(text, () => (breaks ? setTimeout(() => response.destroy(), 20) : response.end()));
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, seen };
}

const run = (file, url, key = "key") => importFile({ file, url, key, batch: 10, pause: 1 });

test("an import continues where it was interrupted", async () => {
  const file = join(folder, "old.ndjson");
  const lines = Array.from({ length: 35 }, (_, at) => ((at + 1) % 10 === 3 ? `refuse ${at + 1}\n\n` : `${at + 1}\r\n`));
  writeFileSync(file, lines.join(""));
  // The first batch is done in three requests, the second in one, and then nothing works.
  const failing = [[4, false], [3, true], [10, false], [10, false], 500, [0, true], ...Array(20).fill([0, false])];
  const first = await serve(failing);
  await assert.rejects(run(file, first.url, "a-secret-key"), (error) => {
    assert.match(error.message, /Line 23 and others are not imported/);
    assert.ok(!error.message.includes("secret"));
    return true;
  });
  assert.equal(first.seen[0].authorization, "Bearer a-secret-key");
  assert.deepEqual(first.seen.slice(0, 4).map(({ lines }) => lines.length), [10, 6, 3, 10]);
  const rejected = '{"line":3,"outcome":"refused"}\n{"line":14,"outcome":"refused"}\n';
  assert.equal(readFileSync(`${file}.rejected`, "utf8"), rejected);
  // Written and not noted.
  writeFileSync(`${file}.rejected`, `${rejected}{`);
  const second = await serve([]);
  await assert.rejects(run(file, second.url), { message: /some lines are not imported: .*\.rejected has each/ });
  assert.equal(second.seen[0].lines[0], "21\r");
  const numbers = readFileSync(`${file}.rejected`, "utf8").trim().split("\n").map((line) => JSON.parse(line).line);
  assert.deepEqual(numbers, [3, 14, 25, 36]);
  assert.ok(!existsSync(`${file}.progress`));
  // A new import of the same file begins anew.
  await assert.rejects(run(file, second.url), { message: /some lines are not imported: .*\.rejected has each/ });
  assert.equal(readFileSync(`${file}.rejected`, "utf8").trim().split("\n").length, 4);
});

test("another file does not continue an import, and a status that will not change ends it at once", async () => {
  const file = join(folder, "changed.ndjson");
  writeFileSync(file, "one\ntwo");
  for (const [status, message] of [[401, /does not know the API key/], [403, /scope admin/], [302, /answered 302/], [404, /answered 404/]]) {
    const { url, seen } = await serve([status]);
    await assert.rejects(run(file, url), { message });
    assert.equal(seen.length, 1);
  }
  const { hash } = await examine(file);
  writeFileSync(`${file}.progress`, JSON.stringify({ hash, lines: 1, rejected_bytes: 0 }));
  writeFileSync(file, "other\ntwo");
  await assert.rejects(run(file, "http://127.0.0.1:1"), { message: /the file has changed/ });
  writeFileSync(`${file}.progress`, "{");
  await assert.rejects(run(file, "http://127.0.0.1:1"), { message: /must be as this command wrote it/ });
  await assert.rejects(run(file, "http://example.com"), { message: /must begin with https/ });
  await assert.rejects(run(file, "http://127.0.0.1:1", ""), { message: /^WIX_EDGE_API_KEY must be/ });
  await assert.rejects(run(join(folder, "none"), "http://127.0.0.1:1"), { message: /none could not be read: ENOENT/ });
});

test("lines are read whole, whatever their length, and blank ones are left out", async () => {
  const file = join(folder, "long.ndjson");
  const long = "x".repeat(300_000);
  writeFileSync(file, `\ufeff\n${long}\n \r\n${long}é\n${long}\n${long}\nlast`);
  const all = [];
  for await (const { batch, end } of batches(file, 0, 10)) all.push([batch.map(({ number, bytes }) => [number, bytes.length]), end]);
  assert.deepEqual(all, [[[[2, 300_000], [4, 300_002], [5, 300_000], [6, 300_000]], 6], [[[7, 4]], 7]]);
  assert.equal((await examine(file)).lines, 7);
});
