import assert from "node:assert/strict";
import test from "node:test";
import { PrismError } from "../../../../src/core/errors.ts";
import { parsedBy } from "../../../../src/features/intake/receivers/hooks.ts";
import { applyMapping, compileMapping, type MappingInput } from "../../../../src/features/intake/receivers/mapping.ts";
import type { Mapping } from "../../../../src/features/intake/receivers/preset.ts";
import { generic } from "../../../../src/features/intake/receivers/presets/generic.ts";
import { mergedMapping } from "../../../../src/features/intake/receivers/receivers.ts";
import { rowsWith } from "../../../helpers/values.ts";

const NOW = Date.UTC(2026, 0, 31, 12);

function input(body: unknown, more: Partial<MappingInput> = {}): MappingInput {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const common = { headers: {}, query: {}, form: null, files: [], method: "POST", parsed: null };
  return {
    ...common,
    body: typeof body === "string" ? null : body,
    text,
    receiver: { id: "r", name: "Shop" },
    ...more,
  };
}

/** With what the hook of the preset generic reads. */
function known(given: MappingInput): MappingInput {
  const query = given.query as Readonly<Record<string, string>>;
  return { ...given, parsed: parsedBy("known", { body: given.body, text: null, files: [], query }, 1000) };
}

const map = (mapping: Mapping, given: MappingInput) => applyMapping(compileMapping(mapping), given, NOW);

test("constants, templates and expressions are read from body, headers, query and names", () => {
  const mapping: Mapping = {
    let: { name: "= body.repository.full_name", branch: "= replace(body.ref, 'refs/heads/', '')" },
    type: "github.{{ headers['x-github-event'] }}",
    level: "= body.conclusion == 'failure' ? 'high' : 'info'",
    title: "{{ name }}: {{ body.action | upper }}",
    key: "= concat(name, '/', branch)",
    status: "= lookup(body.conclusion, 'failure', 'firing', 'success', 'resolved', 'event')",
    time: "= body.at",
    link: "= query.link",
    labels: { "*": "= body.labels", branch: "= branch", none: "= body.none" },
    output: "both",
  };
  const body = {
    ref: "refs/heads/main",
    action: "completed",
    conclusion: "failure",
    at: 1_769_000_000,
    labels: { a: 1, b: "x" },
  };
  const { items } = map(
    mapping,
    input(
      { ...body, repository: { full_name: "shop/web" } },
      { headers: { "x-github-event": "run" }, query: { link: "https://a.example/1" } },
    ),
  );
  const [item] = items;
  assert.equal(items.length, 1);
  assert.deepEqual(
    { ...item, content: null, payload: null },
    {
      output: "both",
      status: "firing",
      isRoutine: false,
      type: "github.run",
      level: "error",
      title: "shop/web: COMPLETED",
      message: null,
      key: "shop/web/main",
      time: 1_769_000_000_000,
      startsAt: null,
      endsAt: null,
      link: "https://a.example/1",
      source: null,
      labels: { a: "1", b: "x", branch: "main" },
      annotations: {},
      payload: null,
      content: null,
      isUnmapped: false,
      problems: [],
    },
  );
});

test("a list is split, elements are left out by when and by a case, and a case overrides members", () => {
  const mapping: Mapping = {
    split: "body.alerts",
    when: "item.kind != 'noise'",
    title: "= item.name",
    status: "firing",
    cases: [
      { when: "item.kind == 'test'", skip: true },
      { when: "= any(item.tags, item == 'over')", status: "resolved", title: "over: {{ item.name }}" },
    ],
  };
  const alerts = [
    { name: "a", kind: "x", tags: [] },
    { name: "b", kind: "noise" },
    { name: "c", kind: "test" },
    { name: "d", kind: "x", tags: ["over"] },
  ];
  const { items, ignored } = map(mapping, input({ alerts }));
  assert.deepEqual(rowsWith(items, "title", "status"), [
    ["a", "firing"],
    ["over: d", "resolved"],
  ]);
  assert.equal(ignored, 2);
  assert.equal(map(mapping, input({ alerts: [] })).items.length, 0);
});

test("a text that does not compile is refused with its path", () => {
  const cases: [Mapping, string][] = [
    [{ title: "= body.x +" }, "mapping.title"],
    [{ when: "boddy.x == 1" }, "mapping.when"],
    [{ labels: { a: "{{ event.x }}" } }, "mapping.labels.a"],
    [{ cases: [{ when: "true", key: "= constructor" }] }, "mapping.cases.0.key"],
    [{ let: { x: "= body.y.z(" } }, "mapping.let.x"],
  ];
  for (const [mapping, path] of cases)
    assert.throws(
      () => compileMapping(mapping),
      (error) => error instanceof PrismError && error.details?.[0]?.path === path,
      path,
    );
});

test("what maps to nothing is marked, and values of wrong types are left out", () => {
  const mapping: Mapping = { title: "= body.title", link: "= body.link", time: "= body.time", level: "= body.level" };
  assert.equal(map(mapping, input({ other: 1 })).items[0]?.isUnmapped, true);
  const [item] = map(
    mapping,
    input({ title: "x".repeat(900), link: "javascript:alert(1)", time: "soon", level: "odd" }),
  ).items;
  assert.deepEqual([item?.title?.length, item?.link, item?.time, item?.level], [250, null, null, null]);
});

test("a mapping that takes too long on a request is stopped", () => {
  const mapping: Mapping = { title: "= any(body.list, contains(body.text, item)) ? 'yes' : 'no'" };
  const list = Array.from({ length: 20_000 }, (_, i) => `${i}-not-there`);
  assert.throws(() => map(mapping, input({ text: "a".repeat(16_000), list })), /takes too long/);
});

test("generic reads the usual names of JSON, a query and text", () => {
  const [json] = map(
    generic.mapping,
    known(input({ subject: "S", description: "D", severity: "critical", status: "ALERTING", dedup_key: "k" })),
  ).items;
  assert.deepEqual(
    [json?.title, json?.message, json?.level, json?.status, json?.key],
    ["S", "D", "fatal", "firing", "k"],
  );
  const [text] = map(generic.mapping, known(input("Backup failed\nno space left"))).items;
  assert.deepEqual(
    [text?.title, text?.message, text?.status],
    ["Backup failed", "Backup failed\nno space left", "event"],
  );
  const [query] = map(
    generic.mapping,
    known(input("", { text: null, query: { title: "T", status: "up", key: "k" } })),
  ).items;
  assert.deepEqual([query?.title, query?.status], ["T", "resolved"]);
});

test("the problem names each value that was left out, and why nothing was found", () => {
  const problemOf = (mapping: Mapping, body: unknown) => map(mapping, input(body)).problem;
  assert.equal(problemOf({ title: "A", level: "warn", status: "event", link: "https://a.example" }, {}), null);
  assert.equal(
    problemOf({ title: "= body.a / body.b" }, { a: "x", b: 0 }),
    "title, message, key and payload have no value",
  );
  assert.equal(
    problemOf({ title: "A", level: "loud", link: "javascript:1", time: "yesterday", status: "broken" }, {}),
    'level: "loud" is no level; time: "yesterday" is no time; link: "javascript:1" is no http or https URL; ' +
      'status: "broken" is not firing, resolved, acknowledged or event',
  );
  assert.equal(problemOf({ title: "A", output: "alerts", status: "firing" }, {}), "key has no value: no alert");
  assert.equal(problemOf({ title: "A", output: "alerts", key: "k" }, {}), "status has no value: no alert");
  assert.equal(problemOf({ title: "A", split: "body.alerts" }, {}), "split: no list");
  assert.equal(problemOf({ title: "A", split: "body", level: "loud" }, [1, 2]), 'level: "loud" is no level');
});

test("names of let are added to those of the preset", () => {
  const mapping = mergedMapping(generic, { let: { a: "= body.x" }, title: "= a" });
  const [item] = map(mapping, known(input({ x: "X", state: "down", key: "k" }))).items;
  assert.deepEqual([item?.title, item?.status], ["X", "firing"]);
});

test("a text without JSON is named, and a member of a result is refused with the way to write it", () => {
  const mapping: Mapping = {
    let: { m: "= parseJson(body.Message)" },
    title: "Disk",
    labels: { team: "= m.labels.team" },
  };
  const problemOf = (body: object) => map(mapping, input(body)).problem;
  assert.equal(problemOf({ Message: "disk full" }), 'let.m: body.Message has no value of JSON: "disk full"');
  assert.equal(problemOf({}), "let.m: body.Message has no value of JSON: no value");
  assert.equal(problemOf({ Message: '{"labels":{}}' }), null);
  for (const [source, name] of [
    ["= parseJson(body.Message).labels.team", "'labels'"],
    ["= at(body.list, 0)['a']", "'name'"],
  ])
    assert.throws(() => compileMapping({ labels: { team: source ?? "" } }), {
      message: `mapping.labels.team: a result has no members; write at(…, ${name}) for its member`,
    });
});
