import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { sealedBoxOf } from "../../../config/load.ts";
import { UnsealError } from "../../../core/crypto/sealed-box.ts";
import { archivesIn, archiveTime, BACKUPS_DIR, freeName } from "../../../core/data-dir.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { Context } from "../../../module/feature.ts";
import { SchemaRefused } from "../../../store/sqlite/migrate.ts";
import { type NewJob, PermanentError, type RunningJob } from "../../time/jobs/index.ts";
import { ArchiveRefused, KEYS_MEMBER } from "./manifest.ts";

type BackupsContext = Context<"runner" | "jobs">;

const CREATE = "backup.create";
const VERIFY = "backup.verify";
/** It runs one job at a time, and removes nothing while a backup reads. */
const QUEUE = "retention";
/** Results of checks, in the directory of the archives. */
const CHECKS_FILE = ".checks.json";
const PROGRESS_EVERY_MS = 500;

interface Check {
  readonly at: number;
  /** Null: it can be restored. */
  readonly problem: string | null;
}

interface VerifyPayload {
  readonly name: string;
}

/** An archive of the default directory. */
export interface BackupView {
  readonly name: string;
  readonly bytes: number;
  readonly createdAt: string;
  readonly version: string | null;
  readonly withSecrets: boolean;
  readonly key: "current" | "previous" | "unknown";
  readonly checkedAt: string | null;
  readonly problem: string | null;
}

/** The archives in `<dataDir>/backups`, for administrators. Restoring needs the host's command. */
export class Backups {
  readonly #context: BackupsContext;
  readonly #dir: string;

  constructor(context: BackupsContext) {
    this.#context = context;
    this.#dir = join(context.config.dataDir, BACKUPS_DIR);
    context.runner.handle(CREATE, (job) => this.#create(job));
    context.runner.handle(VERIFY, (job) => this.#verify(job));
  }

  get dir(): string {
    return this.#dir;
  }

  /** Newest first. */
  async list(): Promise<BackupView[]> {
    const names = existsSync(this.#dir) ? archivesIn(this.#dir) : [];
    const checks = this.#checks();
    return (await Promise.all(names.map((name) => this.#view(name, checks[name])))).filter((view) => view !== null);
  }

  /** Enqueues a backup; one that waits or runs is returned instead. */
  async start(createdBy: string | null): Promise<{ jobId: string; state: string }> {
    return this.#enqueue({ kind: CREATE, payload: {}, dedupeKey: CREATE, createdBy });
  }

  async startCheck(name: string, createdBy: string | null): Promise<{ jobId: string; state: string }> {
    this.pathOf(name);
    return this.#enqueue({
      kind: VERIFY,
      payload: { name },
      dedupeKey: `${VERIFY}:${name}`,
      label: name,
      createdBy,
    });
  }

  async #enqueue(job: Pick<NewJob, "kind" | "payload" | "dedupeKey" | "label" | "createdBy">) {
    const { jobs, clock } = this.#context;
    const { jobId, state } = await jobs.enqueue({ ...job, queue: QUEUE, runAt: clock.now(), maxAttempts: 1 });
    return { jobId, state };
  }

  /** Only names that Prism gives, of plain files: none leaves the directory. @throws NOT_FOUND */
  pathOf(name: string): string {
    if (archiveTime(name) === undefined || !existsSync(this.#dir) || !archivesIn(this.#dir).includes(name))
      throw new PrismError("NOT_FOUND", "There is no backup with this name");
    return join(this.#dir, name);
  }

  async open(name: string): Promise<{ bytes: number; modifiedAt: number; read(from: number, to: number): Readable }> {
    const path = this.pathOf(name);
    const { size: bytes, mtimeMs: modifiedAt } = await stat(path);
    await this.#context.audit.record({ action: "backup.download", resourceType: "backup", resourceId: name });
    return { bytes, modifiedAt, read: (start, end) => createReadStream(path, { start, end }) };
  }

  async remove(name: string): Promise<void> {
    const path = this.pathOf(name);
    await this.#context.audit.record({ action: "backup.delete", resourceType: "backup", resourceId: name });
    await rm(path);
  }

  async #create(job: RunningJob): Promise<Json> {
    const { config, clock, audit } = this.#context;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const { createBackup } = await import("./create-backup.ts");
    const { file, bytes, sha256 } = await createBackup({
      config,
      clock,
      file: freeName(this.#dir, clock.now()),
      // The long checks run in a thread.
      verify: true,
      onBytes: this.#progress(job),
      record: ({ id, ...metadata }) =>
        audit.record({ action: "backup.create", resourceType: "backup", resourceId: id, metadata }),
    }).catch((error: unknown) => {
      throw error instanceof ArchiveRefused ? new PermanentError(error.message, { cause: error }) : error;
    });
    const name = basename(file);
    await this.#noteCheck(name, { at: clock.now(), problem: null });
    return { name, bytes, sha256 };
  }

  async #verify(job: RunningJob): Promise<Json> {
    const { config, clock } = this.#context;
    const { name } = job.payload as VerifyPayload;
    const file = this.pathOf(name);
    const keys = [config.secrets.encryptionKey, ...config.previousEncryptionKeys];
    const work = join(this.#dir, `.${name}.${process.pid}.partial`);
    const { checkArchive } = await import("./restore.ts");
    try {
      const problem = await checkArchive({ file, keys, trust: false, onBytes: this.#progress(job) }, work).then(
        () => null,
        problemOf,
      );
      await this.#noteCheck(name, { at: clock.now(), problem });
      return { name, ok: problem === null, problem };
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }

  #progress(job: RunningJob): (bytes: number, ofBytes: number) => void {
    let nextAt = 0;
    return (bytes, ofBytes) => {
      const now = performance.now();
      if (now < nextAt) return;
      nextAt = now + PROGRESS_EVERY_MS;
      job.progress({ bytes, ofBytes, percent: ofBytes === 0 ? 0 : Math.min(100, Math.floor((bytes / ofBytes) * 100)) });
    };
  }

  async #view(name: string, check: Check | undefined): Promise<BackupView | null> {
    const path = join(this.#dir, name);
    try {
      const { size: bytes } = await stat(path);
      const known = { name, bytes, checkedAt: toRfc3339OrNull(check?.at ?? null), problem: check?.problem ?? null };
      return { ...known, ...(await this.#manifestOf(path, name)) };
    } catch {
      // It was removed meanwhile.
      return null;
    }
  }

  async #manifestOf(path: string, name: string) {
    const { keyId, keyIds } = sealedBoxOf(this.#context.config);
    const { ArchiveReader } = await import("./archive.ts");
    try {
      const reader = await ArchiveReader.open(path);
      await reader.close();
      const { manifest } = reader;
      const isOld = keyIds.includes(manifest.keyId) ? "previous" : "unknown";
      return {
        createdAt: manifest.createdAt,
        version: manifest.version,
        withSecrets: manifest.members.some((member) => member.name === KEYS_MEMBER),
        key: manifest.keyId === keyId.toString("hex") ? "current" : isOld,
      } as const;
    } catch (error) {
      if (!(error instanceof ArchiveRefused)) throw error;
      const createdAt = toRfc3339(archiveTime(name) ?? 0);
      return { createdAt, version: null, withSecrets: false, key: "unknown", problem: error.message } as const;
    }
  }

  #checks(): Readonly<Record<string, Check>> {
    try {
      return JSON.parse(readFileSync(join(this.#dir, CHECKS_FILE), "utf8")) as Record<string, Check>;
    } catch {
      // Without the file, or with a damaged one, no archive counts as checked.
      return {};
    }
  }

  /** Forgets archives that are gone. */
  async #noteCheck(name: string, check: Check): Promise<void> {
    const kept = new Set(archivesIn(this.#dir));
    const checks = Object.entries({ ...this.#checks(), [name]: check }).filter(([each]) => kept.has(each));
    const file = join(this.#dir, CHECKS_FILE);
    await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(checks)), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
}

/** Result of a failed check of the archive. @throws errors about something other than it */
function problemOf(error: unknown): string {
  const isFinding = error instanceof ArchiveRefused ? error.problem !== "space" : isRefusal(error);
  if (!isFinding) throw error;
  return (error as Error).message;
}

function isRefusal(error: unknown): boolean {
  return error instanceof SchemaRefused || error instanceof UnsealError;
}
