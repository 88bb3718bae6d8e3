import { UsageMarks } from "../features/access/index.ts";
import { AuditHeadKeeper } from "../features/audit/index.ts";
import { EmergencyWatch } from "../features/emergency/index.ts";
import { storeTestEvent } from "../features/events/index.ts";
import { RetentionJob } from "../features/retention/index.ts";
import { ServerWatch } from "../features/watch/index.ts";
import { DescriptorWatch } from "../http/listener.ts";
import { FEATURES } from "./feature-list.ts";
import type { Http } from "./open-http.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** Periodic work of a running server. */
export interface Upkeep {
  readonly auditHead: AuditHeadKeeper;
  readonly retention: RetentionJob;
  readonly usage: UsageMarks;
  readonly descriptors: DescriptorWatch;
  readonly emergencyWatch: EmergencyWatch;
  readonly watch: ServerWatch;
}

export function openUpkeep(base: Base, core: Core, { listener }: Http, services: Services): Upkeep {
  const { schedules, pages, alerting } = services;
  const { config, database, reader, box, audit, clock, clockTrust, settings, store } = base;
  const { access, jobs } = core;
  const { dataDir } = config;
  const log = base.log.namespace("audit");
  return {
    auditHead: new AuditHeadKeeper({ database, reader, box, auditKey: store.auditKey, audit, dataDir, log }),
    retention: new RetentionJob({
      sweeps: FEATURES.flatMap((each) => each.sweeps ?? []),
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
    usage: new UsageMarks(database, access.principals),
    descriptors: new DescriptorWatch(listener, base.log.namespace("http")),
    emergencyWatch: new EmergencyWatch({
      ...{ db: database, clock, log: base.log.namespace("emergency"), emergency: base.emergency },
      ...{ health: store.health, storage: base.storage },
      afterMs: () => settings.current.emergency.afterMs,
      unattemptedMs: () => pages.longestUnattemptedMs,
      incidents: alerting.incidents,
      publicUrl: () => settings.current.publicUrl,
      pausedQueues: () => jobs.runner.queueNames.filter((name) => jobs.runner.isPaused(name)),
    }),
    watch: openWatch(base, core, services),
  };
}

function openWatch(
  { config, database, committer, clock, emergency, settings, log: baseLog }: Base,
  { pipeline }: Core,
  { notify, alerting, pages }: Services,
): ServerWatch {
  const { events, backlog } = pipeline;
  return new ServerWatch({
    ...{ db: database, dataDir: config.dataDir, clock, notify, emergency, log: baseLog.namespace("watch") },
    afterMs: () => settings.current.emergency.afterMs,
    options: () => settings.current.watch,
    storeTestEvent: () => storeTestEvent({ committer, pipeline: events, backlog, clock }),
    handleIncidents: () => alerting.incidents.check(),
    throughLane: (send) => pages.throughLane(send),
  });
}
