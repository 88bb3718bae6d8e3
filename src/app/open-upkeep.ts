import { UsageMarks } from "../features/access/index.ts";
import { AuditHeadKeeper } from "../features/audit/index.ts";
import { RetentionJob } from "../features/retention/index.ts";
import { DescriptorWatch } from "../http/listener.ts";
import type { WriterPort } from "../store/commit/writers.ts";
import { forgetRights } from "./effects.ts";
import type { Http } from "./open-http.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** A command that writes beside the server is noticed within this time. */
const ASK_EVERY_MS = 250;

/** Notices commits of other processes, so that what a command changed counts here at once. */
class ForeignWrites {
  readonly #port: WriterPort;
  readonly #onWrite: () => void;
  #timer: NodeJS.Timeout | null = null;
  #version: number | null = null;

  constructor(port: WriterPort, onWrite: () => void) {
    this.#port = port;
    this.#onWrite = onWrite;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#ask(), ASK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    const version = await this.#port.dataVersion().catch(() => null);
    if (version === null) return;
    // The first answer counts as a change: what was committed between the reading of the caches and
    // now would never be noticed.
    const hasChanged = version !== this.#version;
    this.#version = version;
    if (hasChanged) this.#onWrite();
  }
}

/** Periodic work of a running server. */
export interface Upkeep {
  readonly auditHead: AuditHeadKeeper;
  readonly retention: RetentionJob;
  /** Notices what the command line writes beside the server. */
  readonly foreign: ForeignWrites;
  readonly usage: UsageMarks;
  readonly descriptors: DescriptorWatch;
}

export function openUpkeep(base: Base, core: Core, { listener }: Http, { schedules }: Services): Upkeep {
  const { config, database, reader, box, audit, clock, clockTrust, settings, store } = base;
  const { access, pipeline, jobs } = core;
  const { dataDir } = config;
  const log = base.log.namespace("audit");
  return {
    auditHead: new AuditHeadKeeper({ database, reader, box, auditKey: store.auditKey, audit, dataDir, log }),
    retention: new RetentionJob({
      database,
      clock,
      log: base.log,
      audit,
      dataDir,
      settings,
      clockTrust,
      runner: jobs.runner,
      schedules,
    }),
    foreign: new ForeignWrites(store.port, () => {
      access.reads.changedAll();
      forgetRights(core, null);
      pipeline.rules.reload();
    }),
    usage: new UsageMarks(database, access.principals),
    descriptors: new DescriptorWatch(listener, base.log.namespace("http")),
  };
}
