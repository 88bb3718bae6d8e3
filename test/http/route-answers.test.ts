import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import {
  ANSWERS_LATER,
  arrayJson,
  jsonOf,
  RawJson,
  Reply,
  route,
  versioned,
  withFirst,
  withMember,
} from "../../src/http/api/route.ts";
import { pageBody, pageOf } from "../../src/http/api/shapes.ts";
import { startBareKernel } from "./support/bare-kernel.ts";

const Switch = v.object({
  state: v.picklist(["on", "off"]),
  note: v.nullable(v.string()),
  rooms: v.optional(v.array(v.string())),
});
const ON = { state: "on", note: null } as const;
const PAGE = { limit: 1, page: 1, offset: 0, after: null, wantsTotal: false } as const;
const text = jsonOf({ state: "on" as const });

const get = (path: string) => ({ method: "GET", path, summary: "", tag: "test", access: "public" }) as const;
const described = { ...get("/refused"), response: Switch };

test("every form of an answer that has the response's shape compiles, and is sent as it is", async (t) => {
  const rooms: readonly string[] = ["hall"];
  const routes = [
    route({ ...get("/value"), response: Switch, handle: () => ON }),
    route({ ...get("/later"), response: Switch, handle: async () => ({ ...ON, rooms }) }),
    route({ ...get("/reply"), response: Switch, handle: () => new Reply(200, ON, { "X-Note": "1" }) }),
    route({ ...get("/versioned"), response: Switch, handle: async () => versioned(3, ON) }),
    route({ ...get("/raw"), response: Switch, handle: () => new RawJson(withMember(text, "note", jsonOf(null))) }),
    route({
      ...get("/page"),
      response: pageOf(Switch),
      handle: () => pageBody(PAGE, [1], () => ON, String as never),
    }),
    route({
      ...get("/raw-page"),
      response: v.object({ data: v.array(Switch), limit: v.number() }),
      handle: () => new Reply(200, new RawJson(withFirst("data", arrayJson([jsonOf(ON)]), { limit: 1 }))),
    }),
    route({ ...get("/none"), handle: () => undefined }),
    route({ ...get("/void"), handle: async () => {} }),
    route({
      ...get("/file"),
      response: { contentType: "text/plain", description: "A file" },
      handle(exchange) {
        exchange.send(200, "text", { "Content-Type": "text/plain" });
        return ANSWERS_LATER;
      },
    }),
  ];
  const { port } = startBareKernel(t, { routes });
  const answer = async (path: string) => {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`);
    return [reply.status, await reply.text()];
  };
  const on = JSON.stringify(ON);
  assert.deepEqual(await answer("/value"), [200, on]);
  assert.deepEqual(await answer("/later"), [200, JSON.stringify({ ...ON, rooms })]);
  for (const path of ["/reply", "/versioned", "/raw"]) assert.deepEqual(await answer(path), [200, on], path);
  assert.deepEqual(await answer("/page"), [200, `{"data":[${on}],"page":1,"limit":1,"nextCursor":null}`]);
  assert.deepEqual(await answer("/raw-page"), [200, `{"data":[${on}],"limit":1}`]);
  for (const path of ["/none", "/void"]) assert.deepEqual(await answer(path), [204, ""], path);
  assert.deepEqual(await answer("/file"), [200, "text"]);
});

test("a handler whose answer does not have the response's shape does not compile", () => {
  // The compiler compares: without an error below each comment it reports the comment.
  const refused = [
    route({
      ...described,
      // @ts-expect-error a member is missing
      handle: () => ({ state: "on" as const }),
    }),
    route({
      ...described,
      // @ts-expect-error null where the response has a word
      handle: async () => ({ ...ON, state: null }),
    }),
    route({
      ...described,
      // @ts-expect-error a word that the response does not have
      handle: () => ({ ...ON, state: "broken" as const }),
    }),
    route({
      ...described,
      // @ts-expect-error a number in a list of words
      handle: () => new Reply(200, { ...ON, rooms: [1] }),
    }),
    route({
      ...described,
      // @ts-expect-error no answer
      handle: async () => undefined,
    }),
    route({
      ...described,
      // @ts-expect-error an answer without a body
      handle: () => new Reply(204, undefined),
    }),
    route({
      ...described,
      // @ts-expect-error the text of another value
      handle: () => new RawJson(text),
    }),
    route({
      ...described,
      // @ts-expect-error another version
      handle: () => versioned(1, { state: "on" as const }),
    }),
    route({
      ...get("/page"),
      response: pageOf(Switch),
      // @ts-expect-error the page of another resource
      handle: () => pageBody(PAGE, [1], () => ({ id: 1 }), String as never),
    }),
    route({
      ...get("/none"),
      // @ts-expect-error the response has no body
      handle: () => ON,
    }),
    route({
      ...get("/file"),
      response: { contentType: "text/plain", description: "A file" },
      // @ts-expect-error the response is a file
      handle: () => "text",
    }),
  ];
  assert.equal(refused.length, 11);
});
