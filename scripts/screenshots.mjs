// npm run screenshots [-- --all DIR]: screenshots of the console with the data of `prism seed --demo`,
// in docs/images for README and docs/console.md, or of every page in both themes and two widths.
import "./node-version.mjs";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compactPng } from "./compact-png.mjs";
import { contextOf, launchBrowser, signIn, startDemo } from "./demo-server.mjs";

const root = join(import.meta.dirname, "..");
const MAX_BYTES = 150_000;
const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const at = process.argv.indexOf("--all");
const all = at < 0 ? undefined : (process.argv[at + 1] ?? fail("--all takes a directory"));
const demo = await startDemo();
try {
  const browser = await launchBrowser();
  try {
    await take(browser, demo.url, demo.login);
  } finally {
    await browser.close();
  }
} finally {
  await demo.stop();
}

async function take(browser, url, data) {
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

function fail(message) {
  throw new Error(message);
}
