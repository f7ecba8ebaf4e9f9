// JSON with comments, as wrangler reads it.

import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";

/** Reads an object. The error says in which line the text breaks off, and what is wrong there. */
export function parseObject(text: string): Record<string, unknown> {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first !== undefined) {
    const line = text.slice(0, first.offset).split("\n").length;
    throw new Error(`${words(printParseErrorCode(first.error))} in line ${line}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("it must be an object in braces");
  return value as Record<string, unknown>;
}

/** "CommaExpected" as "comma expected". */
function words(code: string): string {
  return code.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}
