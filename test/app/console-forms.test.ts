import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import type { BodyMembers } from "../../console/forms/described.ts";
import { startPrism } from "../helpers/prism.ts";

interface Form {
  readonly path: string;
  readonly change?: string;
  readonly members: BodyMembers;
}

/** The console is not among the compiled sources of tests. */
async function formOf(thing: string): Promise<Form> {
  const path = join(import.meta.dirname, `../../console/forms/${thing}.gen.ts`);
  const [form] = Object.values((await import(pathToFileURL(path).href)) as Record<string, Form>);
  assert.ok(form);
  return form;
}

test("forms know of each member its kind, limits and text without the default", async () => {
  const [heartbeat, policy, webhook] = await Promise.all(["heartbeat", "policy", "webhook"].map(formOf));
  assert.ok(heartbeat && policy && webhook);
  const { name, timeoutMs, severity, kind, filters, slug } = heartbeat.members;
  assert.deepEqual(name, { kind: "text", text: "Name", required: true, most: 100 });
  const text = "Longest time between pings of a simple heartbeat";
  const [least, most] = [60_000, 365 * 86_400_000];
  assert.deepEqual(timeoutMs, { kind: "number", text, least, most, initial: 86_400_000 });
  assert.deepEqual(severity, { kind: "text", text: "Severity of its alert", nullable: true, least: 1, most: 50 });
  assert.deepEqual(kind?.choices, ["simple", "cron", "oncalendar"]);
  assert.equal(filters?.members?.["startKeywords"]?.most, 200);
  assert.match(slug?.text ?? "", /default: from the name/);
  assert.equal(policy.members["opensIncidents"]?.text?.startsWith("Whether alerts open incidents. With false"), true);
  assert.deepEqual([heartbeat.path, heartbeat.change, webhook.change], ["/heartbeats", "PATCH", "PUT"]);
});

test("forms begin with what the server gives a new thing", async (t) => {
  const prism = await startPrism(t);
  const steps = [{ type: "wait", ms: 60_000 }];
  const bodies = {
    heartbeat: { name: "backup", slug: "" },
    integration: { name: "zabbix", kind: "opsgenie" },
    "on-call-schedule": { name: "web" },
    policy: { name: "web", steps },
    role: { name: "Reader", permissions: ["events:read"] },
    webhook: { url: "https://1.1.1.1/hook" },
  };
  for (const [thing, body] of Object.entries(bodies)) {
    const described = await formOf(thing);
    const { status, body: made } = await prism.post(`/api/v1${described.path}`, body);
    assert.equal(status, 201, `${described.path}: ${JSON.stringify(made)}`);
    const known = Object.entries(described.members).filter(([name]) => name in made && !(name in body));
    const initial = known.filter(([, member]) => member.initial !== undefined);
    assert.ok(initial.length > 0, described.path);
    const change = described.change === "PUT" ? "PUT" : "PATCH";
    const saved = await prism.request(change, `/api/v1${described.path}/${made["id"]}`, {});
    assert.equal(saved.status, 200, `${described.path} without an edit`);
    for (const [name, member] of initial) assert.deepEqual(made[name], member.initial, `${described.path} ${name}`);
  }
});

const PAGES = join(import.meta.dirname, "../../console/pages");

/** The files of pages, by their names. */
function pages(): ReadonlyMap<string, string> {
  const names = readdirSync(PAGES, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tsx"));
  return new Map(names.map((name) => [name.replaceAll("\\", "/"), readFileSync(join(PAGES, name), "utf8")]));
}

/** The names of those for which it holds, sorted. */
function pagesWhere(holds: (text: string) => boolean): readonly string[] {
  return [...pages()].flatMap(([name, text]) => (holds(text) ? [name] : [])).sort();
}

const linesOf = (text: string) => text.trimEnd().split("\n").length;

test("no page repeats a limit of the API", () => {
  assert.deepEqual(
    pagesWhere((text) => /\bmaxLength=\{\d/.test(text)),
    [],
  );
});

/** Pages with a table that are no list. */
const TABLES: Readonly<Record<string, string>> = {
  "account/tokens.tsx": "a tab of the account",
  "alerts/alert-page.tsx": "one alert, with similar ones",
  "alerts/alerts-page.tsx": "groups, each with its table",
  "cluster/cluster.tsx": "the state of the cluster, with its members",
  "connect/connect.tsx": "a gallery, below what is set up",
  "connect/receiver.tsx": "one receiver, with its requests",
  "events/events-page.tsx": "a live view, which holds new rows back while it is read",
  "oncall/my-shifts.tsx": "several cards of one person",
  "oncall/schedule.tsx": "one schedule, with the gaps in it",
  "schedules/schedule.tsx": "one schedule, with its runs",
  "settings/settings.tsx": "a tab of all settings beside the forms",
  "silences/silence-page.tsx": "one silence, with its alerts",
};

test("a page of a list is a ListPage of at most 90 lines, or says why not", () => {
  const long = pagesWhere((text) => /<ListPage\b/.test(text) && linesOf(text) > 90);
  // It also has the sources of configuration files, and the directory of the server.
  assert.deepEqual(long, ["configuration/configuration.tsx"]);
  const tables = pagesWhere((text) => /^ +<(?:Account|Loaded)?Page\b/m.test(text) && /<DataTable\b/.test(text));
  assert.deepEqual(tables, Object.keys(TABLES));
});

// A form that configuration files may lock has its lock beside it.
test("a form has at most 130 lines", () => {
  const long = pagesWhere((text) => /<(?:Fields|ResourceForm|Form)\b/.test(text) && linesOf(text) > 130);
  assert.deepEqual(long, []);
});

test("the logos of Connect are those of the installed simple-icons", () => {
  const script = join(import.meta.dirname, "../../scripts/console-logos.mjs");
  const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});
