import { Channels } from "../features/delivery/index.ts";
import { Backlog, EventPipeline, IngestService } from "../features/events/index.ts";
import { type JobServices, openJobs } from "../features/jobs/index.ts";
import { Announcer } from "../features/notifications/index.ts";
import {
  Absences,
  AlertLink,
  Decider,
  MatchCounts,
  OverTime,
  type PipelineMetrics,
  patternPool,
  pipelineMetrics,
  ReceiverRules,
  RuleBook,
  recordCostlyRules,
  storedMatches,
  Throttle,
} from "../features/rules/index.ts";
import type { Access } from "./open-access.ts";
import type { Live } from "./open-live.ts";
import type { Base } from "./open-store.ts";

/** The event pipeline: ingest, deciding by rules, announcing, and their jobs. */
export interface Pipeline {
  readonly rules: RuleBook;
  /** The notifications of receivers. */
  readonly receiverRules: ReceiverRules;
  readonly throttle: Throttle;
  /** Rules that fire when nothing matches. */
  readonly absences: Absences;
  /** The alerts as rules know them. */
  readonly alertLink: AlertLink;
  readonly channels: Channels;
  readonly metrics: PipelineMetrics;
  /** Publishes commits to live connections. */
  readonly announcer: Announcer;
  readonly backlog: Backlog;
  readonly events: EventPipeline;
  readonly ingest: IngestService;
}

export function openJobQueues(base: Base): JobServices {
  const { config, database, committer, reader, audit, clock, log, metrics, settings, bus } = base;
  return openJobs({
    database,
    committer,
    reader,
    audit,
    clock,
    log: log.namespace("jobs"),
    metrics,
    settings,
    dataDir: config.dataDir,
    onDead: (job) => bus.emit("job:dead", job),
  });
}

interface Timed {
  readonly counts: MatchCounts;
  readonly alertLink: AlertLink;
  readonly absences: Absences;
}

/** What rules with a threshold, an absence or an alert keep in memory. */
function openOverTime({ database: db, reader, clock, log: baseLog }: Base, projects: Access["projects"]): Timed {
  const log = baseLog.namespace("rules");
  const counts = new MatchCounts(storedMatches(reader));
  const alertLink = new AlertLink(reader, log);
  const ownerOf = projects.ownerOf.bind(projects);
  return { counts, alertLink, absences: new Absences({ db, reader, clock, log, link: alertLink, ownerOf }) };
}

function openRules(base: Base, defaultProjectId: string, { counts, absences }: Timed): RuleBook {
  const { config, database, reader, audit, clock } = base;
  const log = base.log.namespace("rules");
  patternPool.limitBytes = config.limits.patternMemoryBytes;
  const onTooCostly = recordCostlyRules(database, audit, log);
  const overTime: ConstructorParameters<typeof RuleBook>[0]["overTime"] = {
    put(rule) {
      counts.forget(rule.row.id);
      absences.put(rule);
    },
    remove: (id) => absences.remove(id),
  };
  return new RuleBook({ reader, defaultProjectId, limits: config.limits, clock, log, onTooCostly, overTime });
}

export function openPipeline(
  base: Base,
  { defaultProjectId, projects }: Access,
  { hub, sounds }: Live,
  { runner }: JobServices,
): Pipeline {
  const { config, committer, reader, clock, settings, storage } = base;
  const rulesLog = base.log.namespace("rules");
  const metrics = pipelineMetrics(base.metrics);
  const announcer = new Announcer(hub, metrics, sounds.urlOf);
  const timed = openOverTime(base, projects);
  const { counts, alertLink, absences } = timed;
  const rules = openRules(base, defaultProjectId, timed);
  const throttle = Throttle.overTables(reader, () => settings.defaultSuppression);
  const channels = new Channels(config.delivery.workers);
  const receiverRules = new ReceiverRules(reader, () => settings.defaultSuppression);
  const settingsOf = settings.queue.bind(settings);
  const decider = new Decider({
    book: rules,
    throttle,
    overTime: new OverTime({ counts, alerts: alertLink, absences }),
    alerts: alertLink,
    receivers: receiverRules,
    offsets: committer.sequences.streams,
    settingsOf,
    channels,
  });
  const deciding = {
    committer,
    reader,
    decider,
    announcer,
    clock,
    metrics,
    onJobs: runner.enqueued.bind(runner),
  };
  const backlog = new Backlog({ ...deciding, log: rulesLog });
  committer.whenEpochFails(() => {
    throttle.reset();
    counts.reset();
    alertLink.reload(reader);
    absences.reset();
    backlog.reset();
  });
  const events = new EventPipeline({
    ...deciding,
    backlog,
    highWaterBytes: config.ingest.highWaterBytes,
    log: base.log.namespace("pipeline"),
    rulesLog,
    requireSpace: () => storage.requireSpace(),
  });
  const ingest = new IngestService(events, config.ingest, clock);
  return { rules, receiverRules, throttle, absences, alertLink, channels, metrics, announcer, backlog, events, ingest };
}
