// What one warm request runs: for each of five walks the files, the named functions, the rooms and the lines of src.
// Usage: npm run walks -- [commit] [--walk <name>] [--json]; by default this checkout, all walks. `--json` names the
// functions too, such as to compare two commits.
//
// How it counts: a server of test/helpers/prism.ts runs in this process, from the sources, in which Node replaces
// types by spaces: V8's offsets are those of the files. Its writer is the main thread's (`store.writer: main`), so
// its work counts; that of other threads (passwords, bodies above 256 KiB) does not. After WARM times a walk is made
// three times, each until its follow-up jobs have ended (QUIET_MS after the message or the answer). A function is of
// the walk if V8's coverage has it in all three, more often than in IDLE_MS without a request.
// Callbacks without a name count for files and lines only, and what a module does when it is loaded not at all.
// `run` are the lines with code that ran, `lines` all lines of these files.
import "./node-version.mjs";
import { EventEmitter, once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createServer, get } from "node:http";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { treeOf } from "./tree-of.mjs";

const WARM = 6;
const QUIET_MS = 1000;
const IDLE_MS = 5000;
/** A heartbeat is overdue after two minutes at least, of which the last ten seconds count. */
const [BEFORE_MS, LAST_MS] = [110_000, 10_000];

const options = { json: { type: "boolean" }, walk: { type: "string" } };
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const { dir, commit } = treeOf(positionals[0]);
const src = join(dir, "src/");
const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** Each makes what it needs on a server of its own, and returns what sends one request and awaits what comes of it. */
const WALKS = {
  alert: { title: "Alertmanager POST → phone", make: alertWalk },
  heartbeat: { title: "Heartbeat overdue → phone", make: heartbeatWalk },
  event: { title: "Event → rule → notification → channel", make: eventWalk },
  ntfy: { title: "ntfy publish → subscriber", make: ntfyWalk },
  console: { title: "Console GET /incidents", make: consoleWalk },
};
const walks = [];
const row = (title, cells) => title.padEnd(40) + cells.map((cell) => String(cell).padStart(10)).join("");
if (!values.json) console.log(row(commit, ["files", "functions", "rooms", "run", "lines"]));
for (const name of values.walk ? [values.walk] : Object.keys(WALKS)) {
  const { title, make } = WALKS[name];
  const site = await startSite();
  const { list, ...figures } = await measured(await make(site));
  await site.stop();
  walks.push({ name, title, ...figures, list });
  if (!values.json) console.log(row(title, Object.values(figures)));
}
if (values.json) console.log(JSON.stringify({ commit, walks }, null, 2));
// Phones and subscribers are still there.
process.exit();

/** A server whose administrator has a phone and is paged by every alert. */
async function startSite() {
  const { TestPrism } = await import(pathToFileURL(join(dir, "test/helpers/prism.ts")));
  const phone = await startPhone();
  let aheadMs = 0;
  // A real clock that can be moved on: what is due in minutes is due now.
  const clock = { now: () => Date.now() + aheadMs, elapsed: () => performance.now() + aheadMs };
  const settings = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" };
  const prism = await TestPrism.start({ clock, settings: { ...settings, "store.writer": "main" } });
  const post = (...request) => answered(prism.post(...request));
  await post("/api/v1/channels", { name: "Phone", preset: "ntfy", fields: { url: phone.url, topic: "phone" } });
  await post("/api/v1/policies", { name: "Page", steps: [{ type: "notify", users: ["me"], urgency: "high" }] });
  const route = { policy: "Page", groupBy: ["alertname"], groupWaitMs: 0 };
  await answered(prism.put("/api/v1/routes", { route }));
  return {
    ...{ prism, phone, post },
    advance(ms) {
      aheadMs += ms;
    },
    async stop() {
      await prism.stop();
      rmSync(prism.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

/** Takes what a channel of ntfy posts. `rung(act)` resolves when it has rung after `act` began. */
async function startPhone() {
  const rings = new EventEmitter();
  const server = createServer(async (request, response) => {
    await request.toArray();
    response.setHeader("Content-Type", "application/json").end('{"id":"m1","event":"message"}');
    rings.emit("ring");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const rung = (act) => Promise.all([once(rings, "ring"), act()]);
  return { url: `http://127.0.0.1:${server.address().port}`, rung };
}

function alertWalk({ phone, post }) {
  let n = 0;
  const labels = { instance: "db-1", severity: "critical" };
  const alert = () => ({ labels: { ...labels, alertname: `Down${n++}` }, annotations: { summary: "It is down" } });
  return () => phone.rung(() => post("/alertmanager/api/v2/alerts", [alert()]));
}

async function heartbeatWalk({ phone, advance, prism, post }) {
  const { pingUrl } = await post("/api/v1/heartbeats", { name: "backup", timeoutMs: 60_000, graceMs: 60_000 });
  const before = async () => {
    await answered(prism.get(new URL(pingUrl).pathname));
    await wait(QUIET_MS);
    advance(BEFORE_MS);
    await wait(QUIET_MS);
  };
  return Object.assign(() => phone.rung(() => advance(LAST_MS)), { before });
}

async function eventWalk({ phone, prism, post }) {
  const { id } = await answered(prism.get("/api/v1/users/me"));
  const { apiKey } = await post("/api/v1/projects", { name: "Shop" });
  const condition = "event.type == 'payment.settle' and event.payload.amount > 1000";
  await post("/api/v1/rules", { name: "Large payments", condition, targetUsers: [id] });
  const event = { type: "payment.settle", source: "shop", payload: { amount: 1500 } };
  return () => phone.rung(() => post("/events", event, { apiKey, token: null }));
}

async function ntfyWalk({ prism, post }) {
  const headers = { Authorization: `Bearer ${prism.adminToken}` };
  const [stream] = await once(get(`${prism.url}/ntfy/news/json`, { headers }), "response");
  stream.on("error", () => undefined);
  await once(stream, "data");
  return () => Promise.all([once(stream, "data"), post("/ntfy/news", "The shop is open")]);
}

async function consoleWalk(site) {
  await alertWalk(site)();
  return () => answered(site.prism.get("/api/v1/incidents?limit=50"));
}

async function answered(request) {
  const { status, body, text } = await request;
  if (status >= 300) throw new Error(`${status}: ${text}`);
  return body;
}

/** @returns what the walk runs. @param walk `before` is called before each, and does not count */
async function measured(walk) {
  const request = async () => {
    await walk.before?.();
    await taken();
    await walk();
    await wait(QUIET_MS);
    return taken();
  };
  for (let n = 0; n < WARM; n++) await request();
  await wait(IDLE_MS);
  const idle = await taken();
  const runs = [await request(), await request(), await request()];
  const ran = (key) => runs.every((run) => (run.get(key)?.count ?? 0) > (idle.get(key)?.count ?? 0));
  return figuresOf([...runs[0]].map(([key, found]) => ({ ...found, isOfWalk: ran(key) })));
}

/** The functions of src by file and place, and how often each ran since the last call. */
async function taken() {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const found = new Map();
  for (const { url, functions } of result) {
    const path = url.startsWith("file:") ? fileURLToPath(url) : "";
    if (!path.startsWith(src)) continue;
    const file = path.slice(src.length);
    for (const { functionName: name, ranges } of functions) {
      const [{ startOffset, count }] = ranges;
      // The module itself begins with the file.
      if (startOffset > 0) found.set(`${file} ${startOffset}`, { file, name, count, ranges });
    }
  }
  return found;
}

function figuresOf(all) {
  const found = all.filter(({ isOfWalk }) => isOfWalk);
  const byFile = Map.groupBy(all, ({ file }) => file);
  const texts = new Map(found.map(({ file }) => [file, readFileSync(join(src, file), "utf8")]));
  const sum = (lines) => [...texts].reduce((before, [file, text]) => before + lines(text, file), 0);
  const list = found.filter(({ name }) => name !== "").map(({ file, name }) => `${file} ${name}`);
  return {
    ...{ files: texts.size, functions: list.length },
    rooms: new Set([...texts.keys()].map((file) => /^(?:features\/)?[^/]+/.exec(file)[0])).size,
    run: sum((text, file) => linesRun(text, byFile.get(file))),
    lines: sum((text) => text.split("\n").length - 1),
    list: list.sort(),
  };
}

/** How many lines have a letter or digit in a range that ran; comments have none. */
function linesRun(text, functions) {
  const ranges = functions.flatMap(({ ranges, isOfWalk }) => ranges.map((range) => ({ ...range, isOfWalk })));
  // Inner ranges and functions come after outer ones.
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  const ran = new Uint8Array(text.length);
  for (const { startOffset, endOffset, count, isOfWalk } of ranges)
    ran.fill(isOfWalk && count > 0, startOffset, endOffset);
  const withRun = [...text.matchAll(/^(?!\s*(?:\/\/|\/?\*)).*\w.*$/gm)];
  return withRun.filter(({ 0: line, index }) => line.split("").some((c, at) => /\w/.test(c) && ran[index + at])).length;
}
