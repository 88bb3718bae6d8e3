import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readConfigurationFiles } from "../../../../src/config/files/file-objects.ts";
import { runCli } from "../../../cli/run-cli.ts";
import { chanceOf, TEST_SEED } from "../../../helpers/chance.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { Api } from "./support/api.ts";
import { HOSTS, secretsOf, valuesOf } from "./support/files.ts";
import { type Made, nameOf, Objects } from "./support/objects.ts";

const SLUG = "team-0";
const COUNTS = { people: 8, channels: 15, receivers: 10, oncall: 3, policies: 10, heartbeats: 60 } as const;
const ROUTES = 40;

/** A team as the issue has it. */
async function makeTeam(prism: TestPrism): Promise<void> {
  const kinds = await prism.parts.features.context.configKinds({});
  const objects = new Objects(kinds, TEST_SEED);
  const api = new Api(prism, kinds);
  const add = async (kind: string, n = 0) =>
    api.store(objects.add(kind, kind === "people" || kind === "projects" ? null : SLUG, n));
  for (let n = 0; n < COUNTS.people; n++) await add("people", n);
  for (const kind of ["projects", "members", "routes"]) await add(kind);
  for (const kind of ["channels", "receivers", "oncall", "policies", "heartbeats"] as const)
    for (let n = 0; n < COUNTS[kind]; n++) await add(kind, n);
  await api.store(withRoutes(objects.draw("routes", SLUG, 0)));
}

function withRoutes(made: Made): Made {
  const routes = Array.from({ length: ROUTES }, (_, n) => ({
    policy: n % 9 === 0 ? "default" : nameOf("policies", n % COUNTS.policies),
    matchers: [`team="team ${n}: yes"`, 'severity=~"critical|error"'],
    ...(n % 4 === 0 && { activeIntervals: ["office"], repeatMs: 14_400_000 }),
  }));
  return { ...made, spec: { ...made.spec, route: { policy: "default", groupBy: ["alertname"], routes } } };
}

const textsIn = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));

test("a team moves to an empty server with two commands, and gives the same files again", async (t) => {
  chanceOf(t);
  const [first, second] = [await startPrism(t, HOSTS), await startPrism(t, HOSTS)];
  await makeTeam(first);
  const cwd = temporaryDir(t);
  const run = async ({ url, adminToken }: TestPrism, words: string, env: Readonly<Record<string, string>> = {}) => {
    const own = { PRISM_URL: url, PRISM_TOKEN: adminToken, ...env };
    const { status, stdout, stderr } = await runCli(words.split(" "), { cwd, env: own });
    assert.equal(status, 0, `${words}: ${stdout}${stderr}`);
    return { stdout, stderr };
  };
  const { stderr } = await run(first, "export config --people --out old");
  const { objects } = readConfigurationFiles([join(cwd, "old")]);
  const count = (kind: string) => objects.filter((each) => each.kind === kind).length;
  // Each project has the policy `default`, which files name once it is changed.
  for (const [kind, number] of Object.entries(COUNTS))
    assert.equal(count(kind), number + (kind === "people" ? 1 : 0), kind);
  const secrets = Object.entries(valuesOf(objects, await secretsOf(first)));
  const variables = Object.fromEntries(secrets.map(([key, value]) => [key.replace(/^env:/, ""), value]));
  assert.deepEqual(
    stderr.trim().split("\n").sort(),
    Object.keys(variables)
      .map((name) => `set ${name}`)
      .sort(),
  );
  const applied = await run(second, "apply -f old --yes --issued issued.json", variables);
  assert.match(applied.stdout, /All is stored\.$/m);
  await run(second, "export config --people --out new");
  assert.deepEqual(textsIn(join(cwd, "new")), textsIn(join(cwd, "old")));
  assert.deepEqual(await secretsOf(second), await secretsOf(first));
  assert.equal((await run(second, "plan -f new --exit-code", variables)).stdout, "no changes\n");
  assert.equal(readFileSync(join(cwd, "issued.json"), "utf8").trim().split("\n").length, COUNTS.receivers);
});
