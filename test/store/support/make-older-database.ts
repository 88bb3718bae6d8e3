/*
 * Makes the database of an older version in which one of everything waits, for
 * older-database.test.ts. No way out can be reached meanwhile. Run so, the executable being of that
 * version:
 *
 *   node test/store/support/make-older-database.ts <executable> test/store/fixtures/0429728a.db.gz
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import SqliteDatabase from "better-sqlite3";
import { SMTPServer } from "smtp-server";
import { eventually } from "../../helpers/eventually.ts";
import { TestBrowser } from "../../helpers/web-push.ts";
import { BROWSER, hostOf, MADE_WITH, PASSWORD, PUSHER } from "./older-database.ts";

const [, , executable = "", out = ""] = process.argv;
const dir = mkdtempSync(join(tmpdir(), "prism-older-"));

const account = {
  type: "service_account",
  project_id: "prism-test",
  private_key_id: "k1",
  private_key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }),
  client_email: "prism@prism-test.iam.gserviceaccount.com",
  token_uri: "https://oauth2.googleapis.com/token",
};
const apnsKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });
writeFileSync(join(dir, "fcm.json"), JSON.stringify(account), { mode: 0o600 });
writeFileSync(join(dir, "apns.p8"), apnsKey, { mode: 0o600 });

/** Nothing listens at this port, nor at port 80 of this machine, where the server finds all targets. */
const NOBODY = 9;
const WAYS = ["webhook", "webpush", "own", "room", "incident", "pusher", "pusher-webhook"];
writeFileSync(join(dir, "hosts"), ["localhost", ...WAYS.map(hostOf)].map((name) => `127.0.0.1 ${name}\n`).join(""));
const settings = {
  ...MADE_WITH,
  PATH: process.env["PATH"] ?? "",
  HOME: dir,
  PRISM_CONFIG_DIR: join(dir, "etc"),
  PRISM_MIN_FREE_BYTES: "0",
  PRISM_RATE_LIMIT_ENABLED: "false",
  PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
  PRISM_SMTP_HOST: "127.0.0.1",
  PRISM_SMTP_FROM: "Prism <prism@ways.example>",
  PRISM_FCM_CREDENTIALS: join(dir, "fcm.json"),
  PRISM_FCM_ENDPOINT: `http://127.0.0.1:${NOBODY}`,
  PRISM_FCM_TOKEN_ENDPOINT: `http://127.0.0.1:${NOBODY}/token`,
  PRISM_APNS_ENDPOINT: `http://127.0.0.1:${NOBODY}`,
  PRISM_APNS_KEY_FILE: join(dir, "apns.p8"),
  PRISM_APNS_KEY_ID: "KEY4567890",
  PRISM_APNS_TEAM_ID: "TEAM567890",
  PRISM_APNS_BUNDLE_ID: "org.example.prism",
  PRISM_PUSHER_APP_ID: PUSHER.appId,
  PRISM_PUSHER_KEY: PUSHER.key,
  PRISM_PUSHER_SECRET: PUSHER.secret,
  PRISM_PUSHER_ENDPOINT: `http://${hostOf("pusher")}`,
  PRISM_PUSHER_WEBHOOKS_URLS: `http://${hostOf("pusher-webhook")}/batch`,
  PRISM_STATUS_PAGES_SUBSCRIPTIONS: "true",
};

let url = "";
let child: ChildProcess | undefined;

async function start(more: Readonly<Record<string, string>> = {}): Promise<void> {
  const env = { ...settings, PRISM_SMTP_PORT: String(NOBODY), PRISM_PUSHER_MODE: "remote", ...more };
  const enter = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
  const shell = ["--user", "--map-root-user", "--mount", "/bin/sh", "-c", enter, "sh", join(dir, "hosts")];
  const started = spawn("unshare", [...shell, resolve(executable), "serve", "--port", "0"], { cwd: dir, env });
  child = started;
  let output = "";
  for (const stream of [started.stdout, started.stderr]) stream.on("data", (part) => (output += String(part)));
  const port = await eventually("the server is ready", () => {
    assert.equal(started.exitCode, null, output);
    return /Prism is ready: http:\/\/[^:]+:(\d+)/.exec(output)?.[1];
  });
  url = `http://127.0.0.1:${port}`;
}

async function stop(): Promise<void> {
  child?.kill("SIGTERM");
  if (child) await once(child, "exit");
}

type Answer = Readonly<Record<string, unknown>> & { readonly id: string; readonly token: string };

async function call(token: string, method: string, path: string, body?: unknown, headers = {}): Promise<Answer> {
  const isRaw = typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(url + (path.startsWith("/") ? path : `/api/v1/${path}`), {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(!isRaw && { "Content-Type": "application/json" }), ...headers },
    ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return (text.startsWith("{") ? JSON.parse(text) : {}) as Answer;
}

async function form(path: string, body: string): Promise<void> {
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const response = await fetch(url + path, { method: "POST", headers, body });
  assert.ok(response.ok, `${path}: ${response.status}`);
}

type Call = (method: string, path: string, body?: unknown, headers?: object) => Promise<Answer>;

async function logIn(username: string): Promise<Call> {
  const login = await call("", "POST", "auth/login", { username, password: PASSWORD });
  return (method, path, body, headers) => call(String(login["accessToken"]), method, path, body, headers);
}

const admin = () => logIn("keeper");

/** An administrator, for `publicUrl` ends the token of development. */
async function person(root: Call, username: string): Promise<{ id: string; as: Call }> {
  const email = `${username}@ways.example`;
  const user = { username, email, password: PASSWORD, roles: ["Admin"], status: "active" };
  const { id } = await root("POST", "users", user);
  return { id, as: await logIn(username) };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A visitor has confirmed the address: for this one mail there is a mail server. */
async function withSubscriber(): Promise<void> {
  const mails: string[] = [];
  const server = new SMTPServer({
    ...{ authOptional: true, disabledCommands: ["STARTTLS"], logger: false },
    onData(stream, _session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        mails.push(
          Buffer.concat(parts)
            .toString()
            .replaceAll(/=\r?\n/g, "")
            .replaceAll("=3D", "="),
        );
        done();
      });
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  await start({ PRISM_SMTP_PORT: String((server.server.address() as AddressInfo).port) });
  const { token } = (await (await fetch(`${url}/dev/token`)).json()) as Answer;
  const { as: root } = await person((...given) => call(token, ...given), "keeper");
  await root("PUT", "status-page", {
    ...{ enabled: true, title: "Shop", subscriptions: true },
    groups: [
      {
        name: "Shop",
        components: [{ name: "Website", sources: [{ matchers: ['service="web"'], effect: "outage" }] }],
      },
    ],
  });
  await root("PUT", "settings", { values: { publicUrl: "https://prism.ways.example" } });
  await form("/status/default/subscribe", "email=visitor%40ways.example");
  const mail = await eventually("the mail with the link", () => mails[0]);
  const path = /https:\/\/prism\.ways\.example(\/status\/default\/confirm\?token=[\w.-]+)/.exec(mail)?.[1];
  assert.ok(path, mail);
  await form(path, "");
  await stop();
  await new Promise<void>((done) => server.close(done));
}

/** A batch of Pusher's own webhooks, which the embedded server sends. */
async function pusherWebhook(): Promise<void> {
  const client = new WebSocket(`${url.replace("http", "ws")}/app/${PUSHER.key}?protocol=7&client=js&version=8.0.0`);
  await once(client, "message");
  client.send(JSON.stringify({ event: "pusher:subscribe", data: { channel: "waiting-channel" } }));
  await once(client, "message");
  await waits("pusher:webhook");
  client.close();
}

function rows<T>(text: string): T[] {
  const database = new SqliteDatabase(join(dir, "data/prism.db"), { readonly: true });
  try {
    return database.prepare<[], T>(text).all();
  } finally {
    database.close();
  }
}

/** Until a job of this kind has not ended. */
async function waits(kind: string, count = 1): Promise<void> {
  const text = `select id from jobs where kind = '${kind}' and finishedAt is null`;
  await eventually(`${count} jobs ${kind} wait`, () => rows(text).length >= count);
}

async function make(): Promise<void> {
  await withSubscriber();

  await start({ PRISM_PUSHER_MODE: "embedded" });
  await pusherWebhook();
  await stop();

  await start();
  const root = await admin();
  const [ann, bob, cleo] = [await person(root, "ann"), await person(root, "bob"), await person(root, "cleo")];
  const { id: house } = await root("POST", "projects", {
    name: "House",
    settings: { digest: true, alertThreshold: 1 },
  });
  for (const { id } of [ann, bob, cleo])
    await root("POST", `projects/${house}/members`, { userId: id, role: "editor" });

  // The ways of ann, and one message by each.
  await ann.as("POST", "webhooks", { url: `http://${hostOf("webhook")}/ann` });
  await ann.as("PUT", "users/me/push-tokens", { fcm: "registration:token", apns: "ab".repeat(32) });
  const keys = new TestBrowser(BROWSER.privateKey, BROWSER.auth).keys;
  const endpoint = `http://${hostOf("webpush")}/ann`;
  await ann.as("POST", "users/me/push-subscriptions", { endpoint, expirationTime: null, keys });
  await ann.as("POST", "channels", { name: "own", preset: "http", fields: { url: `http://${hostOf("own")}/ann` } });
  const tell = (title: string, channel: string, more: object = {}) =>
    root("POST", "notifications", { recipients: [ann.id], title, message: "m", channels: [channel], ...more });
  for (const channel of ["email", "webhook", "fcm", "apns", "webpush", "pusher", "service"])
    await tell(`K-direct-${channel}`, channel);
  await waits("delivery.attempt", 7);
  await tell("K-scheduled-notification", "email", { delayMs: HOUR_MS });
  await tell("K-scheduled-in-app", "in_app", { delayMs: HOUR_MS });

  // What is due later.
  await ann.as("POST", "messages", { recipientId: bob.id, content: "K-delayed-message", delayMs: HOUR_MS });
  const note = (title: string) => ({
    type: "notify",
    payload: { userId: ann.id, title, body: "m", channels: ["in_app"] },
  });
  await ann.as("POST", "time/trigger", { label: "once", delayMs: HOUR_MS, action: note("K-timer") });
  await ann.as("POST", "time/trigger", { label: "daily", cron: "0 12 * * *", action: note("K-recurring-timer") });
  await ann.as("POST", "time/trigger", {
    ...{ label: "event", delayMs: HOUR_MS },
    action: { type: "event", event: "timer.fired", payload: { text: "K-timer-event" }, persist: true },
  });
  await root("POST", "schedules", {
    ...{ name: "recurring", cron: "30 12 * * *", queue: "timers", kind: "timer" },
    payload: { action: note("K-recurring-job") },
  });
  await root("POST", "ntfy/topics", { name: "later", kind: "messages" });
  const ntfy = await ann.as("POST", "/ntfy/later", "K-ntfy-scheduled", { In: "1h" });
  assert.equal(typeof ntfy.id, "string");

  // Rules that wait: for the end of a storm, and for an event that does not come.
  const rule = (name: string, condition: string, more: object = {}) =>
    root("POST", "rules", {
      ...{ name, condition, projectId: house, targetUsers: [cleo.id], channels: ["in_app"], titleTemplate: name },
      ...more,
    });
  await rule("K-absence", "event.type == 'clock.ticked'", { absence: { forMs: HOUR_MS } });
  await rule("K-storm", "event.type == 'door.opened'", {
    suppression: { count: 1, windowMs: 10 * MINUTE_MS, mode: "batch" },
  });
  await rule("K-reprocessed", "event.type == 'event.again'");
  await rule("K-event-of-timer", "event.type == 'timer.fired'", { projectId: null });
  await rule("K-bucket", "event.type == 'bucket.below_threshold'", { projectId: null });
  const post = (type: string, more: object = {}, headers = {}) =>
    root("POST", "events", { type, projectId: house, ...more }, headers);
  await post("clock.ticked");
  for (let count = 0; count < 3; count++) await post("door.opened");
  const again = await post("event.again");
  await post("event.once", { payload: { text: "K-idempotent" } }, { "Idempotency-Key": "k-once" });

  // An incident: pages of every kind, a later contact rule, a later step.
  const room = { name: "room", preset: "http", projectId: house, fields: { url: `http://${hostOf("room")}/x` } };
  const { id: channel } = await root("POST", "channels", room);
  const { id: broken } = await root("POST", "channels", { ...room, name: "broken", active: false });
  await ann.as("PUT", "users/me/contact-rules", {
    high: [
      { afterMs: 0, channels: ["email", "service"] },
      { afterMs: 20 * MINUTE_MS, channels: ["webhook"] },
    ],
    low: [{ afterMs: 0, channels: ["in_app"] }],
  });
  await bob.as("PUT", "users/me/contact-rules", {
    high: [{ afterMs: 0, channels: ["email"] }],
    low: [{ afterMs: 0, channels: ["email"] }],
  });
  const urgent = { type: "notify", users: [ann.id], urgency: "high" };
  await root("POST", "policies", {
    ...{ name: "urgent", projectId: house },
    steps: [
      urgent,
      { type: "channel", id: channel },
      { type: "webhook", url: `http://${hostOf("incident")}/prism` },
      { type: "wait", ms: 40 * MINUTE_MS },
      { type: "notify", users: [bob.id], urgency: "high" },
    ],
  });
  await root("POST", "policies", {
    ...{ name: "quiet", projectId: house },
    steps: [{ type: "notify", users: [bob.id], urgency: "high" }],
  });
  await root("POST", "policies", {
    ...{ name: "failing", projectId: house },
    steps: [{ type: "channel", id: broken }],
  });
  await root("PUT", `routes?projectId=${house}`, {
    route: {
      ...{ policy: "urgent", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: HOUR_MS, repeatMs: 24 * HOUR_MS },
      routes: [
        { matchers: ['kind="slow"'], policy: "quiet", groupWaitMs: 30 * MINUTE_MS },
        { matchers: ['kind="broken"'], policy: "failing", groupWaitMs: 0 },
        { matchers: ['kind="heartbeat"'], policy: "quiet", groupWaitMs: 0 },
      ],
    },
  });
  const alert = (alertname: string, labels: object = {}) =>
    root("POST", "alerts", { projectId: house, alerts: [{ key: alertname, labels: { alertname, ...labels } }] });
  await alert("K-alert");
  await alert("K-slow", { kind: "slow" });
  const { id: snoozed } = await root("POST", "incidents", {
    ...{ projectId: house, title: "K-snoozed", users: [bob.id], urgency: "high" },
  });
  await root("POST", `incidents/${snoozed}/snooze`, { durationMs: 50 * MINUTE_MS });
  await root("POST", "heartbeats", {
    ...{ projectId: house, name: "K-heartbeat", slug: "k-heartbeat", timeoutMs: 10 * MINUTE_MS, graceMs: MINUTE_MS },
    labels: { kind: "heartbeat" },
  }).then(async ({ pingUrl }) => {
    const response = await fetch(String(pingUrl).replace(/^https?:\/\/[^/]+/, url));
    assert.ok(response.ok);
  });
  await waits("incident.contact");
  await eventually("pages of every kind wait", () => {
    const kinds = rows<{ kind: string }>("select distinct kind from pages where endedAt is null and attempts > 0");
    return kinds.length === 3;
  });

  // Mails of accounts and of the status page.
  await call("", "POST", "auth/forgot-password", { email: "cleo@ways.example" });
  await waits("mail");
  await root("POST", "alerts", { alerts: [{ key: "web", labels: { alertname: "K-website", service: "web" } }] });
  await waits("status-mail");

  // One attempt for a remote worker; and more than bob gets in five minutes: two wait to be combined.
  await stop();
  await start({ PRISM_DELIVERY_WORKERS: "fcm", PRISM_DELIVERY_PER_USER: "1", PRISM_DELIVERY_PER_USER_BURST: "1" });
  const later = await admin();
  for (const number of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const title = `K-limited-${number}`;
    await later("POST", "notifications", { recipients: [bob.id], title, message: "m", channels: ["email"] });
  }
  await waits("delivery.merge");
  const fcm = { recipients: [ann.id], title: "K-worker-fcm", message: "m", channels: ["fcm"] };
  await later("POST", "notifications", fcm);
  await eventually(
    "an attempt waits for a worker",
    () => rows("select 1 from jobs where queue = 'workers:fcm'").length > 1,
  );

  // What would be done at once: its queue is paused.
  const bucket = await later("POST", "transfer-buckets", {
    ...{ name: "K-bucket", currency: "EUR", currentBalance: "100", threshold: "50" },
  });
  const { id: gone } = await later("POST", "projects", { name: "Gone" });
  await later("POST", "events", { type: "event.gone", projectId: gone });
  await later("POST", "ntfy/topics", { name: "gone", kind: "messages" });
  const skipping = await later("POST", "schedules", {
    ...{ name: "skipping", everyMs: 1000, queue: "timers", kind: "timer", overlap: "skip" },
    payload: { action: note("K-skipping") },
  });
  const queues = ["event-processing", "notification-delivery", "push-notification", "bucket-monitoring"];
  queues.push("alert-suppression", "messages", "alert", "digest", "retention", "timers");
  for (const queue of queues) await later("POST", `queues/${queue}/pause`);
  await waits("schedule.skipped");
  await later("PUT", `schedules/${skipping.id}`, { active: false });
  await later("POST", "notifications", { recipients: [ann.id], title: "K-planned", message: "m", channels: ["email"] });
  await later("POST", "messages", { recipientId: bob.id, content: "K-message" });
  await later("POST", `events/${String((again["data"] as Answer[] | undefined)?.[0]?.id ?? again.id)}/reprocess`);
  await later("PUT", `transfer-buckets/${bucket.id}/balance`, { currentBalance: "10" });
  await later("POST", "events", { type: "event.failed", level: "error", projectId: house });
  await later("POST", "alerts", {
    ...{ projectId: house },
    alerts: [{ key: "b", labels: { alertname: "K-broken", kind: "broken" } }],
  });
  await later("POST", "status-page/notices", {
    kind: "incident",
    title: "K-notice",
    text: "We look into it",
    notify: true,
  });
  await later("DELETE", `projects/${gone}`);
  await later("DELETE", "ntfy/topics/gone");
  await later("POST", "backups");
  const schedules = (await later("GET", "schedules?limit=100"))["data"] as unknown as { id: string; name: string }[];
  for (const { id, name } of schedules) if (name.startsWith("prism:digest")) await later("POST", `schedules/${id}/run`);
  await later("POST", "drills", { users: [bob.id], now: true });
  await sleep(3000);
  await stop();
}

await make().finally(() => child?.kill("SIGKILL"));
const database = new SqliteDatabase(join(dir, "data/prism.db"));
database.pragma("wal_checkpoint(TRUNCATE)");
database.exec("vacuum");
database.close();
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, gzipSync(readFileSync(join(dir, "data/prism.db")), { level: 9 }));
// Without it the server takes rows of the audit trail for lost.
copyFileSync(join(dir, "data/audit.head"), out.replace(/\.db\.gz$/, ".audit.head"));
rmSync(dir, { recursive: true });
