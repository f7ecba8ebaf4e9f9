// The values of the app: from options, from the environment, from `wrangler.jsonc`, or asked for in the terminal.

import { readFileSync } from "node:fs";

import { isCancel, multiline, password, text } from "@clack/prompts";

import type { Environment } from "../config.js";
import { UserError } from "../error.js";
import { appId, appSecret, eventsUrl, publicKeys } from "../shapes.js";

/** The options of `wix-edge setup`. */
export interface Options {
  env?: string;
  dryRun?: boolean;
  yes?: boolean;
  appId?: string;
  publicKeyFile?: string;
  secretFile?: string;
  secretStdin?: boolean;
  eventsUrl?: string;
  account?: string;
  url?: string;
  wait: number;
}

/** The vars that `setup` sets. */
export interface Vars {
  WIX_APP_ID: string;
  WIX_PUBLIC_KEYS: string;
  EVENTS_URL?: string;
}

const APP = "https://dev.wix.com/apps";
const KEY = `Public key (${APP}, your app, Develop, Webhooks, Get Public Key). Paste all of it, then press Enter twice`;

/** Whether a person can answer questions. */
export function isAttended({ yes = false }: Options): boolean {
  return !yes && Boolean(process.stdin.isTTY && process.stdout.isTTY) && !process.env.CI;
}

/** The user left a question. */
export function cancelled(): UserError {
  return new UserError("cancelled. Run the command again: it continues where it stopped.");
}

/** The app's id and public keys, and the target for events. Asks for what is missing. */
export async function varsOf(options: Options, { vars = {} }: Environment, isFirst: boolean): Promise<Vars> {
  const attended = isAttended(options);
  const file = options.publicKeyFile === undefined ? undefined : read(options.publicKeyFile, "the public key");
  const result: Vars = {
    WIX_APP_ID: await valueOf({
      given: options.appId ?? process.env.WIX_APP_ID,
      present: vars.WIX_APP_ID,
      parse: appId,
      option: "--app-id or WIX_APP_ID",
      prompt: attended && ((validate) => text({ message: `App ID (${APP}, your app, Develop, OAuth)`, validate })),
    }),
    WIX_PUBLIC_KEYS: await valueOf({
      given: file ?? process.env.WIX_PUBLIC_KEYS,
      present: vars.WIX_PUBLIC_KEYS,
      parse: publicKeys,
      option: "--public-key-file or WIX_PUBLIC_KEYS",
      prompt: attended && ((validate) => multiline({ message: KEY, validate })),
    }),
  };
  const url = options.eventsUrl ?? process.env.EVENTS_URL;
  if (url !== undefined) {
    result.EVENTS_URL = eventsUrl(url);
  } else if (attended && isFirst && !vars.EVENTS_URL) {
    const message = "Your back end's https address for events (leave it empty for none)";
    result.EVENTS_URL = await ask(eventsUrl, (validate) => text({ message, validate, defaultValue: "" }));
  }
  return result;
}

interface Value {
  given: string | undefined;
  present: string | undefined;
  parse: (entered: string) => string;
  option: string;
  prompt: false | ((validate: Validate) => Promise<Answer>);
}

/** A value that is given, or that `wrangler.jsonc` has, as it is there, or the answer. */
async function valueOf({ given, present = "", parse, option, prompt }: Value): Promise<string> {
  if (given !== undefined && given !== "") {
    const value = parse(given);
    return present !== "" && value === parsedOr(present, parse) ? present : value;
  }
  if (present !== "") return parse(present) && present;
  if (prompt) return ask(parse, prompt);
  throw new UserError(`a value is missing: give it with ${option}`);
}

function parsedOr(text: string, parse: (entered: string) => string): string | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** The app secret, if it is given. Asks for it if the Worker has none. */
export async function secretOf(options: Options, isStored: boolean): Promise<string | undefined> {
  const given = givenSecret(options);
  if (given !== undefined) return appSecret(given);
  if (isStored) return undefined;
  if (!isAttended(options)) {
    throw new UserError("the app secret is missing: give it with --secret-file, --secret-stdin or WIX_APP_SECRET");
  }
  return ask(appSecret, (validate) => password({ message: `App Secret Key (${APP}, your app, Develop, OAuth)`, validate }));
}

function givenSecret({ secretFile, secretStdin }: Options): string | undefined {
  if (secretFile !== undefined) return read(secretFile, "the app secret");
  return secretStdin === true ? readFileSync(0, "utf8") : process.env.WIX_APP_SECRET;
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new UserError(`the file with ${what} cannot be read: ${path}`);
  }
}

/** What a prompt returns: a text, or a symbol if the user cancelled. */
type Answer = Awaited<ReturnType<typeof text>>;
type Validate = (entered: string | undefined) => string | undefined;

/** Asks until the answer has the right form. */
async function ask<T>(parse: (entered: string) => T, prompt: (validate: Validate) => Promise<Answer>): Promise<T> {
  const validate: Validate = (entered) => {
    try {
      parse(entered ?? "");
    } catch (error) {
      if (error instanceof UserError) return error.message;
      throw error;
    }
    return undefined;
  };
  const answer = await prompt(validate);
  if (isCancel(answer)) throw cancelled();
  return parse(answer);
}
