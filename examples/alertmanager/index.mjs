// index.ts
import { createHash as createHash2, timingSafeEqual } from "node:crypto";

// alerts.ts
import { createHash } from "node:crypto";
var UnknownPayload = class extends Error {
};
var MAX_ALERTS = 1e3;
var LEVELS = {
  critical: "fatal",
  page: "fatal",
  emergency: "fatal",
  fatal: "fatal",
  error: "error",
  high: "error",
  major: "error",
  warning: "warn",
  warn: "warn",
  minor: "warn",
  low: "info",
  info: "info",
  none: "info"
};
function readPayload(body) {
  if (!isObject(body)) throw new UnknownPayload("the body is no JSON object");
  if (Array.isArray(body["alerts"])) return { kind: "alerts", events: readGroup(body, body["alerts"]) };
  if (typeof body["ruleName"] === "string" && typeof body["state"] === "string")
    return { kind: "legacy", alert: readLegacy(body, body["ruleName"], body["state"]) };
  throw new UnknownPayload(
    "the body has neither alerts (Alertmanager, Grafana) nor ruleName and state (legacy Grafana)"
  );
}
function readGroup(group, alerts) {
  if (alerts.length > MAX_ALERTS)
    throw new UnknownPayload(`more than ${MAX_ALERTS} alerts; set max_alerts on the receiver`);
  const sender = "orgId" in group ? "grafana" : "alertmanager";
  return alerts.map((alert, i) => {
    if (!isObject(alert)) throw new UnknownPayload(`alerts.${i} is no object`);
    return readAlert(alert, group, sender);
  });
}
function readAlert(alert, group, sender) {
  const labels = textsOf(alert["labels"]);
  const annotations = textsOf(alert["annotations"]);
  const isResolved = alert["status"] === "resolved";
  const startsAt = timeOf(alert["startsAt"]);
  const endsAt = isResolved ? timeOf(alert["endsAt"]) : null;
  const fingerprint = textOf(alert["fingerprint"]) ?? fingerprintOf(labels);
  const severity = labels["severity"]?.toLowerCase() ?? null;
  return {
    type: isResolved ? "alert.resolved" : "alert.firing",
    level: isResolved ? "info" : (severity === null ? void 0 : LEVELS[severity]) ?? "error",
    source: sender,
    // A firing alert is sent repeatedly while it lasts: that is one event, and its end is another.
    dedupeKey: `${sender}:${fingerprint}:${startsAt ?? "-"}:${isResolved ? "resolved" : "firing"}`,
    ...(endsAt ?? startsAt) === null ? {} : { occurredAt: endsAt ?? startsAt ?? "" },
    payload: {
      alertname: labels["alertname"] ?? "alert",
      status: isResolved ? "resolved" : "firing",
      severity,
      summary: annotations["summary"] ?? annotations["message"] ?? labels["alertname"] ?? "alert",
      description: annotations["description"] ?? null,
      labels,
      annotations,
      startsAt,
      endsAt,
      fingerprint,
      receiver: textOf(group["receiver"]),
      groupKey: textOf(group["groupKey"]),
      url: textOf(alert["generatorURL"]) ?? textOf(group["externalURL"]),
      dashboardUrl: textOf(alert["dashboardURL"]),
      silenceUrl: textOf(alert["silenceURL"]),
      values: isObject(alert["values"]) ? alert["values"] : null
    }
  };
}
function readLegacy(body, ruleName, state) {
  const rule = `${body["orgId"] ?? 1}:${body["ruleId"] ?? ruleName}`;
  const labels = textsOf(body["tags"]);
  const severity = labels["severity"]?.toLowerCase() ?? null;
  const isResolved = state === "ok";
  return {
    rule,
    state,
    toEvent: (episode) => ({
      type: isResolved ? "alert.resolved" : "alert.firing",
      level: isResolved ? "info" : (severity === null ? void 0 : LEVELS[severity]) ?? (state === "no_data" ? "warn" : "error"),
      source: "grafana",
      dedupeKey: `grafana-legacy:${hash(rule)}:${episode}:${state}`,
      payload: {
        alertname: ruleName,
        status: isResolved ? "resolved" : "firing",
        state,
        severity,
        summary: textOf(body["title"]) ?? ruleName,
        description: textOf(body["message"]),
        labels,
        annotations: {},
        url: textOf(body["ruleUrl"]),
        values: Array.isArray(body["evalMatches"]) ? body["evalMatches"] : []
      }
    })
  };
}
function fingerprintOf(labels) {
  return hash(JSON.stringify(Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)));
}
function hash(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
function timeOf(value) {
  if (typeof value !== "string" || value.startsWith("0001-") || Number.isNaN(Date.parse(value))) return null;
  return new Date(value).toISOString();
}
function textOf(value) {
  return typeof value === "string" && value !== "" ? value : null;
}
function textsOf(value) {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]) => typeof each === "string" ? [[name, each]] : [])
  );
}
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// index.ts
var PATH = "/hooks/alertmanager";
var TOKEN = process.env["ALERTMANAGER_TOKEN"];
var MIN_TOKEN_LENGTH = 16;
var alertmanager = {
  name: "alertmanager",
  version: "1.0.0",
  requires: { prism: ">=0.1" },
  register(server, services) {
    server.post(
      PATH,
      { permission: "events:write", summary: "Alerts of Alertmanager or Grafana, into the project of the API key" },
      (req) => receive(req, services, req.user?.kind === "apiKey" ? { projectId: req.user.projectId } : {})
    );
    if (TOKEN === void 0 || TOKEN === "") return;
    if (TOKEN.length < MIN_TOKEN_LENGTH) throw new Error(`ALERTMANAGER_TOKEN must have ${MIN_TOKEN_LENGTH} characters`);
    server.post(
      `${PATH}/token`,
      {
        public: true,
        summary: "The same with the token in ALERTMANAGER_TOKEN, into the default project",
        rateLimit: { max: 600, windowMs: 6e4 }
      },
      (req) => {
        if (isToken(req.headers["authorization"], TOKEN)) return receive(req, services, {});
        return req.reply(
          401,
          { error: "wrong or missing token" },
          { "WWW-Authenticate": 'Bearer realm="alertmanager"' }
        );
      }
    );
  }
};
async function receive(req, services, project) {
  try {
    const stored = [];
    for (const event of await eventsOf(req.body, services)) {
      const { id, seq } = await services.events.ingest({ ...event, ...project });
      stored.push({ id, seq, type: event.type });
    }
    services.log.debug({ events: stored.length }, "alerts received");
    return { events: stored };
  } catch (error) {
    if (error instanceof UnknownPayload) return req.reply(400, { error: error.message });
    throw error;
  }
}
async function eventsOf(body, services) {
  const payload = readPayload(body);
  if (payload.kind === "alerts") return payload.events;
  const { alert } = payload;
  return [alert.toEvent(await episodeOf(alert.rule, alert.state, services))];
}
function episodeOf(rule, state, { db, kv }) {
  const key = `legacy:${createHash2("sha256").update(rule).digest("hex")}`;
  return db.write(async (trx) => {
    const last = await kv.get(key);
    if (last?.state === state) return last.episode;
    const episode = (last?.episode ?? 0) + 1;
    await kv.set(key, { state, episode }, { trx });
    return episode;
  });
}
function isToken(authorization, token) {
  const digest = (text) => createHash2("sha256").update(text).digest();
  return timingSafeEqual(digest(authorization ?? ""), digest(`Bearer ${token}`));
}
var index_default = alertmanager;
export {
  index_default as default
};
