// Child processes that end with this process, with everything that they started: `wrangler dev` starts workerd, which
// survives when wrangler is killed.
//
// On Unix a child leads a process group of its own. A watcher in that group reads from a pipe that only this process holds
// open. At its end, also after a KILL of this process, the watcher ends the group and removes the child's folder. Windows
// has no such groups: there `taskkill` ends the tree, and a child survives if this process is terminated by force.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { UserError } from "./error.js";

/** The time between TERM and KILL, in seconds. */
const GRACE = 3;
/** How many lines a message quotes. */
const TAIL = 40;
/** How often a state without a notification is looked at, in milliseconds. */
const POLL = 50;

/** The watcher's first argument is the folder, or empty. `exec` makes the command the group's leader. */
const SCRIPT = `
folder=$1; shift
exec 3<&0 </dev/null
(
    trap '' TERM
    read -r _ <&3
    kill -s TERM -- "-$$"
    sleep ${GRACE}
    if [ -n "$folder" ]; then rm -rf -- "$folder"; fi
    kill -s KILL -- "-$$"
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;

/** What to start. */
export interface Program {
  /** Its name in messages. */
  name: string;
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** A folder of its own, which is removed where this process cannot do it. */
  folder?: string;
  /** Is called with each line of its output. */
  onLine?: (line: string) => void;
}

/** A running child process. */
export class Leash {
  readonly #program: Program;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  /** Resolves when the command has ended and its output is read. */
  readonly #closed: Promise<void>;
  #isOver = false;
  #end: string | undefined;

  constructor(program: Program) {
    this.#program = program;
    const { command, args, env = process.env, folder = "" } = program;
    const isWindows = process.platform === "win32";
    const words: [string, string[]] = isWindows ? [command, args] : ["sh", ["-c", SCRIPT, program.name, folder, command, ...args]];
    this.#child = spawn(...words, { env, detached: !isWindows, stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
    // The pipe breaks when the group ends.
    this.#child.stdin?.on("error", () => undefined);
    this.#child.on("error", (error) => { this.#end ??= `could not be started: ${error.message}`; });
    this.#child.on("exit", (code, signal) => {
      this.#end ??= signal === null ? `ended with status ${code}` : `was ended by ${signal}`;
    });
    this.#closed = new Promise((done) => {
      this.#child.on("close", () => done());
      this.#child.on("error", () => done());
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#follow(stream);
  }

  #follow(stream: Readable | null): void {
    if (stream === null) return;
    createInterface({ input: stream }).on("line", (line) => {
      this.#lines.push(line);
      if (this.#lines.length > 10 * TAIL) this.#lines.shift();
      this.#program.onLine?.(line);
    });
  }

  /** The command's process id, and on Unix its group's. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Fails with the last lines of output if the command has ended. */
  async checkRunning(): Promise<void> {
    if (this.#end === undefined) return;
    await Promise.race([this.#closed, sleep(5 * POLL)]);
    throw new UserError(`${this.#program.name} ${this.#end}${this.#quoted()}`);
  }

  /** Waits for a line with this text. */
  async line(text: string, seconds: number, signal: AbortSignal): Promise<void> {
    const until = Date.now() + seconds * 1000;
    while (!this.#lines.some((line) => line.includes(text))) {
      await this.checkRunning();
      signal.throwIfAborted();
      if (Date.now() > until) {
        throw new UserError(`${this.#program.name} was not ready after ${seconds} s${this.#quoted()}`);
      }
      await sleep(POLL);
    }
  }

  #quoted(): string {
    const lines = this.#lines.slice(-TAIL);
    return lines.length === 0 ? " without output" : `; its last lines:\n${lines.map((line) => `  | ${line}`).join("\n")}`;
  }

  /** Ends the command and everything that it started: TERM, and KILL after three seconds. */
  async end(): Promise<void> {
    if (this.#isOver || this.pid === undefined) return;
    this.#isOver = true;
    if (process.platform === "win32") {
      spawnSync("taskkill", ["/pid", String(this.pid), "/t", "/f"], { stdio: "ignore" });
    } else {
      signalGroup(this.pid, "SIGTERM");
      await Promise.race([this.#closed, sleep(GRACE * 1000)]);
      // The watcher is still in the group, so that no other group has its id.
      signalGroup(this.pid, "SIGKILL");
    }
    await this.#closed;
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The group has ended.
  }
}
