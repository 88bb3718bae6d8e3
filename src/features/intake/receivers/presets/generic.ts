import type { ReceiverPreset } from "../preset.ts";
import { alertmanager } from "./alertmanager.ts";
import { grafana } from "./grafana.ts";

/** Grafana's and Alertmanager's `alerts`, for receivers that were made without their preset. */
const { level, title, message, status, startsAt, endsAt, link, labels, annotations, cases } = grafana.mapping;
const [grafanaTest] = cases;
const { key } = alertmanager.mapping;
const ALERT = { level, title, message, key, status, startsAt, endsAt, link, labels, annotations };

/** Members that senders call the identity of a problem. A mere `id` may be that of a run or of a delivery. */
const KEYS =
  "body.key, body.dedupeKey, body.dedup_key, body.dedupe_key, body.deduplication_key, body.fingerprint, parsed.key, " +
  "first(body.alert_uid, body.alert_id, body.alertId, body.incident_key, body.incident_id, body.incidentId, " +
  "body.problem_id, body.problemId, body.check_id, body.checkId, body.monitor_id, body.monitorId), " +
  "first(body.trigger_id, body.alert_key, body.entity_id, query.key)";

/**
 * Any program that can call a URL: the usual names of members are tried in turn. `alert_uid` and a
 * firing alert without a state are of OnCall's formatted webhook.
 */
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
  hook: "known",
  mapping: {
    let: {
      in: "= first(body, query)",
      state: "= parsed.state",
      said: "= firstText(body.message, body.text, body.body, body.description, query.message)",
      named:
        "= firstText(parsed.title, body.title, body.subject, body.summary, body.name, query.title, " +
        "body == null ? firstLine(text) : firstLine(said))",
      known: "= parsed.known",
      id: `= first(${KEYS}, body.id == null or known == null ? null : parsed.subject)`,
      urgent: "= parsed.urgent",
      // Without a key there is no alert that shows its state.
      word: "= id == null and parsed.type == null ? parsed.word : null",
    },
    split: "exists(body.groupKey) ? body.alerts : parts",
    output: "both",
    type: "= first(parsed.type, body.type, query.type, headers['x-event-type'], 'message')",
    level: "= firstText(parsed.level, body.level, body.severity, urgent, query.level, query.severity)",
    title: "= word == null or named == null or contains(lower(named), lower(word)) ? named : concat(named, ': ', word)",
    message: "= firstText(parsed.message, said, body == null ? text : null, named == null ? null : parsed.reason)",
    key: "= id",
    status: "= first(parsed.status, known, id == null ? 'event' : state, 'event')",
    time: "= first(body.time, body.timestamp, body.occurredAt, query.time)",
    link: "= firstText(parsed.link, body.link, body.url, body.link_to_upstream_details, query.link, query.url, parsed.page)",
    labels: { "*": "= parsed.labels" },
    cases: [grafanaTest, { when: "item != null", ...ALERT }, { when: "item == null" }],
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
