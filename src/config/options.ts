import { WORKER_CHANNELS } from "../core/vocabulary.ts";
import { AUTH_OPTIONS } from "./auth-options.ts";
import * as k from "./kinds.ts";
import { INGEST_OPTIONS, LIMIT_OPTIONS, QUEUE_OPTIONS, RATE_LIMIT_OPTIONS, REALTIME_OPTIONS } from "./limit-options.ts";
import { option, optional, type ValuesOf } from "./option.ts";
import { PUSHER_OPTIONS, STORAGE_OPTIONS } from "./provider-options.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Every setting of Prism. Flags, environment names, the example file,
 * `doctor` and the docs derive from this tree.
 */
export const OPTIONS = {
  env: option(
    k.oneOf("development", "test", "production"),
    "development",
    "development opens conveniences (dev token, generated secrets, local CORS); production refuses weak secrets",
    { seed: ["NODE_ENV"] },
  ),
  port: option(k.integer(0, 65535), 3000, "TCP port; 0 takes a free one and prints it", { seed: ["PORT"] }),
  extraPorts: option(
    k.list(k.portItem),
    [],
    "further ports on which the same server answers, such as 8080 for clients of the task socket",
  ),
  host: optional(
    k.address(),
    "address to listen on; by default 127.0.0.1, in production 0.0.0.0, so that a development server is not on the network",
    {
      seed: ["HOST"],
    },
  ),
  dataDir: option(k.text(), "./data", "directory of the database and the generated secrets; made with mode 0700"),
  databaseUrl: optional(
    k.text(),
    "file: URL or path of the database, by default <dataDir>/prism.db; other schemes are ignored with a warning",
    {
      seed: ["DATABASE_URL"],
    },
  ),
  publicUrl: optional(
    k.httpUrl(),
    "what clients call this server, used in links and to check Origin; by default from host and port",
  ),
  accountUrl: optional(
    k.httpUrl(),
    "where links in account mails lead: reset-password, invite, verify-email and project-invitation under this address; by default pages of this server, at /account",
  ),
  trustedProxies: option(k.list(k.cidr), [], "address ranges whose X-Forwarded-For counts"),
  chunkedBodies: option(
    k.boolean(),
    true,
    "false answers 411 to requests with Transfer-Encoding: chunked, for proxies that pass chunk lines on unread",
  ),
  auth: AUTH_OPTIONS,
  previousEncryptionKeys: option(
    k.list(k.key32Item),
    [],
    "keys of before; they open what they sealed until `prism key rotate --encryption` has sealed it anew",
    { secret: true },
  ),
  encryptionKey: optional(
    k.key32(),
    "encrypts secrets at rest (32 bytes, base64 or hex); generated in development, required in production",
    {
      secret: true,
    },
  ),
  smtp: {
    host: optional(k.hostText(), "mail server; without one no mail is sent", { seed: ["SMTP_HOST"] }),
    port: option(k.integer(1, 65535), 587, "its port; 465 for TLS from the first byte", { seed: ["SMTP_PORT"] }),
    user: optional(k.text(), "name to log in to the mail server with", { seed: ["SMTP_USER"] }),
    pass: optional(k.text(), "password to log in to the mail server with", { seed: ["SMTP_PASS"], secret: true }),
    from: optional(k.text(3, 320), "sender of all mails", { seed: ["SMTP_FROM"] }),
    secure: optional(k.boolean(), "TLS from the first byte; by default where the port is 465"),
    allowPlain: option(
      k.boolean(),
      false,
      "lets mail and password go without TLS to a server that is not on this machine",
    ),
  },
  pusher: PUSHER_OPTIONS,
  storage: STORAGE_OPTIONS,
  fcm: {
    credentials: optional(
      k.text(),
      "file with the service account's key (JSON) that sends through Firebase Cloud Messaging; without one nothing goes to FCM",
      { seed: ["GOOGLE_APPLICATION_CREDENTIALS"] },
    ),
    endpoint: optional(k.httpUrl(), "another server in place of fcm.googleapis.com, for tests; not in production"),
    tokenEndpoint: optional(
      k.httpUrl(),
      "where access tokens for FCM are from, in place of what the file says, for tests; not in production",
    ),
  },
  apns: {
    keyFile: optional(
      k.text(),
      "file with the key (.p8) that signs for Apple's push service; without keyFile, keyId, teamId and bundleId nothing goes to APNs",
      { seed: ["APNS_KEY_FILE"] },
    ),
    keyId: optional(k.text(1, 64), "Apple's id of that key, ten characters", { seed: ["APNS_KEY_ID"] }),
    teamId: optional(k.text(1, 64), "the developer team's id, ten characters", { seed: ["APNS_TEAM_ID"] }),
    bundleId: optional(k.text(1, 255), "the app's bundle id, the topic of each push", { seed: ["APNS_BUNDLE_ID"] }),
    production: optional(
      k.boolean(),
      "true sends to apps from the App Store and TestFlight, false to those that Xcode installed; by default true in production",
      { seed: ["APNS_PRODUCTION"] },
    ),
    endpoint: optional(k.httpUrl(), "another server in place of Apple's, for tests; not in production"),
  },
  tls: {
    certFile: optional(
      k.text(),
      "certificate chain in PEM; with it and tls.keyFile the server speaks TLS. SIGHUP reads both anew",
      { reloadable: true },
    ),
    keyFile: optional(k.text(), "the certificate's private key in PEM, not encrypted", { reloadable: true }),
  },
  alert: {
    errorThreshold: option(
      k.integer(1, 1_000_000),
      10,
      "error events of a project in alert.windowMs that alert its members; a project's alertThreshold comes first",
      { seed: ["ALERT_ERROR_THRESHOLD"], reloadable: true },
    ),
    windowMs: option(k.duration(1000, DAY), 5 * MINUTE, "the time in which that many errors are an alert", {
      reloadable: true,
    }),
    cooldownMs: option(k.duration(0, DAY), 5 * MINUTE, "silence of a project behind an alert", { reloadable: true }),
  },
  digest: {
    enabled: optional(
      k.boolean(),
      "sends the digest of projects whose settings say nothing of one, on days with events; by default where smtp.host is set",
    ),
    cron: option(k.text(1, 100), "0 8 * * *", "when digests are sent, by the wall clock of each project"),
    timezone: option(k.timezone(), "UTC", "IANA zone of that clock where the project names none"),
  },
  retention: {
    days: option(
      k.integer(0, 36_500),
      30,
      "days that events are kept, unless their project says otherwise; 0 keeps everything",
      { seed: ["RETENTION_DAYS"], reloadable: true },
    ),
    notificationDays: option(k.integer(0, 36_500), 90, "days that notifications are kept; 0 keeps everything", {
      reloadable: true,
    }),
    auditDays: option(
      k.integer(0, 36_500),
      365,
      "days that the audit trail is kept; a checkpoint takes the place of what goes. 0 keeps everything",
      { seed: ["AUDIT_RETENTION_DAYS"], reloadable: true },
    ),
    trustClock: option(
      k.boolean(),
      false,
      "remove by age even when the clock has jumped more than 7 days ahead; without it that waits for a day",
      { reloadable: true },
    ),
  },
  log: {
    level: option(k.oneOf("error", "warn", "info", "debug"), "info", "least severe level that is written", {
      seed: ["LOG_LEVEL"],
      reloadable: true,
    }),
  },
  debug: optional(k.text(), "namespaces that log at debug, such as prism:* or prism:http", {
    seed: ["DEBUG"],
    reloadable: true,
  }),
  cors: {
    origins: optional(
      k.list(k.origin),
      "browser origins that may call the API; by default none in production, any port of localhost in development",
      {
        seed: ["CORS_ORIGINS"],
        reloadable: true,
      },
    ),
  },
  rateLimit: RATE_LIMIT_OPTIONS,
  limits: LIMIT_OPTIONS,
  realtime: REALTIME_OPTIONS,
  ingest: INGEST_OPTIONS,
  store: {
    writer: option(
      k.oneOf("auto", "main", "thread"),
      "auto",
      "where the writing connection lives; auto gives it a thread once there is much to do, where there are two cores",
    ),
  },
  minFreeBytes: option(k.integer(0, 1e15), 268_435_456, "free disk space below which ingest answers 507"),
  maxDbBytes: optional(
    k.integer(65_536, 1e15),
    "size in bytes that the database may not pass; an eighth of it, 64 MiB at most, is kept for logins, deletes and retention, and ingest answers 507 when the rest is used",
  ),
  notifications: {
    unknownRecipient: optional(
      k.oneOf("provision", "reject"),
      "what an unknown recipient means: provision makes a user without password (development), reject answers RECIPIENT_NOT_FOUND (production)",
    ),
    appSchemes: option(
      k.list(k.urlScheme),
      [],
      "URL schemes of your apps that notifications may link to, besides http and https",
    ),
  },
  queues: QUEUE_OPTIONS,
  suppression: {
    defaultCount: option(
      k.integer(1, 1_000_000),
      20,
      "matches in the window after which a rule that says nothing of storms holds further ones back",
      { reloadable: true },
    ),
    defaultWindowMs: option(k.duration(1000, DAY), MINUTE, "that window", { reloadable: true }),
    enforceDefault: option(k.boolean(), true, "false lets such rules tell everything", { reloadable: true }),
  },
  delivery: {
    ackTimeoutMs: option(
      k.duration(0, HOUR),
      10_000,
      "how long push waits for somebody who is connected; it is not sent if the notification arrives until then",
      { reloadable: true },
    ),
    pushAlways: option(k.boolean(), false, "sends push at once, also to those who are connected", { reloadable: true }),
    workers: option(
      k.list(k.workerChannel),
      [],
      `channels that are left to processes of \`prism worker\`: this server decides and plans, and sends nothing by them itself (${WORKER_CHANNELS.join(", ")})`,
    ),
    perUser: option(
      k.integer(1, 1e9),
      60,
      "notifications a minute that leave the program for one user; more wait, and then become one",
      { reloadable: true },
    ),
    perUserBurst: option(k.integer(1, 1e9), 30, "of them at once", { reloadable: true }),
    global: option(k.integer(1, 1e9), 5000, "notifications a minute that leave the program, to all users together", {
      reloadable: true,
    }),
  },
  buckets: {
    checkMs: option(
      k.duration(1000, DAY),
      MINUTE,
      "how often the balances of transfer buckets are compared with their thresholds",
    ),
  },
  schedules: {
    maxCatchUp: option(
      k.integer(1, 10_000),
      100,
      "runs that a schedule with `missed: all` makes up for at most, after the server was down",
      { reloadable: true },
    ),
  },
  messages: {
    defaultDelayMs: option(
      k.duration(0, 30 * DAY),
      5000,
      "delay of a message whose sender names none; until then it can be cancelled",
      { reloadable: true },
    ),
    maxDelayMs: option(k.duration(0, 365 * DAY), 30 * DAY, "longest delay that a message may be given", {
      reloadable: true,
    }),
  },
  webhooks: {
    allowPrivateCidrs: option(
      k.list(k.cidr),
      [],
      "address ranges that are not public and that webhooks may reach nevertheless, on any port and by http",
    ),
    allowPorts: option(
      k.list(k.portItem),
      [],
      "ports of public addresses that webhooks may use besides 443, 80 and 8443",
    ),
  },
  modulesDir: optional(k.text(), "folder of modules to load; by default modules in the data directory"),
  modules: {
    hotReload: optional(k.boolean(), "loads a module anew when its folder changes; by default in development only"),
    maxBodyBytes: option(
      k.integer(1024, 268_435_456),
      26_214_400,
      "the most that a route of a module may take with maxBytes, in bytes",
    ),
    maxRequestsPerMinute: option(
      k.integer(1, 10_000_000),
      6000,
      "the most that a route of a module may allow one caller with rateLimit",
    ),
  },
  cache: {
    ttlMs: option(
      k.duration(0, HOUR),
      30_000,
      "how long users, permissions, keys, profiles and tasks are kept in memory at most; a write ends them at once",
    ),
    maxEntries: option(k.integer(100, 10_000_000), 50_000, "entries of each of these caches"),
  },
  metricsToken: optional(k.text(16), "bearer token that may read /metrics besides users with system:status", {
    secret: true,
  }),
  docsPublic: option(k.boolean(), true, "/docs and /openapi.json need no credentials"),
  shutdownMs: option(k.duration(0, 10 * MINUTE), 10_000, "how long a stop waits for requests, jobs and sockets"),
  timezone: option(k.timezone(), "UTC", "IANA zone of the server's own schedules and of new users", { seed: ["TZ"] }),
};

export type ConfigValues = ValuesOf<typeof OPTIONS>;

/** What each push to Apple needs. */
const NEEDED = ["keyFile", "keyId", "teamId", "bundleId"] as const;

/**
 * @returns a warning where some of the settings for APNs are there and others are not; nothing is
 * sent to Apple then.
 */
export function apnsGaps(apns: ConfigValues["apns"]): string | undefined {
  const missing = NEEDED.filter((name) => apns[name] === undefined);
  if (missing.length === 0 || missing.length === NEEDED.length) return undefined;
  const keys = missing.map((name) => `apns.${name}`).join(", ");
  return `APNs is off: ${keys} ${missing.length === 1 ? "is" : "are"} not set`;
}
