import assert from "node:assert/strict";
import test from "node:test";
import { fieldsAfter } from "../../../src/features/channels/fields.ts";
import { type ChannelPreset, readPreset } from "../../../src/features/channels/preset.ts";
import { PRESETS } from "../../../src/features/channels/presets/index.ts";
import { startPrism } from "../../helpers/prism.ts";

interface Refused {
  readonly error: { readonly details: readonly { readonly path: string; readonly message: string }[] };
}

test("every field of every preset that refuses a value shows an example of what fits", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  for (const preset of PRESETS.map((each: ChannelPreset) => readPreset(each))) {
    const { name, fields } = preset;
    const post = async (given: Readonly<Record<string, string>>) => {
      const reply = await prism.post<Refused>("/api/v1/channels", { name, preset: name, fields: given });
      assert.equal(reply.status, 400, reply.text);
      return new Map(reply.body.error.details.map(({ path, message }) => [path.replace("fields.", ""), message]));
    };
    const unknown = (await post({ nothing: "x" })).get("nothing") ?? "";
    for (const { key, title } of fields) assert.ok(unknown.includes(`${key} (${title})`), `${name}: ${unknown}`);
    const checked = fields.filter(({ type, pattern }) => pattern !== undefined || type === "url" || type === "number");
    const said = await post(
      Object.fromEntries(checked.map(({ key }) => [key, `\u00a7 ${"\u00a7 ".repeat(1500)}`.trim()])),
    );
    for (const { key, example, pattern } of checked) {
      const message = said.get(key) ?? "";
      assert.ok(message.includes(example), `${name}.${key}: ${message}`);
      assert.match(message, /^must (be (a URL|a number|at most \d+ characters)|look like)\b/);
      if (pattern !== undefined)
        assert.ok(!message.includes(pattern) || pattern.length < 3, `${name}.${key}: ${message}`);
    }
    const required = await post({ nothing: "x" });
    for (const { key, example } of fields.filter((each) => each.required && each.default === undefined))
      assert.ok(required.get(key)?.endsWith(`such as ${example}`), `${name}.${key}: ${required.get(key)}`);
  }
});

test("a channel to ntfy takes tokens of ntfy and of Prism's own ntfy API", () => {
  const ntfy = readPreset(PRESETS.find(({ name }) => name === "ntfy"));
  for (const token of ["tk_abcdefghijklmnopqrstuvwxyz012", "prt_v7MsmTbj_0123-abc"])
    assert.equal(fieldsAfter(ntfy, { topic: "a", token })["token"], token);
  assert.throws(
    () => fieldsAfter(ntfy, { topic: "a", token: "secret" }),
    /must look like tk_abc\w+; tokens of ntfy begin with tk_, service tokens of Prism.* with prt_/,
  );
});
