import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../../../helpers/prism.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";

const secret = (name: string) => ({ env: `PRISM_SECRET_${name}` });
const FILES: readonly FileObject[] = [
  ["projects", null, { slug: "duty", name: "Duty" }],
  ["channels", "duty", { name: "Team", preset: "slack", fields: { url: secret("TEAM") } }],
  [
    "channels",
    "duty",
    { name: "Room", preset: "ntfy", fields: { url: "https://ntfy.invalid/", topic: { file: "room.topic" } } },
  ],
  ["receivers", "duty", { name: "Grafana", preset: "grafana", token: secret("GRAFANA"), secret: secret("SIGNING") }],
  ["integrations", "duty", { name: "Pager", kind: "pagerduty", key: secret("PAGER") }],
  ["heartbeats", "duty", { name: "Nightly", timeout: "1d", ping: secret("PING") }],
  ["oncall", "duty", { name: "Duty", calendarUrl: secret("CALENDAR") }],
  ["policies", "duty", { name: "Calls", steps: [{ type: "channel", name: "Team" }] }],
];

test("a plan of new objects needs no secrets, and an apply names each that is missing", async (t) => {
  const prism = await startPrism(t);
  const { status, body, text } = await configure(prism, "plan", FILES);
  assert.equal(status, 200, text);
  assert.deepEqual(problemsOf(body), [], text);
  assert.equal(changesOf(body).length, FILES.length);
  assert.deepEqual(
    body.changes.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`)),
    [
      "Team: fields.url will be set by PRISM_SECRET_TEAM",
      "Room: fields.topic will be set by the file room.topic",
      "Grafana: secret will be set by PRISM_SECRET_SIGNING",
      "Grafana: token will be set by PRISM_SECRET_GRAFANA",
      "Pager: key will be set by PRISM_SECRET_PAGER",
      "Nightly: ping will be set by PRISM_SECRET_PING",
      "Duty: calendarUrl will be set by PRISM_SECRET_CALENDAR",
    ],
  );
  const rows = await prism.parts.features.core.db.read.selectFrom("channels").select("id").execute();
  assert.deepEqual(rows, []);

  const applied = await configure(prism, "apply", FILES);
  assert.deepEqual([applied.status, applied.body.error.code], [409, "CONFIGURATION_REFUSED"]);
  const details = applied.body.error.details as readonly {
    readonly name?: string;
    readonly code: string;
    readonly path: string;
    readonly message: string;
    readonly fix?: string;
  }[];
  assert.deepEqual(new Set(details.map(({ code }) => code)), new Set(["SECRET_MISSING"]));
  assert.equal(details.length, 7);
  const team = details.find(({ name }) => name === "Team");
  assert.deepEqual(
    [team?.path, team?.message, team?.fix],
    [
      "fields.url",
      "has no value: PRISM_SECRET_TEAM is not set",
      "set PRISM_SECRET_TEAM, or write it into a --secrets-file",
    ],
  );
});

test("members of a new object that are no secrets are checked in a plan without secrets", async (t) => {
  const prism = await startPrism(t);
  const wrong: FileObject = [
    "channels",
    "default",
    { name: "Team", preset: "slack", fields: { url: secret("TEAM"), colour: "red" } },
  ];
  const unnamed: FileObject = ["channels", "default", { name: "Other", preset: "slack", fields: {} }];
  const { body } = await configure(prism, "plan", [wrong, unnamed]);
  assert.deepEqual(problemsOf(body).sort(), [
    "channels Other fields.url INVALID",
    "channels Team fields.colour INVALID",
  ]);
});
