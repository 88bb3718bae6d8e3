import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";
import { exported, secretsOf } from "./support/files.ts";

const URL = "https://1.1.1.1/integrations/v1/webhook/abcdefabcdef/";
const API = "https://1.1.1.1";
const SECRETS = { "env:PRISM_SECRET_OLD": URL, "env:PRISM_SECRET_API": API };
const project = (settings: object): FileObject => ["projects", null, { slug: "duty", name: "Duty", settings }];
const MIRROR = project({ mirror: { from: "oncall" } });
const SOURCES: readonly FileObject[] = [
  ["receivers", "duty", { name: "Grafana", preset: "generic", forwardUrl: { env: "PRISM_SECRET_OLD" } }],
  [
    ...["integrations", "duty"],
    { name: "Zabbix", kind: "opsgenie", forwardUrl: { env: "PRISM_SECRET_API" }, forwardHeaders: ["authorization"] },
  ] as unknown as FileObject,
];

test("files of a mirror say where its requests are passed on, by reference, and export it so", async (t) => {
  const prism = await startPrism(t);
  const refused = await configure(prism, "plan", [project({}), ...SOURCES], { secrets: SECRETS });
  assert.deepEqual(problemsOf(refused.body), [
    "receivers Grafana forwardUrl VALUE",
    "integrations Zabbix forwardUrl VALUE",
  ]);
  const plain = SOURCES.map(([kind, slug, spec]): FileObject => [kind, slug, { ...(spec as object), forwardUrl: URL }]);
  assert.deepEqual(problemsOf((await configure(prism, "plan", [MIRROR, ...plain])).body), [
    "receivers Grafana forwardUrl SECRET_IN_FILE",
    "integrations Zabbix forwardUrl SECRET_IN_FILE",
  ]);
  const files = [MIRROR, ...SOURCES];
  assert.deepEqual(problemsOf((await configure(prism, "plan", files)).body), [], "a plan needs no secrets");
  const applied = await configure(prism, "apply", files, { secrets: SECRETS });
  assert.equal(applied.status, 200, applied.text);
  const secrets = await secretsOf(prism);
  assert.equal(secrets["duty receivers Grafana forwardUrl"], URL);
  assert.equal(secrets["duty integrations Zabbix forwardUrl"], API);
  assert.deepEqual(changesOf((await configure(prism, "plan", files, { secrets: SECRETS })).body), []);
  const { document, variables } = await exported(prism);
  assert.doesNotMatch(JSON.stringify(document), /1\.1\.1\.1/);
  assert.deepEqual([...variables].sort(), ["PRISM_SECRET_API", "PRISM_SECRET_OLD"]);
});

test("an editor of the project may change receivers by files, but not where their requests go", async (t) => {
  const prism = await startPrism(t);
  await answered(200, configure(prism, "apply", [MIRROR]));
  const { id, token } = await makeUser(prism, "editor", ["User"]);
  await answered(201, prism.post("/api/v1/projects/duty/members", { userId: id, role: "editor" }));
  const [receiver] = SOURCES as [FileObject];
  const [, , { forwardUrl: _, ...rest }] = receiver as [string, string, Record<string, unknown>];
  const own = { secrets: SECRETS, token };
  assert.deepEqual(problemsOf((await configure(prism, "plan", [["receivers", "duty", rest]], own)).body), []);
  const { body } = await configure(prism, "plan", [receiver], own);
  assert.ok(
    problemsOf(body).some((each) => /UNAUTHORIZED_ROLE/.test(each)),
    JSON.stringify(body.problems),
  );
});
