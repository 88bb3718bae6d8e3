// The baseline makes a database in which a job of each kind waits; the recorded build opens it and runs
// them. Recorded are how each job ended and what the API says of the old rows.
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Context } from "./lib/context.ts";
import { Conversation } from "./lib/wire/conversation.ts";
import { at, isObject, type Json } from "./lib/wire/json.ts";
import { WAITING } from "./lib/wire/stories/waiting.ts";
import { tell, type Values } from "./lib/wire/story.ts";
import { Transcript } from "./lib/wire/transcript.ts";
import { makeWorld, nameWorld, SETTINGS, type World } from "./lib/wire/world.ts";

/** Mail is accepted for later: no server answers there. */
const MAIL = {
  PRISM_PUSHER_WEBHOOKS_URLS: "http://127.0.0.1:9/",
  PRISM_PUBLIC_URL: "http://localhost:1",
  PRISM_SMTP_HOST: "127.0.0.1",
  PRISM_SMTP_PORT: "9",
  PRISM_SMTP_FROM: "prism@example.com",
};
const LISTS = [
  ...["alerts", "channels", "events", "heartbeats", "incidents", "integrations"],
  ...["messages", "notifications/all", "oncall/schedules", "policies", "projects", "receivers", "roles"],
  ...["rules", "schedules", "silences", "sounds", "tasks", "timers", "transfer-buckets", "users", "webhooks"],
];
const NO_ID = "0198c0de-0000-7000-8000-000000000000";
const MOST_PROMOTIONS = 3;

interface HandMade {
  readonly kind: string;
  readonly queue: string;
  readonly payload: (values: Values) => object;
}

/** Kinds of which no short chain of requests leaves a waiting job; payloads as their owners write them. */
const HAND_MADE: readonly HandMade[] = [
  {
    kind: "alert",
    queue: "alert",
    payload: ({ shop }) => ({ projectId: shop, windowMs: 60_000, count: 1, lastAt: 1, lastSeq: 1, isFollowUp: false }),
  },
  { kind: "backup.verify", queue: "retention", payload: () => ({ name: "none.db" }) },
  { kind: "bucket.check", queue: "bucket-monitoring", payload: () => ({}) },
  {
    kind: "channel.message",
    queue: "alert",
    payload: ({ channel, incident }) => ({ channelId: channel, key: `incident:${incident}` }),
  },
  { kind: "delivery.merge", queue: "notification-delivery", payload: ({ dev }) => ({ userId: dev }) },
  { kind: "digest", queue: "digest", payload: ({ shop }) => ({ projectId: shop }) },
  { kind: "digest.default", queue: "digest", payload: () => ({}) },
  { kind: "event.process", queue: "event-processing", payload: () => ({ eventSeq: 1, again: true }) },
  { kind: "incident.ways", queue: "alert", payload: ({ shop }) => ({ projectId: shop }) },
  {
    kind: "incident.webhook",
    queue: "alert",
    payload: ({ incident }) => ({ incidentId: incident, step: 0, reason: "step", at: 1 }),
  },
  {
    kind: "notification.recipients",
    queue: "event-processing",
    payload: ({ notification, dev }) => ({
      notificationId: notification,
      targetUsers: JSON.stringify([dev]),
      targetRoles: "[]",
      projectId: null,
    }),
  },
  { kind: "retention.sweep", queue: "retention", payload: () => ({}) },
  {
    kind: "schedule.skipped",
    queue: "timers",
    payload: () => ({ scheduleId: NO_ID, name: "nightly", nominalAt: 1_795_000_000_000, reason: "overlap" }),
  },
  {
    kind: "status-change",
    queue: "notification-delivery",
    payload: ({ shop }) => ({ projectId: shop, componentId: NO_ID }),
  },
  {
    kind: "status-mail",
    queue: "notification-delivery",
    payload: ({ shop }) => ({
      projectId: shop,
      subject: "Shop",
      text: "Down",
      after: "",
      expiresAt: 4_000_000_000_000,
    }),
  },
  { kind: "suppression.storm", queue: "alert-suppression", payload: () => ({ batchId: NO_ID }) },
  {
    kind: "pusher:webhook",
    queue: "module:pusher",
    payload: () => ({ url: "http://127.0.0.1:9/", time_ms: 1, events: [] }),
  },
  { kind: "unknown.kind", queue: "retention", payload: () => ({}) },
];

export async function record(context: Context): Promise<void> {
  // How often a mail was tried before the pause depends on time.
  const transcript = new Transcript(context, { attempts: "<number>", offset: "<offset>", bytes: "<bytes>" });
  const world = await makeWorld(context, "data", { env: MAIL, dist: context.baseline });
  nameWorld(transcript, world);
  const values = await leaveWaiting(world, transcript);
  // A build with newer migrations adds a row for its backup.
  const { data } = (await world.talk.made("GET", "/api/v1/audit?limit=1")) as { data: { timestamp: string }[] };
  const audit = `audit?to=${new Date(Date.parse(data[0]?.timestamp ?? "") + 1).toISOString()}`;
  await world.stop();
  addHandMade(join(context.scratch, "data/prism.db"), values);
  const server = await context.serve("data", { ...SETTINGS, ...MAIL, ...world.clock });
  const talk = new Conversation(server.url);
  await talk.signIn();
  for (const list of [...LISTS, audit]) {
    transcript.section(list.replace(/\?.*/, ""));
    await talk.record(transcript, "as the build shows the old rows", { method: "GET", path: `/api/v1/${list}` });
  }
  const waiting = await jobsOf(talk);
  await runAll(talk);
  const ended = new Map((await jobsOf(talk)).map((job) => [at(job, "id"), job]));
  transcript.section("Each job that waited, and how it ended");
  for (const job of waiting) {
    const after = ended.get(at(job, "id"));
    transcript.line(`${job["kind"]} in ${job["queue"]}: ${stateOf(job)}, then ${after ? endOf(after) : "gone"}`);
    if (after && after["result"] !== null) transcript.body(JSON.stringify(after["result"]));
  }
  transcript.section("Jobs that those have made");
  const known = new Set(waiting.map(({ id }) => id));
  const made = [...ended.values()].filter(({ id }) => !known.has(id));
  for (const line of made.map((job) => `${job["kind"]} in ${job["queue"]}: ${stateOf(job)}`).sort())
    transcript.line(line);
  await server.stop();
  talk.close();
  await world.close();
  transcript.save("jobs.txt");
}

/** A job that waits is due or will be, which depends on time. */
function stateOf({ state }: Record<string, Json>): string {
  return state === "scheduled" || state === "ready" || state === "retrying" ? "waits" : String(state);
}

/** How often a job that waits again was tried depends on time. */
function endOf(job: Record<string, Json>): string {
  const state = stateOf(job);
  const tried = state === "waits" ? " again" : ` after ${String(job["attempts"])}`;
  return `${state}${tried}, error ${JSON.stringify(job["lastError"])}`;
}

/** Pauses all queues and starts what makes jobs. */
async function leaveWaiting(world: World, transcript: Transcript): Promise<Values> {
  const { talk } = world;
  const values = await tell(world, transcript, "What the baseline did", WAITING.before);
  const queues = at(await talk.made("GET", "/api/v1/queues"), "queues") as readonly Json[];
  for (const queue of queues) await talk.made("POST", `/api/v1/queues/${String(at(queue, "name"))}/pause`, {});
  talk.isPatient = false;
  return tell(world, transcript, "What the baseline did while its queues were paused", WAITING.paused, values);
}

function addHandMade(file: string, values: Values): void {
  const database = new Database(file);
  const columns = "id, queue, kind, payload, state, runAt, maxAttempts, createdAt";
  const insert = database.prepare(`insert into jobs (${columns}) values (?, ?, ?, ?, 'ready', ?, 1, ?)`);
  for (const [index, { kind, queue, payload }] of HAND_MADE.entries()) {
    const id = `0198c0de-0000-7000-9000-${String(index).padStart(12, "0")}`;
    insert.run(id, queue, kind, JSON.stringify(payload(values)), 1, 1);
  }
  database.close();
}

/** Every job by its kind, the oldest first. */
async function jobsOf(talk: Conversation): Promise<Record<string, Json>[]> {
  const found: Record<string, Json>[] = [];
  let cursor = "";
  do {
    const page = await talk.made("GET", `/api/v1/jobs?limit=100${cursor}`);
    for (const each of at(page, "data") as readonly Json[])
      if (isObject(each))
        found.push((await talk.made("GET", `/api/v1/jobs/${String(each["id"])}`)) as Record<string, Json>);
    const next = at(page, "nextCursor");
    cursor = typeof next === "string" ? `&cursor=${next}` : "";
  } while (cursor !== "");
  // Jobs of different kinds come from different chains of work.
  const key = (job: Record<string, Json>): string => `${job["kind"]} ${job["id"]}`;
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Resumes the queues, and lets run what is to run later, too. */
async function runAll(talk: Conversation): Promise<void> {
  const queues = at(await talk.made("GET", "/api/v1/queues"), "queues") as readonly Json[];
  const names = queues.map((queue) => String(at(queue, "name")));
  for (const name of names) await talk.made("POST", `/api/v1/queues/${name}/resume`, {});
  await talk.settle();
  for (let round = 0; round < MOST_PROMOTIONS; round++) {
    let count = 0;
    for (const queue of names) {
      const body = { filter: { queue, state: ["scheduled"] } };
      count += Number(at((await talk.ask("POST", "/api/v1/jobs/promote", body)).body, "changed") ?? 0);
    }
    await talk.settle();
    if (count === 0) return;
  }
}
