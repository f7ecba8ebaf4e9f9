// The deployment that is examined.

import type { Local } from "./local.js";

/** The deployment, and what is known of it. */
export interface Deployment {
  /** The origin, without a slash at the end. */
  url: string;
  /** An API key. */
  key: string | undefined;
  /** The folder with wrangler's configuration, if there is one. */
  local: Local | undefined;
  /** The simulator's origin. */
  simulator: string | undefined;
  /** Whether a test event may be sent to the app's back end. */
  sendsTestEvent: boolean;
  /** The version of this program. */
  version: string;
  /** How long one request, and the delivery of a test event, may take, in milliseconds. */
  patience: number;
  /** The time in milliseconds. */
  now: () => number;
}

/** The Worker's calls to Wix take at most 15 s, and so may the app's back end. */
export const PATIENCE = 20_000;

/** A count with its noun. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
