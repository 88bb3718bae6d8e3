import { timingSafeEqual } from "node:crypto";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { hmac } from "../../../core/crypto/hmac.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { syncDir, syncDirLater } from "../../../core/data-dir.ts";
import { periodic } from "../../../core/time/periodic.ts";
import type { Uses } from "../../../module/feature.ts";
import { GENESIS_HASH } from "../../../store/commit/audit-chain.ts";
import { AUDIT_KEY_SETTING, isHeadRequired, loadAuditKey, markedAuditKey } from "../../../store/sealed-settings.ts";
import { readSetting } from "../../../store/setting-rows.ts";
import type { AuditHead } from "./audit-log.ts";

/** A head from a file or log line; `mac` is null in the log and in earlier versions' format. */
export interface NotedHead extends AuditHead {
  readonly mac: string | null;
}

/** Data to verify a recorded head. */
interface HeadFacts {
  readonly key: Uint8Array;
  /** A signed head was written for this database. */
  readonly isRequired: boolean;
  /** The hash of the row with this number, or undefined. */
  hashAt(seq: number): string | undefined;
}

/** The last head recorded outside the database; null for none, or for a damaged file. */
export async function readAuditHead(dataDir: string): Promise<NotedHead | null> {
  const text = await readFile(auditHeadFile(dataDir), "utf8").catch(() => "");
  return parseAuditHead(text.trim());
}

/** Parses `seq:hash`, with or without the `:mac` of the file. */
export function parseAuditHead(text: string): NotedHead | null {
  const match = /^(\d{1,15}):([0-9a-f]{64})(?::([0-9a-f]{64}))?$/.exec(text);
  return match ? { seq: Number(match[1]), hash: match[2] as string, mac: match[3] ?? null } : null;
}

/** The line of `audit.head`: `seq:hash:mac`, signed with the audit key. */
export function auditHeadLine(key: Uint8Array, head: AuditHead): string {
  return `${head.seq}:${head.hash}:${macOf(key, head).toString("hex")}\n`;
}

/** The problem with a recorded head, for an operator; null for none. */
export function auditHeadProblem(noted: NotedHead | null, { key, isRequired, hashAt }: HeadFacts): string | null {
  if (noted === null) return isRequired ? "audit.head is missing or damaged, though a server has written it" : null;
  if (noted.mac === null ? isRequired : !timingSafeEqual(Buffer.from(noted.mac, "hex"), macOf(key, noted)))
    return "audit.head was not written by a server with the key of this database";
  if (noted.seq > 0 && hashAt(noted.seq) !== noted.hash)
    return `the audit trail lacks row ${noted.seq} as audit.head names it: the last rows are gone, or were changed`;
  return null;
}

function auditHeadFile(dataDir: string): string {
  return join(dataDir, "audit.head");
}

/** The label separates it from the hashes of rows, which use the same key. */
function macOf(key: Uint8Array, { seq, hash }: AuditHead): Buffer {
  return hmac("sha256", key).update(`audit.head\n${seq}:${hash}`).digest();
}

const LAST_SQL = "select seq, hash from audit_log order by seq desc limit 1";

/**
 * Notes the head of a database that comes from elsewhere and has none, such as that of a node that never led:
 * a missing file would look like tampering. @throws UnsealError
 */
export function noteFirstHead(connection: Sqlite, dataDir: string, box: SealedBox): void {
  const file = auditHeadFile(dataDir);
  if (existsSync(file)) return;
  const head = connection.prepare<[], AuditHead>(LAST_SQL).get() ?? EMPTY_TRAIL;
  // As below: after a power failure there is a complete file, or none.
  writeFileSync(`${file}.new`, auditHeadLine(loadAuditKey(connection, box), head), { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  syncDir(dataDir);
}

const NOTE_EVERY_MS = 3_600_000;
const EMPTY_TRAIL: AuditHead = { seq: 0, hash: GENESIS_HASH };

type AuditHeadParts = Uses<"db" | "reader" | "box" | "auditKey" | "audit" | "config" | "log">;

/**
 * Records the head of the audit chain outside the database: in the log and, signed, in
 * `<dataDir>/audit.head`, at start, hourly and at stop. A missing, unsigned or contradicted file is
 * kept as evidence until a start accepts it.
 */
export class AuditHeadKeeper {
  readonly #parts: AuditHeadParts;
  readonly #last;
  readonly #at;
  #warning: string | null = null;
  readonly #notes = periodic({ everyMs: NOTE_EVERY_MS, work: () => this.#note(), atStop: true });

  constructor(parts: AuditHeadParts) {
    this.#parts = parts;
    this.#last = parts.reader.prepare<[], AuditHead>(LAST_SQL);
    this.#at = parts.reader.prepare<[number], AuditHead>("select seq, hash from audit_log where seq = ?");
  }

  /** The problem found last; null for none. */
  get warning(): string | null {
    return this.#warning;
  }

  /** @param isAccepted an operator accepts the trail: its problem is recorded, its head written. */
  async start(isAccepted: boolean): Promise<void> {
    if (isAccepted) await this.#accept();
    await this.#notes.run();
    this.#notes.start();
  }

  /** Notes what has been added since `seq`; and a head where there is none yet. */
  async noteSince(seq: number): Promise<void> {
    const isNoted = this.#head().seq === seq && (await readAuditHead(this.#parts.config.dataDir)) !== null;
    if (!isNoted) await this.#notes.run();
  }

  /** The offset of the last row of the trail. */
  get lastSeq(): number {
    return this.#head().seq;
  }

  stop(): Promise<void> {
    return this.#notes.stop();
  }

  /** Compares the file with the trail. @returns the difference, for an operator; null for none */
  async problem(): Promise<string | null> {
    const { config, reader, box, auditKey } = this.#parts;
    const { dataDir } = config;
    // In a cluster the trail comes from the log, and a node that leads for the first time has no file.
    const isRequired = config.cluster.servers.length === 0 && isHeadRequired(reader, box);
    const noted = await readAuditHead(dataDir);
    return auditHeadProblem(noted, { key: auditKey, isRequired, hashAt: (seq) => this.#at.get(seq)?.hash });
  }

  async #accept(): Promise<void> {
    const problem = await this.problem();
    if (problem === null) return;
    await this.#parts.audit.record({ action: "audit.accept", resourceType: "audit", metadata: { problem } });
    await this.#write(this.#head());
  }

  async #note(): Promise<void> {
    const { log } = this.#parts;
    const head = this.#head();
    this.#warning = await this.problem();
    if (this.#warning !== null) {
      log.error({ head }, `${this.#warning}; run prism doctor, and prism serve --accept-audit to go on from here`);
      return;
    }
    log.info({ ...head }, "head of the audit chain");
    try {
      await this.#write(head);
    } catch (error) {
      log.warn({ err: error }, "cannot write audit.head");
    }
  }

  /** An empty trail has a head too, so a missing file was removed. */
  #head(): AuditHead {
    return this.#last.get() ?? EMPTY_TRAIL;
  }

  async #write(head: AuditHead): Promise<void> {
    const { config, auditKey } = this.#parts;
    const { dataDir } = config;
    const file = auditHeadFile(dataDir);
    // Flushed before and after the rename: after a power failure one of the two files is complete.
    await writeFile(`${file}.new`, auditHeadLine(auditKey, head), { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
    await syncDirLater(dataDir);
    await this.#require();
  }

  /** From now on a signed head must exist. Set afterwards: a crash must not look like tampering. */
  async #require(): Promise<void> {
    const { reader, box, db } = this.#parts;
    if (isHeadRequired(reader, box)) return;
    await db.write(async (trx) => {
      const stored = await readSetting(trx, AUDIT_KEY_SETTING);
      const marked = stored instanceof Uint8Array ? markedAuditKey(stored, box) : null;
      if (marked === null) return;
      await trx.updateTable("settings").set({ value: marked }).where("key", "=", AUDIT_KEY_SETTING).execute();
    });
  }
}
