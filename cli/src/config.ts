// The project's `wrangler.jsonc`. Edits keep its comments and its form.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { applyEdits, modify, type JSONPath } from "jsonc-parser";

import { UserError } from "./error.js";
import { parseObject } from "./jsonc.js";

/** The bindings of a Worker and its settings, as far as the commands read them. */
export interface Environment {
  name?: string;
  vars?: Record<string, string>;
  kv_namespaces?: { binding: string; id?: string }[];
  durable_objects?: { bindings: { name: string; class_name: string }[] };
  migrations?: Migration[];
  ratelimits?: { name: string; namespace_id: string; simple: { limit: number; period: number } }[];
  analytics_engine_datasets?: { binding: string; dataset?: string }[];
}

/** A migration of Durable Objects. */
export interface Migration {
  tag: string;
  new_sqlite_classes?: string[];
  new_classes?: string[];
  renamed_classes?: { from: string; to: string }[];
  deleted_classes?: string[];
}

/** A configuration of wrangler. */
export interface Config extends Environment {
  main?: string;
  account_id?: string;
  compatibility_date?: string;
  compatibility_flags?: string[];
  assets?: { directory: string; binding?: string } & Record<string, unknown>;
  triggers?: { crons: string[] };
  env?: Record<string, Environment>;
}

/** The name of the file. */
export const CONFIG = "wrangler.jsonc";

/** A `wrangler.jsonc` that can be edited. */
export class ConfigFile {
  private constructor(
    readonly path: string,
    private content: string,
  ) {}

  /** Reads the file of a folder. */
  static read(folder: string): ConfigFile {
    const path = join(folder, CONFIG);
    if (!existsSync(path)) {
      throw new UserError(`${folder} must have a ${CONFIG}. \`npx wix-edge init\` writes one.`);
    }
    const file = new ConfigFile(path, readFileSync(path, "utf8"));
    void file.config;
    return file;
  }

  /** The text, with comments. */
  get text(): string {
    return this.content;
  }

  /** The values. */
  get config(): Config {
    try {
      return parseObject(this.content);
    } catch (error) {
      throw new UserError(`${this.path} must be JSON with comments, and is not: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The settings of an environment; without a name, those at the top. */
  environment(name?: string): Environment | undefined {
    return name === undefined ? this.config : this.config.env?.[name];
  }

  /** The name of an environment's Worker. */
  worker(name?: string): string {
    const { config } = this;
    const own = this.environment(name)?.name;
    if (own) return own;
    if (!config.name) throw new UserError(`${this.path} must have a "name": that of the Worker`);
    return name === undefined ? config.name : `${config.name}-${name}`;
  }

  /** The ids of all counters of rate limits. */
  counters(): string[] {
    const { ratelimits = [], env = {} } = this.config;
    return [ratelimits, ...Object.values(env).map((other) => other.ratelimits ?? [])].flat().map((limit) => limit.namespace_id);
  }

  /** Sets a value, unless it is that already. */
  set(path: JSONPath, value: unknown): void {
    const edits = modify(this.content, path, value, { formattingOptions: { insertSpaces: true, tabSize: 2, eol: "\n" } });
    this.content = applyEdits(this.content, edits);
  }

  /** Sets a value of an environment. */
  setIn(name: string | undefined, path: JSONPath, value: unknown): void {
    this.set(name === undefined ? path : ["env", name, ...path], value);
  }

  /** Writes the file, if it has changed. Returns whether it has. */
  save(): boolean {
    if (readFileSync(this.path, "utf8") === this.content) return false;
    writeFileSync(this.path, this.content);
    return true;
  }
}

/** Refuses a name that wrangler does not take for an environment. */
export function environmentName(text: string): string {
  if (!/^[a-z\d][a-z\d-]{0,31}$/.test(text)) {
    throw new UserError("an environment's name must be 1 to 32 lower-case letters, digits or -");
  }
  return text;
}
