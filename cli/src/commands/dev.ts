// `wix-edge dev`: the Worker under `wrangler dev`, in workerd with a local KV and local objects, and a simulated Wix.
//
// Keys and secrets are made at each start. The simulator stores nothing, so the Worker's KV and objects are new too. The
// files of a run are in a temporary folder, which is removed at the end.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Command } from "commander";

import { choosePort } from "../dev/ports.js";
import { generate, type Settings, simulatorArguments, simulatorSecrets, welcome, writeEnvFile } from "../dev/settings.js";
import { simulator } from "../dev/simulator.js";
import { UserError } from "../error.js";
import { Leash } from "../leash.js";
import { wholeNumber } from "../options.js";
import { packageFile } from "../package.js";
import { wranglerCommand } from "../wrangler.js";

const WORKER_PORT = 8787;
const SIMULATOR_PORT = 8790;
/** The limits in seconds. With a build command, wrangler builds before it starts. */
const SIMULATOR_START = 20;
const WORKER_START = 300;
const READY = 60;
/** How often a state without a notification is looked at, in milliseconds. */
const POLL = 200;

interface Options {
  port?: number;
  simPort?: number;
  worker?: string;
  config?: string;
  simulator?: string;
}

/** Adds the command. */
export function dev(program: Command): void {
  program
    .command("dev")
    .description("Run the Worker and a simulated Wix on this machine, for a browser. It needs no account.")
    .option("--port <port>", `the Worker's port (default: ${WORKER_PORT} or the next free one)`, wholeNumber(1, 65_535))
    .option("--sim-port <port>", `the simulator's port (default: ${SIMULATOR_PORT} or the next free one)`, wholeNumber(1, 65_535))
    .option("--worker <folder>", "a built Worker with its wrangler.json (default: the one in this package)")
    .option("--config <file>", "a configuration of wrangler that names the Worker, in place of --worker")
    .option("--simulator <file>", "the simulator's program (default: that of this platform's package)")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const program = simulator(options.simulator);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());
  const folder = mkdtempSync(join(tmpdir(), "wix-edge-dev-"));
  const leashes: Leash[] = [];
  try {
    await serve(options, program, folder, leashes, interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  } finally {
    await Promise.all(leashes.map((leash) => leash.end()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  console.log("\nstopped");
}

/** Starts both and returns after an interrupt. */
async function serve(options: Options, program: string, folder: string, leashes: Leash[], signal: AbortSignal): Promise<void> {
  const workerPort = await choosePort("the Worker", "--port", options.port, WORKER_PORT);
  const simPort = await choosePort("the simulator", "--sim-port", options.simPort, SIMULATOR_PORT, workerPort);
  const settings = generate(workerPort, simPort, process.env["AFTER_INSTALL_URL"] ?? "");
  const config = options.config === undefined ? writeConfig(folder, options.worker) : resolve(options.config);

  const shown = { sim: false, worker: false };
  const start = (key: keyof typeof shown, name: string, words: { command: string; args: string[] }, env: Record<string, string>) => {
    const onLine = (line: string) => shown[key] && console.log(`${key.padEnd(6)} | ${line}`);
    const leash = new Leash({ name, ...words, env: { ...process.env, ...env }, folder, onLine });
    leashes.push(leash);
    return leash;
  };

  console.log("==> starting the simulator");
  const simulated = start("sim", "the simulator", { command: program, args: simulatorArguments(settings) }, simulatorSecrets(settings));
  await simulated.line("Wix simulator ready on ", SIMULATOR_START, signal);

  console.log("==> starting the Worker");
  writeEnvFile(join(folder, "settings.env"), settings, await publicKey(settings));
  const worker = start("worker", "the Worker", workerCommand(config, folder, settings), {
    // No questions, no update notices, and no request to the network at the start.
    CI: "1",
    WRANGLER_SEND_METRICS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    // Otherwise wrangler records every request, with the codes in its URL.
    X_LOCAL_OBSERVABILITY: "false",
  });
  await worker.line("Ready on ", WORKER_START, signal);
  shown.worker = true;
  await readiness(worker, settings, signal);

  const note = options.config === undefined ? "" : "  A change of the sources is built and loaded when it is saved.\n";
  console.log(welcome(settings, note));
  shown.sim = true;
  while (!signal.aborted) {
    await Promise.all(leashes.map((leash) => leash.checkRunning()));
    await sleep(POLL, undefined, { signal }).catch(() => undefined);
  }
  console.log("\nstopping the Worker and the simulator");
}

/** Writes a configuration for wrangler that names the built Worker by its absolute path. Returns its path. */
function writeConfig(folder: string, given: string | undefined): string {
  const worker = resolve(given ?? packageFile("worker"));
  const source = join(worker, "wrangler.json");
  if (!existsSync(source)) {
    throw new UserError(
      given === undefined
        ? "this package has no Worker: in the repository, run `cargo xtask dev`, or `cargo xtask build` and add --worker build"
        : `--worker must be a folder with a built Worker; there is no ${source}`,
    );
  }
  const config = JSON.parse(readFileSync(source, "utf8")) as { main: string; assets?: { directory: string } };
  config.main = resolve(worker, config.main);
  if (config.assets !== undefined) config.assets.directory = resolve(worker, config.assets.directory);
  const path = join(folder, "wrangler.json");
  writeFileSync(path, JSON.stringify(config));
  return path;
}

function workerCommand(config: string, folder: string, settings: Settings): { command: string; args: string[] } {
  return wranglerCommand(
    ...["dev", "--config", config, "--port", String(settings.workerPort), "--inspector-port", "0"],
    ...["--show-interactive-dev-session=false", "--persist-to", join(folder, "store")],
    ...["--env-file", join(folder, "settings.env")],
  );
}

/** The app's public key: the base64 of the DER, on one line as the file of settings requires. */
async function publicKey(settings: Settings): Promise<string> {
  const app = (await (await fetch(`${settings.simulatorUrl}/_sim/app`)).json()) as { public_key_base64?: string };
  if (app.public_key_base64 === undefined) throw new UserError("the simulator must be of the same version as wix-edge: run `npm install` again");
  return app.public_key_base64;
}

/** Waits until `/readyz` answers 200. Prints every other answer when it first comes. */
async function readiness(worker: Leash, settings: Settings, signal: AbortSignal): Promise<void> {
  const url = `${settings.workerUrl}/readyz`;
  const until = Date.now() + READY * 1000;
  let said = "";
  for (;;) {
    const now = await answer(url, signal);
    if (now === undefined) return;
    if (now !== said) console.log(`==> the Worker is not ready yet: ${now}`);
    said = now;
    if (Date.now() > until) throw new UserError(`the Worker was not ready after ${READY} s: ${said}`);
    await worker.checkRunning();
    await sleep(POLL, undefined, { signal });
  }
}

/** Nothing if the answer is 200. */
async function answer(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
    return response.status === 200 ? undefined : `${url} answers ${response.status}: ${await response.text()}`;
  } catch (error) {
    signal.throwIfAborted();
    return `${url} does not answer: ${String(error)}`;
  }
}
