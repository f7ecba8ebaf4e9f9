// Verifies one delivery with the npm package. The delivery comes as JSON on the standard input:
// {"secrets","headers","body"}. Prints the event, or the code of the error.

import { readFileSync } from "node:fs";

import { verifyEvent } from "wix-edge-client";

const { secrets, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const outcome = await verifyEvent({ headers, body }, secrets).catch(({ code }) => ({ code }));
console.log(JSON.stringify(outcome));
