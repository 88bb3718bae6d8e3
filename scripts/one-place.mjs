// What has one place in the program: a second one would lack what the first has learnt, such as
// the outgoing proxy, the end at a stop, or runs that do not overlap. scripts/check-imports.mjs
// checks the lists. A folder, with / at its end, stands for its files,
// and a * before a name for all files of this name.

/** Files that call hosts outside, by `proxy.url` where it is set. */
export const CALLS_OUTSIDE = [
  "src/config/outgoing-proxy.ts",
  "src/features/access/authenticate/issuer-tokens.ts",
  "src/features/access/doctor.ts",
  "src/features/access/oidc/outgoing.ts",
  "src/features/channels/push/apns-client.ts",
  "src/features/channels/push/http.ts",
  "src/features/channels/pusher/client.ts",
  "src/features/channels/webhook/kept-connections.ts",
  "src/features/channels/webhook/safe-fetch.ts",
  "src/features/health/emergency/call-url.ts",
];

/** `files` by the reason why they may. */
const PLACES = [
  {
    code: /(?<![.#\w])setInterval\b|\bglobalThis\.setInterval\b|^import (?:\* as )?\w+ from "(?:node:)?timers/m,
    is: "repeats work with setInterval",
    use: "periodic() of src/core/time/periodic.ts",
    files: {
      "the place itself": ["src/core/time/periodic.ts"],
      "it notices a step of the clock": ["src/core/time/due-times.ts"],
      "it runs only while something waits": [
        "src/config/logger.ts",
        "src/http/body/body.ts",
        "src/live/protocols/socketio/engine.ts",
      ],
      "a tick without a wait, over all connections": ["src/live/connections.ts", "src/http/server/listener.ts"],
      "it measures how busy the loop is": ["src/app/idle-memory.ts", "src/features/plugins/watchdog.ts"],
      "it watches a process that leads or follows": ["src/app/without-leader.ts", "src/cluster/"],
      "it ends with the work that it tells about": [
        "src/features/records/backup/create-backup.ts",
        "src/features/records/backup/upgrade.ts",
        "src/cli/",
        "src/remote/worker/loop.ts",
      ],
      "a script for browsers": ["src/features/statuspage/assets.ts"],
    },
  },
  {
    code: /(?<![.#\w])setTimeout\b|\bglobalThis\.setTimeout\b|^import (?:(?:\* as )?\w+|\{[^}]*\bscheduler\b[^}]*\}) from "(?:node:)?timers/m,
    is: "waits with setTimeout",
    use:
      "within() of src/core/promises.ts for a limit, DueTimes of src/core/time/due-times.ts for a due time, " +
      "and a job for what a restart must not lose",
    files: {
      "the places themselves": ["src/core/promises.ts", "src/core/time/due-times.ts"],
      "a limit that ends a call, a transaction or a session": [
        "src/config/outgoing-proxy.ts",
        "src/features/channels/push/http.ts",
        "src/features/channels/pusher/client.ts",
        "src/features/channels/webhook/",
        "src/features/delivery/calls/connect.ts",
        "src/features/delivery/channel.ts",
        "src/features/health/emergency/ways.ts",
        "src/features/intake/mail-in/listener.ts",
        "src/features/time/jobs/long-poll-queue.ts",
        "src/live/protocols/socketio/engine.ts",
        "src/store/commit/write-driver.ts",
      ],
      "a limit of a thread, or its end when it is idle": [
        "src/core/runtime.ts",
        "src/features/access/passwords/hasher.ts",
        "src/features/intake/receivers/prepare-thread.ts",
        "src/features/oncall/calendar-thread.ts",
        "src/store/scanner.ts",
      ],
      "a job that was claimed a moment before its time": [
        "src/features/time/jobs/runner/runner-queue.ts",
        "src/features/time/jobs/worker-leases.ts",
      ],
      "it gathers for a moment what one write or call then takes": [
        "src/features/alerts/book/repetitions.ts",
        "src/features/delivery/pages/records.ts",
        "src/features/plugins/modules-directory.ts",
        "src/features/protocols/pusher/webhooks.ts",
        "src/features/time/jobs/runner/job-execution.ts",
        "src/store/commit/committer.ts",
      ],
      "one moment, which no table has": [
        "src/features/delivery/target-queues.ts",
        "src/features/health/emergency/watch.ts",
        "src/features/health/watch/outgoing.ts",
        "src/features/records/retention/retention-job.ts",
        "src/live/presence.ts",
      ],
      "the next try, whose time depends on the last one": [
        "src/features/access/authenticate/issuer-tokens.ts",
        "src/features/alerts/book/signals.ts",
        "src/features/statuspage/pages.ts",
        "src/features/time/jobs/runner/runner.ts",
        "src/store/stored-files.ts",
      ],
      "a pause in which others run, or an answer that comes late by intent": [
        "src/features/access/sessions/account-links.ts",
        "src/features/events/bus.ts",
        "src/features/events/ingest.ts",
        "src/features/rules/over-time/absences.ts",
        "src/http/limits/request-work.ts",
        "src/live/connections.ts",
        "src/live/hub.ts",
        "src/store/retention.ts",
      ],
      "it waits until connections have ended": [
        "src/features/protocols/pusher/feature.ts",
        "src/http/server/listener.ts",
      ],
      "it waits for another process": ["src/app/without-leader.ts", "src/cli/", "src/cluster/", "src/remote/"],
      "the timers of the client package, which its users may replace": ["src/client/wire.ts"],
    },
  },
  {
    code: /\bemergency\.raise\(/,
    is: "calls the contacts of emergency",
    use: "lastResort in the findings of the feature (src/module/findings.ts)",
    files: {
      "the place itself": ["src/features/health/emergency/watch.ts"],
      "an event of the start, not a state": ["src/features/health/watch/down-time.ts"],
      "no feature is open there": ["src/app/without-leader.ts", "src/cli/commands/server/serve.ts"],
    },
  },
  {
    code: /\bAttentionItem\b/,
    is: "makes lines of the overview",
    use: "the findings of the feature (src/module/findings.ts)",
    files: {
      "what waits for a person, and the findings as lines": ["src/features/health/overview/"],
      "the type of the client": ["src/client/api-types.gen.ts"],
    },
  },
  {
    code: /from "[^"]*core\/finding\.ts"/,
    is: "finds problems, or lists them",
    use: "findings.ts or doctor.ts of the feature that has them",
    files: {
      "those who find them": ["*/findings.ts", "*/doctor.ts"],
      "what is below the features, for doctor": [
        "src/cli/commands/doctor/",
        "src/http/server/tls.ts",
        "src/remote/running-server.ts",
      ],
      "found when a policy is saved, and each hour": ["src/features/alerts/ways/warnings.ts"],
      "they read them": ["src/features/health/"],
    },
  },
  {
    code: /(?:\bdue|#due)\.start\(\)/,
    is: "begins due work itself",
    use: "dueWork of the feature's declaration: the app loads, begins and ends it",
    files: {
      "it claims jobs by it, and ends with a time limit": ["src/features/time/jobs/runner/runner.ts"],
      "it works from the first reason on, in processes without features too": [
        "src/features/health/emergency/emergency.ts",
      ],
    },
  },
  {
    code: /"nodemailer"/,
    is: "imports nodemailer",
    use: "MailClient of src/features/channels/mail/client.ts",
    files: {
      "the place itself, and its test of a server": ["src/features/channels/mail/"],
      "it sends when everything else fails": ["src/features/health/emergency/ways.ts"],
    },
  },
  {
    code: /"web-push"/,
    is: "imports web-push",
    use: "src/features/channels/webpush/sender.ts",
    files: { "the place itself": ["src/features/channels/webpush/sender.ts"] },
  },
  {
    code: /(?<![.#\w])fetch\(|globalThis\.fetch|\bhttps?\.(?:request|get)\(|\bhttp2\.connect\(|import \{[^}]*(?<!type )\b(?:request|get|connect)\b[^}]*\} from "node:http(?:s|2)?"|import\("node:http(?:s|2)?"\)|getBuiltinModule\([^)]*"node:https?"\)(?!\.STATUS_CODES)|"undici"/,
    is: "makes HTTP requests",
    use: "SafeFetch of src/features/channels/webhook/safe-fetch.ts, or connectTo of src/features/delivery/calls/connect.ts",
    files: {
      "hosts outside": CALLS_OUTSIDE,
      "its own server": [
        "src/cli/commands/server/health.ts",
        "src/client/api.ts",
        "src/remote/control-transport.ts",
        "src/remote/running-server.ts",
        "src/remote/server-client.ts",
      ],
      "other nodes of the cluster": ["src/cluster/follow/forward.ts", "src/cluster/follow/look.ts"],
      "the old system of an import, which its command names": ["src/remote/import/http-source.ts"],
      "a script for browsers": ["src/features/statuspage/assets.ts"],
    },
  },
  {
    code: /["'`]\{\{["'`]|\/(?:\\\{)+(?: |\\s\*)*\(.*\\\}\/[a-z]*/,
    is: "reads placeholders in a text",
    use: "readTemplate of src/features/rules/language/template.ts",
    files: {
      "the place itself": ["src/features/rules/language/template.ts"],
      "Go's templates, which clients of ntfy send": ["src/features/protocols/ntfy/templates/"],
      "it names or parts braces, and fills nothing": [
        "src/features/channels/templates/template.ts",
        "src/features/protocols/alertmanager/import/yaml-file.ts",
        "src/features/rules/over-time/settings.ts",
      ],
      "paths of the API and columns of commands": ["src/cli/operations.ts", "src/cli/resource.ts"],
      "requests of the demo": ["src/remote/demo/"],
      "repeats in a regular expression": ["src/core/text/pattern-size.ts"],
    },
  },
  {
    code: /["'](?:title|subject|headline)["'],\s*["'](?:title|subject|headline|summary)["']|\/\(\?:title\|subject/,
    is: "lists names that have a title in unknown JSON",
    use: "describeEvent or describeBody of src/core/text, which read the names of src/core/text/names.ts",
    files: {
      "the place itself": ["src/core/text/names.ts"],
      "members of Alertmanager's own settings": ["src/features/protocols/alertmanager/import/services.ts"],
    },
  },
];

/**
 * What is done elsewhere than in its place, and entries of the lists that nothing needs.
 * @param sources [file, text] of each file
 */
export function misplaced(sources) {
  const code = sources.map(([file, text]) => [file, text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "")]);
  return PLACES.flatMap((place) => {
    const places = Object.values(place.files).flat();
    const found = code.filter(([, text]) => place.code.test(text)).map(([file]) => file);
    const isIn = (file) => (each) => {
      if (each.startsWith("*")) return file.endsWith(each.slice(1));
      return each.endsWith("/") ? file.startsWith(each) : file === each;
    };
    return [
      ...found
        .filter((file) => !places.some(isIn(file)))
        .map((file) => `${file} ${place.is}: use ${place.use}, or say in scripts/one-place.mjs why not`),
      ...places
        .filter((each) => !found.some((file) => isIn(file)(each)))
        .map((each) => `scripts/one-place.mjs: nothing in ${each} ${place.is} any more`),
    ];
  });
}
