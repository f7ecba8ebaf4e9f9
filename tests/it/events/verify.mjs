// Verifies one delivery with the reference library of the Standard Webhooks specification. The delivery comes as JSON on
// the standard input: {"secret","headers","body"}. Prints the type of the event.

import { readFileSync } from "node:fs";

import { Webhook } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
console.log(new Webhook(secret).verify(body, headers).type);
