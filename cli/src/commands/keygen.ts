// `wix-edge keygen`: random keys, and how to add one to a list without losing another: Cloudflare does not show a secret
// again, and `wrangler secret put` replaces the whole value.

import { randomBytes } from "node:crypto";

import type { Command } from "commander";

import { apiKey, eventsSecret, sealingKey } from "../keys.js";

/** Adds the command. */
export function keygen(program: Command): void {
  const command = program.command("keygen").description("Make a key and print its configuration entry.");
  command
    .command("api-key")
    .description("a key for a program that calls the app API, and its entry for API_KEYS")
    .option("--name <name>", "the key's name in the Worker's log: 1 to 64 letters, digits, -, _ or .", newName())
    .option("--scopes <scopes>", "some of token, instances, events, proxy and admin, joined by +", "token+instances+events+proxy")
    .action(({ name, scopes }: { name: string; scopes: string }) => console.log(apiKeyText(name, scopes)));
  command
    .command("sealing-key")
    .description("an entry for SEALING_KEYS, with which the Worker seals refresh tokens before it stores them")
    .action(() => console.log(sealingKeyText(sealingKey())));
  command
    .command("events-secret")
    .description("a secret for EVENTS_SECRETS, with which the Worker signs what it sends to the app's back end")
    .action(() => console.log(eventsSecretText(eventsSecret())));
}

/** A new name for an API key: the day, and random digits that tell keys of the same day apart. */
function newName(): string {
  return `backend-${new Date().toISOString().slice(0, 10)}-${randomBytes(2).toString("hex")}`;
}

function apiKeyText(name: string, scopes: string): string {
  const { secret, entry } = apiKey(name, scopes);
  return `API key "${name}". The client sends it as \`Authorization: Bearer <key>\`. It is shown only now:

  ${secret}

Its entry for API_KEYS, which holds a hash and not the key:

  ${entry}

Cloudflare never shows a secret again, and \`wrangler secret put\` REPLACES the whole value. So keep the whole
list, such as in a password manager, and always enter the whole list.

If API_KEYS is not set yet, the list is the entry above: keep it, and enter it at

  npx wrangler secret put API_KEYS

If it is set, take the list that you keep, <the old list>:

  1. Add the new entry behind the others, and keep the result:

       <the old list>,${entry}

     Its name must differ from all others: by the name, the field \`client\` of the Worker's log tells which key
     is used.
  2. Enter the whole list:

       npx wrangler secret put API_KEYS

To replace an old key, continue when the new list is live everywhere, after some minutes:

  3. Move the client over to the new key.
  4. When the log no longer shows the old key's name, remove the old entry from the list, keep the result, and
     enter the whole list again:

       npx wrangler secret put API_KEYS

If you do not have the list any more: the list that you enter locks out every client whose entry is not in it.
Generate a new key for each client first.`;
}

function sealingKeyText(entry: string): string {
  return `An entry for SEALING_KEYS. It is shown only now:

  ${entry}

Only the key that sealed a token can open it. Cloudflare never shows a secret again, and
\`wrangler secret put\` REPLACES the whole value. So keep the whole list, such as in a password manager, and always
enter the whole list.

If SEALING_KEYS is not set yet, the list is the entry above: keep it, and enter it at

  npx wrangler secret put SEALING_KEYS

If it is set, take the list that you keep, <the old list>. Its first entry seals, all entries open:

  1. APPEND the new entry behind the old ones, keep the result, and enter the whole list:

       <the old list>,${entry}

       npx wrangler secret put SEALING_KEYS

  2. Wait until the list is live everywhere; ten minutes are enough. Until then some of Cloudflare's machines do
     not have the new key and could not open tokens that others seal with it.
  3. Move the new entry to the front, so that it is there once and the old ones follow it, keep the result, and
     enter the whole list:

       ${entry},<the old list>

       npx wrangler secret put SEALING_KEYS

  4. Keep the old entries in the list: they open the refresh tokens that they sealed.

If you do not have the list any more, leave SEALING_KEYS as it is: the Worker continues with it. If you entered only
this entry, every refresh token would be lost, and those installations would continue by client credentials.`;
}

function eventsSecretText(secret: string): string {
  return `A secret for EVENTS_SECRETS, in the form of the Standard Webhooks specification:

  ${secret}

Give it to your back end, which verifies events with it. If EVENTS_SECRETS is not set yet, enter it at

  npx wrangler secret put EVENTS_SECRETS

To replace an old secret, <old>, without a failed verification, enter both, joined by a comma: every one signs.

  ${secret},<old>

When your back end verifies with the new secret, enter that alone.`;
}
