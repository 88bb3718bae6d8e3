import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import {
  computed,
  flag,
  given,
  hidden,
  json,
  orNull,
  resource,
  resources,
  stored,
  time,
  words,
} from "../../src/http/resource.ts";
import { integer, text } from "../../src/http/shapes.ts";

const Lamp = resource("Lamp", "A lamp", "lamps", () => ({
  id: stored(v.string()),
  name: given(text(20), "Name"),
  brightness: given(integer(0, 100), "Percent").or(50),
  room: given(v.nullable(text(20)), "Where it is").or(null),
  lit: given(v.boolean(), "Whether it shines", flag).in("isLit").or(0),
  tags: given(v.array(text(10)), "Words", words).or(""),
  plan: given(v.record(v.string(), v.number()), "Hours", json<Record<string, number>>()).or("{}"),
  status: hidden(v.picklist(["ok", "broken"]))
    .or("ok")
    .computed(v.picklist(["ok", "broken", "late"])),
  seenAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  note: computed(v.optional(v.string())),
  secret: hidden(v.string()),
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
  assert.deepEqual(
    [...Lamp.columnSchemas].map(([name, { type }]) => `${name} ${type}`),
    [
      ...["id string", "name string", "brightness number", "room nullable", "isLit picklist", "tags string"],
      ...["plan string", "status picklist", "seenAt nullable", "secret string"],
    ],
  );
  assert.ok(resources().some(({ name }) => name === "Lamp"));
});
