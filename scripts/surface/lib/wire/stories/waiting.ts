import { WAVE } from "../makers.ts";
import type { Step } from "../story.ts";

const NOTIFY = { type: "notify", payload: { userId: "me", title: "t", message: "m" } };
const LATER_MS = 3_600_000;

/** A row in most tables, then requests that leave jobs while the queues are paused. */
export const WAITING: { readonly before: readonly Step[]; readonly paused: readonly Step[] } = {
  before: [
    {
      title: "preferences",
      ask: "PUT /api/v1/users/me/contact-rules",
      body: {
        high: [
          { afterMs: 0, channels: ["in_app"] },
          { afterMs: 300_000, channels: ["email"] },
        ],
        low: [],
      },
    },
    { title: "an address", ask: "PATCH /api/v1/users/{dev}", body: { email: "dev@example.com" } },
    { title: "a webhook", ask: "POST /api/v1/webhooks", body: { url: "{outside}", eventTypes: ["*"] } },
    {
      title: "a channel",
      ask: "POST /api/v1/channels",
      body: { projectId: "{shop}", name: "room", preset: "ntfy", fields: { url: "{outside}", topic: "room" } },
      save: { channel: ["id"] },
    },
    {
      title: "a rule",
      ask: "POST /api/v1/rules",
      body: {
        projectId: "{shop}",
        name: "any",
        condition: "event.level == 'error'",
        targetRoles: ["Admin"],
        channels: ["in_app", "email"],
      },
    },
    {
      title: "an event for the rule",
      ask: "POST /api/v1/events",
      body: { projectId: "{shop}", type: "b", level: "error" },
    },
    {
      title: "a policy",
      ask: "POST /api/v1/policies",
      body: {
        projectId: "{shop}",
        name: "calls",
        steps: [
          { type: "notify", roles: ["Admin"] },
          { type: "wait", ms: 300_000 },
          { type: "notify", members: true },
        ],
      },
    },
    {
      title: "a silence",
      ask: "POST /api/v1/silences",
      body: { projectId: "{shop}", matchers: ['team="db"'], durationMs: 7_200_000, comment: "c" },
    },
    {
      title: "a heartbeat",
      ask: "POST /api/v1/heartbeats",
      body: { projectId: "{shop}", name: "Nightly", timeoutMs: LATER_MS, graceMs: LATER_MS },
      save: { ping: ["pingUrl"] },
    },
    { title: "its ping", ask: "POST {ping}", as: null, body: "done", headers: { "Content-Type": "text/plain" } },
    {
      title: "a receiver",
      ask: "POST /api/v1/receivers",
      body: { projectId: "{shop}", name: "Backups", preset: "generic" },
    },
    {
      title: "an integration",
      ask: "POST /api/v1/integrations",
      body: { projectId: "{shop}", kind: "pagerduty", name: "cluster" },
    },
    {
      title: "a schedule of people",
      ask: "POST /api/v1/oncall/schedules",
      body: { projectId: "{shop}", name: "Nights", timezone: "Europe/Berlin" },
      save: { oncall: ["id"] },
    },
    {
      title: "its shifts",
      ask: "POST /api/v1/oncall/schedules/{oncall}/shifts",
      body: {
        name: "Weeks",
        start: "2026-11-23T09:00:00",
        durationMs: 604_800_000,
        timezone: "Europe/Berlin",
        recurrence: { frequency: "weekly" },
        turns: [["dev"]],
      },
    },
    {
      title: "a schedule",
      ask: "POST /api/v1/schedules",
      body: { name: "stand-up", cron: "0 9 * * 1-5", queue: "timers", kind: "timer", payload: { action: NOTIFY } },
    },
    { title: "a task", ask: "POST /api/v1/tasks", body: { title: "Replace the disk", priority: 500 } },
    {
      title: "a sound",
      ask: "POST /api/v1/sounds?filename=a.wav",
      body: WAVE,
      headers: { "Content-Type": "audio/wav" },
      save: { sound: ["id"] },
    },
    {
      title: "a bucket",
      ask: "POST /api/v1/transfer-buckets",
      body: { name: "Refunds", currency: "EUR", currentBalance: "1250.75", threshold: "500" },
      save: { bucket: ["id"] },
    },
    { title: "a topic", ask: "POST /api/v1/ntfy/topics", body: { name: "disks", kind: "messages" } },
    {
      title: "a status page",
      ask: "PUT /api/v1/status-page?projectId=shop",
      body: { enabled: true, title: "Shop", groups: [] },
    },
    { title: "a project to remove", ask: "POST /api/v1/projects", body: { name: "gone" }, save: { gone: ["id"] } },
    {
      title: "an incident",
      ask: "POST /api/v1/incidents",
      body: { projectId: "{shop}", title: "The shop is slow", users: ["dev"] },
      save: { incident: ["id"] },
    },
    {
      title: "a notification",
      ask: "POST /api/v1/notifications",
      body: { userId: "me", title: "t", message: "m" },
      save: { notification: ["id"] },
    },
  ],
  paused: [
    {
      title: "an event for the rule and the webhook",
      ask: "POST /api/v1/events",
      body: { projectId: "{shop}", type: "a", level: "error" },
    },
    {
      title: "an alert",
      ask: "POST /api/v1/alerts",
      body: { projectId: "{shop}", alerts: [{ labels: { alertname: "DiskFull", severity: "critical" } }] },
    },
    { title: "a timer", ask: "POST /api/v1/time/trigger", body: { label: "later", delayMs: LATER_MS, action: NOTIFY } },
    {
      title: "a notification for later",
      ask: "POST /api/v1/notifications",
      body: { userId: "me", title: "t", message: "m", delayMs: LATER_MS },
    },
    { title: "a message", ask: "POST /api/v1/messages", body: { recipientId: "me", content: "Stand-up" } },
    {
      title: "a message for later",
      ask: "POST /api/v1/messages",
      body: { recipientId: "me", content: "Stand-up", delayMs: LATER_MS },
    },
    {
      title: "a balance below the threshold",
      ask: "PUT /api/v1/transfer-buckets/{bucket}/balance",
      body: { delta: "-1000" },
    },
    { title: "the sound removed", ask: "DELETE /api/v1/sounds/{sound}" },
    { title: "events removed", ask: "DELETE /api/v1/projects/{shop}/events?before=2026-11-25T09:00:00Z" },
    { title: "a project removed", ask: "DELETE /api/v1/projects/{gone}" },
    { title: "a backup", ask: "POST /api/v1/backups" },
    { title: "a link by mail", ask: "POST /api/v1/auth/forgot-password", body: { email: "dev@example.com" }, as: null },
    { title: "a run of a schedule", ask: "GET /api/v1/schedules", save: { schedule: ["data", 0, "id"] } },
  ],
};
