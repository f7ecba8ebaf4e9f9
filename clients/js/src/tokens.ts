import type { Token } from "./types.js";

/** What is left of a token's life when it is no longer given out. The Worker's own margin is a minute or more. */
const MARGIN_MILLIS = 30_000;
/** How long no new token is made where one changed nothing: Wix also says 401 where a permission is missing. */
const DID_NOT_HELP_MILLIS = 60_000;
/** Of how many installations something is kept. A token takes one to a few kilobytes. */
const MOST = 10_000;

/** What is kept of an installation. */
interface Entry {
  token?: Token;
  /** The token before that one: calls may still be under way with it. */
  former?: string;
  /** Until when no new token is made, in Unix milliseconds: one was refused as well (a negative cache). */
  refreshDidNotHelpUntil?: number;
}

interface Flight {
  force: boolean;
  token: Promise<Token>;
}

/** The access tokens of some installations: kept while they are good, each asked for once however many want it. */
export class Tokens {
  readonly #ask: (id: string, force: boolean) => Promise<Token>;
  /** The one that was used longest ago comes first. */
  readonly #entries = new Map<string, Entry>();
  readonly #flights = new Map<string, Flight>();

  constructor(ask: (id: string, force: boolean) => Promise<Token>) {
    this.#ask = ask;
  }

  /** Of how many installations something is kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** The token that is kept, good or not. */
  kept(id: string): string | undefined {
    return this.#entries.get(id)?.token?.access_token;
  }

  /** Whether a token came from here. */
  isOf(id: string, token: string): boolean {
    const entry = this.#entries.get(id);
    return token === entry?.token?.access_token || token === entry?.former;
  }

  /** A token with life left. */
  async get(id: string): Promise<string> {
    const entry = this.#entries.get(id);
    if (entry?.token && expiry(entry.token) - Date.now() > MARGIN_MILLIS) {
      this.#keep(id, entry);
      return entry.token.access_token;
    }
    return (await this.#fly(id, false)).access_token;
  }

  /** Another token than the one that Wix does not take; nothing where that would change nothing. */
  async insteadOf(id: string, refused: string): Promise<string | undefined> {
    if ((this.#entries.get(id)?.refreshDidNotHelpUntil ?? 0) > Date.now()) return undefined;
    const kept = this.kept(id);
    if (kept !== undefined && kept !== refused) return kept;
    return (await this.#fly(id, true)).access_token;
  }

  /** A new token was refused as well. */
  refreshDidNotHelp(id: string): void {
    this.#keep(id, { ...this.#entries.get(id), refreshDidNotHelpUntil: Date.now() + DID_NOT_HELP_MILLIS });
  }

  /** Marks an entry as the most recently used, and drops expired and surplus entries, the least recently used first. */
  #keep(id: string, entry: Entry): void {
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    for (const [oldest, { token, refreshDidNotHelpUntil = 0 }] of this.#entries) {
      const until = Math.max(token ? expiry(token) : 0, refreshDidNotHelpUntil);
      if (oldest === id || (this.#entries.size <= MOST && until > Date.now())) break;
      this.#entries.delete(oldest);
    }
  }

  #fly(id: string, force: boolean): Promise<Token> {
    const flying = this.#flights.get(id);
    if (flying && (flying.force || !force)) return flying.token;
    const token = this.#ask(id, force).then(
      (token) => {
        if (this.#flights.get(id) === flight) this.#flights.delete(id);
        const { token: before, ...entry } = this.#entries.get(id) ?? {};
        if (before !== undefined && before.access_token !== token.access_token) entry.former = before.access_token;
        this.#keep(id, { ...entry, token });
        return token;
      },
      (error: unknown) => {
        if (this.#flights.get(id) === flight) this.#flights.delete(id);
        throw error;
      },
    );
    const flight: Flight = { force, token };
    this.#flights.set(id, flight);
    return token;
  }
}

/** When a token ends, in Unix milliseconds. */
function expiry(token: Token): number {
  return token.expires_at * 1000;
}
