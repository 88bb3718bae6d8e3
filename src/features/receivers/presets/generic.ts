import type { ReceiverPreset } from "../preset.ts";

/** Any program that can call a URL: the usual names of members are tried in turn. */
export const generic = {
  name: "generic",
  title: "Generic",
  group: "generic",
  docs: "generic",
  secret: "optional",
  setup: [
    "Let the program send a request to {url}.",
    "JSON, a form, text and query parameters are read: title, message, level, status, key, link.",
    "Look at the last requests of the receiver, and write a mapping for other names.",
  ],
  methods: ["POST", "PUT", "GET"],
  verify: [{ scheme: "credential" }],
  replayId: "= first(headers['idempotency-key'], headers['webhook-id'])",
  mapping: {
    let: {
      in: "= first(body, query)",
      state: "= lower(string(first(body.status, body.state, query.status, query.state)))",
    },
    output: "both",
    type: "= first(body.type, query.type, headers['x-event-type'], 'message')",
    level: "= first(body.level, body.severity, body.priority, query.level, query.severity, query.priority)",
    title:
      "= first(body.title, body.subject, body.summary, body.name, query.title, body == null ? firstLine(text) : null)",
    message: "= first(body.message, body.text, body.body, body.description, query.message, body == null ? text : null)",
    key: "= first(body.key, body.dedupeKey, body.dedup_key, body.id, query.key)",
    status:
      "= lookup(state, 'firing', 'firing', 'alerting', 'firing', 'problem', 'firing', 'down', 'firing', " +
      "'open', 'firing', 'triggered', 'firing', 'resolved', 'resolved', 'ok', 'resolved', 'up', 'resolved', " +
      "'closed', 'resolved', " +
      "'recovered', 'resolved', 'acknowledged', 'acknowledged', 'event')",
    time: "= first(body.time, body.timestamp, body.occurredAt, query.time)",
    link: "= first(body.link, body.url, query.link, query.url)",
  },
  sample: {
    body: {
      title: "Disk almost full",
      message: "/var is 91 % full",
      level: "warning",
      key: "disk/var",
      status: "firing",
    },
  },
} as const satisfies ReceiverPreset;
