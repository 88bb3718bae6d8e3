import type { Finding, SystemEntry } from "../../../core/finding.ts";
import type { Logger } from "../../../core/log.ts";
import { periodic } from "../../../core/time/periodic.ts";
import type { Context } from "../../../module/feature.ts";
import type { NewEntry } from "../../events/streams/index.ts";

/** A lasting condition: its notices at the start and at the end. */
type Condition = NonNullable<Finding["entries"]>;

const LOOK_EVERY_MS = 1000;
/** Limit of dead jobs reported individually per second; the rest is counted. */
const MAX_DEAD_REPORTED = 50;
/** While nothing can be written the oldest are dropped. */
const MAX_WAITING = 1000;

/** Its sources and its target. */
type NoticeParts = Context<"runner" | "realtime" | "findings">;

/**
 * Writes the stream `system` (docs/realtime.md): what an operator wants to know at once. Once a
 * second it checks what is paused, full or failed, and reports changes, including the conditions at
 * the start. Dead jobs are reported with the next check, so that a thousand of them share a
 * transaction. A notice that cannot be written is retried with a later check. Changes of jobs are
 * reported only while a client follows the stream, once per check.
 */
export class SystemNotices {
  readonly #parts: NoticeParts;
  readonly #log: Logger;
  #known = new Map<string, Condition>();
  #waiting: SystemEntry[] = [];
  #deadUnreported = 0;
  #deadWaiting = 0;
  // What begins and ends while a write takes long is reported too: no look waits for one.
  readonly #looks = periodic({ everyMs: LOOK_EVERY_MS, work: () => void this.#look() });
  #writing: Promise<void> | null = null;

  constructor(parts: NoticeParts) {
    const { events, log } = parts;
    this.#parts = parts;
    this.#log = log.namespace("system");
    events.on("system:ready", () => {
      this.#looks.start();
      return this.#look();
    });
    events.on("job:dead", (job) => this.#died(job));
    events.on("system:stopping", () => this.#stop());
  }

  #isFollowed(): boolean {
    const { hub } = this.#parts;
    return hub.hasListeners({ kind: "system" }) || hub.isFollowed("system");
  }

  #died(job: unknown): void {
    if (this.#deadWaiting >= MAX_DEAD_REPORTED) {
      this.#deadUnreported++;
      return;
    }
    const { id, queue, kind } = Object(job) as { id?: unknown; queue?: unknown; kind?: unknown };
    this.#deadWaiting++;
    this.#waiting.push(["job.dead", { id, queue, kind }]);
  }

  async #stop(): Promise<void> {
    void this.#looks.stop();
    await this.#writing;
    this.#waiting.push(["server.stopping", {}]);
    await this.#write();
  }

  #look(): Promise<void> {
    const conditions = this.#conditions();
    for (const [key, { began }] of conditions) if (!this.#known.has(key)) this.#waiting.push(began);
    for (const [key, { ended }] of this.#known) if (!conditions.has(key)) this.#waiting.push(ended);
    this.#known = conditions;
    const changes = this.#parts.runner.takeChanges();
    if (changes && this.#isFollowed()) this.#waiting.push(["jobs.changed", changes]);
    return this.#write();
  }

  /** All current conditions, by unique name. */
  #conditions(): Map<string, Condition> {
    return new Map(this.#parts.findings.known().flatMap(({ entries }) => (entries ? [[entries.key, entries]] : [])));
  }

  /** Writes waiting notices, unless a write is running: then the next check does. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeWaiting().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #writeWaiting(): Promise<void> {
    if (this.#deadUnreported > 0) this.#waiting.push(["jobs.dead", { more: this.#deadUnreported }]);
    this.#deadUnreported = 0;
    this.#deadWaiting = 0;
    const notices = this.#waiting;
    if (notices.length === 0) return;
    this.#waiting = [];
    const entries = notices.map(([type, data]): NewEntry => ({ to: { kind: "system" }, type, data }));
    try {
      await this.#parts.realtime.publishAll(entries);
    } catch (error) {
      this.#log.warn({ err: error, notices: notices.length }, "cannot write notices for operators yet");
      this.#waiting = [...notices, ...this.#waiting].slice(-MAX_WAITING);
    }
  }
}
