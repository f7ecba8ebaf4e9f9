// The operator's console in a real browser. `tests/it/console.rs` starts everything and runs one scenario:
//
//   CHROME=… APP_URL=… node tests/browser/console.mjs <scenario> [arguments]
//
// On success, it exits with 0 and prints its observations as JSON. SCREENSHOTS names a folder for screenshots.

import { keyboard, views } from "./console/appearance.mjs";
import { hostile, numbers, trouble } from "./console/behaviour.mjs";
import { launch } from "./console/browser.mjs";
import { health, timeline } from "./console/evidence.mjs";
import { large, listed } from "./console/large.mjs";
import { attack, day, framing, misconfigured } from "./console/operator.mjs";
import { repair } from "./console/repair.mjs";

const scenarios = { views, keyboard, large, listed, numbers, health, timeline, hostile, trouble, day, attack, framing, misconfigured, repair };
const scenario = scenarios[process.argv[2]];
if (!scenario) throw new Error(`the scenario must be one of ${Object.keys(scenarios).join(", ")}`);

const browser = await launch();
try {
  console.log(JSON.stringify(await scenario(browser, ...process.argv.slice(3))));
} finally {
  await browser.close();
}
