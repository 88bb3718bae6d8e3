import { UnlockWatch, UsageMarks } from "../features/access/index.ts";
import { AuditHeadKeeper, AuditRetention } from "../features/audit/index.ts";
import type { RetentionJob } from "../features/retention/index.ts";
import { openRetention } from "../features/retention/index.ts";
import { DescriptorWatch } from "../http/descriptor-watch.ts";
import { forgetRights } from "./effects.ts";
import { ForeignWrites } from "./foreign-writes.ts";
import type { Http } from "./open-http.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** What runs from time to time while the server does. */
export interface Upkeep {
  readonly auditHead: AuditHeadKeeper;
  readonly auditRetention: AuditRetention;
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
  const unlocks = new UnlockWatch(reader, access.accounts.loginBackoff);
  return {
    auditHead: new AuditHeadKeeper({ database, reader, box, auditKey: store.auditKey, audit, dataDir, log }),
    auditRetention: new AuditRetention({
      database,
      audit,
      clock,
      dataDir,
      log,
      days: () => settings.retention.auditDays,
      isClockTrusted: () => clockTrust.check(),
    }),
    retention: openRetention({ database, clock, log: base.log, settings, runner: jobs.runner, schedules, clockTrust }),
    foreign: new ForeignWrites(store.port, () => {
      unlocks.check();
      access.reads.changedAll();
      forgetRights(core, null);
      pipeline.rules.reload();
    }),
    usage: new UsageMarks(database, access.principals),
    descriptors: new DescriptorWatch(listener, base.log.namespace("http")),
  };
}
