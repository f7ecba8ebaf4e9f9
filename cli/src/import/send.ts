// The requests of an import: a batch is sent until each of its lines is done.

import { setTimeout as sleep } from "node:timers/promises";

import { UserError } from "../error.js";
import { isLoopback } from "../shapes.js";
import type { Line } from "./file.js";

/** How often a batch is sent without any progress. */
const ATTEMPTS = 8;
/** The longest pause between attempts, in milliseconds. */
const LONGEST_PAUSE = 60_000;
/** Longer than the Worker waits for Wix for all lines of a request, in milliseconds. */
const TIMEOUT = 300_000;

/** The answer to a line (docs/api.md). */
export interface Answer {
  /** The number of the line in the request, from 1. */
  line: number;
  outcome: string;
  instance_id?: string;
  /** What is wrong with the line. */
  problem?: string;
}

/** The Worker. */
export interface Target {
  url: string;
  key: string;
  /** The first pause between attempts, in milliseconds. */
  pause: number;
}

/** The address of the route. */
export function importUrl(url: string): string {
  const { protocol = "" } = URL.canParse(url) ? new URL(url) : {};
  if (protocol !== "https:" && !(protocol === "http:" && isLoopback(new URL(url)))) throw new UserError("--url must begin with https://");
  return `${url.replace(/\/+$/, "")}/v1/import`;
}

/** Sends lines until none is failed. Returns an answer for each. */
export async function send(target: Target, lines: Line[]): Promise<Answer[]> {
  const answers = new Map<Line, Answer>();
  let attempts = 0;
  let pause = target.pause;
  for (;;) {
    const left = lines.filter((line) => !answers.has(line));
    const [first] = left;
    if (first === undefined) return lines.flatMap((line) => answers.get(line) ?? []);
    const before = answers.size;
    const { received, cause } = await request(target, left);
    for (const answer of received.filter(({ outcome }) => outcome !== "failed")) {
      const line = left[answer.line - 1];
      if (line === undefined) throw new UserError(`${target.url} must be answered by wix-edge: the answer is to a line that was not sent`);
      answers.set(line, answer);
    }
    if (answers.size > before) {
      attempts = 0;
      pause = target.pause;
      continue;
    }
    attempts += 1;
    if (attempts >= ATTEMPTS) {
      throw new UserError(`${cause}. Line ${first.number} and others are not imported; the same command continues there`);
    }
    await sleep(pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

/** The answers that arrived, and why others are missing. Throws if no attempt can succeed. */
async function request({ url, key }: Target, lines: Line[]): Promise<{ received: Answer[]; cause: string }> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/x-ndjson" },
      body: Buffer.concat(lines.flatMap(({ bytes }) => [bytes, Buffer.from("\n")])),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT),
    });
  } catch (error) {
    const { cause, name } = error as Error & { cause?: { code?: string } };
    return { received: [], cause: `${url} does not answer (${cause?.code ?? name})` };
  }
  const { status } = response;
  if (status === 401) throw new UserError("the Worker does not know the API key: add its entry to API_KEYS (`npx wix-edge keygen api-key --scopes admin`)");
  if (status === 403) throw new UserError("the API key must have the scope admin, and the address must begin with https://");
  if (status === 429 || status >= 500) return { received: [], cause: `${url} answered ${status}` };
  if (status !== 200) throw new UserError(`${url} answered ${status}: --url must be the address of a Worker of this version`);
  const cause = "the Worker, its store or Wix failed: the Worker's log tells the cause";
  return { received: parsed(await whole(response)), cause };
}

/** The body, or what arrived of it: a response that breaks off has the answers of the lines that are done. */
async function whole(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
  } catch {
    // The last line may be incomplete.
  }
  return text;
}

function parsed(text: string): Answer[] {
  const answers: Answer[] = [];
  for (const line of text.split("\n")) {
    try {
      answers.push(JSON.parse(line) as Answer);
    } catch {
      break;
    }
  }
  return answers;
}
