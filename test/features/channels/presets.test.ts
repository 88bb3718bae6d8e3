import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChannelPreset, type Preset, readPreset } from "../../../src/features/channels/preset.ts";
import { checkedPreset } from "../../../src/features/channels/preset-checks.ts";
import { PRESETS } from "../../../src/features/channels/presets/index.ts";
import { classify } from "../../../src/features/channels/sending/request.ts";
import { SERVICES } from "./support/all.ts";
import { recordedOf } from "./support/recorded.ts";

test("every built-in preset is valid, has its own name and records an accepted and a refused answer", () => {
  const presets: Preset[] = PRESETS.map((preset: ChannelPreset) => readPreset(preset));
  assert.equal(new Set(presets.map(({ name }) => name)).size, presets.length);
  for (const { name } of presets) {
    const classes = new Set(recordedOf(name).map((answer) => answer.class));
    assert.ok(classes.has("ok"), `${name} records no accepted answer`);
    assert.ok(classes.has("dead") || classes.has("refused"), `${name} records no final answer`);
  }
});

test("every built-in preset has a stand-in, for which the contract of all services runs", () => {
  const withStandIn = SERVICES.map((service) => service().preset);
  const found = PRESETS.map((preset: ChannelPreset) => readPreset(preset).name).filter(
    (name) => !withStandIn.includes(name),
  );
  assert.deepEqual(found, [], "add test/features/channels/presets/<name>.ts to support/all.ts");
});

test("only documented words of a service mean that an address is gone, never a status alone", () => {
  for (const preset of PRESETS) {
    const { name, errors } = readPreset(preset);
    for (const row of errors.filter((each) => each.class === "gone"))
      assert.ok(row.text !== undefined || (row.path !== undefined && row.equals !== undefined), name);
    for (const status of [401, 403, 404, 410, 500, 503]) {
      const answer = { status, headers: {}, body: "" };
      assert.notEqual(classify(readPreset(preset), "send", answer, 0).class, "gone", `${name} ${status}`);
    }
    assert.equal(
      errors.some((each) => each.class === "gone"),
      recordedOf(name).some((each) => each.class === "gone"),
      name,
    );
  }
});

test("a 429 without a time closes no service for pages, whatever is usual for it", () => {
  for (const preset of PRESETS.map((each: ChannelPreset) => readPreset(each)))
    for (const body of ["", ...preset.errors.flatMap(({ text }) => (text === undefined ? [] : [text.split("|")[0]]))]) {
      const verdict = classify(preset, "send", { status: 429, headers: {}, body: body ?? "" }, 0);
      assert.ok(verdict.class !== "wait" || verdict.isGuess, `${preset.name}: ${body}`);
    }
});

test("the class disable of earlier files is read as refused", () => {
  const [preset] = PRESETS;
  assert.ok(preset);
  const { errors } = readPreset({ ...preset, errors: [{ status: 401, class: "disable" }] });
  assert.deepEqual(errors, [{ status: 401, class: "refused" }]);
});

test("every template and path of the built-in presets can be read", () => {
  for (const preset of PRESETS) assert.doesNotThrow(() => checkedPreset(readPreset(preset)), preset.name);
});

test("the example and the default of every field fit its pattern", () => {
  for (const { name, fields } of PRESETS.map((preset: ChannelPreset) => readPreset(preset)))
    for (const { key, pattern, example, default: value } of fields) {
      const fits = new RegExp(`^(?:${pattern ?? ".*"})$`, "su");
      for (const each of [example, value ?? example]) assert.match(each, fits, `${name}.${key}`);
    }
});
