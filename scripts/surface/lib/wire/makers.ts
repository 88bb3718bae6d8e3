import type { ApiDocument } from "./document.ts";
import { at, isObject, type Json, type JsonObject } from "./json.ts";
import type { World } from "./world.ts";

/** Where a new resource comes from, by the path before its parameter. */
interface Maker {
  /** Default: the path itself. */
  readonly path?: string;
  /** Default: the example of the document. */
  readonly body?: (world: World, count: number) => JsonObject;
  /** Members of the answer on the way to the value; default: `id`. */
  readonly way?: readonly (string | number)[];
  /** Instead of a request. */
  readonly value?: (world: World, filled: string) => string | Promise<string>;
}

const text = (value: Json | undefined): string => String(value ?? "none");

/** The first entry of a list. */
const firstOf =
  (rest: string, ...way: readonly string[]): ((world: World, filled: string) => Promise<string>) =>
  async ({ talk }, filled) =>
    text(at((await talk.ask("GET", filled + rest)).body, "data", 0, ...way));

const alert = ({ place }: World, count: number): JsonObject => ({
  ...place,
  alerts: [{ labels: { alertname: `Alert ${count}`, severity: "critical" } }],
});

async function incident({ talk, place }: World): Promise<string> {
  const made = await talk.made("POST", "/api/v1/incidents", { ...place, title: "The shop is slow", users: ["dev"] });
  return text(at(made, "id"));
}

async function alertId(world: World): Promise<string> {
  const made = await world.talk.made("POST", "/api/v1/alerts", alert(world, next(world)));
  return text(at(made, "data", 0, "id"));
}

async function notification({ talk }: World): Promise<string> {
  return text(at(await talk.made("POST", "/api/v1/notifications", { userId: "me", title: "t", message: "m" }), "id"));
}

async function event({ talk, place }: World): Promise<string> {
  return text(at(await talk.made("POST", "/api/v1/events", { ...place, type: "a.b", payload: { a: 1 } }), "id"));
}

async function delivery({ talk, outside }: World): Promise<string> {
  await talk.ask("POST", "/api/v1/webhooks", { url: outside, eventTypes: ["delivered"] });
  await talk.made("POST", "/api/v1/events", { type: "delivered" });
  await talk.settle();
  return text(at((await talk.ask("GET", "/api/v1/deliveries?limit=1")).body, "data", 0, "id"));
}

async function job({ talk }: World): Promise<string> {
  const body = {
    label: "later",
    delayMs: 3_600_000,
    action: { type: "notify", payload: { userId: "me", title: "t", message: "m" } },
  };
  const made = await talk.made("POST", "/api/v1/time/trigger", body);
  return text(at(made, "jobId") ?? at(made, "id"));
}

const always =
  (value: string): (() => string) =>
  () =>
    value;

/** A day of the next years. */
const dayOf = (count: number): string => new Date(Date.UTC(2031, 0, 1 + count)).toISOString().slice(0, 10);

const MAKERS: Readonly<Record<string, Maker>> = {
  "/api/v1/alerts": { value: alertId },
  "/api/v1/backups": { value: always("none.db") },
  "/api/v1/channels": {
    body: ({ outside }, count) => ({ name: `room ${count}`, preset: "ntfy", fields: { url: outside, topic: "room" } }),
  },
  "/api/v1/deliveries": { value: delivery },
  "/api/v1/deliveries/channels": { value: always("email") },
  "/api/v1/drills": { value: firstOf("", "id") },
  "/api/v1/events": { value: event },
  "/api/v1/explain/alert": { value: alertId },
  "/api/v1/explain/event": { value: event },
  "/api/v1/explain/incident": { value: incident },
  "/api/v1/explain/notification": { value: notification },
  "/api/v1/heartbeats/{id}/pings": {
    value: async ({ talk }, filled) => {
      const url = text(at((await talk.ask("GET", filled.replace(/\/pings$/, ""))).body, "pingUrl"));
      await talk.ask("POST", new URL(url).pathname, "hello", { token: null });
      return "1";
    },
  },
  "/api/v1/auth/sessions": { value: firstOf("", "id") },
  "/api/v1/incidents": { value: incident },
  "/api/v1/jobs": { value: job },
  "/api/v1/messages": { body: () => ({ recipientId: "me", content: "Stand-up" }) },
  "/api/v1/modules": { value: always("none") },
  "/api/v1/notifications": { value: notification },
  "/api/v1/notifications/scheduled": {
    value: async ({ talk }) => {
      const body = { userId: "me", title: "t", message: "m", delayMs: 3_600_000 };
      return text(at(await talk.made("POST", "/api/v1/notifications", body), "jobId"));
    },
  },
  "/api/v1/notifications/user": { value: ({ adminId }) => adminId },
  "/api/v1/ntfy/topics": { body: (_world, count) => ({ name: `topic-${count}`, kind: "inbox" }), way: ["name"] },
  "/api/v1/oncall/days-off": {
    body: (_world, count) => ({ userId: "dev", firstDay: dayOf(3 * count), lastDay: dayOf(3 * count + 1) }),
  },
  "/api/v1/oncall/users": { value: ({ adminId }) => adminId },
  "/api/v1/projects/{id}/invitations": {
    value: async (world, filled) => {
      const email = `guest${next(world)}@example.com`;
      await world.talk.ask("POST", filled.replace(/invitations$/, "members"), { email, role: "viewer" });
      return firstOf("", "id")(world, filled);
    },
  },
  "/api/v1/projects/{id}/members": {
    value: async ({ talk, users }, filled) => {
      await talk.ask("POST", filled, { userId: users["User"] ?? "", role: "viewer" });
      return users["User"] ?? "";
    },
  },
  "/api/v1/queues": { value: always("timers") },
  "/api/v1/realtime": { value: ({ shop }) => shop },
  "/api/v1/receivers/{id}/requests": {
    value: async ({ talk }, filled) => {
      const receiver = (await talk.ask("POST", filled.replace(/\/requests$/, "/rotate"), {})).body;
      const url = at(receiver, "url");
      if (typeof url === "string") await talk.ask("POST", new URL(url).pathname, { title: "x" }, { token: null });
      return text(at((await talk.ask("GET", filled)).body, "data", 0, "id"));
    },
  },
  "/api/v1/roles": { body: (_world, count) => ({ name: `role ${count}`, permissions: ["events:read"] }) },
  "/api/v1/rules/{id}/versions": { value: always("1") },
  "/api/v1/sounds": {
    value: async (world) => {
      const sent = { headers: { "Content-Type": "audio/wav" } };
      const target = `/api/v1/sounds?filename=sound${next(world)}.wav`;
      return text(at((await world.talk.ask("POST", target, WAVE, sent)).body, "id"));
    },
  },
  "/api/v1/timers": { value: job },
  "/api/v1/users": { body: (_world, count) => ({ username: `user${count}`, email: `user${count}@example.com` }) },
  "/api/v1/users/me/push-subscriptions": { value: firstOf("", "id") },
  "/api/v1/users/me/tokens": { body: (_world, count) => ({ name: `token ${count}`, scopes: ["events:write"] }) },
  "/api/v1/users/{id}/tokens": { value: always("0198c0de-0000-7000-8000-000000000000") },
  "/api/v1/webhooks": { body: ({ outside }) => ({ url: outside, eventTypes: ["a.*"] }) },
  "/media/sounds": { value: always("0198c0de-0000-7000-8000-000000000000") },
};

/** A number that no name of this server has. */
function next(world: World): number {
  world.names.count++;
  return world.names.count;
}

/** A path with new resources in the place of its parameters; `none` where the server has none. */
export async function filled(document: ApiDocument, world: World, template: string): Promise<string> {
  let path = "";
  let seen = "";
  for (const segment of template.split("/").slice(1)) {
    const value = /^\{.*\}/.test(segment)
      ? segment.replace(/^\{[^}]*\}/, await makeFor(document, world, seen, path))
      : segment;
    seen += `/${segment}`;
    path += `/${value}`;
  }
  return path;
}

async function makeFor(document: ApiDocument, world: World, prefix: string, path: string): Promise<string> {
  const maker = MAKERS[prefix] ?? {};
  if (maker.value) return maker.value(world, path);
  const operation = document.post(maker.path ?? prefix);
  const example = operation?.bodies["application/json"]?.example;
  const schema = operation?.bodies["application/json"]?.schema;
  const body = maker.body?.(world, next(world)) ?? (example === undefined ? undefined : distinct(example, world));
  if (body === undefined || schema === undefined) return "none";
  const place = "projectId" in document.membersOf(schema) ? world.place : {};
  const { body: made } = await world.talk.ask("POST", path, { ...body, ...place });
  return text(at(made, ...(maker.way ?? ["id"])));
}

/** The same body with a name that is free, for people and projects that exist. */
export function distinct(body: JsonObject, world: World): JsonObject {
  const number = next(world);
  const changed: Record<string, Json> = {};
  for (const [name, value] of Object.entries(body)) {
    if (name === "username" || (name === "name" && typeof value === "string"))
      changed[name] =
        `${text(value).slice(0, 30)}${"topic" in body || "kind" in body || name === "username" ? "-" : " "}${number}`;
    else if (name === "email") changed[name] = `a${number}@example.com`;
    else changed[name] = existing(value, world);
  }
  return changed;
}

function existing(value: Json, world: World): Json {
  if (value === "admin") return "dev";
  if (typeof value === "string" && /^https:\/\/[\w.]*example\.(com|org)/.test(value)) return world.outside;
  if (Array.isArray(value)) return value.map((each: Json) => existing(each, world));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, existing(each, world)]));
}

/** A silent sound. No byte is above 127: as text it is the same. */
export const WAVE = Buffer.concat([
  Buffer.from("RIFF"),
  Buffer.from(Uint32Array.of(36 + 40).buffer),
  Buffer.from("WAVEfmt "),
  Buffer.from(Uint32Array.of(16).buffer),
  Buffer.from(Uint16Array.of(1, 1).buffer),
  Buffer.from(Uint32Array.of(100, 100).buffer),
  Buffer.from(Uint16Array.of(2, 16).buffer),
  Buffer.from("data"),
  Buffer.from(Uint32Array.of(40).buffer),
  Buffer.alloc(40),
]).toString("latin1");

/** What must have happened before an operation can succeed, by its id; the path is the operation's. */
export const PREPARATIONS: Readonly<Record<string, (world: World, path: string) => Promise<unknown>>> = {
  deleteJob: ({ talk }, path) => talk.ask("POST", `${path}/cancel`, {}),
  resumeHeartbeat: ({ talk }, path) => talk.ask("POST", path.replace(/resume$/, "pause"), {}),
  resumeReceiver: ({ talk }, path) => talk.ask("POST", path.replace(/resume$/, "pause")),
  retryJob: ({ talk }, path) => talk.ask("POST", path.replace(/retry$/, "cancel"), {}),
  unacknowledgeIncident: ({ talk }, path) => talk.ask("POST", path.replace(/unacknowledge$/, "acknowledge"), {}),
  unsnoozeIncident: ({ talk }, path) =>
    talk.ask("POST", path.replace(/unsnooze$/, "snooze"), { durationMs: 3_600_000 }),
};
