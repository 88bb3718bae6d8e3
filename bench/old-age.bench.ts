/**
 * A database as old as it gets: the first request of every page of the console after a start, ingest
 * beside an empty database, and ingest beside retention and a backup.
 */
import "../scripts/node-version.mjs";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { chromium } from "playwright-core";
import { fillOld, leaveRoom, type OldAge } from "./lib/fill-old.ts";
import { addRules, call, eventBodies, setUp } from "./lib/prism-setup.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { median, numbersFrom, ROUNDS, report, round, SECONDS } from "./lib/report.ts";
import { runPaced } from "./lib/run-paced.ts";
import { runWrk } from "./lib/wrk.ts";

const [EVENTS = 10_000_000] = numbersFrom("BENCH_STORED", [10_000_000]);
const AGE: OldAge = {
  events: EVENTS,
  notifications: EVENTS / 5,
  deliveries: EVENTS / 10,
  incidents: EVENTS / 20,
};
const WHAT = Object.entries(AGE)
  .map(([name, count]) => `${count} ${name}`)
  .join(", ");
const PACE = 2000;

type Find = (path: string) => Promise<string>;

/** Pages of the console with the largest tables, and those of one thing. */
const PAGES: readonly (string | ((first: Find) => Promise<string>))[] = [
  "/",
  "/?range=7d",
  "/?range=30d",
  "/inbox",
  async (first) => `/inbox/${await first("/notifications")}`,
  "/events",
  async (first) => `/events/${await first("/events?projectId=*")}`,
  async (first) => `/explain/event/${await first("/events?projectId=*")}`,
  async (first) => `/explain/notification/${await first("/notifications")}`,
  "/rules",
  async (first) => `/rules/${await first("/rules")}`,
  async (first) => `/rules/${await first("/rules")}?tab=activity`,
  "/incidents",
  "/incidents?state=resolved",
  async (first) => `/incidents/${await first("/incidents?state=resolved")}`,
  "/alerts",
  "/alerts?state=resolved",
  async (first) => `/alerts/${await first("/alerts?state=resolved")}`,
  "/silences",
  "/policies",
  async (first) => `/policies/${await first("/policies")}`,
  "/oncall",
  "/heartbeats",
  "/deliveries",
  "/deliveries?state=dead",
  async (first) => `/deliveries/${await first("/deliveries")}`,
  "/jobs",
  "/jobs/queues",
  "/schedules",
  "/timers",
  "/webhooks",
  "/connect",
  "/tasks",
  "/messages",
  "/people",
  "/projects",
  async (first) => `/projects/${await first("/projects")}`,
  "/status-page",
  "/audit",
  "/backups",
  "/settings",
  "/account",
];

const dir = mkdtempSync(join(tmpdir(), "prism-old-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const password = prepare();
await pages();
await beside();

/** @returns the password of admin */
function prepare(): string {
  const env = { ...process.env, NODE_ENV: "development", PRISM_DATA_DIR: dir, PRISM_LOG_LEVEL: "warn" };
  const prism = (...args: string[]) =>
    execFileSync(join(import.meta.dirname, "../dist/prism"), args, { env, cwd: dir, encoding: "utf8" });
  prism("migrate");
  leaveRoom(join(dir, "prism.db"), AGE);
  const { accounts } = JSON.parse(prism("seed", "--demo", "--yes", "--json")) as {
    accounts: { username: string; password: string }[];
  };
  fillOld(join(dir, "prism.db"), AGE);
  return accounts.find(({ username }) => username === "admin")?.password ?? "";
}

/**
 * The requests of each page, sent together to a server that was started before. A browser tells which
 * ones they are; on two processors its own work would be most of their time.
 */
async function pages(): Promise<void> {
  const requests = await requestsOfPages();
  const server = await startPrism({ dir });
  const token = await tokenOf(server);
  const rows = [];
  for (const [page, paths] of requests) {
    const times = await Promise.all(paths.map((path) => timed(server, token, path)));
    const slowest = times.sort((a, b) => b.ms - a.ms)[0];
    rows.push({ page, ms: round(slowest?.ms ?? 0), "slowest request": slowest?.path.slice(0, 80) ?? "" });
  }
  await server.stop();
  report("old-age-pages", `${WHAT}; the slowest request of each page, for the first time after a start`, rows);
}

async function timed(server: Server, token: string, path: string) {
  const startedAt = performance.now();
  await (await fetch(server.url + path, { headers: { Authorization: `Bearer ${token}` } })).arrayBuffer();
  return { path, ms: performance.now() - startedAt };
}

async function tokenOf(server: Server): Promise<string> {
  const login = { login: "admin", password };
  const reply = await call(server, "POST", "/api/v1/auth/login", undefined, login);
  return (reply as { accessToken: string }).accessToken;
}

async function requestsOfPages(): Promise<ReadonlyMap<string, readonly string[]>> {
  const server = await startPrism({ dir });
  const token = await tokenOf(server);
  const first: Find = async (path) => {
    const { data } = (await call(server, "GET", `/api/v1${path}`, token)) as { data: { id: string }[] };
    return data[0]?.id ?? "";
  };
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext();
  await context.request.post(`${server.url}/api/v1/auth/login`, { data: { login: "admin", password } });
  await context.addInitScript("localStorage.getItem('prism.me') ?? localStorage.setItem('prism.me', '{}')");
  const found = new Map<string, string[]>();
  for (const each of PAGES) {
    const path = typeof each === "string" ? each : await each(first);
    const paths: string[] = [];
    const page = await context.newPage();
    page.on("requestfinished", (request) => {
      if (request.method() === "GET" && request.url().includes("/api/v1/"))
        paths.push(request.url().slice(server.url.length));
    });
    await page.goto(`${server.url}/dashboard${path}`);
    await page.waitForLoadState("networkidle");
    await page.close();
    found.set(path.replace(/[0-9a-f]{8}-[0-9a-f-]+/, ":id"), paths);
  }
  await browser.close();
  await server.stop();
  return found;
}

async function beside(): Promise<void> {
  const old = await startPrism({ dir, env: { PRISM_RETENTION_DAYS: "14" } });
  const empty = await startPrism();
  const loads = [await loadOf(old), await loadOf(empty)] as const;
  const rates: [number[], number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) for (const [n, load] of loads.entries()) rates[n]?.push(await load.most());
  const [oldRate, emptyRate] = rates.map(median) as [number, number];
  const idle = await loads[0].p99();
  const rows = [{ what: "nothing else", p99: round(idle, 1), "times idle": 1 }];
  await call(old, "POST", "/api/v1/backups", loads[0].token, {});
  for (const [what, kind] of [
    ["a backup", "backup.create"],
    ["retention of half the events", "retention.sweep"],
  ] as const) {
    await runs(old, loads[0].token, kind);
    const p99 = await loads[0].p99();
    rows.push({ what, p99: round(p99, 1), "times idle": round(p99 / idle, 2) });
  }
  await Promise.all([old.stop(), empty.stop()]);
  report("old-age-ingest", `${WHAT}; 64 connections, 10 rules, ${ROUNDS} rounds of ${SECONDS} s, medians`, [
    { "events/s, old": round(oldRate), "events/s, empty": round(emptyRate), ratio: round(oldRate / emptyRate, 3) },
  ]);
  report("old-age-beside", `${WHAT}; ${PACE} events a second for ${SECONDS * 3} s`, rows);
}

/** Waits for a running job; retention begins five minutes after the start. */
async function runs(server: Server, token: string, kind: string): Promise<void> {
  for (;;) {
    const { data } = (await call(server, "GET", "/api/v1/jobs?queue=retention&state=running", token)) as {
      data: { kind: string }[];
    };
    if (data.some((job) => job.kind === kind)) return;
    await setTimeout(500);
  }
}

async function loadOf(server: Server) {
  const setup = await setUp(server);
  await addRules(server, setup, 10);
  const headers = { "Content-Type": "application/json", "X-API-Key": setup.apiKey };
  const bodies = eventBodies();
  return {
    token: setup.token,
    async most(): Promise<number> {
      const url = `${server.url}/events`;
      const { requestsPerSecond, errors } = await runWrk({ url, connections: 64, seconds: SECONDS, headers, bodies });
      if (errors > 0) throw new Error(`${errors} requests were refused`);
      return requestsPerSecond;
    },
    async p99(): Promise<number> {
      const count = PACE * SECONDS * 3;
      return (await runPaced({ port: server.port, headers, bodies, perSecond: PACE, count })).answers.p99Ms;
    },
  };
}
