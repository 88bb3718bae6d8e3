import assert from "node:assert/strict";
import { test } from "node:test";
import { maskOf, redactorOf } from "../../../src/core/text/redact.ts";
import { noticeOf, severityOf } from "../../../src/features/channels/notice.ts";
import { readPreset } from "../../../src/features/channels/preset.ts";
import { checkedPreset } from "../../../src/features/channels/preset-checks.ts";
import { previewOf } from "../../../src/features/channels/sending/sender.ts";
import { compile, cutTo, measure, render, toGsm } from "../../../src/features/channels/templates/template.ts";
import { fillTree } from "../../../src/features/channels/templates/tree.ts";
import { presetOf } from "./support/contract.ts";

const SCOPE = {
  n: { title: "A & B", empty: "", list: [1, 2], facts: [{ title: "host", value: "db" }], status: "firing" },
  field: { token: "t" },
  id: "0190",
};

test("a template fills paths and applies filters", () => {
  for (const [source, expected] of [
    ["{{ n.title }}!", "A & B!"],
    ["{{ n.title | html | upper }}", "A &AMP; B"],
    ["{{ n.missing.deep }}", ""],
    ["{{ n.empty | default:'none' }}", "none"],
    ["{{ n.empty | default:n.title | lower }}", "a & b"],
    ["{{ field.token | prefix:'Bearer ' }}", "Bearer t"],
    ["{{ n.empty | prefix:'Bearer ' }}", ""],
    ["{{ n.facts[0].value }}", "db"],
    ["{{ n.list }}", "[1,2]"],
    ["{{ n.title | first:1 }}{{ n.title | cut:3 }}", "AA…"],
    ["{{ id | uuid }}", render(compile("{{ id | uuid }}"), SCOPE).text],
    ["{{ n.constructor.name }}", null],
    ["{{ n.title | nope }}", null],
    ["{{ n.title ", null],
    ["{{ n.title | default }}", null],
  ] as const) {
    if (expected === null) assert.throws(() => render(compile(source), SCOPE), { name: "BadTemplate" }, source);
    else assert.equal(render(compile(source), SCOPE).text, expected, source);
  }
});

test("a tree resolves its members and keeps values apart", () => {
  const scope = { ...SCOPE, n: { ...SCOPE.n, title: '"},{"evil":"' } };
  const tree = {
    text: "{{ n.title }}",
    "gone?": "{{ n.empty }}",
    kept: "{{ n.empty }}",
    level: { $map: "n.status", firing: 5, $else: 1 },
    other: { $map: "n.title", $else: null },
    list: [{ $each: "n.facts", $do: { name: "{{ item.title }}{{ index }}" } }, { $if: "n.empty", never: 1 }, "end"],
    choice: { $if: "n.status == 'firing' && !n.empty", $then: "yes", $else: "no" },
    typed: { $value: "n.list" },
    json: { $json: { a: ["{{ id }}"] } },
  };
  assert.deepEqual(fillTree(tree, scope), {
    text: '"},{"evil":"',
    kept: "",
    level: 5,
    other: null,
    list: [{ name: "host0" }, "end"],
    choice: "yes",
    typed: [1, 2],
    json: '{"a":["0190"]}',
  });
  assert.deepEqual(fillTree({ $extend: "@send", more: 1 }, scope, { send: { text: "{{ id }}" } }), {
    text: "0190",
    more: 1,
  });
});

test("texts are measured and cut in the unit of the service", () => {
  assert.equal(measure("👩‍👩‍👧‍👦", "utf16"), 11);
  assert.equal(measure("👩‍👩‍👧‍👦", "codepoints"), 7);
  assert.equal(measure("€ü", "bytes"), 5);
  assert.equal(measure("a€", "gsm"), 3);
  assert.ok(measure("ж".repeat(67), "gsm") <= 153 && measure("ж".repeat(68), "gsm") > 153);
  assert.equal(cutTo("a👩‍👩‍👧‍👦b", 12, "utf16"), "a…");
  assert.equal(cutTo("one two three", 12, "codepoints"), "one two thr…");
  assert.equal(cutTo("a long sentence of words", 23, "codepoints"), "a long sentence of…");
  assert.equal(toGsm("“naïve” – Łódź 👍"), '"naive" - Łodz 👍');
});

test("secrets are replaced in every form", () => {
  const redact = redactorOf(["https://hooks.example.com/services/T0/abcdefgh+ij", 'p"w/ä ordlong']);
  for (const text of [
    "see https://hooks.example.com/services/T0/abcdefgh+ij now",
    "path /abcdefgh+ij",
    encodeURIComponent('p"w/ä ordlong'),
    new URLSearchParams({ x: 'p"w/ä ordlong' }).toString(),
    JSON.stringify('p"w/ä ordlong'),
    Buffer.from('p"w/ä ordlong').toString("base64"),
  ]) {
    assert.match(redact(text), /•••/);
    assert.ok(!/abcdefgh|ordlong/.test(redact(text)), redact(text));
  }
  assert.equal(maskOf("short"), "••••");
  assert.equal(maskOf("01234567890123456789"), "•••• 6789");
});

test("a preset that refers to missing parts is refused", () => {
  const base = {
    ...{ name: "own", title: "Own", group: "generic", docs: "own", setup: ["a", "b", "c"], ok: [{ status: 200 }] },
    ...{ fields: [{ key: "url", title: "URL", type: "url", example: "x" }], rate: { perSecond: 1, burst: 1 } },
  };
  for (const send of [
    { url: "{{ field.nope }}/x" },
    { url: "https://example.com/" },
    { url: "https://{{ n.title }}/" },
    { url: "{{ field.url }}", body: { x: "{{ ref.id }}" } },
    { url: "{{ field.url }}", body: { x: "{{ process.env }}" } },
    { url: "{{ field.url }}", body: { $unknown: 1 } },
    { url: "{{ field.url }}", type: "text", body: "{{ n.title }}" },
  ])
    assert.throws(() => checkedPreset(readPreset({ ...base, send })), { name: "BadTemplate" }, JSON.stringify(send));
  assert.throws(() => readPreset({ ...base, send: { url: 1 } }));
  assert.ok(checkedPreset(readPreset({ ...base, send: { url: "{{ field.url }}" } })));
});

test("a preview shows the request without secrets", () => {
  const n = noticeOf({
    ...{ title: "T", message: "M", severity: severityOf(800), status: "event", priority: 800, key: "k", atMs: 0 },
  });
  const channel = { id: "c", preset: presetOf("telegram"), fields: { token: "123456:secretsecretsecret", chat: "-1" } };
  const preview = previewOf(channel, "send", { n, id: "0190" }, 0);
  assert.equal(preview?.request.url, "https://api.telegram.org/bot•••/sendMessage");
  assert.match(preview?.request.body ?? "", /"chat_id":"-1"/);
  assert.equal(previewOf(channel, "resolve", { n, id: "0190" }, 0), undefined);
});
