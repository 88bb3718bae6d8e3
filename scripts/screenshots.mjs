// npm run screenshots [-- --all DIR]: screenshots of the console with the data of `prism seed --demo`,
// in docs/images for README and docs/console.md, or of every page in both themes and two widths.
import "./node-version.mjs";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { compactPng } from "./compact-png.mjs";

const root = join(import.meta.dirname, "..");
const prism = join(root, "dist/prism");
const MAX_BYTES = 150_000;
const PATIENCE_MS = 60_000;
const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const at = process.argv.indexOf("--all");
const all = at < 0 ? undefined : (process.argv[at + 1] ?? fail("--all takes a directory"));
const port = await freePort();
const dataDir = mkdtempSync(join(tmpdir(), "prism-screenshots-"));
const env = {
  PATH: process.env.PATH,
  NODE_ENV: "production",
  HOST: "127.0.0.1",
  PORT: String(port),
  PRISM_PUBLIC_URL: `http://127.0.0.1:${port}`,
  TZ: "UTC",
  JWT_SECRET: randomBytes(48).toString("base64"),
  PRISM_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  PRISM_DATA_DIR: dataDir,
  PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
};

try {
  const seeded = execFileSync(prism, ["seed", "--demo", "--yes", "--json"], { cwd: dataDir, env, encoding: "utf8" });
  const { password } = JSON.parse(seeded).accounts.find(({ username }) => username === "admin");
  const server = spawn(prism, ["serve"], { cwd: dataDir, env, stdio: ["ignore", "pipe", "pipe"] });
  const browser = await chromium.launch({ executablePath: findBrowser(), args: ["--no-sandbox", "--disable-gpu"] });
  try {
    await started(server);
    await take(browser, `http://127.0.0.1:${port}`, password);
  } finally {
    await browser.close();
    const ended = new Promise((done) => server.once("exit", done));
    server.kill("SIGTERM");
    await ended;
  }
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}

async function take(browser, url, password) {
  const data = { login: "admin", password };
  const api = await signIn(url, data);
  const pages = await pagesOf(api);
  if (all === undefined) {
    mkdirSync(join(root, "docs/images"), { recursive: true });
    for (const [name, page, views] of shown(pages))
      for (const [suffix, colorScheme, viewport] of views) {
        const context = await contextOf(browser, url, data, { colorScheme, viewport });
        const file = join(root, `docs/images/${name}${suffix}.png`);
        const png = compactPng(await picture(context, url, page));
        if (png.length > MAX_BYTES) fail(`${file} has ${png.length} bytes`);
        writeFileSync(file, png);
        console.log(`${file} ${png.length}`);
        await context.close();
      }
    return;
  }
  const directory = resolve(all);
  mkdirSync(directory, { recursive: true });
  for (const colorScheme of ["light", "dark"])
    for (const viewport of [WIDE, PHONE]) {
      const context = await contextOf(browser, url, data, { colorScheme, viewport });
      for (const [name, page] of Object.entries(pages)) {
        const file = join(directory, `${name}-${viewport.width}-${colorScheme}.png`);
        writeFileSync(file, await picture(context, url, page, true));
      }
      await context.close();
    }
  console.log(`${directory}: ${Object.keys(pages).length} pages, each in two themes and two widths`);
}

/** The pictures of README and docs/console.md. */
function shown({ overview, explain, incident, rule, events, jobs, inbox }) {
  const wide = [
    ["-light", "light", WIDE],
    ["-dark", "dark", WIDE],
  ];
  return [
    ["overview", overview, wide],
    ["explain", explain, wide],
    ["incident", incident, wide],
    ["rule", rule, wide.slice(0, 1)],
    ["events", events, wide.slice(0, 1)],
    ["jobs", jobs, wide.slice(0, 1)],
    [
      "inbox-phone",
      inbox,
      [
        ["-light", "light", PHONE],
        ["-dark", "dark", PHONE],
      ],
    ],
  ];
}

/** Paths of all pages by name, below /dashboard. */
async function pagesOf(api) {
  const first = async (path, isWanted = () => true) => (await api(path)).data.find(isWanted)?.id;
  const notification = await first("/notifications/all?q=is%20down", ({ kind }) => kind === "rule");
  const rules = await api("/rules?limit=100");
  const rule = rules.data.find(({ name }) => name === "Host is down").id;
  const person = await first("/users?limit=100", ({ username }) => username === "operator");
  return {
    overview: "/",
    "overview-week": "/?range=7d",
    inbox: "/inbox",
    notification: `/inbox/${notification}`,
    events: "/events",
    event: `/events/${await first("/events?projectId=*&type=host.down")}`,
    explain: `/explain/notification/${notification}`,
    incidents: "/incidents",
    incident: `/incidents/${await first("/incidents?state=acknowledged")}`,
    alerts: "/alerts",
    silences: "/silences",
    oncall: "/oncall",
    policies: "/policies",
    heartbeats: "/heartbeats",
    rules: "/rules",
    "rule-new": "/rules/new",
    rule: `/rules/${rule}`,
    deliveries: "/deliveries",
    delivery: `/deliveries/${await first("/deliveries?state=dead,failed,queued")}`,
    webhooks: "/webhooks",
    jobs: "/jobs",
    "jobs-dead": "/jobs?state=dead",
    queues: "/jobs/queues",
    job: `/jobs/${await first("/jobs?state=dead")}`,
    schedules: "/schedules",
    schedule: `/schedules/${await first("/schedules?limit=100", ({ name }) => name.startsWith("Inventory"))}`,
    timers: "/timers",
    tasks: "/tasks",
    messages: "/messages",
    message: `/messages/${await first("/messages?box=inbox")}`,
    buckets: "/buckets",
    sounds: "/sounds",
    people: "/people",
    pending: "/people/pending",
    roles: "/people/roles",
    person: `/people/${person}`,
    projects: "/projects",
    project: `/projects/${await first("/projects?limit=100", ({ slug }) => slug === "shop")}`,
    modules: "/modules",
    audit: "/audit",
    backups: "/backups",
    cluster: "/cluster",
    settings: "/settings",
    reference: "/reference",
    account: "/account",
    "account-security": "/account/security",
    "account-notifications": "/account/notifications",
    unknown: "/nowhere",
  };
}

async function signIn(url, data) {
  const headers = { "Content-Type": "application/json" };
  const login = await fetch(`${url}/api/v1/auth/login`, { method: "POST", headers, body: JSON.stringify(data) });
  const { accessToken } = await login.json();
  return async (path) => {
    const answer = await fetch(`${url}/api/v1${path}`, { headers: { Authorization: `Bearer ${accessToken}` } });
    if (!answer.ok) fail(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
}

async function contextOf(browser, url, data, look) {
  const context = await browser.newContext({ ...look, locale: "en-GB", timezoneId: "Europe/Berlin" });
  context.setDefaultTimeout(PATIENCE_MS);
  const login = await context.request.post(`${url}/api/v1/auth/login`, { data });
  if (!login.ok()) fail(`no login: ${login.status()}`);
  // A page resumes a session that this browser has had.
  await context.addInitScript(() => {
    if (localStorage.getItem("prism.me") === null) localStorage.setItem("prism.me", "{}");
  });
  return context;
}

/** The page once its data is shown: no request runs, and no placeholder is left. */
async function picture(context, url, path, fullPage = false) {
  const page = await context.newPage();
  const pending = new Set();
  page.on("request", (request) => pending.add(request));
  for (const event of ["requestfinished", "requestfailed"]) page.on(event, (request) => pending.delete(request));
  page.on("pageerror", (error) => console.error(`${path}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") console.error(`${path}: ${message.text()} ${message.location().url}`);
  });
  await page.goto(`${url}/dashboard${path}`);
  await page.waitForFunction(
    () => document.querySelector("h1") !== null && !document.documentElement.hasAttribute("data-loading"),
  );
  const isShown = async () => pending.size === 0 && (await page.locator(".skeleton").count()) === 0;
  const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0))));
  // Twice: an answer may lead to another request.
  for (let times = 0; times < 2; ) {
    await frame();
    times = (await isShown()) ? times + 1 : 0;
  }
  // It depends on the Node of the machine that built the executable.
  await page.evaluate(() => {
    for (const row of document.querySelectorAll(".attention"))
      if (row.textContent.includes("The program includes Node.js")) row.remove();
  });
  const png = await page.screenshot({ animations: "disabled", caret: "hide", fullPage });
  await page.close();
  return png;
}

/** @returns once it is ready */
function started(server) {
  return new Promise((ready, failed) => {
    let output = "";
    const read = (chunk) => {
      output += chunk;
      if (output.includes("Prism is ready")) ready();
    };
    server.stdout.on("data", read);
    server.stderr.on("data", read);
    server.once("exit", () => failed(new Error(`the server ended: ${output}`)));
  });
}

/** The address is part of the configuration, so the port must be known before the start. */
function freePort() {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

/** `CHROMIUM_PATH`, or the first browser on the PATH. */
function findBrowser() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const files = BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name)));
  return files.find(isExecutable) ?? fail(`install one of ${BROWSERS.join(", ")}, or set CHROMIUM_PATH`);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function fail(message) {
  throw new Error(message);
}
