import type { ReceiverPreset } from "../preset.ts";

/** CloudEvents 1.0 in the binary, structured and batched mode. */
const cloudevents = {
  name: "cloudevents",
  title: "CloudEvents",
  group: "formats",
  docs: "cloudevents",
  secret: "optional",
  secretTitle: "Bearer token, or parameter access_token of the URL",
  setup: [
    "Enter {url} as the sink of the sender; binary, structured and batched events are taken.",
    "Authorization: Bearer <secret>, or ?access_token=<secret>, if the receiver has a secret.",
    "The check by OPTIONS and WebHook-Request-Origin is answered.",
  ],
  methods: ["POST", "PUT"],
  verify: [{ scheme: "credential" }],
  shape: [
    ["body.specversion", "body.source", "body.type"],
    ["body.0.specversion"],
    ["headers.ce-id", "headers.ce-type"],
  ],
  mapping: {
    split: "body",
    let: {
      isBinary: "= exists(headers['ce-id'])",
      given: "= first(item, body)",
      id: "= isBinary ? headers['ce-id'] : given.id",
      origin: "= isBinary ? headers['ce-source'] : given.source",
      kind: "= isBinary ? headers['ce-type'] : given.type",
      subject: "= isBinary ? headers['ce-subject'] : given.subject",
      data: "= isBinary ? body : given.data",
      severity: "= first(headers['ce-severity'], given.severity, data.severity, data.level)",
      state: "= first(headers['ce-status'], data.status, data.state)",
    },
    output: "alerts",
    type: "= kind",
    level: "= severity",
    title:
      "= firstText(data.title, data.summary, data.name, concat(kind, subject == null ? '' : concat(': ', subject)))",
    message: "= firstText(data.message, data.description, subject)",
    key: "= first(subject, concat(origin, '#', id))",
    status:
      "= lookup(state, 'firing', 'firing', 'alerting', 'firing', 'resolved', 'resolved', 'ok', 'resolved', 'event')",
    time: "= isBinary ? headers['ce-time'] : given.time",
    link: "= first(data.url, data.link)",
    source: "= origin",
    labels: { id: "= id", subject: "= subject", dataschema: "= first(headers['ce-dataschema'], given.dataschema)" },
    // A single event.
    cases: [{ when: "item == null" }],
  },
  sample: {
    contentType: "application/cloudevents+json; charset=utf-8",
    body: {
      specversion: "1.0",
      id: "A234-1234-1234",
      source: "/warehouse/scales",
      type: "com.example.scale.overload",
      subject: "scale-7",
      time: "2026-01-31T08:00:05Z",
      datacontenttype: "application/json",
      data: { severity: "warning", message: "1250 kg on a scale for 1000 kg" },
    },
  },
} as const satisfies ReceiverPreset;

const PARTS = ["{id}", ".", "{ts}", ".", "{body}"] as const;
const SIGNED = { separator: " ", encoding: "base64" } as const;
const STANDARD = {
  ...SIGNED,
  header: "webhook-signature",
  timestampHeader: "webhook-timestamp",
  idHeader: "webhook-id",
} as const;

/** Standard Webhooks, and Svix with the older names of its headers. */
const standardwebhooks = {
  name: "standardwebhooks",
  title: "Standard Webhooks and Svix",
  group: "formats",
  docs: "standardwebhooks",
  secret: "required",
  secretTitle: "Signing secret (whsec_…) or public key (whpk_…)",
  setup: [
    "Add an endpoint with the URL {url} at the sender.",
    "Copy its signing secret (whsec_…) or public key (whpk_…) into the receiver's secret.",
    "Send a test event from the sender.",
  ],
  methods: ["POST"],
  verify: [
    { scheme: "hmac", algorithm: "sha256", prefix: "v1,", keyForm: "whsec", ...STANDARD, signed: [...PARTS] },
    { scheme: "ed25519", prefix: "v1a,", keyForm: "whpk", ...STANDARD, signed: [...PARTS] },
    {
      scheme: "hmac",
      algorithm: "sha256",
      prefix: "v1,",
      keyForm: "whsec",
      ...SIGNED,
      signed: [...PARTS],
      header: "svix-signature",
      timestampHeader: "svix-timestamp",
      idHeader: "svix-id",
    },
  ],
  replayId: "= first(headers['webhook-id'], headers['svix-id'])",
  shape: [["headers.webhook-id|headers.svix-id", "body.type", "body.data"]],
  mapping: {
    let: {
      kind: "= first(body.type, body.event_type, body.eventType, 'webhook')",
      state: "= lower(first(body.data.status, body.data.state))",
    },
    output: "alerts",
    type: "= kind",
    level: "= first(body.data.severity, body.data.level)",
    title: "= firstText(body.data.title, body.data.summary, body.data.name, kind)",
    message: "= firstText(body.data.message, body.data.description)",
    key: "= string(first(body.data.key, body.data.id))",
    status:
      "= lookup(state, 'firing', 'firing', 'alerting', 'firing', 'resolved', 'resolved', 'ok', 'resolved', 'event')",
    time: "= body.timestamp",
    link: "= first(body.data.url, body.data.link)",
  },
  sample: {
    headers: { "user-agent": "standard-webhooks" },
    body: {
      type: "backup.failed",
      timestamp: "2026-01-31T08:00:05.123Z",
      data: { id: "db-1", title: "Backup of db-1 failed", severity: "error", message: "No space left on device" },
    },
  },
} as const satisfies ReceiverPreset;

/** Apprise: its services json, form and xml, and the body of its API. */
const apprise = {
  name: "apprise",
  title: "Apprise",
  group: "formats",
  docs: "apprise-cli",
  secret: "optional",
  secretTitle: "Password in Apprise's URL",
  setup: [
    "Take {url}, and write jsons:// in place of https:// (json:// in place of http://).",
    "apprise -t Title -b Message -n warning <that URL>",
    "forms:// and xmls:// work as well; ?:id=backup&:state=firing makes alerts.",
  ],
  methods: ["POST", "PUT", "GET"],
  verify: [{ scheme: "credential" }],
  shape: [["body.version", "body.message", "body.attachments", "body.type=info|success|warning|failure"]],
  mapping: {
    let: {
      xml: "= body == null and contains(text, '<Notification') ? text : null",
      xmlTitle: "= stripHtml(at(split(at(split(xml, '<Subject>'), 1), '</Subject>'), 0))",
      xmlMessage: "= stripHtml(at(split(at(split(xml, '<Message>'), 1), '</Message>'), 0))",
      xmlKind: "= at(split(at(split(xml, '<MessageType>'), 1), '</MessageType>'), 0)",
      message: "= firstText(body.message, body.body, query.message, query.body, xmlMessage, xml == null ? text : null)",
      kind: "= lower(first(body.type, body.notify_type, query.type, xmlKind, 'info'))",
      titled: "= firstText(body.title, query.title, xmlTitle, firstLine(message))",
      state: "= lower(first(body.state, query.state))",
    },
    output: "alerts",
    type: "= concat('apprise.', kind)",
    // The type info is Apprise's default, no statement.
    level: "= lookup(kind, 'failure', 'error', 'warning', 'warning', 'success', 'info')",
    title:
      "= titled == null or kind != 'success' or contains(lower(titled), 'succe') ? titled : concat(titled, ': success')",
    message: "= message",
    key: "= first(body.id, query.id)",
    status:
      "= lookup(first(state, kind), 'firing', 'firing', 'failure', 'firing', 'warning', 'firing', " +
      "'resolved', 'resolved', 'success', 'resolved', 'event')",
    labels: { tag: "= body.tag" },
  },
  sample: {
    headers: { "user-agent": "Apprise" },
    body: {
      version: "1.0",
      title: "Backup failed",
      message: "No space left on /mnt/backup",
      attachments: [],
      type: "failure",
    },
  },
} as const satisfies ReceiverPreset;

export const FORMAT_PRESETS = [cloudevents, standardwebhooks, apprise] as const;
