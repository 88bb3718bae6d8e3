import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const HOUR = 3_600_000;

/** The queues of the job table (docs/jobs.md), in the order of lists. */
export const QUEUE_OPTIONS = {
  "event-processing": queue(4, 8, "poison events and reprocessing"),
  "notification-delivery": queue(16, 8, "recipients of rules with many recipients, attempts on outside channels"),
  "push-notification": queue(16, 8, "attempts on push services"),
  "bucket-monitoring": queue(1, 3, "checks of transfer buckets"),
  "alert-suppression": queue(2, 5, "summaries of suppressed matches"),
  messages: queue(64, 1, "first deliveries of delayed messages"),
  "messages-retry": queue(4, 5, "retried deliveries of delayed messages"),
  "messages-dead-letter": queue(0, 1, "delayed messages that could not be delivered; they never run", 0),
  alert: queue(2, 5, "alerts of projects with many errors"),
  digest: queue(1, 3, "digests"),
  retention: queue(1, 3, "removal of expired data"),
  timers: queue(8, 5, "timer actions and scheduled notifications"),
  module: queue(2, 5, "jobs of each module"),
};

function queue(concurrency: number, maxAttempts: number, what: string, minConcurrency = 1) {
  const live = { reloadable: true };
  return {
    concurrency: option(
      k.integer(minConcurrency, 1000),
      concurrency,
      `number of jobs that run at the same time: ${what}`,
      live,
    ),
    maxAttempts: option(k.integer(1, 100), maxAttempts, `attempts before a new job becomes dead: ${what}`, live),
    backoffBaseMs: option(
      k.duration(1, HOUR),
      1000,
      `maximum wait before the second attempt; it doubles with each further attempt: ${what}`,
      live,
    ),
    backoffCapMs: option(k.duration(1, 24 * HOUR), 900_000, `maximum wait before any attempt: ${what}`, live),
  };
}

/** Limits in requests per minute. */
export const RATE_LIMIT_OPTIONS = {
  enabled: option(
    k.boolean(),
    true,
    "limits the rate of requests; false turns all request limits off, with a warning in production",
    {
      reloadable: true,
    },
  ),
  global: optional(k.integer(1, 1e9), "requests per minute of all callers together; by default unlimited", {
    reloadable: true,
  }),
  ip: option(
    k.integer(1, 1e9),
    600,
    "requests per minute and address without valid credentials, including unknown paths and preflights",
    {
      reloadable: true,
    },
  ),
  user: option(k.integer(1, 1e9), 6000, "requests per minute and user", { reloadable: true }),
  auth: option(k.integer(1, 1e9), 20, "login and registration attempts per minute and address", { reloadable: true }),
  authName: option(k.integer(1, 1e9), 10, "login attempts per minute and account name", { reloadable: true }),
  key: option(k.integer(1, 1e9), 6_000_000, "requests per minute and API key; the limit of a key can only be lower", {
    reloadable: true,
  }),
  uploads: option(k.integer(1, 1e9), 30, "sounds that one user may upload per minute", { reloadable: true }),
  keyEvents: option(
    k.integer(1, 1e12),
    60_000_000,
    "events per minute and API key; the limit of a key can only be lower",
    {
      reloadable: true,
    },
  ),
};

/** Live connections. */
export const REALTIME_OPTIONS = {
  maxConnections: option(k.integer(1, 1e6), 100_000, "maximum of live connections in total"),
  maxPerUser: option(k.integer(1, 1e6), 50, "maximum of live connections per user or key"),
  maxPerCreator: option(
    k.integer(1, 1e6),
    2000,
    "maximum of live connections of one user together with all API keys that the user made; at least " +
      "realtime.maxPerUser",
  ),
  maxPerIp: option(k.integer(1, 1e6), 1000, "maximum of live connections per address"),
  maxPendingPerIp: option(
    k.integer(1, 1e6),
    500,
    "maximum of live connections per address that have not yet authenticated or subscribed (Socket.IO, " +
      "Pusher); each may stay pending for ten seconds",
  ),
  socketioNamespaces: option(
    k.list(k.socketIoNamespace),
    ["*"],
    "namespaces, in addition to /, that Socket.IO clients may join; * allows any; all have the same streams",
  ),
  compression: option(k.boolean(), true, "compresses messages of 512 bytes and more (permessage-deflate)"),
};

/** Sizes of requests and events of producers. */
export const INGEST_OPTIONS = {
  maxEventBytes: option(k.integer(1024, 16_777_216), 262_144, "maximum payload of one event, in bytes"),
  maxBatch: option(k.integer(1, 100_000), 10_000, "maximum number of events per request"),
  maxBodyBytes: option(
    k.integer(1024, 268_435_456),
    8_388_608,
    "maximum body of one ingest request after decompression, in bytes",
  ),
  lenient: option(
    k.boolean(),
    true,
    "moves unknown members of an event, and members in the form of another system, into its payload; false " +
      "refuses them",
  ),
  highWaterBytes: option(
    k.integer(1_048_576, 4_294_967_296),
    67_108_864,
    "bytes of events queued for the writer plus request bodies in memory above which clients get 503; at " +
      "least twice ingest.maxBodyBytes",
  ),
};

function perProject(value: number, what: string) {
  return option(k.integer(1, 1_000_000), value, `${what} per project`, { reloadable: true });
}

/** Maximum numbers of objects per user or project. Lowering a limit keeps existing objects. */
export const LIMIT_OPTIONS = {
  rulesPerProject: option(
    k.integer(1, 1_000_000),
    1000,
    "active rules per project, and of rules for all projects; each event is compared with all of them",
    { reloadable: true },
  ),
  rulesPerUser: option(k.integer(1, 1_000_000), 5000, "active rules created by one user", { reloadable: true }),
  timersPerUser: option(k.integer(1, 1_000_000), 1000, "pending timers and scheduled notifications per user or key", {
    reloadable: true,
  }),
  schedulesPerUser: option(k.integer(1, 100_000), 200, "schedules and recurring timers per user", {
    reloadable: true,
  }),
  alertsPerProject: option(
    k.integer(1, 1_000_000),
    200_000,
    "firing and pending alerts per project; each takes about 1 KB of memory",
    { reloadable: true },
  ),
  silencesPerProject: option(
    k.integer(1, 1_000_000),
    10_000,
    "silences and maintenance windows per project that have not ended",
    { reloadable: true },
  ),
  minRepeatMs: option(
    k.duration(1000, 86_400_000),
    60_000,
    "minimum interval of a recurring timer, unless its creator has jobs:manage",
    { reloadable: true },
  ),
  projectsPerUser: option(k.integer(1, 1_000_000), 50, "projects of one user who is no administrator", {
    reloadable: true,
  }),
  topicsPerProject: perProject(1000, "topics of ntfy; those unused for 30 days expire"),
  receiversPerProject: perProject(500, "receivers"),
  integrationsPerProject: perProject(500, "integrations"),
  policiesPerProject: perProject(500, "policies"),
  onCallSchedulesPerProject: perProject(200, "on-call schedules"),
  heartbeatsPerProject: perProject(20_000, "heartbeats"),
  calendarsPerProject: perProject(20, "on-call schedules that import a calendar"),
  storageBytesPerProject: option(
    k.integer(1_048_576, 1e15),
    1_073_741_824,
    "bytes of events and alerts that a project stores; more are refused with 507. Not for the default project, nor for " +
      "those of administrators",
    { reloadable: true },
  ),
  creatorFactor: option(
    k.integer(1, 10_000),
    5,
    "what one user who is no administrator can make in all projects, as a multiple of a project's limit",
    { reloadable: true },
  ),
  serverFactor: option(
    k.integer(1, 10_000),
    10,
    "what all users who are no administrators can make together, as a multiple of the limit of one of them",
    { reloadable: true },
  ),
  webhooksPerOwner: option(
    k.integer(1, 10_000),
    100,
    "webhooks per user and per project; each notification checks all of them",
    { reloadable: true },
  ),
  channelsPerOwner: option(
    k.integer(1, 10_000),
    100,
    "channels to services per user and per project; each notification checks all of them",
    { reloadable: true },
  ),
  ruleStepsPerMinute: option(
    k.integer(1_000_000, 1e12),
    500_000_000,
    "steps of about 10 ns that costly conditions of a project may take per minute; above it the costliest " +
      "rule is disabled as broken (TOO_COSTLY)",
  ),
  patternsPerProject: option(
    k.integer(1, 1e9),
    131_072,
    "compiled instructions of all patterns (matches) in a project's active rules; a usual pattern has 10 to 50",
  ),
  patterns: option(
    k.integer(1, 1e9),
    1_048_576,
    "compiled instructions of all patterns (matches) in the active rules of the server",
  ),
  patternMemoryBytes: option(
    k.integer(1_048_576, 17_179_869_184),
    67_108_864,
    "memory in bytes for compiled patterns; those unused for longest are removed and compiled again when needed",
  ),
};

/** Work of the main thread that requests may cause. A full budget holds the work of ten seconds. */
export const WORK_OPTIONS = {
  projectMsPerSecond: option(
    k.integer(1, 10_000),
    100,
    "milliseconds of the main thread per second that requests of one project may take, counted by bytes, members " +
      "and steps; a burst may take ten times that. Further requests get 429 WORK_LIMITED",
    { reloadable: true },
  ),
  creatorMsPerSecond: option(
    k.integer(1, 10_000),
    200,
    "as work.projectMsPerSecond, for the requests of one account and of all projects that it owns",
    { reloadable: true },
  ),
  allMsPerSecond: option(
    k.integer(1, 10_000),
    500,
    "as work.projectMsPerSecond, for all together: half of the main thread; above it those are refused that " +
      "used more than half of their own budget",
    { reloadable: true },
  ),
};

/** Bounds of what users set for their receivers. Lower ones apply to existing receivers, too. */
export const RECEIVER_OPTIONS = {
  maxPerSecond: option(
    k.integer(1, 1000),
    1000,
    "maximum of perSecond, the requests that a receiver takes per second",
    { reloadable: true },
  ),
  maxBurst: option(k.integer(1, 10_000), 10_000, "maximum of burst, the requests that a receiver takes at once", {
    reloadable: true,
  }),
  maxBodyBytes: option(
    k.integer(1024, 26_214_400),
    26_214_400,
    "maximum of maxBodyBytes, the largest body that a receiver takes; GitHub sends up to 25 MB",
    { reloadable: true },
  ),
};

/** Time limits of outside calls, each of its own phase. */
export const CALL_OPTIONS = {
  dnsMs: option(k.duration(100, 60_000), 3000, "longest time to resolve the name of a host that is called"),
  connectMs: option(
    k.duration(100, 60_000),
    3000,
    "longest time to connect to a host, to all its addresses of both families together",
  ),
  tlsMs: option(k.duration(100, 60_000), 5000, "longest time to agree on TLS with a host"),
  answerMs: option(
    k.duration(100, 60_000),
    10_000,
    "longest time for the answer to a call, and for the greeting of the mail server; APNs and FCM have 30 s",
  ),
};
