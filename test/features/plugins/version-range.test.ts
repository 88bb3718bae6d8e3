import assert from "node:assert/strict";
import test from "node:test";
import { isInRange, isVersion } from "../../../src/features/plugins/check-module.ts";

test("a version lies in a range as npm means it", () => {
  for (const [range, inside, outside] of [
    ["*", ["0.0.1", "9.9.9"], []],
    ["", ["1.2.3"], []],
    ["1.2.3", ["1.2.3"], ["1.2.4", "1.2.2"]],
    ["1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.9"]],
    ["1.x", ["1.0.0", "1.9.9"], ["2.0.0", "0.9.9"]],
    ["^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]],
    ["^0.1.2", ["0.1.2", "0.1.9"], ["0.2.0", "0.1.1"]],
    ["^0.0.3", ["0.0.3"], ["0.0.4"]],
    ["^0", ["0.0.0", "0.9.0"], ["1.0.0"]],
    ["~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0"]],
    ["~1", ["1.0.0", "1.9.0"], ["2.0.0"]],
    [">=0.1", ["0.1.0", "5.0.0"], ["0.0.9"]],
    ["> 1.2", ["1.3.0"], ["1.2.9"]],
    ["<=1.2", ["1.2.9"], ["1.3.0"]],
    ["<2", ["1.9.9"], ["2.0.0"]],
    [">=1.2.0 <2.0.0 || 3.x", ["1.2.0", "3.1.0"], ["1.1.0", "2.0.0", "4.0.0"]],
    ["=1.0.0", ["1.0.0", "1.0.0-rc.1"], ["1.0.1"]],
  ] as const) {
    for (const version of inside) assert.equal(isInRange(version, range), true, `${version} in ${range}`);
    for (const version of outside) assert.equal(isInRange(version, range), false, `${version} in ${range}`);
  }
});

test("an invalid version or range has another error than one that does not match", () => {
  for (const text of ["", "1", "1.2", "v1.2.3", "1.2.3.4", "one"]) assert.equal(isVersion(text), false, text);
  for (const range of ["latest", ">=one", "1.2.3.4", ">>1"]) assert.equal(isInRange("1.0.0", range), undefined, range);
});
