import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { configure, type FileObject } from "./configuration.ts";

const EXAMPLE = join(import.meta.dirname, "../../../../examples/oncall-as-code/oncall");

/** What is wrong with a file, by the schema that a server gives to everybody. */
async function validator(prism: TestPrism) {
  const response = await fetch(`${prism.url}/api/v1/configuration/schema`);
  assert.equal(response.status, 200);
  const schema = (await response.json()) as object;
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  return (file: unknown): string[] => {
    validate(file);
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}

const OBJECTS: readonly FileObject[] = [
  ["roles", null, { name: "Duty lead", permissions: ["incidents:act"] }],
  ["projects", null, { slug: "duty", name: "Duty", settings: { retentionDays: 90 } }],
  ["members", "duty", { ada: "owner" }],
  ["heartbeats", "duty", { name: "Nightly", timeout: "1d", grace: "90m", tags: ["a"] }],
  ["oncall", "duty", { name: "Duty", timezone: "Europe/Berlin", handoverLead: "1h" }],
  [
    "policies",
    "duty",
    {
      name: "Night",
      autoResolve: "1d",
      steps: [
        { type: "notify", schedules: [{ name: "Duty" }] },
        { type: "wait", for: "5m" },
        { type: "ifCount", alerts: 2, window: "1h" },
      ],
    },
  ],
  [
    "routes",
    "duty",
    {
      route: {
        policy: "Night",
        groupWait: "0s",
        routes: [{ matchers: ["a=b"], repeat: "1d", routes: [{ matchers: ["c=d"] }] }],
      },
      timeIntervals: [{ name: "office", intervals: [{ weekdays: ["monday:friday"] }] }],
    },
  ],
  [
    "rules",
    "duty",
    {
      name: "Big",
      condition: "event.type == 'a'",
      targetUsers: ["ada"],
      cooldown: "5m",
      suppression: { count: 3, window: "1h" },
    },
  ],
  ["receivers", "duty", { name: "Grafana", preset: "grafana", secret: { env: "PRISM_SECRET_G" } }],
  [
    "statusPage",
    "duty",
    {
      enabled: true,
      title: "T",
      groups: [{ name: "G", components: [{ name: "C", sources: [{ effect: "outage", heartbeats: ["Nightly"] }] }] }],
    },
  ],
  ["ntfyTopics", "duty", { name: "duty-room", kind: "messages" }],
  ["ntfyAccess", "duty", { everyone: { "duty-*": "read" }, users: { ada: { "duty-room": "read-write" } } }],
  ["buckets", null, { name: "Refunds EUR", threshold: "5" }],
];

test("an export and the example are valid by the JSON schema; other members, forms and values are not", async (t) => {
  const prism = await startPrism(t);
  const problems = await validator(prism);
  for (const name of readdirSync(EXAMPLE, { recursive: true, encoding: "utf8" }).filter((each) =>
    each.endsWith(".yaml"),
  ))
    assert.deepEqual(problems(parse(readFileSync(join(EXAMPLE, name), "utf8"))), [], name);
  await makeUser(prism, "ada");
  const secrets = { "env:PRISM_SECRET_G": "a-long-enough-secret" };
  const { status, body } = await configure(prism, "apply", OBJECTS, { secrets, issued: true });
  assert.equal(status, 200, JSON.stringify(body));
  const { body: exported } = await prism.get<{ document: object }>("/api/v1/configuration/export?people=true");
  assert.deepEqual(problems(exported.document), []);
  const inProject = (members: object) => ({ projects: [{ slug: "duty", ...members }] });
  for (const wrong of [
    { version: 2 },
    { chanels: [] },
    inProject({ heartbeats: [{ name: "N", timeoutMs: 5 }] }),
    inProject({ heartbeats: [{ name: "N", timeout: "5 minutes" }] }),
    inProject({ policies: [{ name: "N", steps: [{ type: "ring" }] }] }),
    inProject({ policies: [{ name: "N", steps: [{ type: "wait", ms: 5 }] }] }),
    inProject({ receivers: [{ name: "N", preset: "grafana", secret: "plain" }] }),
    inProject({ channels: [{ name: "N", preset: "slack", fields: { url: { env: "HOME" } } }] }),
    inProject({ routes: { route: { routes: [{ matchers: "a=b" }] } } }),
    inProject({ members: { ada: "boss" } }),
    { tests: [{ name: "t", alert: {}, expect: { withheld: "yes" } }] },
  ])
    assert.notDeepEqual(problems(wrong), [], JSON.stringify(wrong));
  for (const right of [
    inProject({ members: "manual", channels: "manual", oncall: [{ name: "D", shifts: "manual", renamedFrom: "Old" }] }),
    inProject({ channels: [{ name: "N", preset: "slack", fields: { url: { sealed: "v1:x" } } }] }),
    inProject({ policies: [{ name: "N", steps: [{ type: "channel", name: "R" }], fallback: null }] }),
  ])
    assert.deepEqual(problems(right), [], JSON.stringify(right));
});
