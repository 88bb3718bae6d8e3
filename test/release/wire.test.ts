import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { Context } from "../../scripts/surface/lib/context.ts";
import { ApiDocument } from "../../scripts/surface/lib/wire/document.ts";
import { sampleOf, wrongSampleOf } from "../../scripts/surface/lib/wire/samples.ts";
import { Transcript } from "../../scripts/surface/lib/wire/transcript.ts";

const ID = "01a204f3-2235-71de-8d50-4837fd8d5e6f";
const OTHER = "01a204f3-22d3-74f8-a196-8b4c787bb126";

/** What a transcript saves after `write`. */
function savedBy(t: TestContext, write: (transcript: Transcript) => void): string {
  const dir = mkdtempSync(join(tmpdir(), "prism-wire-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const transcript = new Transcript(new Context(dir, dir, join(dir, "out")));
  write(transcript);
  transcript.save("a.txt");
  return readFileSync(join(dir, "out/a.txt"), "utf8");
}

test("a body keeps the order of its members; ids are numbered in each section", (t) => {
  const text = savedBy(t, (transcript) => {
    transcript.name(OTHER, "shop");
    transcript.section("first");
    transcript.body(JSON.stringify({ b: ID, a: OTHER, requestId: ID }));
    transcript.section("second");
    transcript.line(`GET /${ID}`);
  });
  const body = ["{", '  "b": "<id 1>",', '  "a": "<shop>",', '  "requestId": "<request>"', "}"];
  assert.equal(text, ["## first", ...body, "", "## second", "GET /<id 1>", ""].join("\n"));
});

test("times of the recording become distances, full minutes of plans stay, secrets and ports go", (t) => {
  const text = savedBy(t, (transcript) => {
    transcript.line("2026-11-25T10:30:04.123Z 2026-11-25T12:30:04.123Z 2026-12-24T08:00:00Z");
    transcript.line(
      "http://127.0.0.1:40123/in/nzv2ilecan36fmq2zxkvutvgcpk3ed7o prk_fF-Qz9x3cjbVbMMYDgEhElp0NF8zUL3RogHB",
    );
  });
  assert.equal(text, "<now> <now + 120 min> 2026-12-24T08:00:00Z\nhttp://127.0.0.1:<port>/in/<receiver 1> <key 1>\n");
});

test("a sample fits its schema, a wrong one has another type", () => {
  const document = new ApiDocument({ paths: {}, components: { schemas: { Level: { enum: ["low", "high"] } } } });
  const schema = {
    type: "object",
    properties: {
      level: { $ref: "#/components/schemas/Level" },
      at: { anyOf: [{ type: "string", format: "date-time" }, { type: "null" }] },
      waitMs: { type: "integer", minimum: 1000, maximum: 60_000 },
      tags: { type: "array", items: { type: "string", pattern: "^[a-z]+$" } },
    },
  };
  const sample = { level: "high", at: "2026-12-24T08:00:00Z", waitMs: 1000, tags: ["sometext"] };
  assert.deepEqual(sampleOf(document, schema), sample);
  assert.deepEqual(
    Object.values(schema.properties).map((each) => typeof wrongSampleOf(document, each)),
    ["object", "object", "string", "string"],
  );
});
