// A wrangler that talks to no Cloudflare: it keeps an account in a folder, `FAKE_WRANGLER`, and records each call.
//
// `state.json` has what the account has, and `fail`: the command that must fail. `calls.jsonl` has a line for each call.

import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const folder = process.env.FAKE_WRANGLER;
const words = process.argv.slice(2);
const path = join(folder, "state.json");
const state = JSON.parse(readFileSync(path, "utf8"));
const call = { words, environment: process.env };
const option = (name) => words[words.indexOf(name) + 1];
const environment = words.find((word) => word.startsWith("--env="))?.slice("--env=".length) ?? "";

function end(status, text) {
  appendFileSync(join(folder, "calls.jsonl"), `${JSON.stringify(call)}\n`);
  writeFileSync(path, JSON.stringify(state));
  (status === 0 ? process.stdout : process.stderr).write(`${text}\n`);
  process.exit(status);
}

const command = words.filter((word) => !word.startsWith("-")).slice(0, 3).join(" ");
if (state.fail && command.startsWith(state.fail)) end(1, `✘ [ERROR] the network is down`);

if (command.startsWith("whoami")) {
  end(state.loggedIn ? 0 : 1, JSON.stringify({ loggedIn: state.loggedIn, accounts: state.accounts }, null, 2));
}
if (command === "login") {
  state.loggedIn = true;
  end(0, "Successfully logged in.");
}
if (command.startsWith("secret list")) {
  const secrets = state.workers[environment];
  if (!secrets) end(1, `✘ [ERROR] Worker "app" not found.\n\nIf this is a new Worker, run \`wrangler deploy\` first.`);
  end(0, JSON.stringify(Object.keys(secrets).map((name) => ({ name, type: "secret_text" })), null, 2));
}
if (command === "kv namespace list") end(0, JSON.stringify(state.namespaces, null, 2));
if (command === "kv namespace create") {
  state.namespaces.push({ id: `id-of-${words[3]}`, title: words[3] });
  end(0, "🌀 Creating namespace");
}
if (command.startsWith("deploy")) {
  call.configuration = readFileSync("wrangler.jsonc", "utf8");
  if (words.includes("--secrets-file")) {
    const file = option("--secrets-file");
    call.secrets = JSON.parse(readFileSync(file, "utf8"));
    call.mode = statSync(file).mode & 0o777;
    call.folderMode = statSync(dirname(file)).mode & 0o777;
    call.file = file;
  }
  state.workers[environment] = { ...state.workers[environment], ...call.secrets };
  const report = { type: "deploy", version: 1, worker_name: "app", targets: [state.url, "schedule: */5 * * * *"] };
  writeFileSync(process.env.WRANGLER_OUTPUT_FILE_PATH, `{"type":"wrangler-session"}\n${JSON.stringify(report)}\n`);
  if (state.failAfter === "deploy") end(1, "✘ [ERROR] the connection broke off");
  end(0, "Deployed app triggers");
}
end(1, `unknown command: ${words.join(" ")}`);
