import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandError, EXIT } from "../../core/command-error.ts";
import { connectionReason } from "../../core/errors.ts";
import { printable } from "../../core/text/clean-text.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { makeFolder, writing } from "./files.ts";

/* The API of the old system, which is only read. */

const REPLY_LIMIT_MS = 30_000;
const MAX_BYTES = 64 * 2 ** 20;
const MAX_ALL_BYTES = 2 ** 30;
const MAX_TRIES = 5;
const LONGEST_WAIT_MS = 120_000;

export interface HttpSourceOptions {
  /** Paths are below it. */
  readonly base: string;
  /** Sent to the origin of `base` only, such as `{ authorization: "GenieKey …" }`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Answers are written into this folder, without secrets. */
  readonly record?: string | undefined;
  /** Answers are read from this folder, and no request is made. */
  readonly recording?: string | undefined;
  /** Members of answers whose values are secrets: a recording has other values in their place. */
  readonly secretMembers?: RegExp;
}

/** What an import by an API was asked for. */
export interface ApiImportOptions {
  /** Slug of the project of what belongs to no team. */
  readonly project: string;
  /** Names; null: all. */
  readonly teams: readonly string[] | null;
  /** Schedules are compared over this span from now on. */
  readonly untilMs: number;
  /** Schedules that are written though they differ. */
  readonly accept: readonly string[];
}

/** An answer; without a body the reader may not have it (403), or it is not there (404). */
export type SourceAnswer = { readonly body: unknown } | { readonly missing: 403 | 404 };

export class HttpSource {
  /** When the old system was read, in a recording when it was made. */
  readonly now: EpochMs;
  readonly #base: URL;
  readonly #options: HttpSourceOptions;
  readonly #key = randomBytes(16);
  #bytes = 0;

  /** @throws CommandError 1 for a folder that cannot be written, 2 for a URL that is none, or not https; 7 for a recording that cannot be read */
  constructor(options: HttpSourceOptions, now: EpochMs = Date.now()) {
    this.#options = options;
    const { record, recording } = options;
    const made = recording === undefined ? null : (readRecorded(recording, "import") as { at: number; base?: string });
    // A recording has the paths and pages of where it was made.
    this.#base = baseOf(made?.base ?? options.base);
    this.now = made?.at ?? now;
    if (record === undefined) return;
    writing(record, () => {
      makeFolder(record, 0o700);
      chmodSync(record, 0o700);
      writeRecorded(record, "import", { at: this.now, base: this.#base.href });
    });
  }

  /** @param path below the base, or a URL of the same origin, such as `next` of a page @throws CommandError 4, 5, 7 */
  async get(path: string): Promise<SourceAnswer> {
    const url = this.#urlOf(path);
    const { record, recording } = this.#options;
    const name = `${url.pathname}${url.search}`;
    if (recording !== undefined) return readRecorded(recording, name) as SourceAnswer;
    const answer = await this.#fetch(url);
    if (record !== undefined) writeRecorded(record, name, this.#withoutSecrets(answer));
    return answer;
  }

  #urlOf(path: string): URL {
    const below = /^https?:\/\//.test(path) ? path : `${this.#base.href.replace(/\/$/, "")}/${path.replace(/^\//, "")}`;
    const url = new URL(below);
    // The token is for this server only.
    if (url.origin !== this.#base.origin || url.username !== "")
      throw unreadable(`it names a page at another server: ${url.origin}`);
    return url;
  }

  async #fetch(url: URL): Promise<SourceAnswer> {
    for (let tries = 1; ; tries++) {
      const response = await this.#request(url);
      const { status } = response;
      if (status === 429 && tries < MAX_TRIES) {
        await response.body?.cancel();
        await sleep(waitOf(response.headers.get("retry-after"), tries));
        continue;
      }
      if (status === 403 || status === 404) {
        await response.body?.cancel();
        return { missing: status };
      }
      if (status === 200) return { body: await this.#json(response, url) };
      await response.body?.cancel();
      const where = printable(url.pathname);
      if (status === 401) throw new CommandError(EXIT.unauthorised, `${url.origin} refuses the token (${where})`);
      if (status === 429 || status >= 500)
        throw new CommandError(EXIT.unreachable, `${url.origin} answers ${status} (${where})`);
      throw unreadable(`${url.origin} answers ${status} (${where})`);
    }
  }

  async #request(url: URL): Promise<Response> {
    const { headers } = this.#options;
    try {
      return await fetch(url, {
        headers: { accept: "application/json", ...headers },
        // A redirect would take the token elsewhere.
        redirect: "manual",
        signal: AbortSignal.timeout(REPLY_LIMIT_MS),
      });
    } catch (error) {
      throw new CommandError(EXIT.unreachable, `${url.origin} cannot be reached: ${connectionReason(error)}`);
    }
  }

  async #json(response: Response, url: URL): Promise<unknown> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const part of response.body ?? []) {
        bytes += part.length;
        this.#bytes += part.length;
        if (bytes > MAX_BYTES || this.#bytes > MAX_ALL_BYTES)
          throw unreadable(`${printable(url.pathname)} is too large`);
        parts.push(part);
      }
    } catch (error) {
      if (error instanceof CommandError) throw error;
      throw new CommandError(EXIT.unreachable, `${url.origin} ended its answer: ${connectionReason(error)}`);
    }
    try {
      return JSON.parse(Buffer.concat(parts).toString("utf8"));
    } catch {
      throw unreadable(`${printable(url.pathname)} is not JSON: is --from-url right?`);
    }
  }

  /** @param isSecret it is below a secret member */
  #withoutSecrets(value: unknown, isSecret = false): unknown {
    if (typeof value === "string") return isSecret ? this.#hidden(value) : value;
    if (Array.isArray(value)) return value.map((each) => this.#withoutSecrets(each, isSecret));
    if (typeof value !== "object" || value === null) return value;
    const isBelow = (name: string) => isSecret || this.#options.secretMembers?.test(name) === true;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name, this.#withoutSecrets(each, isBelow(name))]),
    );
  }

  /** Another value of the same form; the same for the same secret. Of a URL the parts that may be secrets. */
  #hidden(text: string): string {
    const other = (part: string) =>
      createHmac("sha256", this.#key).update(part).digest("hex").repeat(2).slice(0, Math.min(part.length, 64));
    if (!/^https?:\/\//.test(text)) return other(text);
    return text
      .replace(/^(https?:\/\/)[^/@]*@/, "$1")
      .replace(/([?&][^=&#]*=)([^&#]+)/g, (_all, name: string, value: string) => `${name}${other(value)}`)
      .replace(/[A-Za-z0-9_-]{16,}/g, other);
  }
}

/** An exit for a source that is not as described. */
export function unreadable(message: string): CommandError {
  return new CommandError(EXIT.conflict, `The source cannot be read: ${message}`);
}

/** @throws CommandError 2 */
function baseOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) throw new CommandError(EXIT.usage, `--from-url: ${text} is no URL`);
  if (url.username !== "" || url.password !== "")
    throw new CommandError(EXIT.usage, "--from-url: give the token by PRISM_IMPORT_TOKEN or --from-token");
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isLoopback)
    throw new CommandError(EXIT.usage, `--from-url: ${url.origin} needs https, as it gets the token`);
  return url;
}

/** The wait of `Retry-After` (RFC 9110, 10.2.3), else a longer one each time. */
function waitOf(header: string | null, tries: number): number {
  const seconds = Number(header);
  const until = header === null ? Number.NaN : Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000;
  const wait = Number.isNaN(until) ? 1000 * 2 ** tries : until;
  return Math.min(Math.max(wait, 0), LONGEST_WAIT_MS);
}

function fileOf(folder: string, name: string): string {
  return join(folder, `${createHmac("sha256", "").update(name).digest("hex").slice(0, 24)}.json`);
}

function writeRecorded(folder: string, name: string, answer: unknown): void {
  const file = fileOf(folder, name);
  // A link would be written through.
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify({ name, answer }), { mode: 0o600, flag: "wx" });
}

function readRecorded(folder: string, name: string): unknown {
  const file = fileOf(folder, name);
  if (!existsSync(file)) throw unreadable(`the recording has no answer of ${printable(name)}`);
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { answer: unknown }).answer;
  } catch {
    throw unreadable(`${file} is no answer of a recording`);
  }
}
