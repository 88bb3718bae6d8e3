import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";

const LOCAL = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const NIGHTLY: FileObject = ["heartbeats", "duty", { name: "Nightly", timeout: "1d" }];
const MEMBERS = { olga: "owner", vic: "viewer", eddy: "editor" };

async function withRole(prism: TestPrism, name: string, permissions: readonly string[]) {
  await answered(201, prism.post("/api/v1/roles", { name, description: "", permissions }));
  return makeUser(prism, name.toLowerCase(), [name]);
}

/** The project `duty` of olga, with an editor and a viewer. */
async function withDuty(prism: TestPrism, files: readonly FileObject[], options = {}) {
  const [viewer, editor, owner] = [
    await makeUser(prism, "vic"),
    await makeUser(prism, "eddy"),
    await makeUser(prism, "olga"),
  ];
  const project: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
  await answered(200, configure(prism, "apply", [project, ["members", "duty", MEMBERS], ...files], options));
  return { viewer, editor, owner };
}

test("a plan names nothing left over of kinds that the caller may not read", async (t) => {
  const prism = await startPrism(t, { settings: LOCAL });
  const weekly: FileObject = ["heartbeats", "duty", { name: "Weekly", timeout: "7d" }];
  const files: readonly FileObject[] = [
    ["webhooks", "duty", { url: "https://127.0.0.1:8443/hook/secret-path", eventTypes: ["*"] }],
    weekly,
    ["roles", null, { name: "Secret role", description: "", permissions: ["events:read"] }],
    ["buckets", null, { name: "Secret EUR", threshold: "1" }],
    ["rules", null, { name: "Secret rule", condition: "event.type == 'x'", targetRoles: ["Admin"] }],
  ];
  const { viewer } = await withDuty(prism, [NIGHTLY, ...files], { issued: true });
  const asked: readonly FileObject[] = [
    NIGHTLY,
    ["roles", null, { name: "x", description: "", permissions: [] }],
    ["buckets", null, { name: "x EUR", threshold: "1" }],
    ["rules", null, { name: "x", condition: "event.type == 'x'" }],
  ];
  const plan = await answered(200, configure(prism, "plan", asked, { token: viewer.token }));
  assert.deepEqual(
    plan.body.leftOver.map(({ name }) => name),
    ["Weekly"],
  );
  assert.doesNotMatch(plan.text, /secret/i);
  const all = await answered(200, configure(prism, "plan", asked));
  assert.equal(all.body.leftOver.length, files.length);
});

test("who creates projects needs no right to read those of others", async (t) => {
  const prism = await startPrism(t);
  const { token } = await withRole(prism, "Maker", ["projects:create"]);
  await answered(201, prism.post("/api/v1/projects", { name: "Hidden" }));
  const own = (name: string): FileObject => ["projects", null, { slug: "own", name }];
  const beat: FileObject = ["heartbeats", "own", { name: "Nightly", timeout: "1d" }];
  for (const name of ["Own", "Renamed"]) {
    const plan = await answered(200, configure(prism, "plan", [own(name), beat], { token }));
    assert.deepEqual(problemsOf(plan.body), []);
    await answered(200, configure(prism, "apply", [own(name), beat], { token, expect: plan.body.state }));
  }
  const again = await answered(200, configure(prism, "plan", [own("Renamed"), beat], { token }));
  assert.deepEqual([changesOf(again.body), again.body.unchanged], [[], 2]);
});

test("a plan tells those who create no projects the same of a hidden one as of none", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "vic");
  await answered(201, prism.post("/api/v1/projects", { name: "Hidden", slug: "secret" }));
  const answers = [];
  for (const slug of ["secret", "absent"]) {
    const files: readonly FileObject[] = [
      ["projects", null, { slug, name: "x" }],
      ["members", slug, { vic: "owner" }],
      ["heartbeats", slug, { name: "Nightly", timeout: "1d" }],
    ];
    const { text, body } = await answered(200, configure(prism, "plan", files, { token }));
    assert.deepEqual(problemsOf(body), ["members PROJECT_NOT_FOUND", "heartbeats PROJECT_NOT_FOUND"]);
    answers.push(text.replaceAll(slug, "SLUG"));
  }
  assert.equal(answers[0], answers[1]);
});
