import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import {
  type Mapping,
  type PresetAnswer,
  presetSchema,
  type VerifyRow,
} from "../../../src/features/receivers/preset.ts";
import { BUILT_IN_PRESETS } from "../../../src/features/receivers/presets/index.ts";

for (const preset of BUILT_IN_PRESETS)
  test(`the preset ${preset.name} is valid`, () => {
    const { mapping, answer, verify } = v.parse(presetSchema, preset);
    const parts: [Mapping, PresetAnswer | undefined, readonly VerifyRow[]] = [mapping, answer, verify];
    assert.equal(parts.length, 3);
  });

test("names of presets differ", () => {
  const names = BUILT_IN_PRESETS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
});
