// Starts example programs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after } from "node:test";

const started = [];
after(() => started.forEach((program) => program.kill()));

/** Runs a program in a folder; `output` grows while the program writes. */
export function run(folder, name, env) {
  // Without NODE_TEST_CONTEXT, the program's output is plain text.
  const program = spawn(process.execPath, [name], { cwd: folder, env: { ...process.env, NODE_TEST_CONTEXT: "", ...env } });
  started.push(program);
  const output = { text: "", code: undefined };
  for (const stream of [program.stdout, program.stderr]) stream.on("data", (data) => (output.text += data));
  program.on("exit", (code) => (output.code = code));
  return output;
}

/** Waits until `look` returns a value. */
export async function until(event, look) {
  for (let times = 0; times < 900; times++) {
    const found = look();
    if (found !== undefined && found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${event} did not come within 45 s`);
}

/** Starts a server, and returns its address and its output. */
export async function serve(folder, env, name = "server.mjs") {
  const output = run(folder, name, { ...env, PORT: "0" });
  const ended = () => output.code !== undefined && assert.fail(output.text);
  const [base] = await until("the address of the server", () => /http:\/\/localhost:\d+/.exec(output.text) ?? (ended() || undefined));
  return { base, output };
}
