/**
 * The attacks of a security test on one server, beside requests of others: ingest with a key, the
 * public status page and the console's list of incidents, each at a fixed pace. Attackers are one
 * project, one creator with all projects, and a thousand addresses that know public URLs. Rounds
 * without and with the attack alternate; medians are reported. A third kind of round says how much
 * of the difference is the processor that attackers take from server and measurement: they send as
 * many requests of the same bytes to a program that only reads them. `npm run test:abuse` builds
 * first.
 */
import "../scripts/node-version.mjs";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Attack, Door } from "./lib/attacks.ts";
import { percentile } from "./lib/percentile.ts";
import { call, eventBodies, setUp } from "./lib/prism-setup.ts";
import { type Server, startPrism, startProgram } from "./lib/processes.ts";
import { median, type Row, report, round } from "./lib/report.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);
/** Longer than the bursts that the budgets allow. */
const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 15);
const PER_SECOND = 50;
const PROJECTS = 20;
const MANY_MATCHES = Array.from({ length: 180 }, (_, i) => `matches(body.text, '(a|b|c)*x${i % 40}(d|e)*z')`);
const PASSWORD = "correct horse battery staple";
/** What others may notice: twice the time without an attack, and this. */
const MARGIN_MS = 20;
/** Attackers are on other machines: their own processor time is not what others wait for here. */
const NICENESS = 10;

type Kind = "ingest" | "pages" | "console";
/** p99 in milliseconds, and requests that were refused. */
type Times = Readonly<Record<Kind, { readonly p99: number; readonly refused: number }>>;

const mailPort = await freePort();
const executable = process.env["BENCH_EXECUTABLE"];
const server = await startPrism({
  ...(executable !== undefined && { executable }),
  env: {
    PRISM_MAIL_IN_PORT: String(mailPort),
    PRISM_MAIL_IN_DOMAIN: "in.example",
    PRISM_AUTH_REGISTRATION: "open",
    PRISM_TRUSTED_PROXIES: "127.0.0.1",
    // Requests are limited by their work here.
    PRISM_RATE_LIMIT_ENABLED: "false",
  },
});
// As nice as the attackers, which are on other machines.
const sinks = {
  http: await startProgram("lib/sink.ts", ["http"], { niceness: NICENESS }),
  smtp: await startProgram("lib/sink.ts", ["smtp"], { niceness: NICENESS }),
};
const others = await setUp(server);
const page = await statusPageOf(server, others);
const token = await attackerOf(server);
/** Part of an attack's name; default: all. */
const wanted = process.env["BENCH_ATTACK"] ?? "";
const attacks = await attacksOf(server, token);
const rows: Row[] = [];
for (const [name, attack] of Object.entries(attacks).filter(([each]) => each.includes(wanted))) {
  const idle: Times[] = [];
  const attacked: Times[] = [];
  const elsewhere: Times[] = [];
  const answers: Record<string, number>[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    idle.push(await measure());
    const running = startAttack(attack);
    attacked.push(await measure());
    const answered = await running.stop();
    answers.push(answered);
    const perSecond = Object.values(answered).reduce((sum, count) => sum + count, 0) / SECONDS;
    const beside = startAttack({ ...attack, perSecond, sink: sinks.http.port, mailPort: sinks.smtp.port });
    elsewhere.push(await measure());
    await beside.stop();
  }
  for (const kind of ["ingest", "pages", "console"] as const) {
    const p99Of = (times: readonly Times[]): number => median(times.map((each) => each[kind].p99));
    const refusedIn = (times: readonly Times[]): number => times.reduce((sum, each) => sum + each[kind].refused, 0);
    const [before, during] = [p99Of(idle), p99Of(attacked)];
    const refused = refusedIn(attacked);
    rows.push({
      attack: name,
      of: kind,
      "idle p99 ms": round(before, 1),
      "attack elsewhere p99 ms": round(p99Of(elsewhere), 1),
      "attacked p99 ms": round(during, 1),
      refused: `${refusedIn(idle)} / ${refused}`,
      "limit ms": round(2 * before + MARGIN_MS, 1),
      within: refused === 0 && during <= 2 * before + MARGIN_MS ? "yes" : "no",
      "answers a round": JSON.stringify(answers.at(-1) ?? {}),
    });
  }
}
await server.stop();
await Promise.all(Object.values(sinks).map((each) => each.stop()));
report(
  "abuse",
  `${PER_SECOND} requests a second of each kind, ${ROUNDS} × ${SECONDS} s with and without the attack`,
  rows,
);

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

/** The public page of the others' project. @returns its URL on this machine */
async function statusPageOf(target: Server, { token: owner, projectId }: typeof others): Promise<string> {
  const groups = [{ name: "Shop", components: [{ name: "Website" }, { name: "Checkout" }] }];
  const body = { enabled: true, title: "Shop", groups };
  const path = `/api/v1/status-page?projectId=${projectId}`;
  const { url } = (await call(target, "PUT", path, owner, body)) as { url: string };
  return target.url + new URL(url).pathname;
}

async function attackerOf(target: Server): Promise<string> {
  await call(target, "POST", "/auth/register", undefined, { username: "mallory", password: PASSWORD });
  const login = { username: "mallory", password: PASSWORD };
  return ((await call(target, "POST", "/auth/login", undefined, login)) as { token: string }).token;
}

/** Attacks by who makes them. */
async function attacksOf(target: Server, attacker: string): Promise<Record<string, Attack>> {
  const projects: string[][] = [];
  const doors: Door[] = [];
  for (let i = 0; i < PROJECTS; i++) {
    const body = { name: `attack ${i}` };
    const { id } = (await call(target, "POST", "/api/v1/projects", attacker, body)) as { id: string };
    projects.push(await receiversOf(target, attacker, id));
    doors.push(await doorOf(target, attacker, id));
  }
  const base = { url: target.url, token: attacker, seconds: SECONDS, mailPort };
  return {
    "one project": { ...base, receivers: projects[0] ?? [], doors: doors.slice(0, 1), addresses: 1 },
    "a creator with 20 projects": { ...base, receivers: projects.flat(), doors, addresses: 1 },
    "1000 addresses": { ...base, receivers: projects.flat(), doors, addresses: 1000 },
  };
}

/** URLs: without and with a secret, with a costly mapping, and with one that repeats the body. */
async function receiversOf(target: Server, attacker: string, projectId: string): Promise<string[]> {
  const kinds = [
    { name: "open" },
    { name: "signed", preset: "github", secret: "a secret of GitHub" },
    { name: "costly", mapping: { title: "Found", labels: costlyLabels() } },
    { name: "repeating", mapping: { split: "body.a", title: "t", payload: "= body" } },
  ];
  const urls: string[] = [];
  for (const kind of kinds) {
    const body = { projectId, preset: "generic", perSecond: 1000, burst: 10_000, maxBodyBytes: 26_214_400, ...kind };
    urls.push(((await call(target, "POST", "/api/v1/receivers", attacker, body)) as { url: string }).url);
  }
  return urls.map((url) => server.url + new URL(url).pathname);
}

/** What else strangers reach: a mail address, the ping URL of a heartbeat, and an integration's key. */
async function doorOf(target: Server, attacker: string, projectId: string): Promise<Door> {
  const make = (path: string, body: object): Promise<unknown> => call(target, "POST", path, attacker, body);
  const { mailAddress } = (await make("/api/v1/receivers", { projectId, name: "mail", preset: "mail" })) as {
    mailAddress: string;
  };
  const job = { projectId, name: "job", schedule: "0 3 * * *" };
  const { pingUrl } = (await make("/api/v1/heartbeats", job)) as { pingUrl: string };
  const { key } = (await make("/api/v1/integrations", { projectId, name: "og", kind: "opsgenie" })) as { key: string };
  return { mail: mailAddress, ping: target.url + new URL(pingUrl).pathname, opsgenieKey: key };
}

function costlyLabels(): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [`l${i}`, `= ${MANY_MATCHES.slice(20 * i, 20 * i + 20).join(" or ")}`]),
  );
}

/** Of each kind, from when a request was due. */
async function measure(): Promise<Times> {
  const bodies = eventBodies();
  const json = { "Content-Type": "application/json" };
  const kinds: Record<Kind, () => Promise<Response>> = {
    ingest: () =>
      fetch(`${server.url}/events`, {
        ...{ method: "POST", body: bodies[0] as string },
        headers: { ...json, "X-API-Key": others.apiKey },
      }),
    pages: () => fetch(page),
    console: () =>
      fetch(`${server.url}/api/v1/incidents?limit=20`, { headers: { Authorization: `Bearer ${others.token}` } }),
  };
  // Threads and caches are there before times count.
  for (const send of Object.values(kinds)) await (await send()).arrayBuffer();
  const measured = await Promise.all(
    Object.entries(kinds).map(async ([kind, send]) => [kind, await paced(send)] as const),
  );
  return Object.fromEntries(measured) as unknown as Times;
}

async function paced(send: () => Promise<Response>): Promise<Times[Kind]> {
  const times: number[] = [];
  let refused = 0;
  const running: Promise<void>[] = [];
  const beganAt = performance.now();
  for (let i = 0; i < PER_SECOND * SECONDS; i++) {
    const due = beganAt + (i * 1000) / PER_SECOND;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    const one = async (): Promise<void> => {
      const reply = await send();
      await reply.arrayBuffer();
      if (reply.status >= 400) refused++;
      times.push(performance.now() - due);
    };
    running.push(one());
  }
  await Promise.all(running);
  const sorted = times.sort((a, b) => a - b);
  return { p99: percentile(sorted, 0.99), refused };
}

/** @returns how many answers of each status the attackers got */
function startAttack(attack: Attack): { stop(): Promise<Record<string, number>> } {
  const file = join(import.meta.dirname, "lib/attacks.ts");
  const args = ["-n", String(NICENESS), process.execPath, "--import", "tsx", file, JSON.stringify(attack)];
  const child = spawn("nice", args, {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    async stop() {
      await ended;
      return JSON.parse(text === "" ? "{}" : text) as Record<string, number>;
    },
  };
}
