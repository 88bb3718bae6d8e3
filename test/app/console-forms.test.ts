import assert from "node:assert/strict";
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

/** Limits of forms with a model of their own, and of pages before the sign-in. */
const BY_HAND = [
  "account/preferences.tsx",
  "account/profile.tsx",
  "events/send-dialog.tsx",
  "incidents/page-dialog.tsx",
  "oncall/shift-dialog.tsx",
  "people/invite-dialog.tsx",
  "people/person.tsx",
  "policies/interval-forms.tsx",
  "rules/form/form-sections.tsx",
  "rules/form/limits-section.tsx",
  "silences/times.tsx",
  "start/mail-links.tsx",
  "start/project-invitation.tsx",
  "start/register.tsx",
  "start/setup/admin-step.tsx",
  "start/setup/phone/own-ntfy.tsx",
  "statuspage/components-editor.tsx",
];

test("no other page repeats a limit of the API", () => {
  const pages = join(import.meta.dirname, "../../console/pages");
  const files = readdirSync(pages, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tsx"));
  const repeating = files.filter((name) => /\bmaxLength=\{\d/.test(readFileSync(join(pages, name), "utf8")));
  assert.deepEqual(repeating.map((name) => name.replaceAll("\\", "/")).sort(), BY_HAND);
});
