import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { PrismError } from "../../src/core/errors.ts";
import { ENDS_LEADER } from "../../src/core/text/vocabulary.ts";
import { createServiceToken } from "../../src/features/access/users/create-user.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { type RequestOptions, startPrism, type TestPrism } from "../helpers/prism.ts";
import { countOf, rowsOf } from "../helpers/tables.ts";
import { ACCESS } from "./support/access/index.ts";
import { adminOf, makeAccessWorld } from "./support/access/world.ts";
import { documentOf, operationAt } from "./support/openapi-document.ts";
import { errorCodeOf, exchangeRaw, requestText } from "./support/raw-connection.ts";

const DAY_MS = 86_400_000;
const FAR_MS = 31_536_000_000;

interface Answer {
  readonly id?: string;
  readonly jobId?: string;
  readonly error?: { readonly code: string };
}

interface Kind {
  readonly name: string;
  readonly path: string;
  readonly alias: string;
  readonly status: number;
  readonly table: string;
  body(text: string): object;
}

/** The routes of this version that take an Idempotency-Key (contract 4.1). */
const KINDS: readonly Kind[] = [
  {
    name: "events",
    path: "/api/v1/events",
    alias: "/ingest",
    status: 202,
    table: "events",
    body: (text) => ({ type: "a", payload: { text } }),
  },
  {
    name: "notifications",
    path: "/api/v1/notifications",
    alias: "/api/v1/notifications",
    status: 201,
    table: "notifications",
    body: (text) => ({ userId: "me", title: "t", message: text }),
  },
  {
    name: "time/trigger",
    path: "/api/v1/time/trigger",
    alias: "/time/trigger",
    status: 201,
    table: "jobs",
    body: (label) => ({ label, delayMs: FAR_MS, action: { type: "event", event: "later" } }),
  },
];

const keyed = (key: string, options: RequestOptions = {}): RequestOptions => ({
  ...options,
  headers: { ...options.headers, "Idempotency-Key": key },
});

/** Sends a request; `replayed` marks the response of an earlier one. */
async function send(prism: TestPrism, { path }: Pick<Kind, "path">, body: object, options: RequestOptions) {
  const { status, body: answer, headers } = await prism.post<Answer>(path, body, options);
  return {
    outcome: answer.error ? `${status} ${answer.error.code}` : String(status),
    made: answer.id ?? answer.jobId,
    isReplayed: headers.get("idempotency-replayed") === "true",
  };
}

for (const kind of KINDS) {
  test(`${kind.name}: a request that is repeated with its Idempotency-Key has its effect once, and its first answer again`, async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock });
    const before = countOf(prism, kind.table);
    const made = (): number => countOf(prism, kind.table) - before;
    const body = kind.body("x");
    const first = await send(prism, kind, body, keyed("k-1"));
    assert.deepEqual([first.outcome, first.isReplayed, made()], [String(kind.status), false, 1]);
    const same = { ...first, isReplayed: true };

    await t.test("at once, by any path of the route, quoted or not", async () => {
      assert.deepEqual(await send(prism, kind, body, keyed("k-1")), same);
      assert.deepEqual(await send(prism, kind, body, keyed('"k-1"')), same);
      assert.deepEqual(await send(prism, { path: kind.alias }, body, keyed("k-1")), same);
      assert.equal(made(), 1);
    });
    await t.test("with another body it is refused, and the first answer stays", async () => {
      const { outcome } = await send(prism, kind, kind.body("y"), keyed("k-1"));
      assert.equal(outcome, "422 IDEMPOTENCY_KEY_REUSED");
      assert.deepEqual(await send(prism, kind, body, keyed("k-1")), same);
      assert.equal(made(), 1);
    });
    await t.test("after a restart", async () => {
      await prism.restart();
      assert.deepEqual(await send(prism, kind, body, keyed("k-1")), same);
      assert.equal(made(), 1);
    });
    await t.test("with another key it is another request", async () => {
      assert.equal((await send(prism, kind, body, keyed("k-2"))).isReplayed, false);
      assert.equal(made(), 2);
    });
    await t.test("until 24 hours have passed", async () => {
      clock.advance(DAY_MS - 1);
      const token = (await prism.parts.offers.accessTokens.issue(prism.parts.offers.devUserId ?? "")).token;
      assert.deepEqual(await send(prism, kind, body, keyed("k-1", { token })), same);
      clock.advance(1);
      const repeated = await send(prism, kind, body, keyed("k-1", { token }));
      assert.equal(repeated.isReplayed, false);
      assert.deepEqual(await send(prism, kind, body, keyed("k-1", { token })), { ...repeated, isReplayed: true });
      assert.equal(
        (await send(prism, kind, kind.body("z"), keyed("k-1", { token }))).outcome,
        "422 IDEMPOTENCY_KEY_REUSED",
      );
    });
  });

  test(`${kind.name}: while a request is under way, another with its key is answered 409 IDEMPOTENCY_IN_PROGRESS`, async (t) => {
    const prism = await startPrism(t);
    const body = kind.body("x");
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      isHeld = resolve;
    });
    // Nothing can be written meanwhile, so the first request stays under way.
    const writer = prism.parts.base.database.write(async () => {
      isHeld();
      await held;
    });
    await begun;
    const first = send(prism, kind, body, keyed("k"));
    const outcomes: string[] = [];
    // The two travel on connections of their own: until the first has arrived, the second is the
    // first.
    const others = Array.from({ length: 4 }, () => send(prism, kind, body, keyed("k")));
    const settled = others.map((other) => other.then(({ outcome }) => outcomes.push(outcome)));
    await Promise.race(settled);
    release();
    await writer;
    await Promise.all(settled);
    outcomes.push((await first).outcome);
    const conflicts = outcomes.filter((outcome) => outcome === "409 IDEMPOTENCY_IN_PROGRESS").length;
    const served = outcomes.filter((outcome) => outcome === String(kind.status)).length;
    assert.equal(conflicts + served, 5, outcomes.join(", "));
    assert.notEqual(conflicts, 0);
    assert.equal(rowsOf(prism, "select * from idempotency_keys").length, 1);
    assert.equal((await send(prism, kind, body, keyed("k"))).isReplayed, true);
  });
}

/** A plan stores nothing, and of the answer of an apply a part is kept: see configuration/requests.test.ts. */
const APPLY = { mode: "apply", objects: [{ kind: "projects", spec: { slug: "applied", name: "Applied" } }] };

test("every route that stores its answer with the effect answers a repeated request with it", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const world = await makeAccessWorld(prism);
  const { headers } = adminOf(world);
  const document = await documentOf(prism);
  let tried = 0;
  for (const mount of prism.parts.core.router.mounts) {
    const { route, isAlias } = mount;
    if (isAlias || route.undocumented) continue;
    const { operationId, parameters } = operationAt(document, mount);
    const isTaken = parameters.some(({ name }) => name === "Idempotency-Key");
    // test/cli/take-over.test.ts tries the others, by commands.
    if (!route.errors?.includes("IDEMPOTENCY_KEY_REUSED")) {
      const isChange = route.method !== "GET" && route.access !== "public" && !route.path.startsWith("/api/v1/auth/");
      const isOther = ENDS_LEADER.includes(route.path) || route.quiet || route.withoutContext;
      if (route.access !== "public" && !route.access.signer && !isOther) assert.equal(isTaken, isChange, route.path);
      continue;
    }
    assert.ok(isTaken, route.path);
    tried += 1;
    await t.test(`${route.method} ${route.path}`, async () => {
      const [row] = ACCESS[`${route.method} ${route.path}`] ?? [];
      assert.ok(row);
      const { path, body } = await row.request(world, adminOf(world), true);
      const sent = operationId === "applyConfiguration" ? APPLY : body;
      const ask = () => prism.request<Answer>(route.method, path, sent, keyed(operationId, { token: null, headers }));
      const first = await ask();
      assert.ok(first.status < 300, first.text);
      const again = await ask();
      if (sent !== APPLY) assert.deepEqual([again.status, again.text], [first.status, first.text]);
      assert.equal(again.headers.get("idempotency-replayed"), "true");
    });
  }
  assert.ok(tried > 10, `${tried} routes`);
});

test("an Idempotency-Key belongs to its caller and its route", async (t) => {
  const prism = await startPrism(t);
  const [ann, bob] = [await makeUser(prism, "ann", ["Operator"]), await makeUser(prism, "bob", ["Operator"])];
  const { id: project, apiKey } = await makeProject(prism);
  const second = await prism.post<{ key: string }>(`/api/v1/projects/${project}/keys`, {});
  const [events] = KINDS;
  if (!events) throw new TypeError("no routes");
  const { database: db, audit, clock } = prism.parts.base;
  const { rightsChanged } = prism;
  const { token: serviceToken } = await db.write((trx) =>
    createServiceToken({ audit, clock }, { userId: ann.id, name: "t" }, trx),
  );
  const body = events.body("x");
  for (const [name, options, isReplayed] of [
    ["a user", { token: ann.token }, false],
    ["the same user", { token: ann.token }, true],
    ["the same user by a service token", { token: serviceToken }, true],
    ["another user", { token: bob.token }, false],
    ["a key", { apiKey }, false],
    ["the same key", { apiKey }, true],
    ["another key of the project", { apiKey: second.body.key }, false],
  ] as const) {
    await t.test(name, async () => {
      assert.equal((await send(prism, events, body, keyed("k", options))).isReplayed, isReplayed);
    });
  }
  await t.test("on another route", async () => {
    for (const kind of KINDS.slice(1)) {
      const { isReplayed, outcome } = await send(prism, kind, kind.body("x"), keyed("k", { token: ann.token }));
      assert.deepEqual([isReplayed, outcome], [false, String(kind.status)]);
    }
  });
  await t.test("a replay asks for the permission as well", async () => {
    await db.write((trx) => trx.deleteFrom("user_roles").where("userId", "=", ann.id).execute());
    rightsChanged();
    for (const kind of KINDS.slice(1)) {
      const { outcome } = await send(prism, kind, kind.body("x"), keyed("k", { token: ann.token }));
      assert.equal(outcome, "403 UNAUTHORIZED_ROLE");
    }
  });
});

test("a request that is refused leaves its Idempotency-Key free", async (t) => {
  const prism = await startPrism(t);
  for (const [kind, body, outcome] of [
    [KINDS[0], { type: "" }, "400 VALIDATION_FAILED"],
    [KINDS[1], { userId: "me", title: "t" }, "400 VALIDATION_FAILED"],
    [KINDS[1], { userId: "me", title: "t", message: "m", channels: ["email"] }, "501 NOT_CONFIGURED"],
    [KINDS[2], { label: "l" }, "400 VALIDATION_FAILED"],
  ] as const) {
    if (!kind) throw new TypeError("no such route");
    assert.equal((await send(prism, kind, body, keyed("free"))).outcome, outcome);
    assert.equal(countOf(prism, "idempotency_keys"), 0);
  }
  for (const kind of KINDS) {
    const { outcome, isReplayed } = await send(prism, kind, kind.body("x"), keyed("free"));
    assert.deepEqual([outcome, isReplayed], [String(kind.status), false]);
  }
});

test("an Idempotency-Key is 1 to 255 visible ASCII characters", async (t) => {
  const prism = await startPrism(t);
  const fields = [`Authorization: Bearer ${prism.adminToken}`, "Content-Type: application/json"];
  for (const [name, lines, isTaken] of [
    ["one character", ["Idempotency-Key: k"], true],
    ["255 characters", [`Idempotency-Key: ${"k".repeat(255)}`], true],
    ["every sign", ["Idempotency-Key: !#$%&'()*+,-./:;<=>?@[]^_`{|}~\\\"x"], true],
    ["256 characters", [`Idempotency-Key: ${"k".repeat(256)}`], false],
    ["a space", ["Idempotency-Key: a b"], false],
    ["a letter beyond ASCII", ["Idempotency-Key: sch\u00f6n"], false],
    ["quotes around nothing", ['Idempotency-Key: ""'], false],
    ["two of them", ["Idempotency-Key: a", "Idempotency-Key: b"], false],
    ["none in the field", ["Idempotency-Key:"], true],
  ] as const) {
    for (const kind of KINDS) {
      await t.test(`${name}, ${kind.name}`, async (t) => {
        const text = requestText("POST", kind.path, [...fields, ...lines], JSON.stringify(kind.body(name)));
        const reply = await exchangeRaw(t, prism.app.port, Buffer.from(text, "latin1"));
        if (isTaken) assert.equal(reply.status, kind.status);
        else assert.deepEqual([reply.status, errorCodeOf(reply)], [400, "VALIDATION_FAILED"]);
      });
    }
  }
});

test("an answer with a secret is replayed and never stored in the clear", async (t) => {
  const prism = await startPrism(t);
  const make = () => prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "p" }, keyed("k"));
  const [one, two] = [await make(), await make()];
  assert.deepEqual([two.status, two.text], [one.status, one.text]);
  assert.equal(two.headers.get("idempotency-replayed"), "true");
  const [row] = rowsOf(prism, "select response from idempotency_keys");
  assert.match(one.body.apiKey, /^prk_/);
  assert.doesNotMatch(JSON.stringify(row), new RegExp(one.body.apiKey));
});

test("a route that keeps its answer after the effect says so when a crash took the answer, and undoes nothing", async (t) => {
  const prism = await startPrism(t);
  const make = (name: string) => prism.post<Answer>("/api/v1/projects", { name }, keyed(name));
  const before = countOf(prism, "projects");
  assert.equal((await make("lost")).status, 201);
  // As the commit of the effect has left it.
  await prism.parts.core.db.write((trx) =>
    trx.updateTable("idempotency_keys").set({ status: null, response: null }).execute(),
  );
  const again = await make("lost");
  assert.deepEqual([again.status, again.body.error?.code], [409, "INVALID_STATE"]);
  assert.equal(countOf(prism, "projects"), before + 1);
  const refused = await prism.post<Answer>("/api/v1/projects", { name: "x", slug: "?" }, keyed("refused"));
  assert.equal(refused.status, 400);
  assert.equal((await make("refused")).status, 201, "a refused request leaves its key free");
});

test("a route that ends the leader keeps no answer", async (t) => {
  const prism = await startPrism(t);
  const document = await documentOf(prism);
  for (const path of ["/api/v1/cluster/step-down", "/api/v1/cluster/drill"]) {
    const operation = document.paths[path]?.["post"];
    assert.ok(operation, path);
    assert.doesNotMatch(JSON.stringify(operation), /Idempotency-Key/);
  }
});

/** A server with one more route, which stores something in a first transaction. */
async function withRoute(t: TestContext, then: () => unknown) {
  const prism = await startPrism(t);
  const { db, router } = prism.parts.core;
  let runs = 0;
  router.add({
    method: "POST",
    path: "/api/v1/test",
    summary: "Test",
    tag: "Test",
    undocumented: true,
    access: { permission: "rules:write" },
    async handle() {
      runs++;
      await db.write((trx) =>
        trx
          .updateTable("projects")
          .set({ name: `after ${runs}` })
          .execute(),
      );
      return then();
    },
  });
  return { prism, runs: () => runs, send: () => prism.post<Answer>("/api/v1/test", {}, keyed("k")) };
}

test("a change whose answer cannot be stored is answered all the same, and never done twice", async (t) => {
  let refuse = (): void => undefined;
  const { prism, runs, send } = await withRoute(t, () => {
    refuse();
    return { id: "made" };
  });
  const { db } = prism.parts.core;
  const { write } = db;
  refuse = () => {
    db.write = () => Promise.reject(new PrismError("STORAGE_FULL", "The storage is full"));
  };
  const first = await send();
  db.write = write;
  assert.deepEqual([first.status, first.body.id], [200, "made"], first.text);
  const again = await send();
  assert.deepEqual([again.status, again.body.error?.code, runs()], [409, "INVALID_STATE", 1], again.text);
});

test("a request that fails after it has stored something is not done a second time", async (t) => {
  const { runs, send } = await withRoute(t, () => {
    throw new PrismError("STORAGE_FULL", "The storage is full");
  });
  assert.equal((await send()).body.error?.code, "STORAGE_FULL");
  const again = await send();
  assert.deepEqual([again.status, again.body.error?.code, runs()], [409, "INVALID_STATE", 1], again.text);
});

test("a long answer is not kept, and its request not done twice", async (t) => {
  const long = ["a", "x".repeat(20_000)];
  const { runs, send } = await withRoute(t, () => long);
  assert.deepEqual((await send()).body, long);
  const again = await send();
  assert.deepEqual([again.status, again.body.error?.code, runs()], [409, "INVALID_STATE", 1], again.text);
});

test("an answer is not given again to who has lost a role in a project, nor to a token of fewer rights", async (t) => {
  const prism = await startPrism(t);
  const { id: projectId } = await makeProject(prism);
  const ann = await makeUser(prism, "ann");
  const member = { userId: ann.id, role: "editor" };
  assert.equal((await prism.post(`/api/v1/projects/${projectId}/members`, member)).status, 201);
  const make = () =>
    prism.post<Answer>(
      "/api/v1/channels",
      { name: "r", preset: "slack", projectId, fields: { url: "https://hooks.slack.com/services/T0/B0/x" } },
      { token: ann.token, headers: { "Idempotency-Key": "r" } },
    );
  const first = await make();
  const again = await make();
  assert.deepEqual([first.status, again.status, again.body.id], [201, 201, first.body.id], first.text + again.text);
  assert.equal((await prism.delete(`/api/v1/projects/${projectId}/members/${ann.id}`)).status, 204);
  const refused = await make();
  assert.ok(refused.status >= 400 && refused.body.id === undefined, refused.text);
});
