// Child processes end with the command, however it ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Leash } from "../dist/leash.js";

// A program that starts another one, as wrangler does, and says the ids of both. Neither ends at TERM.
const STUBBORN = "trap '' TERM; sh -c 'trap \"\" TERM; echo inner $$; while :; do sleep 1; done' & echo outer $$; wait; sleep 60";
const never = new AbortController().signal;

function runs(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(what, look) {
  const end = Date.now() + 10_000;
  while (!(await look())) {
    assert.ok(Date.now() < end, what);
    await sleep(50);
  }
}

const idsIn = (lines) => ["inner", "outer"].map((name) => Number(new RegExp(`${name} (\\d+)`).exec(lines)?.[1]));

test("the end of a leash ends everything that the command started", async () => {
  const lines = [];
  const leash = new Leash({ name: "it", command: "sh", args: ["-c", STUBBORN], onLine: (line) => lines.push(line) });
  await leash.line("inner", 10, never);
  await leash.line("outer", 10, never);
  const ids = idsIn(lines.join("\n"));
  await leash.end();
  await until("both processes must end", () => !ids.some(runs));
});

test("a KILL of the owner ends everything and removes the folder", async () => {
  const folder = mkdtempSync(join(tmpdir(), "leash-"));
  const owner = spawn(process.execPath, ["--input-type=module", "-e", `
    const { Leash } = await import(${JSON.stringify(new URL("../dist/leash.js", import.meta.url))});
    new Leash({ name: "it", command: "sh", args: ["-c", ${JSON.stringify(STUBBORN)}], folder: ${JSON.stringify(folder)}, onLine: console.log });
  `], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    let text = "";
    owner.stdout.on("data", (data) => { text += data; });
    await until("both processes must start", () => idsIn(text).every(Boolean));
    const ids = idsIn(text);
    assert.ok(ids.every(runs) && existsSync(folder));
    const ended = once(owner, "exit");
    owner.kill("SIGKILL");
    await ended;
    await until("both processes must end", () => !ids.some(runs));
    assert.ok(!existsSync(folder), "the folder must be removed");
  } finally {
    owner.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a command that ends is an error with its last lines", async () => {
  const leash = new Leash({ name: "the Worker", command: "sh", args: ["-c", "echo first; echo last >&2; exit 3"] });
  await assert.rejects(leash.line("never", 10, never), { message: /^the Worker ended with status 3; its last lines:\n {2}\| / });
  await leash.end();
});

test("a command that is missing is an error", async () => {
  const leash = new Leash({ name: "the Worker", command: "/nowhere/program", args: [] });
  await assert.rejects(leash.line("never", 10, never), { message: /^the Worker ended with status 127.*\/nowhere\/program/s });
  await leash.end();
});

test("a command that is not ready in time is an error, and an interrupt ends the wait", async () => {
  const leash = new Leash({ name: "the Worker", command: "sleep", args: ["60"] });
  await assert.rejects(leash.line("never", 0.1, never), { message: "the Worker was not ready after 0.1 s without output" });
  await assert.rejects(leash.line("never", 10, AbortSignal.timeout(100)), { name: "TimeoutError" });
  await leash.end();
});
