import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { compileMapping, compilePlain } from "../../../../src/features/intake/receivers/mapping.ts";
import { type PresetAnswer, presetSchema, type VerifyRow } from "../../../../src/features/intake/receivers/preset.ts";
import { BUILT_IN_PRESETS } from "../../../../src/features/intake/receivers/presets/index.ts";

for (const preset of BUILT_IN_PRESETS)
  test(`the preset ${preset.name} is valid, and its texts compile`, () => {
    const { mapping, answer, verify, replayId } = v.parse(presetSchema, preset);
    const parts: [PresetAnswer | undefined, readonly VerifyRow[]] = [answer, verify];
    assert.equal(parts.length, 2);
    compileMapping(mapping);
    if (replayId !== undefined) compilePlain(replayId, "replayId");
  });

test("names of presets differ", () => {
  const names = BUILT_IN_PRESETS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
});
