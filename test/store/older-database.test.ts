import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import SqliteDatabase from "better-sqlite3";
import { uuidv7 } from "../../src/core/ids.ts";
import { runCli } from "../cli/run-cli.ts";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
import { ApnsServer } from "../features/delivery/support/apns-server.ts";
import { FcmServer } from "../features/delivery/support/fcm-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { listening } from "../helpers/listening.ts";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { TestBrowser } from "../helpers/web-push.ts";
import { BROWSER, hostOf, MADE_WITH, PASSWORD, PUSHER } from "./support/older-database.ts";

const FIXTURE = join(import.meta.dirname, "fixtures/0429728a");
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Of all that is waited for, on a slow machine. */
const WITHIN_MS = 60_000;
const BACKED_UP = "select 1 from jobs where kind = 'backup.create' and state = 'succeeded'";
const DELIVERED = "select 1 from messages where deliveredAt is not null";

/** A proxy that answers for all hosts behind it, with what it was sent: `host body`. */
async function startProxy(t: TestContext): Promise<{ readonly url: string; readonly calls: readonly string[] }> {
  const calls: string[] = [];
  const browser = new TestBrowser(BROWSER.privateKey, BROWSER.auth);
  const target = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const host = request.headers.host ?? "";
    calls.push(`${host} ${host === hostOf("webpush") ? browser.decrypt(body) : body.toString()}`);
    response.writeHead(host === hostOf("webpush") ? 201 : 200).end("{}");
  });
  const proxy = createServer();
  const open = new Set<Socket>();
  proxy.on("connect", (_request, socket: Socket) => {
    open.add(socket.on("error", () => undefined));
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    target.emit("connection", socket);
  });
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  return { url: `http://127.0.0.1:${await listening(t, proxy as Server)}`, calls };
}

interface Claimed {
  readonly jobs: readonly { readonly id: string; readonly fence: number }[];
}

/** What has come of the database, counted over all servers that ran on it. */
class World {
  readonly #t: TestContext;
  readonly dir: string;
  readonly #settings: Readonly<Record<string, string>>;
  /** What the clock shows more than that of the machine. */
  #shiftMs = 0;
  #elapsedMs = 0;
  readonly #madeAt: number;
  /** All that left, each as text. */
  readonly sent: () => readonly string[];

  private constructor(t: TestContext, settings: Readonly<Record<string, string>>, sent: () => readonly string[]) {
    this.#t = t;
    this.dir = temporaryDir(t);
    this.#settings = settings;
    this.sent = sent;
    writeFileSync(join(this.dir, "prism.db"), gunzipSync(readFileSync(`${FIXTURE}.db.gz`)), { mode: 0o600 });
    copyFileSync(`${FIXTURE}.audit.head`, join(this.dir, "audit.head"));
    this.#madeAt = this.rows<{ at: number }>("select max(timestamp) at from audit_log")[0]?.at ?? 0;
  }

  static async open(t: TestContext): Promise<World> {
    const [proxy, mail] = [await startProxy(t), await MailServer.start(t)];
    const [fcm, apns] = [await FcmServer.start(t), await ApnsServer.start(t, { isPlain: true })];
    const settings: Record<string, string> = {
      "auth.jwtSecret": MADE_WITH.JWT_SECRET,
      encryptionKey: MADE_WITH.PRISM_ENCRYPTION_KEY,
      ...{ "proxy.url": proxy.url, "proxy.resolves": "true", "rateLimit.enabled": "false" },
      ...{ "smtp.host": "127.0.0.1", "smtp.port": String(mail.port), "smtp.from": "Prism <prism@ways.example>" },
      "fcm.credentials": fcm.options.credentials ?? "",
      "fcm.endpoint": fcm.options.endpoint ?? "",
      "fcm.tokenEndpoint": fcm.options.tokenEndpoint ?? "",
      ...{ "apns.keyFile": apns.options.keyFile, "apns.keyId": apns.options.keyId },
      ...{ "apns.teamId": apns.options.teamId, "apns.bundleId": apns.options.bundleId },
      "apns.endpoint": apns.options.endpoint ?? "",
      ...{ "pusher.mode": "remote", "pusher.appId": PUSHER.appId, "pusher.key": PUSHER.key },
      ...{ "pusher.secret": PUSHER.secret, "pusher.endpoint": `http://${hostOf("pusher")}` },
      "pusher.webhooks.urls": `http://${hostOf("pusher-webhook")}/batch`,
      ...{ publicUrl: "https://prism.ways.example", "statusPages.subscriptions": "true" },
    };
    return new World(t, settings, () => [
      ...proxy.calls,
      ...mail.mails.map(
        ({ to, raw }) =>
          `mail ${to.join()} ${raw.replaceAll(/=\r?\n/g, "").replace(/: \d+ events? in/, ": events in")}`,
      ),
      ...fcm.requests.map(({ message }) => `fcm ${JSON.stringify(message)}`),
      ...apns.pushes.map(({ payload }) => `apns ${JSON.stringify(payload)}`),
    ]);
  }

  /** A server on it, this long after it was made; the one before must have stopped. */
  start(afterMs: number, more: Readonly<Record<string, string>> = {}): Promise<TestPrism> {
    this.#shiftMs = this.#madeAt + afterMs - Date.now();
    const clock = { now: () => Date.now() + this.#shiftMs, elapsed: () => performance.now() + this.#elapsedMs };
    return startPrism(this.#t, { dir: this.dir, clock, settings: { ...this.#settings, ...more } });
  }

  /** Time goes by while the server runs. */
  pass(ms: number): void {
    this.#shiftMs += ms;
    this.#elapsedMs += ms;
  }

  rows<T>(text: string): T[] {
    const database = new SqliteDatabase(join(this.dir, "prism.db"), { readonly: true });
    try {
      return database.prepare<[], T>(text).all();
    } finally {
      database.close();
    }
  }

  count(text: string): number {
    return this.rows(text).length;
  }

  /** How often this left, to or by what begins so. */
  left(start: string, text: string): number {
    return this.sent().filter((each) => each.startsWith(start) && each.includes(text)).length;
  }
}

async function logIn(prism: TestPrism): Promise<string> {
  const body = { username: "keeper", password: PASSWORD };
  const login = await answered(200, prism.post("/api/v1/auth/login", body, { token: null }));
  return String(login.body["accessToken"]);
}

type Expected = readonly (readonly [start: string, text: string])[];

/** What waited for a server with ways out. */
const AT_ONCE: Expected = [
  ["mail ann@", "Subject: K-direct-email"],
  ["webhook.", "K-direct-webhook"],
  ["apns", "K-direct-apns"],
  ["webpush.", "K-direct-webpush"],
  ["pusher.", "K-direct-pusher"],
  ["own.", "K-direct-service"],
  ["mail ann@", "Subject: K-planned"],
  ["mail cleo@", "Subject: Choose a new password"],
  ["mail visitor@", "Subject: Shop: Website (Outage)"],
  ["mail visitor@", "Subject: Shop: K-notice"],
  ["mail ann@", "Subject: Critical: K-alert"],
  ["own.", "Critical: K-alert"],
  ["room.", "Critical: K-alert"],
  ["incident.", '"title":"K-alert"'],
  ["mail bob@", "Subject: Critical: K-website"],
  ["mail bob@", "Subject: Drill: "],
  ["mail keeper@", "Subject: House: 1 error within 5 minutes"],
  ["mail keeper@", "Subject: House: events in the last 24 hours"],
  ["mail keeper@", "Subject: Default: events in the last 24 hours"],
  ["mail keeper@", "Subject: Pages of House do not arrive: channel broken"],
];

/** Kept for people at once. */
const NOTED_AT_ONCE = ["K-skipping", "K-reprocessed", "K-storm", "K-storm: 2 suppressed", "K-bucket"];

/** What was due within two hours. */
const LATER: Expected = [
  ...[1, 2, 3, 4, 5, 6].map((number) => ["mail bob@", `Subject: K-limited-${number}`] as const),
  ["mail bob@", "Subject: 2 notifications"],
  ["mail ann@", "Subject: K-scheduled-notification"],
  ["mail bob@", "Subject: Firing: K-alert"],
  ["mail bob@", "Subject: Firing: K-slow"],
  ["webhook.", "Firing: K-alert"],
];
/** No one acknowledges it, so that later its project's policy goes on with it. */
const SNOOZED: Expected = [["mail bob@", "Subject: K-snoozed"]];
const NOTED_LATER = ["K-timer", "K-event-of-timer", "K-scheduled-in-app"];

/** What is due while the server runs on. */
const RUNNING: Expected = [["mail bob@", "Subject: Firing: HeartbeatDown (K-heartbeat)"]];
const NOTED_RUNNING = ["K-absence"];

/** What was due within a day, and what only another mode of the server sends. */
const NEXT_DAY: Expected = [
  ["pusher-webhook.", "channel_occupied"],
  ["pusher-webhook.", "channel_vacated"],
];
const NOTED_NEXT_DAY = ["K-recurring-timer", "K-recurring-job"];

test("a database of version 0429728a opens, and what waits in it leaves once", async (t) => {
  const world = await World.open(t);
  const paused = world.rows<{ key: string }>("select key from settings where key like 'queue.paused:%'");
  assert.equal(paused.length, 10);
  const noted = (title: string) => world.count(`select 1 from notifications where title = '${title}'`);
  const arrive = async (expected: Expected, titles: readonly string[]) => {
    const missing = () => [
      ...expected.filter(([start, text]) => world.left(start, text) === 0),
      ...titles.filter((title) => noted(title) === 0),
    ];
    await eventually(
      () => `all arrive, but for ${JSON.stringify(missing())}`,
      () => missing().length === 0,
      WITHIN_MS,
    );
  };
  const once = (expected: Expected, titles: readonly string[]) => {
    for (const [start, text] of expected) assert.equal(world.left(start, text), 1, `${start} ${text}`);
    for (const title of titles) assert.equal(noted(title), 1, title);
  };

  const first = await world.start(MINUTE_MS, { "delivery.workers": "fcm" });
  const token = await logIn(first);
  const project = world.rows<{ id: string }>("select id from projects where name = 'House'")[0]?.id;
  const event = { type: "event.once", projectId: project, payload: { text: "K-idempotent" } };
  await answered(202, first.post("/api/v1/events", event, { token, headers: { "Idempotency-Key": "k-once" } }));
  for (const { key } of paused)
    await answered(200, first.post(`/api/v1/queues/${key.slice("queue.paused:".length)}/resume`, {}, { token }));
  await arrive(AT_ONCE, NOTED_AT_ONCE);
  const scoped = { name: "worker", scopes: ["jobs:work"] };
  const made = await answered(201, first.post<{ token: string }>("/api/v1/users/me/tokens", scoped, { token }));
  const asWorker = { token: made.body.token };
  const claim = { workerId: uuidv7(), host: "elsewhere", queues: ["push-notification"], waitMs: 10_000 };
  const claimed: string[] = [];
  // What has come of its own in the meantime is urgent, and is claimed first.
  while (!claimed.some((each) => each.includes("K-"))) {
    const { body } = await answered(200, first.post<Claimed>("/api/v1/workers/claim", claim, asWorker));
    const [job] = body.jobs;
    assert.ok(job);
    claimed.push(JSON.stringify(job));
    await answered(200, first.post(`/api/v1/jobs/${job.id}/complete`, { fence: job.fence }, asWorker));
  }
  await eventually("one message between users", () => world.count(DELIVERED) === 1, WITHIN_MS);
  await eventually("the backup", () => world.count(BACKED_UP) === 1, WITHIN_MS);
  await first.stop();
  once(AT_ONCE, NOTED_AT_ONCE);
  assert.equal(world.count("select 1 from events where type = 'ntfy.message'"), 0);

  const second = await world.start(2 * HOUR_MS);
  await arrive([...LATER, ...SNOOZED, ["fcm", "K-"]], NOTED_LATER);
  await eventually("both messages between users", () => world.count(DELIVERED) === 2, WITHIN_MS);
  once(SNOOZED, []);
  world.pass(1.5 * HOUR_MS);
  await arrive(RUNNING, NOTED_RUNNING);
  await second.stop();
  once([...LATER, ...RUNNING], [...NOTED_LATER, ...NOTED_RUNNING]);
  const backups = readdirSync(join(world.dir, "backups")).filter((name) => name.endsWith(".tar"));
  assert.equal(backups.length, 1);
  for (const title of ["K-direct-fcm", "K-worker-fcm"])
    assert.equal(world.left("fcm", title) + claimed.filter((each) => each.includes(title)).length, 1, title);

  const third = await world.start(27 * HOUR_MS, { "pusher.mode": "embedded" });
  await arrive(NEXT_DAY, NOTED_NEXT_DAY);
  await third.stop();
  once(NEXT_DAY, NOTED_NEXT_DAY);
  for (const type of ["event.once", "timer.fired", "schedule.skipped", "ntfy.message", "event.failed"])
    assert.equal(world.count(`select 1 from events where type = '${type}'`), 1, type);
  assert.equal(world.count("select 1 from events where type = 'event.gone'"), 0);
  assert.equal(world.count("select 1 from jobs where state = 'dead'"), 0);
  const env = { PRISM_DATA_DIR: world.dir, PORT: "0", ...MADE_WITH };
  const { stdout } = await runCli(["doctor", "--json"], { cwd: world.dir, env });
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  assert.deepEqual(
    checks.filter(({ status }) => status === "FAIL"),
    [],
  );
});
