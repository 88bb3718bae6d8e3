import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const HOUR = 3_600_000;

/** The queues of the job table (docs/jobs.md). Their order is the order in which they are shown. */
export const QUEUE_OPTIONS = {
  "event-processing": queue(4, 8, "poison events and reprocessing"),
  "notification-delivery": queue(16, 8, "recipients of rules that reach many, attempts on outside channels"),
  "push-notification": queue(16, 8, "attempts on push services"),
  "bucket-monitoring": queue(1, 3, "checks of transfer buckets"),
  "alert-suppression": queue(2, 5, "what suppression has held back"),
  messages: queue(8, 1, "first deliveries of delayed messages"),
  "messages-retry": queue(4, 5, "further deliveries of delayed messages"),
  "messages-dead-letter": queue(0, 1, "delayed messages that could not be delivered; nothing runs here", 0),
  alert: queue(2, 5, "alerts of projects with many errors"),
  digest: queue(1, 3, "digests"),
  retention: queue(1, 3, "removal of what is no longer kept"),
  timers: queue(8, 5, "timer actions and scheduled notifications"),
  module: queue(2, 5, "jobs of each module"),
};

function queue(concurrency: number, maxAttempts: number, what: string, minConcurrency = 1) {
  const live = { reloadable: true };
  return {
    concurrency: option(k.integer(minConcurrency, 1000), concurrency, `jobs at a time: ${what}`, live),
    maxAttempts: option(k.integer(1, 100), maxAttempts, `attempts before a new job counts as dead: ${what}`, live),
    backoffBaseMs: option(
      k.duration(1, HOUR),
      1000,
      `longest wait before the second attempt, doubling with each: ${what}`,
      live,
    ),
    backoffCapMs: option(k.duration(1, 24 * HOUR), 900_000, `longest wait before any attempt: ${what}`, live),
  };
}

/** Requests a minute. */
export const RATE_LIMIT_OPTIONS = {
  enabled: option(k.boolean(), true, "false switches every request limit off; production warns", {
    reloadable: true,
  }),
  global: optional(k.integer(1, 1e9), "requests a minute of all callers together; by default there is no such limit", {
    reloadable: true,
  }),
  ip: option(
    k.integer(1, 1e9),
    600,
    "requests a minute of one address without valid credentials, unknown paths and preflights included",
    {
      reloadable: true,
    },
  ),
  user: option(k.integer(1, 1e9), 6000, "requests a minute of one user", { reloadable: true }),
  auth: option(k.integer(1, 1e9), 20, "attempts a minute of one address to log in or register", { reloadable: true }),
  authName: option(k.integer(1, 1e9), 10, "attempts a minute to log in by one name", { reloadable: true }),
  key: option(k.integer(1, 1e9), 6_000_000, "requests a minute of one API key; a key's own limit can only be smaller", {
    reloadable: true,
  }),
  uploads: option(k.integer(1, 1e9), 30, "sounds that one user uploads in a minute", { reloadable: true }),
  keyEvents: option(
    k.integer(1, 1e12),
    60_000_000,
    "events a minute of one API key; a key's own limit can only be smaller",
    {
      reloadable: true,
    },
  ),
};

/** Live connections. */
export const REALTIME_OPTIONS = {
  maxConnections: option(k.integer(1, 1e6), 100_000, "live connections in all"),
  maxPerUser: option(k.integer(1, 1e6), 50, "live connections of one user or key"),
  maxPerIp: option(k.integer(1, 1e6), 1000, "live connections of one address"),
  maxPendingPerIp: option(
    k.integer(1, 1e6),
    500,
    "live connections of one address that have not authenticated or subscribed yet (Socket.IO, Pusher), for ten seconds each",
  ),
  socketioNamespaces: option(
    k.list(k.socketIoNamespace),
    ["*"],
    "namespaces besides / that Socket.IO clients may join; * is any. All give the same streams",
  ),
  compression: option(k.boolean(), true, "permessage-deflate for messages of 512 bytes and more"),
};

/** Sizes of what producers send. */
export const INGEST_OPTIONS = {
  maxEventBytes: option(k.integer(1024, 16_777_216), 262_144, "payload of one event"),
  maxBatch: option(k.integer(1, 100_000), 10_000, "events of one request"),
  maxBodyBytes: option(k.integer(1024, 268_435_456), 8_388_608, "body of one ingest request, inflated"),
  lenient: option(
    k.boolean(),
    true,
    "unknown members of an event, and members in the form of another system, go into its payload; false refuses them",
  ),
  highWaterBytes: option(
    k.integer(1_048_576, 4_294_967_296),
    67_108_864,
    "bytes of events that may wait for the writer, and of request bodies at hand, before clients get 503; at least twice ingest.maxBodyBytes",
  ),
};

/**
 * How many of what people make by themselves there may be. What exists already stays when a limit
 * is lowered.
 */
export const LIMIT_OPTIONS = {
  rulesPerProject: option(
    k.integer(1, 1_000_000),
    1000,
    "active rules of one project, and as many for all projects: one event is compared with them all",
    { reloadable: true },
  ),
  rulesPerUser: option(k.integer(1, 1_000_000), 5000, "active rules that one user has made", { reloadable: true }),
  timersPerUser: option(
    k.integer(1, 1_000_000),
    1000,
    "unfinished timers and scheduled notifications of one user or key",
    { reloadable: true },
  ),
  schedulesPerUser: option(k.integer(1, 100_000), 200, "schedules and recurring timers of one user", {
    reloadable: true,
  }),
  minRepeatMs: option(
    k.duration(1000, 86_400_000),
    60_000,
    "shortest time between two runs of a recurring timer whose creator lacks jobs:manage",
    { reloadable: true },
  ),
  webhooksPerOwner: option(
    k.integer(1, 10_000),
    100,
    "webhooks of one user, and of one project: each notification asks them all",
    { reloadable: true },
  ),
  ruleStepsPerMinute: option(
    k.integer(1_000_000, 1e12),
    500_000_000,
    "steps of about 10 ns that costly conditions of one project may take in a minute; beyond that its costliest rule is broken (TOO_COSTLY)",
  ),
  patternsPerProject: option(
    k.integer(1, 1e9),
    131_072,
    "instructions that the patterns (matches) of a project's active rules may compile to together; a usual pattern has 10 to 50",
  ),
  patterns: option(k.integer(1, 1e9), 1_048_576, "the same of all active rules of the server"),
  patternMemoryBytes: option(
    k.integer(1_048_576, 17_179_869_184),
    67_108_864,
    "memory for compiled patterns; those that have not been used for long are compiled once more when they are needed",
  ),
};
