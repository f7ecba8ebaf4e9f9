import type { Token } from "./types.js";

/** A token that expires within this time is not returned. The Worker's own margin is a minute or more. */
const MARGIN_MILLIS = 30_000;
/** No new token is requested for this time after one did not end a 401: a missing permission is a 401 too. */
const DID_NOT_HELP_MILLIS = 60_000;
/** The most installations in the cache. A token takes one to a few kilobytes. */
const MAX_ENTRIES = 10_000;

/** The cache entry of an installation. */
interface Entry {
  token?: Token;
  /** The previous token: some calls may still be using it. */
  former?: string;
  /** No new token is requested before this time, in Unix milliseconds (a negative cache). */
  refreshDidNotHelpUntil?: number;
}

interface Flight {
  force: boolean;
  token: Promise<Token>;
}

/** A cache of access tokens by installation. Concurrent callers share one request (single flight). */
export class Tokens {
  readonly #request: (id: string, force: boolean) => Promise<Token>;
  /** In the order of use: the least recently used entry is first. */
  readonly #entries = new Map<string, Entry>();
  readonly #flights = new Map<string, Flight>();

  constructor(request: (id: string, force: boolean) => Promise<Token>) {
    this.#request = request;
  }

  /** The number of installations in the cache. */
  get size(): number {
    return this.#entries.size;
  }

  /** The token in the cache, expired or not. */
  cached(id: string): string | undefined {
    return this.#entries.get(id)?.token?.access_token;
  }

  /** Whether a token came from this cache. */
  isOf(id: string, token: string): boolean {
    const entry = this.#entries.get(id);
    return token === entry?.token?.access_token || token === entry?.former;
  }

  /** Returns a token that does not expire soon. */
  async get(id: string): Promise<string> {
    const entry = this.#entries.get(id);
    if (entry?.token && expiry(entry.token) - Date.now() > MARGIN_MILLIS) {
      this.#store(id, entry);
      return entry.token.access_token;
    }
    return (await this.#share(id, false)).access_token;
  }

  /** Returns a token in place of one that Wix refused; undefined if a new one was refused as well a moment ago. */
  async replacementFor(id: string, refused: string): Promise<string | undefined> {
    if ((this.#entries.get(id)?.refreshDidNotHelpUntil ?? 0) > Date.now()) return undefined;
    const cached = this.cached(id);
    if (cached !== undefined && cached !== refused) return cached;
    return (await this.#share(id, true)).access_token;
  }

  /** Notes that Wix refused a new token as well. */
  refreshDidNotHelp(id: string): void {
    this.#store(id, { ...this.#entries.get(id), refreshDidNotHelpUntil: Date.now() + DID_NOT_HELP_MILLIS });
  }

  /** Marks an entry as the most recently used, and drops expired and surplus entries, the least recently used first. */
  #store(id: string, entry: Entry): void {
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    for (const [oldest, { token, refreshDidNotHelpUntil = 0 }] of this.#entries) {
      const until = Math.max(token ? expiry(token) : 0, refreshDidNotHelpUntil);
      if (oldest === id || (this.#entries.size <= MAX_ENTRIES && until > Date.now())) break;
      this.#entries.delete(oldest);
    }
  }

  /** Requests a token, or waits for a request that is under way. A forced request does not wait for an ordinary one. */
  #share(id: string, force: boolean): Promise<Token> {
    const shared = this.#flights.get(id);
    if (shared && (shared.force || !force)) return shared.token;
    const token = this.#request(id, force).then(
      (token) => {
        if (this.#flights.get(id) === flight) this.#flights.delete(id);
        const { token: before, ...entry } = this.#entries.get(id) ?? {};
        if (before !== undefined && before.access_token !== token.access_token) entry.former = before.access_token;
        this.#store(id, { ...entry, token });
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

/** The expiry of a token, in Unix milliseconds. */
function expiry(token: Token): number {
  return token.expires_at * 1000;
}
