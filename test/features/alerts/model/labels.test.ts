import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  checkLabels,
  compareLabels,
  compareText,
  fingerprintOf,
  goQuoted,
  isLabelName,
  labelRecord,
  labelsOf,
  labelsText,
  labelValue,
  pickLabels,
} from "../../../../src/features/alerts/model/labels.ts";

const record = fc.dictionary(fc.string({ unit: "grapheme", minLength: 1 }), fc.string({ unit: "grapheme" }));

test("labels are sorted pairs without empty values, and become the same object again", () => {
  const labels = labelsOf({ b: "2", a: "1", empty: "" });
  assert.deepEqual([...labels], ["a", "1", "b", "2"]);
  assert.deepEqual(labelRecord(labels), { a: "1", b: "2" });
  assert.equal(labelValue(labels, "b"), "2");
  assert.equal(labelValue(labels, "empty"), "", "an absent label counts as empty");
  assert.deepEqual([...pickLabels(labels, new Set(["b", "c"]))], ["b", "2"]);
  fc.assert(
    fc.property(record, (given) => {
      const kept = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
      assert.deepEqual({ ...labelRecord(labelsOf(given)) }, { ...kept });
    }),
  );
});

test("__proto__ is a label name as any other", () => {
  const given = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
  const labels = labelsOf(given);
  assert.deepEqual([...labels], ["__proto__", "x", "constructor", "y"]);
  assert.equal(JSON.stringify(labelRecord(labels)), '{"__proto__":"x","constructor":"y"}');
});

test("fingerprints are those of Alertmanager", () => {
  const vectors: [Record<string, string>, string][] = [
    [{}, "cbf29ce484222325"],
    [{ alertname: "cs" }, "dd7bcf429c8ee5e6"],
    [{ team: "db", alertname: "cs" }, "093bc9e7315f2c1f"],
    [{ alertname: "good" }, "fff7f30401697f7b"],
    [{ severity: "critical", instance: "i1", alertname: "A" }, "498074676852febe"],
    [{ alertname: "good", absent: "" }, "fff7f30401697f7b"],
  ];
  for (const [labels, fingerprint] of vectors) assert.equal(fingerprintOf(labelsOf(labels)), fingerprint);
});

test("fingerprints hash the UTF-8 bytes of any label", () => {
  fc.assert(
    fc.property(record, (given) => assert.equal(fingerprintOf(labelsOf(given)), slowFingerprint(labelsOf(given)))),
    { numRuns: 500 },
  );
});

test("names are ordered by their bytes, not by UTF-16 units", () => {
  assert.ok(compareText("\u{1F600}", "\uffee") > 0);
  assert.deepEqual([...labelsOf({ "\u{1F600}": "1", "\uffee": "2" })], ["\uffee", "2", "\u{1F600}", "1"]);
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(text, text, (left, right) =>
      assert.equal(Math.sign(compareText(left, right)), Buffer.compare(Buffer.from(left), Buffer.from(right))),
    ),
  );
});

test("label sets are ordered by number of labels, then as Alertmanager compares them", () => {
  const [a, ab, b, a2] = [{ a: "1" }, { a: "1", b: "1" }, { b: "1" }, { a: "2" }].map(labelsOf);
  assert.ok(a && ab && b && a2);
  assert.ok(compareLabels(a, ab) < 0);
  assert.ok(compareLabels(a, a2) < 0);
  assert.ok(compareLabels(b, a) < 0, "of equal size, the set without the first name comes first");
  assert.equal(compareLabels(ab, labelsOf({ b: "1", a: "1" })), 0);
});

test("the text of a label set is that of Go", () => {
  assert.equal(labelsText(labelsOf({ instance: 'i"1', alertname: "A" })), '{alertname="A", instance="i\\"1"}');
  assert.equal(labelsText(labelsOf({})), "{}");
  assert.equal(goQuoted("a\u00a0\u200b\x01\n\u{1F600}é\\"), '"a\\u00a0\\u200b\\x01\\n\u{1F600}é\\\\"');
});

test("label names are any valid UTF-8", () => {
  assert.ok(isLabelName("0bad") && isLabelName("a.b é") && !isLabelName("") && !isLabelName("\ud800"));
  checkLabels({ "a.b": "" });
  assert.throws(() => checkLabels({ "": "x" }), /invalid label name ""/);
  assert.throws(() => checkLabels({ a: "\udc00" }), /invalid label value "a"/);
});

function slowFingerprint(labels: readonly string[]): string {
  const bytes = Buffer.concat(labels.flatMap((text) => [Buffer.from(text), Buffer.of(0xff)]));
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
