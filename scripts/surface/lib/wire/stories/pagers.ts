import type { Step } from "../story.ts";

const EVENT = {
  routing_key: "{key}",
  event_action: "trigger",
  dedup_key: "disk-2",
  payload: { summary: "The disk of db-2 is full", source: "db-2", severity: "critical", component: "disk" },
};
const ENQUEUE = "POST /v2/enqueue";
const GENERIC = "POST /generic/2010-04-15/create_event.json";

export const PAGERDUTY: readonly Step[] = [
  {
    title: "an integration",
    ask: "POST /api/v1/integrations",
    body: { kind: "pagerduty", name: "cluster", labels: { team: "platform" } },
    save: { key: ["key"] },
  },
  { title: "trigger", ask: ENQUEUE, body: EVENT, as: null },
  { title: "the same again", ask: ENQUEUE, body: EVENT, as: null },
  { title: "acknowledge", ask: ENQUEUE, body: { ...EVENT, event_action: "acknowledge" }, as: null },
  { title: "resolve", ask: ENQUEUE, body: { ...EVENT, event_action: "resolve" }, as: null },
  {
    title: "with links and details",
    ask: ENQUEUE,
    body: {
      ...EVENT,
      dedup_key: "disk-3",
      client: "Grafana",
      client_url: "https://grafana.example",
      links: [{ href: "https://runbook.example", text: "Runbook" }],
      images: [{ src: "https://images.example/a.png" }],
      payload: {
        ...EVENT.payload,
        group: "db",
        class: "disk",
        custom_details: { free: 3 },
        timestamp: "2026-11-25T10:00:00Z",
      },
    },
    as: null,
  },
  { title: "without dedup_key", ask: ENQUEUE, body: { ...EVENT, dedup_key: null }, as: null },
  { title: "no action", ask: ENQUEUE, body: { ...EVENT, event_action: "none" }, as: null },
  { title: "no payload", ask: ENQUEUE, body: { routing_key: "{key}", event_action: "trigger" }, as: null },
  {
    title: "a bad severity",
    ask: ENQUEUE,
    body: { ...EVENT, payload: { ...EVENT.payload, severity: "bad" } },
    as: null,
  },
  { title: "a wrong key", ask: ENQUEUE, body: { ...EVENT, routing_key: "wrong" }, as: null },
  { title: "no JSON", ask: ENQUEUE, body: "{", as: null },
  {
    title: "a change",
    ask: "POST /v2/change/enqueue",
    body: {
      routing_key: "{key}",
      payload: { summary: "Build 7 is live", source: "ci", timestamp: "2026-11-25T10:00:00Z" },
    },
    as: null,
  },
  {
    title: "version 1, trigger",
    ask: GENERIC,
    body: { service_key: "{key}", event_type: "trigger", incident_key: "one", description: "Down" },
    as: null,
  },
  {
    title: "version 1, resolve",
    ask: GENERIC,
    body: { service_key: "{key}", event_type: "resolve", incident_key: "one" },
    as: null,
  },
  { title: "version 1, no type", ask: GENERIC, body: { service_key: "{key}" }, as: null },
  { title: "alerts", ask: "GET /api/v1/alerts" },
  { title: "events", ask: "GET /api/v1/events" },
];

const GENIE = { Authorization: "GenieKey {key}" };
const by = (title: string, ask: string, body?: Step["body"]): Step => ({
  title,
  ask,
  headers: GENIE,
  ...(body === undefined ? {} : { body }),
});

export const OPSGENIE: readonly Step[] = [
  {
    title: "an integration",
    ask: "POST /api/v1/integrations",
    body: { kind: "opsgenie", name: "ops" },
    save: { key: ["key"] },
  },
  {
    ...by("create", "POST /v2/alerts", {
      message: "The disk is full",
      alias: "disk-2",
      description: "The disk of db-2 is full",
      responders: [{ name: "db", type: "team" }],
      tags: ["db", "disk"],
      details: { host: "db-2" },
      entity: "db-2",
      source: "monitor",
      priority: "P1",
      user: "ops",
      note: "by the monitor",
    }),
    save: { request: ["requestId"] },
  },
  by("the outcome", "GET /v2/alerts/requests/{request}"),
  by("create, least", "POST /v2/alerts", { message: "Slow" }),
  by("no message", "POST /v2/alerts", {}),
  by("a bad priority", "POST /v2/alerts", { message: "Slow", priority: "P9" }),
  by("list", "GET /v2/alerts"),
  by("list, one", "GET /v2/alerts?limit=1&offset=1&sort=createdAt&order=asc"),
  by("search", "GET /v2/alerts?query=status%3Aopen"),
  by("count", "GET /v2/alerts/count"),
  by("by alias", "GET /v2/alerts/disk-2?identifierType=alias"),
  by("by no alias", "GET /v2/alerts/none?identifierType=alias"),
  by("by no id", "GET /v2/alerts/none"),
  by("acknowledge", "POST /v2/alerts/disk-2/acknowledge?identifierType=alias", { user: "ops", note: "on it" }),
  by("unacknowledge", "POST /v2/alerts/disk-2/unacknowledge?identifierType=alias", {}),
  by("snooze", "POST /v2/alerts/disk-2/snooze?identifierType=alias", { endTime: "2026-12-24T08:00:00Z" }),
  by("note", "POST /v2/alerts/disk-2/notes?identifierType=alias", { note: "The disk is exchanged" }),
  by("notes", "GET /v2/alerts/disk-2/notes?identifierType=alias"),
  by("tags", "POST /v2/alerts/disk-2/tags?identifierType=alias", { tags: ["more"] }),
  by("message", "PUT /v2/alerts/disk-2/message?identifierType=alias", { message: "Another message" }),
  by("description", "PUT /v2/alerts/disk-2/description?identifierType=alias", { description: "Another" }),
  by("priority", "PUT /v2/alerts/disk-2/priority?identifierType=alias", { priority: "P3" }),
  by("after that", "GET /v2/alerts/disk-2?identifierType=alias"),
  by("close", "POST /v2/alerts/disk-2/close?identifierType=alias", {}),
  by("closed", "GET /v2/alerts/disk-2?identifierType=alias"),
  by("another method", "DELETE /v2/alerts/disk-2?identifierType=alias"),
  { title: "without a key", ask: "GET /v2/alerts", as: null },
  { title: "a wrong key", ask: "GET /v2/alerts", headers: { Authorization: "GenieKey wrong" } },
];
