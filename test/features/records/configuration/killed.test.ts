import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ConfigurationPlan } from "../../../../src/client/api-types.gen.ts";
import { RunningCli } from "../../../cli/run-cli.ts";
import { overSocket } from "../../../helpers/control.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { Edited } from "./support/edited.ts";
import { documentOf, HOSTS } from "./support/files.ts";

const OBJECTS = 60;
const EDITS = 40;
const KILLS = 20;
/** When the server is killed is chance enough. */
const SEED = 1;

type Send = (method: string, path: string, body?: unknown) => Promise<{ status: number; text: string; body: unknown }>;
type Body = Readonly<Record<string, unknown>>;

/** All that an apply stores, as its next reader finds it. */
async function stateOf(send: Send) {
  const found = await Promise.all(
    ["export?people=true", "managed"].map((path) => send("GET", `/api/v1/configuration/${path}`)),
  );
  const [{ document }, { data }] = found.map(({ body }) => body) as [Body, { data: readonly Body[] }];
  const managed = data.map(({ kind, project, name, source, place, isDrifted }) =>
    JSON.stringify([kind, project, name, source, place, isDrifted]),
  );
  return { document, managed: managed.sort() };
}

const apply = (send: Send, files: object, more: object = {}) =>
  send("POST", "/api/v1/configuration", { mode: "apply", ...files, issued: true, prune: true, ...more });

async function serve(t: TestContext, cwd: string) {
  const env = { PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8" };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await server.until(/Prism is ready/);
  const send: Send = (method, path, body) => overSocket(join(cwd, "data"), method, path, body);
  return { server, send };
}

test("an apply that is killed at any time has stored all of it or nothing", async (t) => {
  const prism = await startPrism(t, HOSTS);
  const kinds = await prism.parts.features.context.configKinds({});
  const edited = new Edited(kinds, SEED, OBJECTS);
  const first = documentOf(kinds, edited.made);
  for (let n = 0; n < EDITS; n++) edited.edit(["create", "change", "delete"]);
  const files = [first, documentOf(kinds, edited.made)] as const;
  const inProcess: Send = (...given) => prism.request(...given);
  const stored: unknown[] = [];
  const requests: object[] = [];
  for (const each of [...files, ...files]) {
    const plan = await apply(inProcess, each, { mode: "plan" });
    assert.equal(plan.status, 200, plan.text);
    const { counts } = plan.body as ConfigurationPlan;
    const request = { ...each, ...(counts.deleted > 0 && { allowDeletes: counts.deleted }) };
    const { status, text } = await apply(inProcess, request);
    assert.equal(status, 200, text);
    stored.push(await stateOf(inProcess));
    requests.push(request);
    if (stored.length > 1) for (const count of Object.values(counts)) assert.ok(count > 0, text);
  }
  const [initial, , toFirst, toSecond] = requests as [object, object, object, object];
  // Lists have the order in which their objects were made, and people keep what files leave out.
  const states = stored.slice(2);
  assert.notDeepEqual(states[1], states[0]);
  const answers = files.map(({ objects }) => objects.length);
  t.diagnostic(`${answers.join(" and ")} objects`);

  const cwd = temporaryDir(t);
  const { server, send } = await serve(t, cwd);
  assert.equal((await apply(send, initial)).status, 200);
  // Its code is loaded then, so that the next ones take as long.
  for (const each of [toSecond, toFirst]) assert.equal((await apply(send, each)).status, 200);
  const began = performance.now();
  assert.equal((await apply(send, toSecond)).status, 200);
  const tookMs = performance.now() - began;
  let [current, whole] = [1, 0];
  /** @returns which of the two states a server finds on the files of a killed process */
  const stateIn = async (dir: string, kill: number): Promise<number> => {
    const killed = await startPrism(t, { ...HOSTS, dir });
    const request: Send = (...given) => killed.request(...given);
    const found = await stateOf(request);
    const at = states.findIndex((state) => isDeepStrictEqual(found, state));
    if (at < 0) assert.deepEqual(found, states[current], `kill ${kill} left a part`);
    const verified = await request("GET", "/api/v1/audit/verify");
    assert.equal((verified.body as Body)["ok"], true, verified.text);
    await killed.stop();
    return at;
  };
  for (let n = 0; n < KILLS; n++) {
    const next = 1 - current;
    let isAnswered = false;
    const answer = apply(send, next === 0 ? toFirst : toSecond).then(({ status, text }) => {
      assert.equal(status, 200, text);
      isAnswered = true;
    });
    await sleep((tookMs * (n + 1)) / (KILLS - 1));
    // A process that is killed leaves the same files as one that stands still.
    server.signal("SIGSTOP");
    // Until threads in the middle of a write stand still, too.
    await sleep(50);
    const wasAnswered = isAnswered;
    const dir = temporaryDir(t);
    cpSync(join(cwd, "data"), dir, { recursive: true, filter: (path) => !/\.(lock|sock|new)|-shm$/.test(path) });
    server.signal("SIGCONT");
    const found = await stateIn(dir, n);
    if (found === next) whole++;
    if (wasAnswered) assert.equal(found, next, "an answer is a promise");
    await answer;
    current = next;
  }
  server.signal("SIGKILL");
  await server.ended();
  assert.equal(await stateIn(join(cwd, "data"), KILLS), current);
  t.diagnostic(`an apply of ${Math.round(tookMs)} ms: ${whole} of ${KILLS} were stored`);
});
