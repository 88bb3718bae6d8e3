import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { equals, listing } from "../../src/http/api/listing.ts";
import {
  column,
  computed,
  flag,
  given,
  json,
  orNull,
  resource,
  resources,
  stored,
  time,
  words,
} from "../../src/http/api/resource.ts";
import { route } from "../../src/http/api/route.ts";
import { integer, object, text } from "../../src/http/api/shapes.ts";

const Lamp = resource("Lamp", "A lamp", "test_lamps", () => ({
  id: stored(v.string()),
  name: given(text(20), "Name"),
  brightness: given(integer(0, 100), "Percent").or(50),
  room: given(v.nullable(text(20)), "Where it is").or(null),
  lit: given(v.boolean(), "Whether it shines", flag).inColumn("isLit").or(0),
  tags: given(v.array(text(10)), "Words", words).or(""),
  plan: given(v.record(v.string(), v.number()), "Hours", json<Record<string, number>>()).or("{}"),
  status: column(v.picklist(["ok", "broken"]))
    .or("ok")
    .shownAs(v.picklist(["ok", "broken", "late"])),
  seenAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  note: computed(v.optional(v.string())),
  secret: column(v.string()),
}));

test("a resource makes columns of a request, with absent members left out", () => {
  assert.deepEqual(Lamp.columns({ name: "Desk", lit: true, tags: ["a", "b"], plan: { mon: 8 }, room: undefined }), {
    name: "Desk",
    isLit: 1,
    tags: "a b",
    plan: '{"mon":8}',
  });
  assert.deepEqual(Lamp.columns({ room: null }), { room: null });
});

test("what requests cannot set is not written, even if it is in the input", () => {
  const input: object = { id: "evil", secret: "plain", status: "ok", seenAt: 1, name: "Desk" };
  assert.deepEqual(Lamp.columns(input), { name: "Desk" });
});

test("a computed member is answered as it is given, whatever codec its column has", () => {
  const Switch = resource("Switch", "A switch", "test_switches", () => ({
    on: given(v.boolean(), "Position", flag).or(0).shownAs(v.boolean()),
    kind: given(v.picklist(["a", "b"]), "Cannot be changed").atCreation(),
  }));
  assert.deepEqual(Switch.view({ on: 0, kind: "a" }, { on: true }), { on: true, kind: "a" });
  assert.deepEqual([Object.keys(Switch.forCreate), Object.keys(Switch.forUpdate)], [["on", "kind"], ["on"]]);
});

test("a member that may be null keeps its checks", () => {
  const even = v.pipe(
    v.nullable(v.number()),
    v.check((value) => value === null || value % 2 === 0, "must be even"),
  );
  const Pair = resource("Pair", "A pair", "test_pairs", () => ({
    size: given(even, "Size").or(null).shown(v.nullable(v.number())),
  }));
  assert.ok(!v.safeParse(v.object(Pair.forUpdate), { size: 3 }).success);
});

test("a word with a space is not stored as two", () => {
  assert.throws(() => Lamp.columns({ tags: ["a b"] }), /has a space/);
});

test("an answer has the members in the order of the declaration, no secret, and what the caller computed", () => {
  const row = { ...Lamp.initial, id: "1", name: "Desk", secret: "hush", isLit: 1 as const, seenAt: 0 };
  assert.equal(
    JSON.stringify(Lamp.view(row, { status: "late" })),
    '{"id":"1","name":"Desk","brightness":50,"room":null,"lit":true,"tags":[],"plan":{},"status":"late",' +
      '"seenAt":"1970-01-01T00:00:00.000Z"}',
  );
  assert.equal(Lamp.view(row, { status: "ok", note: "new" }).note, "new");
});

test("without a default a member is required to create one; to change one nothing is", () => {
  const create = v.safeParse(v.object(Lamp.forCreate), { lit: true });
  assert.deepEqual(
    create.issues?.map((issue) => v.getDotPath(issue)),
    ["name"],
  );
  assert.ok(v.safeParse(v.object(Lamp.forUpdate), {}).success);
  assert.ok(!v.safeParse(v.object(Lamp.forUpdate), { brightness: 101 }).success);
});

test("an answer's schema has the types of a request without its limits", () => {
  const answer = Lamp.view({ ...Lamp.initial, id: "1", name: "x".repeat(30), secret: "" }, { status: "ok" });
  assert.ok(v.safeParse(Lamp.View, answer).success);
  assert.ok(!v.safeParse(Lamp.View, { ...answer, lit: 1 }).success);
});

test("each column of a resource has a schema, by the name of the column", () => {
  const shown = [...Lamp.columnSchemas].map(([name, { type }]) => `${name} ${type}`);
  assert.deepEqual(shown, [
    ...["id string", "name string", "brightness number", "room nullable", "isLit picklist", "tags string"],
    ...["plan string", "status picklist", "seenAt nullable", "secret string"],
  ]);
  assert.ok(resources().some(({ name }) => name === "Lamp"));
});

test("fields, filters and schemas of routes are made once, when they are first used", () => {
  let made = 0;
  const Fan = resource("Fan", "A fan", "test_fans", () => {
    made += 1;
    return { id: stored(v.string()), speed: given(integer(1, 3), "Level").or(1) };
  });
  const list = listing(Fan, () => ({ speed: equals(integer(1, 3), "Level") }));
  const path = { method: "POST", path: "/fans", summary: "", tag: "", access: "public" } as const;
  const body = () => object(Fan.forCreate);
  const create = route({ ...path, body, response: () => Fan.View, handle: () => ({ id: "1", speed: 1 }) });
  const again = route(route({ ...path, body, handle: () => undefined }));
  assert.equal(made, 0);
  assert.deepEqual(Object.keys(list.entries), ["speed"]);
  assert.equal(create.response, Fan.View);
  assert.equal(create.body, again.body);
  assert.equal(made, 1);
});
