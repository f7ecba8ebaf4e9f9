#!/usr/bin/env node
// The command `wix-edge`. Each file in commands/ adds one command.

import { Command } from "commander";

import { dev } from "./commands/dev.js";
import { doctor } from "./commands/doctor.js";
import { importInstallations } from "./commands/import.js";
import { init } from "./commands/init.js";
import { keygen } from "./commands/keygen.js";
import { setup } from "./commands/setup.js";
import { sim } from "./commands/sim.js";
import { upgrade } from "./commands/upgrade.js";
import { UserError } from "./error.js";
import { version } from "./package.js";

const program = new Command("wix-edge")
  .description("Runs, deploys and checks wix-edge, the server-side half of a Wix app.")
  .version(version())
  .showHelpAfterError();

for (const add of [dev, sim, init, setup, upgrade, doctor, importInstallations, keygen]) add(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`\nerror: ${error.message}`);
  process.exitCode = 1;
}
