import { createHmac, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AuditHead } from "./audit-log.ts";

/** A head as a file or a log line has it; `mac` is null in the form of earlier versions and of the log. */
export interface NotedHead extends AuditHead {
  readonly mac: string | null;
}

/** What of a database tells whether a noted head is right. */
export interface HeadFacts {
  readonly key: Uint8Array;
  /** A signed head was written for this database. */
  readonly isRequired: boolean;
  /** The hash of the row with this number, undefined where there is none. */
  hashAt(seq: number): string | undefined;
}

/** The head of the chain as it was noted last, outside the database; null when none was, or when the file is damaged. */
export async function readAuditHead(dataDir: string): Promise<NotedHead | null> {
  const text = await readFile(auditHeadFile(dataDir), "utf8").catch(() => "");
  return parseAuditHead(text.trim());
}

/** Reads `seq:hash`, with or without the `:mac` of the file. */
export function parseAuditHead(text: string): NotedHead | null {
  const match = /^(\d{1,15}):([0-9a-f]{64})(?::([0-9a-f]{64}))?$/.exec(text);
  return match ? { seq: Number(match[1]), hash: match[2] as string, mac: match[3] ?? null } : null;
}

/** The line of `audit.head`: `seq:hash:mac`, signed with the audit key. */
export function auditHeadLine(key: Uint8Array, head: AuditHead): string {
  return `${head.seq}:${head.hash}:${macOf(key, head).toString("hex")}\n`;
}

/** Says what is wrong with a noted head, in words for an operator; null when nothing is. */
export function auditHeadProblem(noted: NotedHead | null, { key, isRequired, hashAt }: HeadFacts): string | null {
  if (noted === null) return isRequired ? "audit.head is missing or damaged, though a server has written it" : null;
  if (noted.mac === null ? isRequired : !timingSafeEqual(Buffer.from(noted.mac, "hex"), macOf(key, noted)))
    return "audit.head was not written by a server with the key of this database";
  if (noted.seq > 0 && hashAt(noted.seq) !== noted.hash)
    return `the audit trail lacks row ${noted.seq} as audit.head names it: the last rows are gone, or were changed`;
  return null;
}

export function auditHeadFile(dataDir: string): string {
  return join(dataDir, "audit.head");
}

/** The label keeps it apart from the hashes of rows, which the same key makes. */
function macOf(key: Uint8Array, { seq, hash }: AuditHead): Buffer {
  return createHmac("sha256", key).update(`audit.head\n${seq}:${hash}`).digest();
}
