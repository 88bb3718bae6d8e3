import { WORKER_CHANNELS } from "../core/text/vocabulary.ts";
import { AUTH_OPTIONS } from "./auth-options.ts";
import { CLUSTER_OPTIONS } from "./cluster-options.ts";
import { CONFIGURATION_OPTIONS } from "./configuration-options.ts";
import { GOTIFY_OPTIONS, NTFY_OPTIONS } from "./face-options.ts";
import * as k from "./kinds.ts";
import {
  CALL_OPTIONS,
  INGEST_OPTIONS,
  LIMIT_OPTIONS,
  QUEUE_OPTIONS,
  RATE_LIMIT_OPTIONS,
  REALTIME_OPTIONS,
  RECEIVER_OPTIONS,
  WORK_OPTIONS,
} from "./limit-options.ts";
import { DKIM_OPTIONS, MAIL_IN_OPTIONS } from "./mail-options.ts";
import { option, optional, type ValuesOf } from "./option.ts";
import { PUSHER_OPTIONS, STORAGE_OPTIONS } from "./provider-options.ts";
import { DRILL_OPTIONS, EMERGENCY_OPTIONS, REPORT_OPTIONS, WATCH_OPTIONS } from "./watch-options.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Takes effect at once, also when the console changes it. */
const LIVE = { reloadable: true, editable: true } as const;

/**
 * All settings of Prism. Flags, environment names, the example file, `doctor` and the documentation
 * are generated from this tree.
 */
export const OPTIONS = {
  env: option(
    k.oneOf("development", "test", "production"),
    "development",
    "mode of the server: development enables a dev token, generated secrets and CORS for localhost; " +
      "production refuses weak secrets",
    { seed: ["NODE_ENV"] },
  ),
  port: option(k.integer(0, 65535), 3000, "TCP port to listen on; 0 takes a free port and prints it", {
    seed: ["PORT"],
  }),
  extraPorts: option(k.list(k.portItem), [], "more ports to listen on, such as 8080 for clients of the task socket"),
  dashboardPort: optional(
    k.integer(1, 65535),
    "one more port to listen on, such as 3001; there / opens the jobs page of the console",
  ),
  host: optional(
    k.address(),
    "address to listen on; by default 127.0.0.1, in production 0.0.0.0, so that a development server is not " +
      "reachable from the network",
    {
      seed: ["HOST"],
    },
  ),
  dataDir: option(k.text(), "./data", "directory of the database and the generated secrets; created with mode 0700"),
  databaseUrl: optional(
    k.text(),
    "file: URL or path of the database; by default <dataDir>/prism.db; other schemes are ignored with a warning",
    {
      seed: ["DATABASE_URL"],
    },
  ),
  publicUrl: optional(
    k.baseUrl(),
    "URL under which clients reach this server, for links and to check Origin; without it URLs have localhost, " +
      "and messages have no links or buttons",
    LIVE,
  ),
  accountUrl: optional(
    k.httpUrl(),
    "base URL of links in account mails, to which reset-password, invite, verify-email or project-invitation " +
      "is added; by default the console, <publicUrl>/dashboard",
  ),
  trustedProxies: option(k.list(k.cidr), [], "address ranges of proxies; only their X-Forwarded-For header is used"),
  chunkedBodies: option(
    k.boolean(),
    true,
    "accepts requests with Transfer-Encoding: chunked; false answers them with 411, for proxies that pass " +
      "chunk lines on unread",
  ),
  auth: AUTH_OPTIONS,
  previousEncryptionKeys: option(
    k.list(k.key32Item),
    [],
    "earlier encryption keys, still needed to decrypt until `prism key rotate --encryption` has encrypted " +
      "everything with the current key",
    { secret: true },
  ),
  encryptionKey: optional(
    k.key32(),
    "key that encrypts secrets at rest (32 bytes, base64 or hex); generated in development, required in " +
      "production",
    {
      secret: true,
    },
  ),
  smtp: {
    host: optional(k.hostText(), "mail server; without it no mail is sent", { seed: ["SMTP_HOST"], ...LIVE }),
    port: option(k.integer(1, 65535), 587, "port of the mail server; 465 is TLS from the first byte", {
      seed: ["SMTP_PORT"],
      ...LIVE,
    }),
    user: optional(k.text(), "user name for the mail server", { seed: ["SMTP_USER"], ...LIVE }),
    pass: optional(k.text(), "password for the mail server", { seed: ["SMTP_PASS"], secret: true, ...LIVE }),
    from: optional(k.sender(), "sender address of all mails", { seed: ["SMTP_FROM"], ...LIVE }),
    returnPath: optional(
      k.oneAddress(),
      "envelope sender of all mails, where bounces go; by default the address of smtp.from. With a domain that is " +
        "mailIn.domain, a bounce fails the page",
      LIVE,
    ),
    secure: optional(k.boolean(), "TLS from the first byte; by default true if smtp.port is 465", LIVE),
    allowPlain: option(k.boolean(), false, "allows mail and password without TLS to a server on another machine", LIVE),
    dkim: DKIM_OPTIONS,
  },
  mailIn: MAIL_IN_OPTIONS,
  emergency: EMERGENCY_OPTIONS,
  watch: WATCH_OPTIONS,
  configuration: CONFIGURATION_OPTIONS,
  cluster: CLUSTER_OPTIONS,
  pusher: PUSHER_OPTIONS,
  ntfy: NTFY_OPTIONS,
  gotify: GOTIFY_OPTIONS,
  storage: STORAGE_OPTIONS,
  fcm: {
    credentials: optional(
      k.text(),
      "file with the service account's key (JSON) for Firebase Cloud Messaging; without it nothing is sent to FCM",
      { seed: ["GOOGLE_APPLICATION_CREDENTIALS"] },
    ),
    endpoint: optional(k.httpUrl(), "URL used instead of fcm.googleapis.com, for tests; refused in production"),
    tokenEndpoint: optional(
      k.httpUrl(),
      "URL of access tokens for FCM instead of the one in fcm.credentials, for tests; refused in production",
    ),
  },
  apns: {
    keyFile: optional(
      k.text(),
      "file with the signing key (.p8) for Apple's push service; nothing is sent to APNs without keyFile, " +
        "keyId, teamId and bundleId",
      { seed: ["APNS_KEY_FILE"] },
    ),
    keyId: optional(k.text(1, 64), "Apple's id of that key, ten characters", { seed: ["APNS_KEY_ID"] }),
    teamId: optional(k.text(1, 64), "id of the developer team, ten characters", { seed: ["APNS_TEAM_ID"] }),
    bundleId: optional(k.text(1, 255), "bundle id of the app, the topic of each push", { seed: ["APNS_BUNDLE_ID"] }),
    production: optional(
      k.boolean(),
      "true sends to apps from the App Store and TestFlight, false to apps installed by Xcode; by default true " +
        "in production",
      { seed: ["APNS_PRODUCTION"] },
    ),
    endpoint: optional(k.httpUrl(), "URL used instead of Apple's server, for tests; refused in production"),
  },
  tls: {
    certFile: optional(
      k.text(),
      "certificate chain in PEM; with tls.keyFile the server speaks TLS; SIGHUP reloads both",
      { reloadable: true },
    ),
    keyFile: optional(k.text(), "private key of the certificate in PEM, not encrypted", { reloadable: true }),
  },
  projects: {
    defaultOpen: optional(
      k.boolean(),
      "whether every active user may read the project default, as a viewer; by default false, and true on a server " +
        "that ran before this setting existed",
      LIVE,
    ),
  },
  drill: DRILL_OPTIONS,
  escalation: {
    toAdministrators: option(
      k.boolean(),
      true,
      "pages administrators of an incident of high urgency that reaches no one else; they get its project, number and link",
      LIVE,
    ),
  },
  alert: {
    errorThreshold: option(
      k.integer(1, 1_000_000),
      10,
      "error events of a project within alert.windowMs that alert its members; a project's own alertThreshold " +
        "takes precedence",
      { seed: ["ALERT_ERROR_THRESHOLD"], ...LIVE },
    ),
    windowMs: option(k.duration(1000, DAY), 5 * MINUTE, "window in which errors are counted for an alert", LIVE),
    cooldownMs: option(
      k.duration(0, DAY),
      5 * MINUTE,
      "time after an alert in which the project has no other alert",
      LIVE,
    ),
  },
  digest: {
    enabled: optional(
      k.boolean(),
      "sends the digest, on days with events, to projects without a setting of their own; by default true if " +
        "smtp.host is set",
      LIVE,
    ),
    cron: option(k.text(1, 100), "0 8 * * *", "time of the digests, in the time zone of each project"),
    timezone: option(k.timezone(), "UTC", "IANA time zone of digests for projects without one"),
  },
  reports: REPORT_OPTIONS,
  retention: {
    days: option(
      k.integer(0, 36_500),
      30,
      "days to keep events, unless their project has its own setting; 0 keeps all",
      { seed: ["RETENTION_DAYS"], ...LIVE },
    ),
    notificationDays: option(k.integer(0, 36_500), 90, "days to keep notifications; 0 keeps all", LIVE),
    silenceDays: option(k.integer(0, 36_500), 5, "days to keep silences after their end; 0 keeps all", LIVE),
    alertDays: option(k.integer(0, 36_500), 90, "days to keep resolved alerts and incidents; 0 keeps all", LIVE),
    reportDays: option(k.integer(0, 36_500), 400, "days to keep what reports are made of; 0 keeps all", LIVE),
    auditDays: option(
      k.integer(0, 36_500),
      365,
      "days to keep the audit trail; a checkpoint replaces removed entries; 0 keeps all",
      { seed: ["AUDIT_RETENTION_DAYS"], reloadable: true },
    ),
    trustClock: option(
      k.boolean(),
      false,
      "removes by age even after the clock jumped more than 7 days ahead; by default removal then waits one day",
      { reloadable: true },
    ),
  },
  log: {
    level: option(k.oneOf("error", "warn", "info", "debug"), "info", "least severe level that is logged", {
      seed: ["LOG_LEVEL"],
      ...LIVE,
    }),
  },
  debug: optional(k.text(), "namespaces that log at level debug, such as prism:* or prism:http", {
    seed: ["DEBUG"],
    reloadable: true,
  }),
  cors: {
    origins: optional(
      k.list(k.origin),
      "browser origins that may call the API; by default none in production, every port of localhost in " +
        "development",
      {
        seed: ["CORS_ORIGINS"],
        reloadable: true,
      },
    ),
  },
  rateLimit: RATE_LIMIT_OPTIONS,
  limits: LIMIT_OPTIONS,
  work: WORK_OPTIONS,
  receivers: RECEIVER_OPTIONS,
  realtime: REALTIME_OPTIONS,
  ingest: INGEST_OPTIONS,
  store: {
    writer: option(
      k.oneOf("auto", "main", "thread"),
      "auto",
      "thread of the writing database connection: the main thread or its own; auto has it in its own while commits " +
        "are large or slow, if there are two cores",
    ),
    backupBeforeUpgrade: option(
      k.boolean(),
      true,
      "makes a verified backup in backups/upgrade before the first pending migration, and keeps the newest two",
    ),
  },
  minFreeBytes: option(k.integer(0, 1e15), 268_435_456, "free disk space in bytes; below it ingest answers 507"),
  maxDbBytes: optional(
    k.integer(65_536, 1e15),
    "maximum size of the database in bytes, by default unlimited; one eighth of it, at most 64 MiB, is " +
      "reserved for logins, deletes and retention, and ingest answers 507 when the rest is used",
  ),
  notifications: {
    unknownRecipient: optional(
      k.oneOf("provision", "reject"),
      "provision creates a user without password for an unknown recipient (default in development), reject " +
        "answers RECIPIENT_NOT_FOUND (default otherwise)",
    ),
    provisionAddresses: option(
      k.boolean(),
      false,
      "whether unknownRecipient: provision also creates users for mail addresses; otherwise an address without " +
        "an account answers RECIPIENT_NOT_FOUND",
    ),
    appSchemes: option(
      k.list(k.urlScheme),
      [],
      "URL schemes of your apps that notifications may link to, in addition to http and https",
    ),
  },
  queues: QUEUE_OPTIONS,
  suppression: {
    defaultCount: option(
      k.integer(1, 1_000_000),
      20,
      "matches within suppression.defaultWindowMs after which further matches are suppressed, for rules without " +
        "their own setting",
      { reloadable: true },
    ),
    defaultWindowMs: option(k.duration(1000, DAY), MINUTE, "sliding window of suppression.defaultCount", {
      reloadable: true,
    }),
    enforceDefault: option(
      k.boolean(),
      true,
      "applies suppression to rules without their own setting; false notifies every match of such rules",
      { reloadable: true },
    ),
  },
  delivery: {
    ackTimeoutMs: option(
      k.duration(0, HOUR),
      10_000,
      "how long push waits for a connected recipient; it is skipped if the notification is delivered within " +
        "this time",
      { reloadable: true },
    ),
    pushAlways: option(k.boolean(), false, "sends push at once, also to connected recipients", { reloadable: true }),
    workers: option(
      k.list(k.workerChannel),
      [],
      "channels that only processes of `prism worker` send; this server plans their deliveries and never sends them " +
        `itself (${WORKER_CHANNELS.join(", ")})`,
    ),
    perUser: option(
      k.integer(1, 1e9),
      60,
      "outside deliveries per user and minute; more wait and are then combined into one",
      { reloadable: true },
    ),
    perUserBurst: option(k.integer(1, 1e9), 30, "outside deliveries to one user that may be sent at once", {
      reloadable: true,
    }),
    global: option(k.integer(1, 1e9), 5000, "outside deliveries per minute to all users together", {
      reloadable: true,
    }),
    timeouts: CALL_OPTIONS,
  },
  buckets: {
    checkMs: option(
      k.duration(1000, DAY),
      MINUTE,
      "interval of comparing the balances of transfer buckets with their thresholds",
    ),
  },
  schedules: {
    maxCatchUp: option(
      k.integer(1, 10_000),
      100,
      "maximum of missed runs that a schedule with `missed: all` catches up after a downtime",
      { reloadable: true },
    ),
  },
  statusPages: {
    subscriptions: option(
      k.boolean(),
      false,
      "whether visitors of status pages may subscribe by mail where the page allows it: the confirmations go to any " +
        "address that is entered; pages with confirmed subscribers keep sending",
      LIVE,
    ),
  },
  silences: {
    warnHits: option(
      k.integer(1, 1_000_000),
      100,
      "firing alerts above which a new silence counts as broad and needs the permission silences:broad",
      { reloadable: true },
    ),
  },
  messages: {
    defaultDelayMs: option(
      k.duration(0, 30 * DAY),
      5000,
      "delay of a message without one; the sender can cancel it until then",
      { reloadable: true },
    ),
    maxDelayMs: option(k.duration(0, 365 * DAY), 30 * DAY, "maximum delay of a message", {
      reloadable: true,
    }),
  },
  webhooks: {
    allowPrivateCidrs: option(
      k.list(k.cidr),
      [],
      "address ranges that webhooks, Web Push and requests of mirrors that owners pass on (any method, 20 headers of " +
        "their choice) may reach although they are not public, on any port and over http",
    ),
    allowPorts: option(
      k.list(k.portItem),
      [],
      "ports of public addresses that webhooks may use, in addition to 443, 80 and 8443",
    ),
  },
  proxy: {
    url: optional(
      k.proxyUrl(),
      "outgoing proxy of all HTTP calls, by CONNECT to the name; not of mail, NATS, other nodes, this machine, and " +
        "commands to their server",
      { seed: ["HTTPS_PROXY", "https_proxy"], secret: true },
    ),
    noProxy: option(
      k.list(k.noProxyItem),
      [],
      "hosts that are called without proxy.url: names and domains, with or without a port, addresses and ranges; `*` is " +
        "all",
      { seed: ["NO_PROXY", "no_proxy"] },
    ),
    resolves: option(
      k.boolean(),
      false,
      "leaves names that do not resolve here to proxy.url: then the proxy has to refuse private addresses",
    ),
  },
  modulesDir: optional(k.text(), "directory of modules to load; by default modules in the data directory"),
  modules: {
    hotReload: optional(
      k.boolean(),
      "reloads a module when its directory changes; by default true only in development",
    ),
    maxBodyBytes: option(
      k.integer(1024, 268_435_456),
      26_214_400,
      "upper limit in bytes for maxBytes of a module's route",
    ),
    maxRequestsPerMinute: option(
      k.integer(1, 10_000_000),
      6000,
      "upper limit for rateLimit of a module's route, in requests per caller and minute",
    ),
  },
  cache: {
    ttlMs: option(
      k.duration(0, HOUR),
      30_000,
      "how long users, permissions, keys, profiles and tasks are cached; a change removes them at once",
    ),
    maxEntries: option(k.integer(100, 10_000_000), 50_000, "maximum number of entries of each cache"),
  },
  metricsToken: optional(k.text(16), "bearer token for /metrics, in addition to users with system:status", {
    secret: true,
  }),
  docsPublic: option(k.boolean(), true, "serves /docs and /openapi.json without credentials"),
  shutdownMs: option(k.duration(0, 10 * MINUTE), 10_000, "how long a shutdown waits for requests, jobs and sockets"),
  timezone: option(k.timezone(), "UTC", "IANA time zone of the server's own schedules and of new users", {
    seed: ["TZ"],
    editable: true,
  }),
};

export type ConfigValues = ValuesOf<typeof OPTIONS>;

/** Settings that every push to Apple needs. */
const NEEDED = ["keyFile", "keyId", "teamId", "bundleId"] as const;

/**
 * @returns a warning if only some of the settings for APNs are set; nothing is sent to Apple then.
 */
export function apnsGaps(apns: ConfigValues["apns"]): string | undefined {
  const missing = NEEDED.filter((name) => apns[name] === undefined);
  if (missing.length === 0 || missing.length === NEEDED.length) return undefined;
  const keys = missing.map((name) => `apns.${name}`).join(", ");
  return `APNs is off: ${keys} ${missing.length === 1 ? "is" : "are"} not set`;
}
