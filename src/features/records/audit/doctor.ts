import { type Config, sealedBoxOf } from "../../../config/load.ts";
import { type SealedBox, UnsealError } from "../../../core/crypto/sealed-box.ts";
import { type Finding, fail, pass, warn } from "../../../core/finding.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import type { ReadDb } from "../../../store/database.ts";
import { isHeadRequired, loadAuditKey, SERVER_KEYS_SETTING } from "../../../store/sealed-settings.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { auditHeadProblem, type NotedHead, readAuditHead } from "./audit-head.ts";
import { type AuditHead, type AuditVerdict, firstAuditSeq, lastAuditSeq, verifyAudit } from "./audit-log.ts";

/**
 * Checks the audit chain. Its key can be opened only with the encryption key of the database.
 * @param anchor a head of the chain recorded elsewhere.
 */
export async function checkAudit(db: ReadDb, config: Config, anchor: AuditHead | undefined): Promise<Finding[]> {
  const { dataDir, databaseFile } = config;
  // In a cluster the trail comes from the log, and a node that has never led has no file.
  const isNode = config.cluster.servers.length > 0;
  if (!(await hasAuditKey(db))) return [pass("audit", "the trail is empty")];
  const noted = await readAuditHead(dataDir);
  let looked: { readonly key: Uint8Array; readonly problem: string | null };
  try {
    looked = lookAtHead(databaseFile, sealedBoxOf(config), noted, isNode);
  } catch (error) {
    if (!(error instanceof UnsealError)) throw error;
    return [
      fail(
        "audit",
        "the encryption key is not the one this database was made with",
        "set PRISM_ENCRYPTION_KEY to that one",
      ),
    ];
  }
  const lastSeq = await lastAuditSeq(db);
  const heads = [noted, anchor].filter((head) => head !== null && head !== undefined);
  const verdict = await verifyAudit(db, looked.key, lastSeq, {}, heads);
  if (!verdict.ok) return [fail("audit", brokenChain(verdict))];
  // A server of an earlier version also recorded its head, without the mark that requires one.
  const isMissing = !isNode && noted === null && lastSeq > 0 && (await hasServed(db));
  const problem = looked.problem ?? (isMissing ? "audit.head is missing or damaged, though a server has run" : null);
  if (problem !== null) return [fail("audit", problem, ACCEPT_AUDIT)];
  const whole = `the chain of ${verdict.checked} rows is intact`;
  if (anchor && anchor.seq < (await firstAuditSeq(db)))
    return [warn("audit", `${whole}, but row ${anchor.seq} of the anchor is older than what is kept`)];
  return [pass("audit", whole)];
}

const ACCEPT_AUDIT =
  "compare with --anchor and a head from a log that is kept elsewhere; prism serve --accept-audit continues from here";

/** @throws UnsealError */
function lookAtHead(databaseFile: string, box: SealedBox, noted: NotedHead | null, isNode: boolean) {
  return reading(databaseFile, (connection) => {
    const key = loadAuditKey(connection, box);
    const isRequired = !isNode && isHeadRequired(connection, box);
    const read = connection.prepare<[number], string>("select hash from audit_log where seq = ?").pluck();
    return { key, problem: auditHeadProblem(noted, { key, isRequired, hashAt: (seq) => read.get(seq) }) };
  });
}

function brokenChain({ firstBad }: AuditVerdict): string {
  return firstBad
    ? `row ${firstBad.seq} (${firstBad.id}) was changed, or one before it is missing`
    : "the first or the last rows are missing, and no checkpoint accounts for them";
}

async function hasAuditKey(db: ReadDb): Promise<boolean> {
  const row = await db.selectFrom("settings").select("key").where("key", "=", "audit.key").executeTakeFirst();
  return row !== undefined;
}

/** Whether a server has ever run on it. */
async function hasServed(db: ReadDb): Promise<boolean> {
  const row = await db.selectFrom("settings").select("key").where("key", "=", SERVER_KEYS_SETTING).executeTakeFirst();
  return row !== undefined;
}

export const STORED: StoredFindings = {
  database: { audit: ({ db, config, anchor }) => checkAudit(db, config, anchor) },
};
