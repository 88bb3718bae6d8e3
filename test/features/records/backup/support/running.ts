import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { loadConfig } from "../../../../../src/config/load.ts";
import { CONTROL_SOCKET } from "../../../../../src/core/listening.ts";
import { systemClock } from "../../../../../src/core/time/clock.ts";
import {
  type Backup,
  type BackupParts,
  type BackupRecord,
  createBackup,
  recordInFile,
} from "../../../../../src/features/records/backup/create-backup.ts";
import { overSocket } from "../../../../helpers/control.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";

/** The keys of a test server. */
export function keysOf(prism: TestPrism): Uint8Array[] {
  const { secrets, previousEncryptionKeys } = prism.parts.base.config;
  return [secrets.encryptionKey, ...previousEncryptionKeys];
}

/** An archive of a running server's data, in a directory that goes when the test ends. */
export function backUp(t: TestContext, prism: TestPrism, options: Partial<BackupParts> = {}): Promise<Backup> {
  const dir = mkdtempSync(join(tmpdir(), "prism-archive-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { config } = loadConfig({
    flags: { dataDir: prism.dir, minFreeBytes: "0" },
    environment: { PRISM_CONFIG_DIR: prism.dir },
    workingDir: prism.dir,
  });
  const file = join(dir, "archive.tar");
  const record = async (entry: BackupRecord): Promise<void> => {
    if (!existsSync(join(prism.dir, CONTROL_SOCKET))) return recordInFile(config, entry, systemClock);
    const { status, text } = await overSocket(prism.dir, "POST", "/api/v1/operator/backups", entry);
    if (status !== 204) throw new Error(text);
  };
  const parts = { config, clock: systemClock, file, verify: false, record, onBytes: () => undefined };
  return createBackup({ ...parts, ...options });
}
