import assert from "node:assert/strict";
import { wavFile } from "../helpers/audio.ts";
import { eventually } from "../helpers/eventually.ts";
import type { ConsoleTest } from "./helpers.ts";

/** A text that breaks pages which show it as markup, or which believe its length or direction. */
export const HOSTILE = [
  `<img src=x onerror="window.broken=1">`,
  "abc\u202egnp.exe\u2066 \u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
  "👩‍👩‍👧‍👦🏳️‍🌈 e\u0301\u0327 ﷽ 𝕬",
  "{{7*7}}\"'&lt;</script>",
  "W".repeat(100),
].join(" ");

/** Ids of what {@link fill} made, for the pages that show one thing. */
export interface Filled {
  readonly user: string;
  readonly project: string;
  readonly rule: string;
  readonly event: string;
  readonly notification: string;
  readonly job: string;
  readonly schedule: string;
  readonly message: string;
  readonly delivery: string;
  readonly onCall: string;
  readonly heartbeat: string;
  readonly silence: string;
  readonly policy: string;
  readonly receiver: string;
  readonly channel: string;
  readonly alert: string;
  readonly incident: string;
}

/** Puts a text into every field that a user can fill, over the API. @param text up to 240 characters */
export async function fill(console: ConsoleTest, text: string): Promise<Filled> {
  const { prism } = console;
  const make = async <T = { id: string }>(
    path: string,
    body: object,
    token?: string,
    method: "POST" | "PUT" | "PATCH" = "POST",
  ): Promise<T> => {
    const reply = await prism.request<T>(method, `/api/v1${path}`, body, token === undefined ? {} : { token });
    assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${reply.text}`);
    return reply.body;
  };
  const admin = await prism.parts.base.database.read
    .selectFrom("users")
    .select("id")
    .where("username", "=", "admin")
    .executeTakeFirstOrThrow();
  const short = [...text].slice(0, 40).join("");
  const user = await make("/users", { email: `${Date.now()}@prism.example`, name: text, roles: ["User"] });
  await make("/users", { email: `p${Date.now()}@prism.example`, name: text, status: "pending" });
  await make("/roles", { name: short, description: text, permissions: ["events:read"] });
  const project = await make("/projects", { name: text, settings: { mirror: { from: "oncall" } } });
  await make(`/projects/${project.id}/members`, { userId: admin.id, role: "editor" });
  await make(`/projects/${project.id}/members`, { email: "guest@prism.example", role: "viewer" });
  await make(`/projects/${project.id}/keys`, { name: text.slice(0, 100) });
  const observes = { name: "observes", scopes: ["mirror:observe"] };
  const { key } = await make<{ key: string }>(`/projects/${project.id}/keys`, observes);
  const at = new Date(Date.now() - 600_000).toISOString();
  const seen = [{ ref: "1", kind: "notified", at, title: text, person: text, way: text.slice(0, 40) }];
  const observed = await prism.request("POST", "/api/v1/mirror/observed", seen, { apiKey: key });
  assert.equal(observed.status, 200, observed.text);
  await prism.request("POST", `/api/v1/sounds?filename=${encodeURIComponent(`${short}.wav`)}`, wavFile(), {
    headers: { "Content-Type": "audio/wav" },
  });
  const rule = await make("/rules", {
    name: text,
    description: text,
    condition: "event.type == 'hostile'",
    targetUsers: [admin.id],
    titleTemplate: "{{ event.text }}",
    messageTemplate: "{{ event.text }}",
    channels: ["in_app", "webhook"],
    priority: 10,
  });
  await make("/webhooks", { url: "http://127.0.0.1:9/hook", eventTypes: ["*"] }, await tokenOf(console));
  const event = await make("/events", {
    type: "hostile",
    level: "error",
    source: short,
    payload: { text, [short]: text },
  });
  await make("/events", { type: "other", payload: { text } });
  const action = { type: "notify", payload: { userId: admin.id, title: short, message: text } };
  const schedule = await make("/schedules", {
    name: short,
    queue: "timers",
    kind: "timer",
    cron: "30 2 * * *",
    timezone: "Europe/Berlin",
    payload: { action },
  });
  await make("/time/trigger", { label: short, delayMs: 3_600_000, action });
  await make("/tasks", { title: text, description: text, dueAt: "2030-01-01T00:00:00Z" }, await tokenOf(console));
  const message = await make("/messages", { recipientId: admin.id, content: text });
  await make("/transfer-buckets", { name: short, currency: "EUR", currentBalance: "5", threshold: "10" });
  await make(`/schedules/${schedule.id}/run`, {});
  const policy = await make("/policies", {
    name: text,
    description: text,
    steps: [{ type: "notify", users: [admin.id], roles: [short] }, { type: "wait", ms: 300_000 }, { type: "resolve" }],
  });
  await make(`/policies/${policy.id}`, { repeat: 2, description: `${text} 2` }, undefined, "PATCH");
  const routes = [{ matchers: [`team="${short.replace(/["\\]/g, "")}"`], policy: text, muteIntervals: [short] }];
  const timeIntervals = [{ name: short, intervals: [{ weekdays: ["saturday"] }] }];
  await make("/routes", { route: { policy: "default", routes }, timeIntervals }, undefined, "PUT");
  const labels = { alertname: text, [short]: text, team: "db" };
  await make("/alerts", { alerts: [{ key: "hostile", labels, annotations: { summary: text } }] });
  const silence = await make("/silences", {
    matchers: [
      { name: "alertname", value: text },
      { name: "team", value: "db" },
    ],
    comment: text,
    recurrence: { cron: "0 22 * * 6", durationMs: 3_600_000, timezone: "Europe/Berlin" },
  });
  const onCall = await make("/oncall/schedules", { name: text.slice(0, 100), description: text });
  const duty = await make("/users", { email: `d${Date.now()}@prism.example`, name: text, status: "active" });
  const shift = { name: text.slice(0, 100), durationMs: 86_400_000, recurrence: { frequency: "daily" } };
  await make(`/oncall/schedules/${onCall.id}/shifts`, { ...shift, start: "2026-01-01T09:00:00", turns: [[duty.id]] });
  const span = { start: "2030-01-01T00:00:00Z", end: "2030-01-02T00:00:00Z", reason: text.slice(0, 200) };
  await make(`/oncall/schedules/${onCall.id}/overrides`, { ...span, users: [duty.id] });
  await make(`/oncall/schedules/${onCall.id}/swaps`, { ...span, userId: duty.id });
  const heartbeat = await make("/heartbeats", { name: text.slice(0, 100), description: text, severity: short });
  const receiver = await make<{ id: string; url: string }>("/receivers", {
    name: text.slice(0, 100),
    preset: "generic",
    mapping: { title: "{{ body.title }}" },
  });
  const sent = await fetch(prism.url + new URL(receiver.url).pathname, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Text": encodeURIComponent(short) },
    body: JSON.stringify({ title: text, key: short, status: "firing" }),
  });
  assert.equal(sent.status, 200);
  const channel = await make("/channels", {
    name: text.slice(0, 100),
    preset: "http",
    fields: { url: "http://127.0.0.1:9/notify", username: short },
    projectId: "default",
  });
  const token = await tokenOf(console);
  const first = async (path: string) => {
    const reply = await prism.get<{ data: readonly { id: string }[] }>(`/api/v1${path}`, { token });
    const { body, status, text: answer } = reply;
    assert.equal(status, 200, answer);
    return body.data[0]?.id;
  };
  const found = await eventually("the consequences of the event", async () => {
    const ids = [await first("/notifications"), await first("/jobs"), await first("/deliveries")];
    return ids.every((id) => id !== undefined) ? (ids as [string, string, string]) : undefined;
  });
  const [notification, job, delivery] = found;
  const [alert = "", incident = ""] = [await first("/alerts"), await first("/incidents")];
  return {
    user: user.id,
    project: project.id,
    rule: rule.id,
    event: event.id,
    notification,
    job,
    schedule: schedule.id,
    message: message.id,
    delivery,
    onCall: onCall.id,
    heartbeat: heartbeat.id,
    silence: silence.id,
    alert,
    incident,
    policy: policy.id,
    receiver: receiver.id,
    channel: channel.id,
  };
}

/** A token of the account with which the pages are opened. */
async function tokenOf(console: ConsoleTest): Promise<string> {
  const { parts } = console.prism;
  const admin = await parts.base.database.read
    .selectFrom("users")
    .select("id")
    .where("username", "=", "admin")
    .executeTakeFirstOrThrow();
  return (await parts.offers.accessTokens.issue(admin.id)).token;
}

/** The paths of all pages, with those that show one thing. */
export function allPages(ids: Filled): readonly string[] {
  return [
    "/",
    "/inbox",
    `/inbox/${ids.notification}`,
    "/events",
    `/events/${ids.event}`,
    `/explain/event/${ids.event}`,
    `/explain/notification/${ids.notification}`,
    "/rules",
    "/rules/new",
    `/rules/${ids.rule}`,
    `/rules/${ids.rule}?tab=activity`,
    `/rules/${ids.rule}?tab=versions`,
    "/incidents",
    `/incidents/${ids.incident}`,
    "/alerts?group=team",
    `/alerts/${ids.alert}`,
    "/silences",
    "/status-page",
    "/reports",
    "/silences/new?labels=team%3Ddb",
    `/silences/${ids.silence}`,
    `/silences/${ids.silence}/edit`,
    "/policies",
    "/policies/new",
    `/policies/${ids.policy}`,
    `/policies/${ids.policy}?tab=versions`,
    "/policies/routes?labels=team%3Ddb",
    "/account/notifications",
    "/jobs",
    "/jobs/queues",
    `/jobs/${ids.job}`,
    "/schedules",
    `/schedules/${ids.schedule}`,
    "/timers",
    "/deliveries",
    `/deliveries/${ids.delivery}`,
    "/webhooks",
    "/connect",
    "/connect?kind=channels",
    "/connect/receivers/new/github",
    `/connect/receivers/${ids.receiver}`,
    "/connect/channels/new/telegram",
    `/connect/channels/${ids.channel}`,
    "/tasks",
    "/messages",
    `/messages/${ids.message}`,
    "/buckets",
    "/oncall",
    "/oncall/mine",
    `/oncall/${ids.onCall}`,
    `/oncall/${ids.onCall}?tab=rotations`,
    `/oncall/${ids.onCall}?tab=changes`,
    `/oncall/${ids.onCall}?tab=settings`,
    "/heartbeats",
    `/heartbeats/${ids.heartbeat}`,
    `/heartbeats/${ids.heartbeat}?tab=settings`,
    "/people",
    "/people/pending",
    "/people/roles",
    `/people/${ids.user}`,
    "/projects",
    `/projects/${ids.project}`,
    `/projects/${ids.project}?tab=keys`,
    `/projects/${ids.project}?tab=mirror`,
    `/projects/${ids.project}?tab=settings`,
    "/sounds",
    "/modules",
    "/audit",
    "/backups",
    "/configuration",
    "/cluster",
    "/settings",
    "/settings?tab=all",
    "/reference",
    "/account",
  ];
}
