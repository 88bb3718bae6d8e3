import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { RE2JS } from "re2js";
import { LoopTurns } from "../../src/core/promises.ts";
import { compileRouting } from "../../src/features/alerts/policies/routing.ts";
import type { WorkAccount } from "../../src/http/limits/work-budget.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeUser } from "../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../helpers/prism.ts";

/*
 * Patterns of label matchers that requests give: compiling them is bounded and charged before it
 * begins, and takes turns with other requests.
 */

interface Refusal {
  readonly error?: { readonly code: string; readonly message: string; readonly details?: { message: string }[] };
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}

let unique = 0;
/** Matchers that no test has compiled yet. */
const matchersOf = (n: number, pattern: (i: number) => string): string[] =>
  Array.from({ length: n }, () => `a=~"${pattern(unique++)}"`);
const costly = (i: number) => `(r${i}|[a-z]{1,9}){1,60}`;
const medium = (i: number) => `(w${i}|y){1,60}`;
const ordinary = (i: number) => `(prod|staging)-${i}-[0-9]+[.]example[.]com`;

const documentOf = (matchers: readonly string[]) => ({
  route: { policy: "default", routes: matchers.map((matcher) => ({ matchers: [matcher] })) },
});

const FUTURE = "2999-01-01T00:00:00Z";

/** Every request that gives matchers, by name. */
const CALLS: Readonly<Record<string, (matchers: readonly string[]) => Call>> = {
  "a list of alerts": (matchers) => ({
    method: "GET",
    path: `/api/v1/alerts?matcher=${encodeURIComponent(matchers.join(","))}`,
  }),
  "a silence": (matchers) => ({
    method: "POST",
    path: "/api/v1/silences",
    body: { matchers, durationMs: 60_000, comment: "x" },
  }),
  "the preview of a silence": (matchers) => ({
    method: "POST",
    path: "/api/v1/silences/preview",
    body: { matchers, durationMs: 60_000 },
  }),
  "a heartbeat that alerts feed": (matchers) => ({
    method: "POST",
    path: "/api/v1/heartbeats",
    body: { name: "fed", fedBy: matchers.join(",") },
  }),
  "alerts of Alertmanager's API": (matchers) => ({
    method: "GET",
    path: `/alertmanager/api/v2/alerts?${matchers.map((each) => `filter=${encodeURIComponent(each)}`).join("&")}`,
  }),
  "groups of Alertmanager's API": (matchers) => ({
    method: "GET",
    path: `/alertmanager/api/v2/alerts/groups?${matchers.map((each) => `filter=${encodeURIComponent(each)}`).join("&")}`,
  }),
  "silences of Alertmanager's API": (matchers) => ({
    method: "GET",
    path: `/alertmanager/api/v2/silences?${matchers.map((each) => `filter=${encodeURIComponent(each)}`).join("&")}`,
  }),
  "a silence of Alertmanager's API": (matchers) => ({
    method: "POST",
    path: "/alertmanager/api/v2/silences",
    body: {
      matchers: matchers.map((each) => ({ name: "a", value: each.slice(4, -1), isRegex: true })),
      ...{ startsAt: new Date().toISOString(), endsAt: FUTURE, comment: "x", createdBy: "amtool" },
    },
  }),
};

/** The same for documents, which have room for more. */
const DOCUMENTS: Readonly<Record<string, (matchers: readonly string[]) => Call>> = {
  "a test of routes": (matchers) => ({
    method: "POST",
    path: "/api/v1/routes/test",
    body: { labels: { a: "x" }, document: documentOf(matchers) },
  }),
  "a routing document": (matchers) => ({ method: "PUT", path: "/api/v1/routes", body: documentOf(matchers) }),
  "inhibition rules": (matchers) => ({
    method: "POST",
    path: "/api/v1/routes/test",
    body: {
      labels: { a: "x" },
      document: {
        route: { policy: "default" },
        inhibitRules: Array.from({ length: Math.ceil(matchers.length / 10) }, (_, i) => ({
          sourceMatchers: matchers.slice(10 * i, 10 * i + 10),
          targetMatchers: ['b="c"'],
        })),
      },
    },
  }),
  "an import of routes": (matchers) => ({
    method: "POST",
    path: "/api/v1/routes/import",
    body: { dryRun: true, routing: documentOf(matchers) },
  }),
  "a status page": (matchers) => ({
    method: "PUT",
    path: "/api/v1/status-page",
    body: {
      enabled: true,
      title: "Shop",
      groups: Array.from({ length: Math.ceil(matchers.length / 200) }, (_, g) => ({
        name: `g${g}`,
        components: Array.from({ length: 10 }, (_, c) => ({
          name: `c${c}`,
          sources: [{ matchers: matchers.slice(200 * g + 20 * c, 200 * g + 20 * c + 20), effect: "outage" }],
        })).filter(({ sources: [source] }) => source?.matchers.length),
      })),
    },
  }),
};

async function call(prism: TestPrism, { method, path, body }: Call, token?: string): Promise<Reply<Refusal>> {
  const options = { ...(token === undefined ? {} : { token }), headers: { "if-match": '"0"' } };
  return prism.request<Refusal>(method, path, body, options);
}

const codeOf = ({ status, body }: Reply<Refusal>) => [status, body.error?.code];

async function start(t: TestContext) {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const eve = await makeUser(prism, "eve", ["Admin"]);
  const { mock: compiling } = t.mock.method(RE2JS, "compile");
  const { mock: charging } = t.mock.method(prism.parts.core.work, "charge");
  /** Steps that are charged meanwhile, patterns that are compiled, and the reply. */
  const during = async (given: Call) => {
    const [compiled, charged] = [compiling.callCount(), charging.callCount()];
    const reply = await call(prism, given, eve.token);
    const steps = charging.calls.slice(charged).reduce((sum, each) => sum + (each.arguments[1].steps ?? 0), 0);
    return { reply, compiled: compiling.callCount() - compiled, steps };
  };
  return { prism, eve, during, compiling, charging };
}

test("F5: patterns that are too large together are refused before one is compiled", async (t) => {
  const { during } = await start(t);
  const given = [
    ...Object.entries(CALLS).map(([name, make]) => [name, make(matchersOf(12, costly))] as const),
    ...Object.entries(DOCUMENTS).map(([name, make]) => [name, make(matchersOf(100, costly))] as const),
  ];
  for (const [name, made] of given) {
    const { reply, compiled, steps } = await during(made);
    assert.equal(reply.status, 400, `${name}: ${reply.text}`);
    assert.match(reply.text, /too large together/, name);
    assert.deepEqual([compiled, steps > 100_000], [0, false], name);
  }
});

test("F5: patterns of a request are compiled once, and charged to who asks", async (t) => {
  const { during } = await start(t);
  for (const [name, make] of Object.entries({ ...CALLS, ...DOCUMENTS })) {
    const made = make(matchersOf(4, medium));
    const { reply, compiled, steps } = await during(made);
    assert.ok(reply.status < 300, `${name}: ${reply.text}`);
    assert.equal(compiled, 4, name);
    assert.ok(steps >= 4 * 240 * 400, `${name}: ${steps} steps`);
    const again = await during({ ...made, method: made.method === "PUT" ? "GET" : made.method });
    assert.deepEqual([again.compiled, again.steps < 100_000], [0, true], `${name} again`);
  }
});

test("F5: who is in debt is refused large patterns at any length of the request, and may use ordinary ones", async (t) => {
  const { prism, eve, during, charging } = await start(t);
  const { work } = prism.parts.core;
  const everything: WorkAccount = { projectId: null, all: "known", levels: [["creator", eve.id]] };
  charging.resetCalls();
  work.charge(everything, { steps: 200_000_000 });
  for (const [name, make] of Object.entries({ ...CALLS, ...DOCUMENTS })) {
    const { method } = make([]);
    if (method === "GET") continue;
    const { reply, compiled } = await during(make(matchersOf(4, medium)));
    assert.equal(reply.status, 429, `${name}: ${reply.text}`);
    assert.equal(compiled, 0, name);
  }
  const silenced = await during(CALLS["a silence"]?.(matchersOf(2, ordinary)) as Call);
  assert.equal(silenced.reply.status, 201, silenced.reply.text);
});

test("F5: reads with large patterns use up the budget of reads", async (t) => {
  const { during } = await start(t);
  const ask = () => during(CALLS["a list of alerts"]?.(matchersOf(7, costly)) as Call);
  let answered = 0;
  let last = await ask();
  for (; last.reply.status === 200 && answered < 200; answered++) last = await ask();
  assert.deepEqual(codeOf(last.reply), [429, "WORK_LIMITED"]);
  assert.ok(answered < 100, `${answered} were answered`);
});

test("F5: a document of a thousand routes with ordinary patterns passes, and is compiled in turns of the loop", async (t) => {
  const { during } = await start(t);
  const { mock: pausing } = t.mock.method(LoopTurns.prototype, "pause");
  const document = matchersOf(999, ordinary);
  for (const name of ["a test of routes", "a routing document", "an import of routes"]) {
    pausing.resetCalls();
    // What is imported is not what is stored already.
    const given = name === "an import of routes" ? document.slice(1) : document;
    const { reply, compiled } = await during(DOCUMENTS[name]?.(given) as Call);
    assert.ok(reply.status < 300, `${name}: ${reply.text.slice(0, 300)}`);
    assert.equal(compiled, name === "a test of routes" ? 999 : 0, name);
    assert.ok(pausing.callCount() >= given.length, `${name}: ${pausing.callCount()} turns`);
  }
});

test("F5: a pattern that is refused is compiled once", async (t) => {
  const { during } = await start(t);
  const [refused] = matchersOf(1, (i) => `(x${i}|[a-z]){1,500}`);
  const document = documentOf(Array.from({ length: 50 }, () => refused as string));
  const made = { method: "POST", path: "/api/v1/routes/test", body: { labels: {}, document } };
  const first = await during(made);
  assert.equal(first.reply.status, 400);
  assert.match(first.reply.text, /is too large/);
  assert.deepEqual([first.compiled, (await during(made)).compiled], [1, 0]);
});

test("F5: a stored document is loaded whatever its patterns, and once for all changes of policies", async (t) => {
  const { prism, compiling } = await start(t);
  const large = documentOf(matchersOf(100, costly));
  assert.equal(compileRouting(large, 1).routes.length, 101);
  const { id } = (await prism.get<{ id: string }>("/api/v1/projects/default")).body;
  assert.equal(
    (await call(prism, { method: "PUT", path: "/api/v1/routes", body: documentOf(matchersOf(3, medium)) })).status,
    200,
  );
  const { policies } = prism.parts.features.context;
  const before = policies.routingOf(id);
  compiling.resetCalls();
  const made = await prism.post("/api/v1/policies", { name: "Database", steps: [{ type: "notify", members: true }] });
  assert.equal(made.status, 201, made.text);
  assert.equal(policies.routingOf(id), before);
  const changed = await prism.put("/api/v1/routes", documentOf(matchersOf(1, medium)), {
    headers: { "if-match": '"1"' },
  });
  assert.equal(changed.status, 200, changed.text);
  assert.equal(policies.routingOf(id).routes.length, 2);
  assert.equal(policies.of(id).has("Database"), true);
});
