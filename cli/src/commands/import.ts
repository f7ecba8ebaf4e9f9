// `wix-edge import`: sends a file of installations to `POST /v1/import`, a batch at a time.
//
// After an interruption it continues where it stopped. Lines that were not answered are sent again, which is harmless.

import type { Command } from "commander";

import { UserError } from "../error.js";
import { batches, examine, Progress } from "../import/file.js";
import { importUrl, send } from "../import/send.js";
import { API_KEY, givenApiKey } from "../keys.js";
import { wholeNumber } from "../options.js";

/** The width of the bar. */
const WIDTH = 30;

/** Adds the command. */
export function importInstallations(program: Command): void {
  program
    .command("import")
    .description(`Import installations that existed before, from a file of NDJSON. ${API_KEY} must be an API key with the scope admin.`)
    .argument("<file>", "one line for each installation (docs/api.md)")
    .requiredOption("--url <url>", "the address of the Worker")
    .option("--batch <lines>", "how many lines a request has", wholeNumber(1, 1000), 40)
    .action((file: string, { url, batch }: { url: string; batch: number }) =>
      importFile({ file, url, batch, key: givenApiKey() ?? "", pause: 1000 }),
    );
}

/** What to import, and where. `pause` is the first one between attempts, in milliseconds. */
export interface Import {
  file: string;
  url: string;
  batch: number;
  key: string;
  pause: number;
}

/** Imports a file. Throws at its end if lines were rejected. */
export async function importFile({ file, url, batch: most, key, pause }: Import): Promise<void> {
  if (key === "") throw new UserError(`${API_KEY} must be an API key with the scope admin`);
  const target = { url: importUrl(url), key, pause };
  const { hash, lines } = await examine(file);
  const progress = new Progress(file, hash);
  const { noted } = progress;
  if (noted.lines > 0) console.error(`continues after line ${noted.lines} of ${lines}`);
  for await (const { batch, end } of batches(file, noted.lines, most)) {
    progress.add(batch, await send(target, batch), end);
    show(noted.lines, lines, noted.refused + noted.invalid);
  }
  progress.finish();
  console.error(`\n${noted.imported} imported, ${noted.known} known, ${noted.refused} refused, ${noted.invalid} invalid`);
  if (noted.refused + noted.invalid > 0) throw new UserError(`some lines are not imported: ${progress.rejected} has each with its problem`);
}

function show(done: number, lines: number, rejected: number): void {
  const text = `${done}/${lines} lines, ${rejected} rejected`;
  if (!process.stderr.isTTY) {
    console.error(text);
    return;
  }
  const full = Math.floor((done * WIDTH) / Math.max(lines, 1));
  process.stderr.write(`\r[${"#".repeat(full)}${".".repeat(WIDTH - full)}] ${text}`);
}
