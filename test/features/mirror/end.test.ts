import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { valuesOf } from "../../helpers/values.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { configure, type FileObject } from "../records/configuration/configuration.ts";

interface Refused {
  readonly error: { readonly code: string; readonly details: readonly { readonly message: string }[] };
}

const mirror = { from: "oncall" };

async function change({ prism, projectId }: IncidentWorld, settings: object, query = "") {
  const path = `/api/v1/projects/${projectId}`;
  const { body } = await prism.get<{ version: number }>(path);
  return prism.patch<Refused>(path + query, { settings }, { headers: { "If-Match": `"${body.version}"` } });
}

test("a mirror does not end while incidents are open, unless the caller says that they may page", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism, projectId } = world;
  await answered(200, change(world, { mirror }));
  await answered(200, change(world, { mirror: null }));
  await answered(200, change(world, { mirror }));
  await world.fire("DiskFull");
  const refused = await change(world, { mirror: null });
  assert.equal(refused.status, 409);
  assert.equal(refused.body.error.code, "INCIDENTS_OPEN");
  assert.match(refused.body.error.details[0]?.message ?? "", /^Incident 1: DiskFull/);
  assert.ok(prism.parts.offers.projects.isMirror(projectId));
  await answered(200, change(world, { mirror: { from: "oncall", url: "https://oncall.example" }, retentionDays: 9 }));
  await answered(200, change(world, { mirror: null }, "?mayPage=true"));
  assert.ok(!prism.parts.offers.projects.isMirror(projectId));
});

test("who makes a project a mirror while incidents are open hears what becomes of them", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism } = world;
  const warningsOf = async (settings: object) =>
    (await answered(200, change(world, settings))).body as unknown as { readonly warnings?: readonly string[] };
  assert.equal((await warningsOf({ mirror })).warnings, undefined);
  await answered(200, change(world, { mirror: null }));
  await world.fire("DiskFull");
  const { body } = await prism.get<{ name: string }>("/api/v1/projects/default");
  const file: FileObject = ["projects", null, { slug: "default", name: body.name, settings: { mirror } }];
  const planned = await configure(prism, "plan", [file]);
  assert.deepEqual(
    planned.body.open.map(({ number, effect, pages }) => [number, effect, pages]),
    [[1, "mirror-begins", false]],
  );
  const warning = "1 incident is open: from now on Prism sends neither further steps nor the end";
  assert.deepEqual((await warningsOf({ mirror })).warnings, [warning]);
  assert.equal((await warningsOf({ mirror: { from: "other" } })).warnings, undefined);
});

test("the plan of the end of a mirror lists the incidents that would page", async (t) => {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  const { prism } = world;
  const { body } = await prism.get<{ name: string }>("/api/v1/projects/default");
  const files = (settings: object): FileObject[] => [
    ["projects", null, { slug: "default", name: body.name, settings }],
  ];
  assert.equal((await configure(prism, "apply", files({ mirror }))).status, 200);
  await world.fire("DiskFull");
  const kept = await configure(prism, "plan", files({ mirror, retentionDays: 9 }));
  assert.deepEqual(kept.body.open, []);
  const ended = await configure(prism, "plan", files({}));
  assert.deepEqual(
    ended.body.open.map(({ project: slug, number, effect, pages }) => [slug, number, effect, pages]),
    [["default", 1, "mirror-ends", true]],
  );
  const refused = await configure(prism, "apply", files({}));
  assert.equal(refused.status, 409);
  assert.equal(refused.body.error.code, "CONFIGURATION_REFUSED");
  const [problem] = refused.body.error.details;
  assert.equal(problem?.code, "INCIDENTS_OPEN");
  assert.match(problem?.message ?? "", /Incident 1: DiskFull/);
  assert.ok(prism.parts.offers.projects.isMirror(world.projectId));
  await answered(200, configure(prism, "apply", files({}), { mayPage: true }));
  assert.ok(!prism.parts.offers.projects.isMirror(world.projectId));
});

test("a directory of the server does not end a mirror while incidents are open", async (t) => {
  const dir = temporaryDir(t);
  const write = (settings: string) =>
    writeFileSync(
      join(dir, "shop.yaml"),
      `version: 1\nprojects:\n  - slug: default\n    name: Default\n    settings: ${settings}\n`,
    );
  write("{ mirror: { from: oncall } }");
  const world = await IncidentWorld.start(t, { "configuration.dir": dir });
  const { configurationDirectory: directory, projects } = world.prism.parts.offers;
  assert.ok(projects.isMirror(world.projectId));
  await world.fire("DiskFull");
  write("{ retentionDays: 9 }");
  directory?.reload();
  await eventually("it is refused", () => /Incident 1: DiskFull/.test(directory?.problem?.message ?? ""));
  assert.ok(projects.isMirror(world.projectId));
  await answered(200, world.prism.post(`/api/v1/incidents/${(await world.only()).id}/resolve`, {}));
  await eventually("it has ended", () => {
    directory?.reload();
    return !projects.isMirror(world.projectId);
  });
  await eventually("nothing is refused", () => directory?.problem === null);
});

test("administrators see that a project is a mirror, and others do not", async (t) => {
  const world = await IncidentWorld.start(t);
  const { findings } = world.prism.parts.offers;
  const found = () => findings.known().filter(({ code }) => code === "mirror");
  assert.deepEqual(found(), []);
  await answered(200, change(world, { mirror }));
  assert.deepEqual(valuesOf(found(), "text"), ["Project default is a mirror: nothing is sent"]);
  const ann = await world.member("ann");
  const { prism } = world;
  const overviewOf = async (token?: string) =>
    JSON.stringify((await prism.get("/api/v1/attention", token === undefined ? {} : { token })).body);
  assert.match(await overviewOf(), /is a mirror: nothing is sent/);
  assert.doesNotMatch(await overviewOf(ann.token), /is a mirror/);
  await answered(200, change(world, { mirror: null }));
  assert.deepEqual(found(), []);
});
