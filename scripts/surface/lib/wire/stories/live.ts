import type { Step } from "../story.ts";

/** What is there before anybody listens. */
export const PUBLICATIONS_OF_TOPICS: readonly Step[] = [
  { title: "a topic", ask: "POST /api/v1/ntfy/topics", body: { name: "disks", kind: "messages" } },
  {
    title: "a topic of events",
    ask: "POST /api/v1/ntfy/topics",
    body: { name: "deploys", kind: "events", patterns: ["deploy.*"] },
  },
  {
    title: "rights",
    ask: "PUT /api/v1/ntfy/access",
    body: { user: "user", topic: "d*", permission: "read-write" },
  },
  {
    title: "a client of Gotify",
    ask: "POST /gotify/client",
    as: "basic",
    body: { name: "phone" },
    save: { client: ["token"] },
  },
  {
    title: "an application",
    ask: "POST /gotify/application",
    as: null,
    headers: { "X-Gotify-Key": "{client}" },
    body: { name: "Backups" },
    save: { application: ["token"] },
  },
  {
    title: "a rule",
    ask: "POST /api/v1/rules",
    body: {
      projectId: "{shop}",
      name: "big",
      condition: "event.amount >= 1000",
      targetUsers: ["dev"],
      titleTemplate: "{{ event.amount }}",
    },
  },
  {
    title: "an early event",
    ask: "POST /api/v1/events",
    body: { projectId: "{shop}", type: "early", payload: { n: 1 } },
  },
  {
    title: "an early notification",
    ask: "POST /api/v1/notifications",
    body: { userId: "me", title: "early", message: "m" },
  },
  {
    title: "an early message",
    ask: "POST /ntfy/disks",
    as: "basic",
    body: "early",
    headers: { "Content-Type": "text/plain" },
  },
];

/** What everybody who listens gets, as far as it is theirs. */
export const PUBLICATIONS: readonly Step[] = [
  {
    title: "an event",
    ask: "POST /api/v1/events",
    body: { projectId: "{shop}", type: "order.failed", level: "error", source: "shop", payload: { orderId: "A-1" } },
    headers: { "X-Correlation-Id": "c-1" },
  },
  {
    title: "one for the rule",
    ask: "POST /api/v1/events",
    body: { projectId: "{shop}", type: "paid", payload: { amount: 1200 } },
  },
  {
    title: "a notification",
    ask: "POST /api/v1/notifications",
    body: { userId: "me", title: "Backup finished", message: "42 GB", priority: 500 },
    save: { notification: ["id"] },
  },
  { title: "to another", ask: "POST /api/v1/notifications", body: { userId: "user", title: "Hello", message: "m" } },
  { title: "read", ask: "PATCH /api/v1/notifications/{notification}/read" },
  { title: "acknowledged", ask: "PUT /api/v1/notifications/{notification}/acknowledge", body: { note: "On it" } },
  { title: "removed", ask: "DELETE /api/v1/notifications/{notification}" },
  { title: "all read", ask: "POST /api/v1/notifications/read-all", body: {} },
  {
    title: "an entry of a channel",
    ask: "POST /api/v1/realtime/publish",
    body: { stream: "channel:news", type: "shop.opened", data: { text: "The shop is open" } },
  },
  {
    title: "a task",
    ask: "POST /api/v1/tasks",
    body: { title: "Replace the disk", priority: 500 },
    save: { task: ["id"] },
  },
  { title: "done", ask: "PATCH /api/v1/tasks/{task}", body: { status: "DONE" } },
  { title: "gone", ask: "DELETE /api/v1/tasks/{task}" },
  {
    title: "a message",
    ask: "POST /api/v1/messages",
    body: { recipientId: "me", content: "Stand-up" },
    save: { message: ["id"] },
  },
  {
    title: "a message of ntfy",
    ask: "POST /ntfy/disks",
    as: "basic",
    body: "The disk is full",
    headers: { "Content-Type": "text/plain", Title: "Disk", Priority: "5", Tags: "warning" },
  },
  { title: "an event of a topic", ask: "POST /api/v1/events", body: { type: "deploy.done", payload: { version: 7 } } },
  {
    title: "in sequence",
    ask: "POST /ntfy/disks/seq1",
    as: "basic",
    body: "first",
    headers: { "Content-Type": "text/plain" },
  },
  { title: "removed", ask: "DELETE /ntfy/disks/seq1", as: "basic" },
  {
    title: "a message of Gotify",
    ask: "POST /gotify/message",
    as: null,
    headers: { "X-Gotify-Key": "{application}" },
    body: { title: "Done", message: "42 GB", priority: 2 },
  },
  {
    title: "an event of Pusher",
    ask: "POST /apps/1000/events",
    as: null,
    isSigned: true,
    body: { name: "price", data: '{"a":1}', channels: ["news", "presence-lobby"] },
  },
  {
    title: "an alert",
    ask: "POST /api/v1/alerts",
    body: { projectId: "{shop}", alerts: [{ labels: { alertname: "DiskFull", severity: "critical" } }] },
  },
  {
    title: "its end",
    ask: "POST /api/v1/alerts",
    body: {
      projectId: "{shop}",
      alerts: [{ labels: { alertname: "DiskFull", severity: "critical" }, endsAt: "2026-11-25T10:00:00Z" }],
    },
  },
];
