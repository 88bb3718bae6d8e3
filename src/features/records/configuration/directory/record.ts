import { toRfc3339, toRfc3339OrNull } from "../../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../../store/database.ts";
import { putSetting, readSetting } from "../../../../store/setting-rows.ts";

/** Why the files of the directory are not applied. */
export interface DirectoryProblem {
  /** Since when, epoch ms. */
  readonly at: number;
  readonly code: string;
  /** With file, line and column, where a file is wrong. */
  readonly message: string;
}

/** What is stored of `configuration.dir`, so that a restart and the next leader of a cluster know it. */
export interface DirectoryRecord {
  /** Of the files that were applied last; null: none were yet. */
  readonly digest: string | null;
  readonly appliedAt: number | null;
  /** Digests that were applied before it, the newest first. */
  readonly earlier: readonly string[];
  readonly problem: DirectoryProblem | null;
  /** The message that administrators were told last; null: none, or that it is mended. */
  readonly told: string | null;
}

const KEY = "configuration.directory";
const NOTHING: DirectoryRecord = { digest: null, appliedAt: null, earlier: [], problem: null, told: null };

export async function readRecord(db: ReadDb | Trx): Promise<DirectoryRecord> {
  const stored = await readSetting(db, KEY);
  return stored === undefined ? NOTHING : (JSON.parse(String(stored)) as DirectoryRecord);
}

export async function storeRecord(trx: Trx, record: DirectoryRecord, now: number): Promise<void> {
  await putSetting(trx, KEY, JSON.stringify(record), now);
}

/** @param checkedAt null: this process has not read the directory */
export function directoryView(path: string, { digest, appliedAt, problem }: DirectoryRecord, checkedAt: number | null) {
  return {
    path,
    isOk: problem === null && digest !== null,
    digest,
    appliedAt: toRfc3339OrNull(appliedAt),
    checkedAt: toRfc3339OrNull(checkedAt),
    problem: problem && { at: toRfc3339(problem.at), code: problem.code, message: problem.message },
  };
}
