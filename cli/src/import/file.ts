// The files of an import: the installations, how far they are imported, and the rejected lines.

import { createHash } from "node:crypto";
import { createReadStream, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";

import { UserError } from "../error.js";
import type { Answer } from "./send.js";

/** How many bytes a batch may have. One longer line is a batch of its own. */
const BATCH_BYTES = 1024 * 1024;
const LINE_FEED = 10;
const BYTE_ORDER_MARK = "\ufeff";

/** One line of the file. */
export interface Line {
  /** Its number, from 1. */
  number: number;
  /** Its bytes, without the line feed. They may contain a refresh token. */
  bytes: Buffer;
}

/** A hash of a file's content, and the number of its lines. */
export async function examine(path: string): Promise<{ hash: string; lines: number }> {
  const hash = createHash("sha256");
  let lines = 0;
  let last = LINE_FEED;
  for await (const chunk of read(path)) {
    hash.update(chunk);
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) lines += 1;
    last = chunk.at(-1) ?? last;
  }
  return { hash: hash.digest("hex"), lines: last === LINE_FEED ? lines : lines + 1 };
}

/** The lines behind those that are done, in batches. A batch has no blank lines; `end` is the number of the last line read. */
export async function* batches(path: string, done: number, most: number): AsyncGenerator<{ batch: Line[]; end: number }> {
  let batch: Line[] = [];
  let size = 0;
  for await (const line of linesOf(path)) {
    if (line.number <= done || isBlank(line.bytes)) continue;
    batch.push(line);
    size += line.bytes.length;
    if (batch.length < most && size < BATCH_BYTES) continue;
    yield { batch, end: line.number };
    batch = [];
    size = 0;
  }
  const last = batch.at(-1);
  if (last !== undefined) yield { batch, end: last.number };
}

async function* linesOf(path: string): AsyncGenerator<Line> {
  let number = 0;
  let begun: Buffer[] = [];
  for await (const chunk of read(path)) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      number += 1;
      yield { number, bytes: Buffer.concat([...begun, chunk.subarray(from, at)]) };
      begun = [];
      from = at + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield { number: number + 1, bytes: Buffer.concat(begun) };
}

function isBlank(bytes: Buffer): boolean {
  // Most lines are not, and a line may be long.
  return bytes.length < 1024 && bytes.toString("utf8").replace(BYTE_ORDER_MARK, "").trim() === "";
}

async function* read(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new UserError(`${path} could not be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** What the file of progress holds. */
interface Noted {
  hash: string;
  /** The number of lines that are done. */
  lines: number;
  imported: number;
  known: number;
  refused: number;
  invalid: number;
  /** How long the file of rejected lines is. */
  rejected_bytes: number;
}

/** How far a file is imported. */
export class Progress {
  readonly #path: string;
  /** The file of rejected lines. */
  readonly rejected: string;
  readonly noted: Noted;

  /** Reads the progress of an earlier run, if it was interrupted. */
  constructor(file: string, hash: string) {
    this.#path = `${file}.progress`;
    this.rejected = `${file}.rejected`;
    this.noted = noted(this.#path) ?? { hash, lines: 0, imported: 0, known: 0, refused: 0, invalid: 0, rejected_bytes: 0 };
    if (this.noted.hash !== hash) {
      throw new UserError(`the file has changed since the import was interrupted; delete ${this.#path} to begin anew`);
    }
    // Of an earlier import.
    if (this.noted.rejected_bytes === 0) rmSync(this.rejected, { force: true });
  }

  /** Notes the answers of a batch, and the number of the last line that is done. */
  add(batch: Line[], answers: Answer[], end: number): void {
    let text = "";
    answers.forEach(({ outcome, instance_id, problem }, at) => {
      if (outcome === "imported" || outcome === "known") {
        this.noted[outcome] += 1;
        return;
      }
      this.noted[outcome === "refused" ? "refused" : "invalid"] += 1;
      text += `${JSON.stringify({ line: batch[at]?.number, instance_id, outcome, problem })}\n`;
    });
    if (text !== "") {
      // An interrupted run may have written more than it noted.
      if (this.noted.rejected_bytes > 0) truncateSync(this.rejected, this.noted.rejected_bytes);
      writeFileSync(this.rejected, text, { flag: this.noted.rejected_bytes > 0 ? "a" : "w" });
      this.noted.rejected_bytes += Buffer.byteLength(text);
    }
    this.noted.lines = end;
    writeFileSync(`${this.#path}.new`, JSON.stringify(this.noted));
    renameSync(`${this.#path}.new`, this.#path);
  }

  /** The import is complete. */
  finish(): void {
    rmSync(this.#path, { force: true });
  }
}

function noted(path: string): Noted | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const read = JSON.parse(text) as Partial<Noted>;
    if (typeof read.hash === "string" && typeof read.lines === "number") return read as Noted;
  } catch {
    // Not written by this command.
  }
  throw new UserError(`${path} must be as this command wrote it; delete it to begin anew`);
}
