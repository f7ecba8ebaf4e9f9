// `wix-edge doctor`: what is wrong with a deployment, one line for each finding.

import { join } from "node:path";

import type { Command } from "commander";

import { PATIENCE } from "../doctor/deployment.js";
import { examine } from "../doctor/examine.js";
import type { Finding } from "../doctor/finding.js";
import { addressOf, readKeyFile, readLocal, type KeyFile, type Local } from "../doctor/local.js";
import { text } from "../doctor/text.js";
import { UserError } from "../error.js";
import { keyFileName } from "../keyfile.js";
import { API_KEY, givenApiKey } from "../keys.js";
import { version } from "../package.js";
import { isLoopback } from "../shapes.js";

interface Options {
  json?: true;
  strict?: true;
  keyFile?: string;
  env?: string;
  folder: string;
  sim?: string;
  testEvent: boolean;
}

/** Adds the command. */
export function doctor(program: Command): void {
  program
    .command("doctor")
    .description("Find out what is wrong with a deployment.")
    .argument("[url]", "the Worker's address (default: WIX_EDGE_URL, or the one that the files of the folder have)")
    .option("--json", "print the report as JSON")
    .option("--strict", "let warnings fail too")
    .option("--key-file <file>", `the file with the keys that \`wix-edge setup\` wrote (default: ${keyFileName()} in the folder)`)
    .option("--env <name>", "the wrangler environment of the deployment")
    .option("--folder <folder>", "the folder with the wrangler configuration", ".")
    .option("--sim <url>", "the simulator of Wix that the Worker uses in development (default: WIX_API_URL, if on loopback)")
    .option("--no-test-event", "send no test event to the back end")
    .addHelpText("after", HELP)
    .action(async (url: string | undefined, options: Options) => {
      try {
        process.exitCode = await run(url, options);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        console.error(`error: ${error.message}`);
        process.exitCode = 2;
      }
    });
}

const HELP = `
An API key in the variable ${API_KEY}, with the scopes token, instances and events, allows further checks; without it,
doctor uses the key of the back end in the file with the keys. There is no option for it, since every user of a computer
can read the arguments of its programs.

Exit status: 0 no fault, 1 a fault (with --strict also a warning), 2 the address cannot be reached.`;

async function run(argument: string | undefined, options: Options): Promise<number> {
  const { local, keyFile, unreadable } = files(options);
  const url = addressFrom(argument ?? process.env["WIX_EDGE_URL"] ?? keyFile?.values["url"] ?? (local && addressOf(local)));
  const isTest = isLoopback(new URL(url));
  const simulator = options.sim ?? (isTest ? process.env["WIX_API_URL"] || local?.vars["WIX_API_URL"] : undefined);
  const deployment = {
    url,
    key: givenApiKey(keyFile?.values["backend"]),
    local,
    simulator: simulator && URL.canParse(simulator) && isLoopback(new URL(simulator)) ? new URL(simulator).origin : undefined,
    sendsTestEvent: options.testEvent,
    version: version(),
    patience: PATIENCE,
    now: Date.now,
  };
  if (options.sim !== undefined && deployment.simulator === undefined) throw new UserError("--sim must be a URL on loopback, such as http://127.0.0.1:8790");
  const report = await examine(deployment, { keyFile, unreadable });
  const hasColour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
  console.log(options.json ? JSON.stringify({ version: 1, ...report }, null, 2) : text(report, hasColour));
  if (report.status === "unreachable") return 2;
  const isWrong = options.strict ? ["fault", "warning"] : ["fault"];
  return report.findings.some(({ severity }) => isWrong.includes(severity)) ? 1 : 0;
}

/** The files of the folder, and the findings of those that cannot be read. */
function files({ folder, env, keyFile }: Options): { local: Local | undefined; keyFile: KeyFile | undefined; unreadable: Finding[] } {
  const local = readLocal(folder, env);
  const path = keyFile ?? join(folder, keyFileName(env));
  const keys = readKeyFile(path);
  if (keyFile !== undefined && keys === undefined) throw new UserError(`--key-file must be the path of a file; there is no ${path}`);
  const unreadable = [local, keys].filter((one): one is Finding => one !== undefined && "id" in one);
  return {
    local: local !== undefined && "id" in local ? undefined : local,
    keyFile: keys !== undefined && "id" in keys ? undefined : keys,
    unreadable,
  };
}

function addressFrom(address: string | undefined): string {
  if (address === undefined) {
    throw new UserError("give the Worker's address: `npx wix-edge doctor https://wix-edge.<account>.workers.dev`");
  }
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw new UserError("the address must be an http or https URL without a user name");
  }
  return url.origin;
}
