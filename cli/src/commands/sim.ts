// `wix-edge sim`: the simulated Wix without the Worker, for a back end that calls Wix itself.

import { spawn } from "node:child_process";
import { once } from "node:events";

import type { Command } from "commander";

import { simulator } from "../dev/simulator.js";

/** Adds the command. */
export function sim(program: Command): void {
  program
    .command("sim")
    .description("Run the simulated Wix alone, for another back end. All options are the simulator's.")
    .helpOption(false)
    .allowUnknownOption()
    .argument("[options...]", "such as --port 4100; `wix-edge sim --help` lists them")
    .action(run);
}

async function run(words: string[]): Promise<void> {
  const child = spawn(simulator(undefined), words, { stdio: "inherit" });
  // Ctrl-C reaches the simulator too. Another signal is sent to this process alone.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const [status] = (await once(child, "exit")) as [number | null];
  process.exitCode = status ?? 1;
}
