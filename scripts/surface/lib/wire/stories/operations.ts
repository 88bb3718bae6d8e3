import { WAVE } from "../makers.ts";
import type { Step } from "../story.ts";

const WORKER = "0198c0de-0000-7000-8000-00000000a001";
const worker = (title: string, ask: string, body: Step["body"]): Step => ({
  ...{ title, ask, as: null, headers: { Authorization: "Bearer {service}" } },
  ...(body === undefined ? {} : { body }),
});
const DELIVER = { type: "notify", payload: { userId: "me", title: "t", message: "m" } };

export const WORKERS: readonly Step[] = [
  {
    title: "a token",
    ask: "POST /api/v1/users/me/tokens",
    body: { name: "worker", scopes: ["jobs:work"] },
    save: { service: ["token"] },
  },
  { title: "a pause", ask: "POST /api/v1/queues/timers/pause", body: {} },
  {
    title: "a job",
    ask: "POST /api/v1/time/trigger",
    body: { label: "now", delayMs: 1000, action: DELIVER },
    save: { job: ["jobId"] },
  },
  { title: "its state", ask: "GET /api/v1/jobs/{job}" },
  worker("claim", "POST /api/v1/workers/claim", {
    workerId: WORKER,
    host: "worker-1",
    queues: ["notification-delivery"],
    max: 10,
  }),
  worker("renew", "POST /api/v1/workers/renew", { workerId: WORKER, jobs: [] }),
  worker("complete", "POST /api/v1/jobs/{job}/complete", { fence: 1, result: {} }),
  worker("fail", "POST /api/v1/jobs/{job}/fail", { fence: 1, error: "no" }),
  { title: "cancel it", ask: "POST /api/v1/jobs/{job}/cancel", body: {} },
  { title: "retry it", ask: "POST /api/v1/jobs/{job}/retry", body: {} },
  { title: "cancel again", ask: "POST /api/v1/jobs/{job}/cancel", body: {} },
  { title: "delete it", ask: "DELETE /api/v1/jobs/{job}" },
  { title: "the queue", ask: "GET /api/v1/queues/timers" },
  { title: "resume", ask: "POST /api/v1/queues/timers/resume", body: {} },
];

export const BACKUPS: readonly Step[] = [
  { title: "make one", ask: "POST /api/v1/backups" },
  { title: "backups", ask: "GET /api/v1/backups", save: { name: ["data", 0, "name"] } },
  { title: "check it", ask: "POST /api/v1/backups/{name}/verify" },
  { title: "after that", ask: "GET /api/v1/backups" },
  { title: "download", ask: "HEAD /api/v1/backups/{name}/download" },
  { title: "remove", ask: "DELETE /api/v1/backups/{name}" },
  { title: "remove again", ask: "DELETE /api/v1/backups/{name}" },
];

export const SOUNDS: readonly Step[] = [
  {
    title: "upload",
    ask: "POST /api/v1/sounds?filename=a.wav",
    body: WAVE,
    headers: { "Content-Type": "audio/wav" },
    save: { sound: ["id"] },
  },
  {
    title: "no sound",
    ask: "POST /api/v1/sounds?filename=b.wav",
    body: "text",
    headers: { "Content-Type": "audio/wav" },
  },
  { title: "a link", ask: "GET /api/v1/sounds/{sound}?ttlMs=60000", save: { link: ["url"] } },
  { title: "download", ask: "GET {link}", as: null, isHead: true },
  { title: "a part", ask: "GET {link}", headers: { Range: "bytes=0-3" }, as: null },
  { title: "a bad part", ask: "GET {link}", headers: { Range: "bytes=9000-" }, as: null },
  { title: "a changed link", ask: "GET {link}x", as: null },
  { title: "sounds", ask: "GET /api/v1/sounds" },
  {
    title: "a rule with it",
    ask: "POST /api/v1/rules",
    body: { name: "loud", condition: "event.type == 'x'", targetRoles: ["Admin"], sound: "a.wav" },
  },
  { title: "remove", ask: "DELETE /api/v1/sounds/{sound}" },
  { title: "remove by force", ask: "DELETE /api/v1/sounds/{sound}?force=true" },
];

export const CALENDARS: readonly Step[] = [
  {
    title: "a schedule",
    ask: "POST /api/v1/oncall/schedules",
    body: { name: "Nights", timezone: "Europe/Berlin" },
    save: { schedule: ["id"] },
  },
  {
    title: "shifts",
    ask: "POST /api/v1/oncall/schedules/{schedule}/shifts",
    body: {
      name: "Weeks",
      start: "2026-11-23T09:00:00",
      durationMs: 604_800_000,
      timezone: "Europe/Berlin",
      recurrence: { frequency: "weekly" },
      turns: [["dev"], ["user"]],
    },
  },
  {
    title: "a swap",
    ask: "POST /api/v1/oncall/schedules/{schedule}/swaps",
    body: { start: "2026-12-24T08:00:00Z", end: "2026-12-26T08:00:00Z", userId: "dev" },
    save: { swap: ["id"] },
  },
  { title: "taken", ask: "POST /api/v1/oncall/schedules/{schedule}/swaps/{swap}/take", body: { userId: "user" } },
  {
    title: "final shifts",
    ask: "GET /api/v1/oncall/schedules/{schedule}/final-shifts?from=2026-11-23T00:00:00Z&to=2027-01-03T00:00:00Z",
  },
  {
    title: "layers",
    ask: "GET /api/v1/oncall/schedules/{schedule}/layers?from=2026-11-23T00:00:00Z&to=2027-01-03T00:00:00Z",
  },
  { title: "now", ask: "GET /api/v1/oncall/now" },
  { title: "a link", ask: "POST /api/v1/oncall/schedules/{schedule}/calendar-link", save: { link: ["url"] } },
  { title: "the calendar", ask: "GET {link}", as: null },
  { title: "my link", ask: "POST /api/v1/oncall/preferences/calendar-link", save: { mine: ["url"] } },
  { title: "my calendar", ask: "GET {mine}", as: null },
  { title: "the end of the link", ask: "DELETE /api/v1/oncall/schedules/{schedule}/calendar-link" },
  { title: "the calendar after that", ask: "GET {link}", as: null },
];

export const STATUS_PAGE: readonly Step[] = [
  { title: "no page", ask: "GET /status/shop", as: null, isHead: true },
  {
    title: "publish",
    ask: "PUT /api/v1/status-page?projectId=shop",
    body: {
      enabled: true,
      title: "Shop",
      groups: [
        {
          name: "Shop",
          components: [{ name: "Website", sources: [{ matchers: ['service="web"'], effect: "outage" }] }],
        },
      ],
    },
    save: { page: ["url"] },
  },
  {
    title: "a notice",
    ask: "POST /api/v1/status-page/notices",
    body: {
      projectId: "shop",
      kind: "incident",
      title: "Payments fail",
      text: "We look into it.",
      state: "investigating",
    },
  },
  { title: "the page", ask: "GET {page}", as: null, isHead: true },
  { title: "its history", ask: "GET {page}/history.json", as: null },
  { title: "its feed", ask: "GET {page}/feed.atom", as: null },
  { title: "its style", ask: "GET {page}/style.css", as: null, isHead: true },
  { title: "subscribe", ask: "POST {page}/subscribe", form: { email: "reader@example.com" }, as: null, isHead: true },
  { title: "confirm", ask: "GET {page}/confirm?token=x", as: null, isHead: true },
  { title: "unsubscribe", ask: "GET {page}/unsubscribe?token=x", as: null, isHead: true },
];

export const RECEIVERS: readonly Step[] = [
  {
    title: "a receiver",
    ask: "POST /api/v1/receivers",
    body: { name: "any", preset: "generic" },
    save: { url: ["url"], receiver: ["id"] },
  },
  { title: "a body", ask: "POST {url}", body: { title: "Disk almost full", level: "warning" }, as: null },
  { title: "text", ask: "POST {url}", body: "Disk almost full", headers: { "Content-Type": "text/plain" }, as: null },
  { title: "a form", ask: "POST {url}", form: { title: "Disk" }, as: null },
  { title: "by GET", ask: "GET {url}", as: null },
  { title: "an empty body", ask: "POST {url}", body: "", as: null },
  { title: "requests", ask: "GET /api/v1/receivers/{receiver}/requests", save: { request: ["data", 0, "id"] } },
  { title: "replay", ask: "POST /api/v1/receivers/{receiver}/requests/{request}/replay" },
  { title: "pause", ask: "POST /api/v1/receivers/{receiver}/pause" },
  { title: "while paused", ask: "POST {url}", body: { title: "x" }, as: null },
  {
    title: "a signed one",
    ask: "POST /api/v1/receivers",
    body: { name: "code", preset: "github", secret: "a secret of GitHub" },
    save: { signed: ["url"] },
  },
  {
    title: "not signed",
    ask: "POST {signed}",
    body: { action: "opened" },
    headers: { "X-GitHub-Event": "issues" },
    as: null,
  },
  { title: "an unknown one", ask: "POST /hooks/none", body: {}, as: null },
  { title: "alerts", ask: "GET /api/v1/alerts" },
  { title: "events", ask: "GET /api/v1/events" },
];

export const RULES: readonly Step[] = [
  {
    title: "a rule",
    ask: "POST /api/v1/rules",
    body: { name: "big", condition: "event.amount >= 1000", targetUsers: ["dev"], titleTemplate: "{{ event.amount }}" },
    save: { rule: ["id"] },
  },
  {
    title: "an alerting rule",
    ask: "POST /api/v1/rules",
    body: { name: "alerting", condition: "event.type == 'down'", targetUsers: ["dev"], alert: {} },
  },
  {
    title: "an event",
    ask: "POST /api/v1/events",
    body: { type: "payment", level: "error", payload: { amount: 1200 } },
    save: { event: ["id"] },
  },
  { title: "another", ask: "POST /api/v1/events", body: { type: "down" } },
  {
    title: "lines",
    ask: "POST /api/v1/events",
    body: '{"type":"a"}\n{"type":1}\n',
    headers: { "Content-Type": "application/x-ndjson" },
  },
  { title: "its explanation", ask: "GET /api/v1/explain/event/{event}" },
  { title: "notifications", ask: "GET /api/v1/notifications", save: { notification: ["data", 0, "id"] } },
  { title: "one", ask: "GET /api/v1/notifications/{notification}" },
  { title: "explained", ask: "GET /api/v1/explain/notification/{notification}" },
  { title: "read", ask: "PATCH /api/v1/notifications/{notification}/read" },
  { title: "acknowledged", ask: "PUT /api/v1/notifications/{notification}/acknowledge", body: { note: "On it" } },
  { title: "recipients", ask: "GET /api/v1/notifications/{notification}/recipients" },
  { title: "after that", ask: "GET /api/v1/notifications?status=acknowledged" },
  { title: "statistics of the rule", ask: "GET /api/v1/rules/{rule}/stats" },
  { title: "alerts", ask: "GET /api/v1/alerts" },
  { title: "incidents", ask: "GET /api/v1/incidents" },
];
