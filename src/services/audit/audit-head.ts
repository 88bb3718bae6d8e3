import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Logger } from "../../base/log.ts";
import { GENESIS_HASH } from "../../store/audit-chain.ts";
import type { AuditHead } from "./audit-log.ts";

const NOTE_EVERY_MS = 3_600_000;
const EMPTY_TRAIL: AuditHead = { seq: 0, hash: GENESIS_HASH };

/** The head of the chain as it was noted last, outside the database; null when none was, or what stands there is not one. */
export async function readAuditHead(dataDir: string): Promise<AuditHead | null> {
  const text = await readFile(fileOf(dataDir), "utf8").catch(() => "");
  return parseAuditHead(text.trim());
}

/** Reads `seq:hash`. */
export function parseAuditHead(text: string): AuditHead | null {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  return match ? { seq: Number(match[1]), hash: match[2] as string } : null;
}

/**
 * Notes the head of the audit chain where a change of the database does not reach it: in the log and in `<dataDir>/audit.head`, at start,
 * hourly and at the stop (contract 12.9). A head that the log contradicts is kept, as evidence, until somebody removes the file.
 */
export class AuditHeadKeeper {
  readonly #dataDir: string;
  readonly #log: Logger;
  readonly #last;
  readonly #at;
  #timer: NodeJS.Timeout | null = null;

  constructor(reader: Sqlite, dataDir: string, log: Logger) {
    this.#dataDir = dataDir;
    this.#log = log;
    this.#last = reader.prepare<[], AuditHead>("select seq, hash from audit_log order by seq desc limit 1");
    this.#at = reader.prepare<[number], AuditHead>("select seq, hash from audit_log where seq = ?");
  }

  async start(): Promise<void> {
    await this.#note();
    this.#timer = setInterval(() => void this.#note(), NOTE_EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.#note();
  }

  async #note(): Promise<void> {
    // An empty trail is noted too: a head that is missing beside a trail means that it was removed.
    const head = this.#last.get() ?? EMPTY_TRAIL;
    const noted = await readAuditHead(this.#dataDir);
    if (noted && noted.seq > 0 && this.#at.get(noted.seq)?.hash !== noted.hash) {
      this.#log.error({ noted, head }, "the audit log does not hold the head that audit.head names; run prism doctor");
      return;
    }
    this.#log.info({ ...head }, "head of the audit chain");
    const file = fileOf(this.#dataDir);
    try {
      // On disk before it takes the place of the old one: a power cut must not leave it empty.
      await writeFile(`${file}.new`, `${head.seq}:${head.hash}\n`, { mode: 0o600, flush: true });
      await rename(`${file}.new`, file);
    } catch (error) {
      this.#log.warn({ err: error }, "audit.head cannot be written");
    }
  }
}

function fileOf(dataDir: string): string {
  return join(dataDir, "audit.head");
}
