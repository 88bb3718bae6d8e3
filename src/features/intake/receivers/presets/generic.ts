import type { ReceiverPreset } from "../preset.ts";
import { alertmanager } from "./alertmanager.ts";
import { grafana } from "./grafana.ts";

const quoted = (words: string): string =>
  words
    .split(" ")
    .map((word) => `'${word}'`)
    .join(", ");
/** Names of senders for a lasting problem, and for its end. */
const FIRING = quoted(
  "firing fired alerting alert alarm alarming problem down open opened triggered active activated critical crit " +
    "error err errored failed fail failure failing unhealthy degraded warning warn offline unreachable breached crashed",
);
const RESOLVED = quoted(
  "resolved ok okay up closed recovered recovery inactive deactivated cleared clear normal healthy success succeeded " +
    "successful passed passing fixed online good",
);

/** Grafana's and Alertmanager's `alerts`, for receivers that were made without their preset. */
const { level, title, message, status, startsAt, endsAt, link, labels, annotations, cases } = grafana.mapping;
const [grafanaTest] = cases;
const { key } = alertmanager.mapping;
const ALERT = { level, title, message, key, status, startsAt, endsAt, link, labels, annotations };

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
      state:
        "= lower(string(first(body.status, body.state, body.current_state, body.alert_state, " +
        "query.status, query.state, body.alert_uid == null ? null : 'alerting')))",
      id: "= first(body.key, body.dedupeKey, body.dedup_key, parsed.key, body.alert_uid, body.id, query.key)",
    },
    split: "exists(body.groupKey) ? body.alerts : null",
    output: "both",
    type: "= first(parsed.type, body.type, query.type, headers['x-event-type'], 'message')",
    level:
      "= first(parsed.level, body.level, body.severity, body.priority, query.level, query.severity, query.priority)",
    title:
      "= first(body.title, body.subject, parsed.title, body.summary, body.name, query.title, " +
      "body == null ? firstLine(text) : null)",
    message:
      "= first(parsed.message, body.message, body.text, body.body, body.description, query.message, " +
      "body == null ? text : null)",
    key: "= id",
    status:
      `= first(parsed.status, state in [${FIRING}] ? 'firing' : state in [${RESOLVED}] ? 'resolved' : ` +
      "state in ['acknowledged', 'ack', 'acked'] ? 'acknowledged' : id == null ? 'event' : state, 'event')",
    time: "= first(body.time, body.timestamp, body.occurredAt, query.time)",
    link: "= first(parsed.link, body.link, body.url, body.link_to_upstream_details, query.link, query.url)",
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
