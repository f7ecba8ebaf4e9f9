import type { Token } from "./types.js";

/** What is left of a token's life when it is no longer given out. The Worker's own margin is a minute or more. */
const MARGIN_MILLIS = 30_000;
/** How long no new token is made where one changed nothing: Wix also says 401 where a permission is missing. */
const IN_VAIN_MILLIS = 60_000;

interface Flight {
  force: boolean;
  token: Promise<Token>;
}

/** The access tokens of some installations: kept while they are good, each asked for once however many want it. */
export class Tokens {
  readonly #ask: (id: string, force: boolean) => Promise<Token>;
  readonly #kept = new Map<string, Token>();
  /** The tokens before those: calls may still be under way with them. */
  readonly #before = new Map<string, string>();
  readonly #flights = new Map<string, Flight>();
  readonly #inVain = new Map<string, number>();

  constructor(ask: (id: string, force: boolean) => Promise<Token>) {
    this.#ask = ask;
  }

  /** The token that is kept, good or not. */
  kept(id: string): string | undefined {
    return this.#kept.get(id)?.access_token;
  }

  /** Whether a token came from here. */
  isOf(id: string, token: string): boolean {
    return token === this.kept(id) || token === this.#before.get(id);
  }

  /** A token with life left. */
  async get(id: string): Promise<string> {
    const kept = this.#kept.get(id);
    if (kept && kept.expires_at * 1000 - Date.now() > MARGIN_MILLIS) return kept.access_token;
    return (await this.#fly(id, false)).access_token;
  }

  /** Another token than the one that Wix does not take; nothing where that would change nothing. */
  async insteadOf(id: string, refused: string): Promise<string | undefined> {
    if ((this.#inVain.get(id) ?? 0) > Date.now()) return undefined;
    const kept = this.kept(id);
    if (kept !== undefined && kept !== refused) return kept;
    return (await this.#fly(id, true)).access_token;
  }

  /** A new token was refused as well. */
  renewedInVain(id: string): void {
    this.#inVain.set(id, Date.now() + IN_VAIN_MILLIS);
  }

  #fly(id: string, force: boolean): Promise<Token> {
    const flying = this.#flights.get(id);
    if (flying && (flying.force || !force)) return flying.token;
    const token = this.#ask(id, force).then(
      (token) => {
        if (this.#flights.get(id) === flight) this.#flights.delete(id);
        const before = this.kept(id);
        if (before !== undefined && before !== token.access_token) this.#before.set(id, before);
        this.#kept.set(id, token);
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
