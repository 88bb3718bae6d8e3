import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChannelPreset, type Preset, readPreset } from "../../../src/features/channels/preset.ts";
import { checkedPreset } from "../../../src/features/channels/preset-checks.ts";
import { PRESETS } from "../../../src/features/channels/presets/index.ts";

test("every built-in preset is valid, has its own name and records an accepted and a refused answer", () => {
  const presets: Preset[] = PRESETS.map((preset: ChannelPreset) => readPreset(preset));
  assert.equal(new Set(presets.map(({ name }) => name)).size, presets.length);
  for (const { name, recorded } of presets) {
    const classes = new Set(recorded.map((answer) => answer.class));
    assert.ok(classes.has("ok"), `${name} records no accepted answer`);
    assert.ok(classes.has("dead") || classes.has("disable"), `${name} records no final answer`);
  }
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
