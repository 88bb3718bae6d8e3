import { resolve } from "node:path";
import { ConfigRefused } from "../../../../config/option.ts";
import { OPERATOR, runAs, SYSTEM } from "../../../../core/caller.ts";
import { PrismError } from "../../../../core/errors.ts";
import { periodic } from "../../../../core/time/periodic.ts";
import type { Context } from "../../../../module/feature.ts";
import { administrators } from "../../../access/index.ts";
import type { ConfigurationContext } from "../reading.ts";
import { configure } from "../service.ts";
import { digestOfDirectory, FilesRefused, problemsIn, type ReadFiles, readDirectory } from "./read-directory.ts";
import { type DirectoryProblem, type DirectoryRecord, readRecord, storeRecord } from "./record.ts";

type DirectoryContext = ConfigurationContext & Context<"cluster" | "notify">;

/** So many digests that were applied before are known: a node with older files does not bring them back. */
const MOST_EARLIER = 50;
/** As many as files may have: nobody could apply a directory project by project. */
const MAX_CHANGES = 2000;
const PRIORITY = 500;

/** Applies the files of `configuration.dir` as the operator: at the start, at SIGHUP, and when they have changed. */
export class ConfigurationDirectory {
  readonly #context: () => DirectoryContext;
  readonly #looks;
  #record: DirectoryRecord | null = null;
  #checkedAt: number | null = null;
  /** Of files and secrets, when they were applied or refused last. */
  #seen: string | null = null;
  /** Files that were applied before others, by another node: not again until they change. */
  #outdated: string | null = null;
  /** References to secrets of the files, by which a changed secret is seen. */
  #references: readonly string[] = [];
  #isAsked = false;

  constructor(context: () => DirectoryContext, everyMs: number) {
    this.#context = context;
    this.#looks = periodic({
      everyMs,
      work: () => this.#look(),
      onError: (err) => this.#context().log.error({ err }, "reading configuration.dir failed"),
    });
  }

  /** Epoch ms; null: it was not read yet. */
  get checkedAt(): number | null {
    return this.#checkedAt;
  }

  get problem(): DirectoryProblem | null {
    return this.#record?.problem ?? null;
  }

  /** Before the server listens. @throws ConfigRefused with `configuration.onError: refuse` */
  async prepare(): Promise<void> {
    const { config, cluster, metrics } = this.#context();
    const about = "1 while the files of configuration.dir are applied, 0 while they are not";
    metrics.gauge("prism_configuration_ok", about, () => Number(this.problem === null));
    await this.#apply(true);
    // A node that takes over must lead, whatever its files are.
    if (this.problem && config.configuration.onError === "refuse" && cluster === null)
      throw new ConfigRefused([`configuration.dir is not applied: ${this.problem.message}`]);
  }

  start(): void {
    this.#looks.start();
    void this.#looks.run();
  }

  /** Applies it now. */
  reload(): void {
    this.#isAsked = true;
    void this.#looks.run();
  }

  stop(): Promise<void> {
    return this.#looks.stop();
  }

  get #options() {
    const { config } = this.#context();
    const { dir = "", secretsDir, ...options } = config.configuration;
    const path = resolve(dir);
    return { ...options, path, folders: [path, ...(secretsDir === undefined ? [] : [resolve(secretsDir)])] };
  }

  async #look(): Promise<void> {
    const { clock, managedObjects } = this.#context();
    const { source } = this.#options;
    const since = this.#checkedAt ?? 0;
    const isAsked = this.#isAsked;
    this.#isAsked = false;
    const isDue =
      isAsked ||
      // What it needs of others, such as an account or a name server, may be there now.
      this.problem !== null ||
      this.#fingerprint() !== this.#seen ||
      managedObjects.hasEndedUnlock(source, since);
    if (isDue) await this.#apply(false);
    else this.#checkedAt = clock.now();
    await this.#tell();
  }

  /** Null: it cannot be read. */
  #fingerprint(): string | null {
    try {
      return digestOfDirectory(this.#options, this.#references);
    } catch {
      return null;
    }
  }

  /** @param isStart a host that DNS does not resolve is a warning */
  async #apply(isStart: boolean): Promise<void> {
    const context = this.#context();
    const { db, clock, log } = context;
    const now = clock.now();
    const before = await readRecord(db.read);
    this.#checkedAt = now;
    let next: DirectoryRecord;
    let isStored = false;
    let files: ReadFiles | null = null;
    try {
      files = readDirectory(this.#options);
      this.#references = files.references;
      this.#seen = files.fingerprint;
      this.#requireCurrent(files.digest, before, isStart);
      next = appliedRecord(before, files.digest, now);
      const done = await this.#configure(files, isStart, async (trx) => {
        await storeRecord(trx, { ...next, appliedAt: now }, now);
        isStored = true;
      });
      if (isStored) next = { ...next, appliedAt: now };
      const { changes, unchanged } = done;
      log.info({ dir: this.#options.path, changes: changes.length, unchanged }, "configuration.dir is applied");
    } catch (error) {
      const problem = this.#problemOf(error, files);
      const isSame = before.problem?.message === problem.message && before.problem.code === problem.code;
      next = { ...before, problem: isSame ? before.problem : { at: now, ...problem } };
      if (!isSame || isStart) log.error({ ...problem }, "configuration.dir is not applied; what is stored stays");
    }
    this.#record = next;
    if (!isStored && JSON.stringify(next) !== JSON.stringify(before)) await this.#store(next);
  }

  /** A full disk does not keep the server from its start. */
  async #store(record: DirectoryRecord): Promise<void> {
    const { db, clock, log } = this.#context();
    await db
      .write((trx) => storeRecord(trx, record, clock.now()))
      .catch((err: unknown) => log.warn({ err }, "cannot store the state of configuration.dir"));
  }

  /**
   * A node that takes over with files of before must not undo what others applied since. What changes while this
   * process runs is meant so. @throws FilesRefused
   */
  #requireCurrent(digest: string, { digest: applied, earlier }: DirectoryRecord, isStart: boolean): void {
    if (isStart && this.#context().cluster !== null && digest !== applied && earlier.includes(digest))
      this.#outdated = digest;
    if (this.#outdated !== digest) {
      this.#outdated = null;
      return;
    }
    const message = `the files of this node in ${this.#options.path} are older than those that are applied`;
    throw new FilesRefused("OLDER_FILES", `${message}; bring them up to date`);
  }

  async #configure({ objects, secrets }: ReadFiles, isStart: boolean, alongside: ApplyOptions["alongside"]) {
    const context = this.#context();
    const { source, lock, prune, allowDeletes } = this.#options;
    const request = { source, lock, objects: [...objects], secrets, prune };
    const options = { keepsUnlocked: true, maxChanges: MAX_CHANGES };
    const onUnresolved = (host: string): void =>
      context.log.warn({ host }, "a host of configuration.dir does not resolve; it is stored all the same");
    const caller = { ...SYSTEM, principal: OPERATOR, ...(isStart && { onUnresolved }) };
    return runAs(caller, async () => {
      const limit = prune && allowDeletes > 0 ? await this.#deletions(request, options, allowDeletes) : {};
      return configure(context, OPERATOR, { ...request, ...limit, mode: "apply" }, { ...options, alongside });
    });
  }

  /** The exact number of deletions, if they are as many as the settings allow. */
  async #deletions(request: Omit<Parameters<typeof configure>[2], "mode">, options: ApplyOptions, most: number) {
    const { changes } = await configure(this.#context(), OPERATOR, { ...request, mode: "plan" }, options);
    const count = changes.filter(({ op }) => op === "delete").length;
    return count > 0 && count <= most ? { allowDeletes: count } : {};
  }

  #problemOf(error: unknown, files: ReadFiles | null): Omit<DirectoryProblem, "at"> {
    if (error instanceof FilesRefused) return { code: error.code, message: error.message };
    if (error instanceof PrismError && error.code === "CONFIGURATION_REFUSED" && files)
      return problemsIn(files, error.details ?? []);
    if (error instanceof PrismError) return { code: error.code, message: error.message };
    this.#context().log.error({ err: error }, "applying configuration.dir failed unexpectedly");
    return { code: "INTERNAL", message: "an unexpected error, which the log of the server has" };
  }

  /** Tells administrators each problem once, and once that it is over. */
  async #tell(): Promise<void> {
    const { db, notify } = this.#context();
    const record = this.#record;
    const text = record?.problem?.message ?? null;
    if (!record || text === record.told) return;
    const recipients = (await administrators(db.read)).map(({ id }) => id);
    if (recipients.length === 0) return;
    const title =
      text === null ? "The configuration files are applied again" : "The configuration files are not applied";
    const message = text === null ? "What is stored is as they have it." : `What was applied before stays. ${text}`;
    await notify.send({ recipients, title, message, priority: PRIORITY, data: {} });
    this.#record = { ...record, told: text };
    await this.#store(this.#record);
  }
}

type ApplyOptions = NonNullable<Parameters<typeof configure>[3]>;

/** @returns with the time at which other files were applied */
function appliedRecord(before: DirectoryRecord, digest: string, now: number): DirectoryRecord {
  if (before.digest === digest) return { ...before, problem: null };
  const known = [before.digest, ...before.earlier].filter((each) => each !== null && each !== digest);
  const earlier = (known as string[]).slice(0, MOST_EARLIER);
  return { ...before, digest, appliedAt: now, earlier, problem: null };
}
