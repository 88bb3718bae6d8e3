import assert from "node:assert/strict";
import { test } from "node:test";
import { PrismError } from "../../../../src/core/errors.ts";
import { compileTemplate, InvalidTemplate } from "../../../../src/features/rules/language/language.ts";
import { makeEvent, withPayload } from "./support/event.ts";
import { marked } from "./support/refusals.ts";

const EVENT = withPayload(`{
  "name": "Zoë", "amount": 1500.5, "big": 1e21, "yes": true, "none": null, "tags": ["eu", 1], "object": {"a": {"b": 1}},
  "when": "2026-01-31T09:15:00+01:00", "ms": 1769847300250, "type": "fake", "template": "{{ event.name }}", "in": "kw",
  "smiles": "\u{1f600}\u{1f600}\u{1f600}", "empty": "", "__proto__": {"x": 1}
}`);

function render(source: string, maxCodePoints = 4000): string {
  return compileTemplate(source, "messageTemplate").render(EVENT, maxCodePoints);
}

for (const { name, source, text } of [
  { name: "text without placeholders", source: "Disk full", text: "Disk full" },
  { name: "nothing", source: "", text: "" },
  { name: "the default message", source: "{{event.type}}", text: "payment" },
  { name: "text around placeholders", source: "{{ event.name }} paid {{event.amount}}!", text: "Zoë paid 1500.5!" },
  { name: "placeholders side by side", source: "{{event.type}}{{event.level}}", text: "paymentinfo" },
  {
    name: "the envelope before the payload",
    source: "{{ event.type }}/{{ event.payload.type }}",
    text: "payment/fake",
  },
  {
    name: "keys in brackets and indexes",
    source: "{{ event['in'] }} {{ event.tags[0] }} {{ event.tags.length }}",
    text: "kw eu 2",
  },
  { name: "white space and lines in a placeholder", source: "{{\n  event.name\t}}", text: "Zoë" },
  { name: "times as RFC 3339", source: "{{ event.occurredAt }}", text: "2026-01-31T08:15:00.250Z" },
  { name: "numbers and booleans plainly", source: "{{ event.big }} {{ event.yes }}", text: "1e+21 true" },
  { name: "lists and objects as JSON", source: "{{ event.tags }} {{ event.object }}", text: '["eu",1] {"a":{"b":1}}' },
  { name: "null and missing as nothing", source: "<{{ event.none }}{{ event.missing.x }}>", text: "<>" },
  { name: "upper and lower", source: "{{ event.name | upper }} {{ event.name | lower }}", text: "ZOË zoë" },
  { name: "upper of a boolean", source: "{{ event.yes | upper }}", text: "TRUE" },
  { name: "date of an RFC 3339 time", source: "{{ event.when | date }}", text: "2026-01-31 08:15:00 UTC" },
  { name: "date of epoch ms", source: "{{ event.ms | date }}", text: "2026-01-31 08:15:00 UTC" },
  { name: "date of an envelope time", source: "{{ event.receivedAt | date }}", text: "2026-01-31 08:15:01 UTC" },
  {
    name: "date of anything else as nothing",
    source: "<{{ event.name | date }}{{ event.big | date }}{{ event.tags | date }}>",
    text: "<>",
  },
  {
    name: "json",
    source: "{{ event.name | json }} {{ event.tags | json }} {{ event.yes | json }}",
    text: '"Zoë" ["eu",1] true',
  },
  {
    name: "null through every filter but default",
    source: "<{{ event.none | json | upper | lower | date }}>",
    text: "<>",
  },
  {
    name: "default of null and missing",
    source: "{{ event.none | default:'x' }}{{ event.missing | default: \"y\" }}",
    text: "xy",
  },
  {
    name: "no default of what is there",
    source: "<{{ event.empty | default:'x' }}{{ event.name | default:'x' }}>",
    text: "<Zoë>",
  },
  {
    name: "filters from left to right",
    source: "{{ event.none | default:'a' | upper }}{{ event.name | date | default:'no date' }}",
    text: "Ano date",
  },
  { name: "braces that open nothing", source: "a { b } }} {c}", text: "a { b } }} {c}" },
  { name: "braces in a default", source: "{{ event.none | default:'}} {{' }}!", text: "}} {{!" },
  { name: "a default with escapes", source: "{{ event.none | default:'it\\'s\\n\\u0041' }}", text: "it's\nA" },
  { name: "rendered text as it is, read once", source: "{{ event.template }}", text: "{{ event.name }}" },
  { name: "a prototype's members as nothing", source: "<{{ event.x }}{{ event.isPrototypeOf }}>", text: "<>" },
]) {
  test(`a template renders ${name}`, () => {
    assert.equal(render(source), text);
  });
}

test("a text at the limit stays whole, a longer one is cut to it and ends in …", () => {
  assert.equal(render("abcde", 5), "abcde");
  assert.equal(render("abcdef", 5), "abcd…");
  assert.equal(render("{{ event.name }}{{ event.name }}", 6), "ZoëZoë");
  assert.equal(render("{{ event.name }}{{ event.name }}", 5), "ZoëZ…");
  assert.equal(render("abc", 1), "…");
});

test("a text is cut between characters, not within one", () => {
  assert.equal(render("{{ event.smiles }}", 3), "\u{1f600}\u{1f600}\u{1f600}");
  assert.equal(render("{{ event.smiles }}", 2), "\u{1f600}…");
});

test("a lone surrogate becomes U+FFFD", () => {
  assert.equal(render("{{ event.none | default:'\\ud83d' }}|"), "\ufffd|");
});

test("a payload of 256 KiB costs no more than the field holds", () => {
  const event = makeEvent({ payload: { text: "x".repeat(262_000) } });
  const template = compileTemplate(Array.from({ length: 32 }, () => "{{ event.text }}").join(""), "messageTemplate");
  assert.equal(template.render(event, 255), `${"x".repeat(254)}…`);
});

for (const { name, source, code } of [
  { name: "an unknown name", source: "{{ ▸type }}", code: "UNKNOWN_NAME" },
  { name: "an unknown filter", source: "{{ event.type | ▸escape }}", code: "UNKNOWN_NAME" },
  { name: "a refused name", source: "{{ event.▸__proto__ }}", code: "UNSAFE_NAME" },
  { name: "a refused key", source: "{{ event[▸'constructor'] }}", code: "UNSAFE_NAME" },
  { name: "a keyword as a member", source: "{{ event.▸in }}", code: "SYNTAX" },
  { name: "an empty placeholder", source: "{{ ▸}}", code: "SYNTAX" },
  { name: "an unclosed placeholder", source: "a ▸{{ event.type", code: "SYNTAX" },
  { name: "a placeholder closed by one brace", source: "{{ event.type ▸} b", code: "SYNTAX" },
  { name: "an expression", source: "{{ event.amount ▸+ 1 }}", code: "SYNTAX" },
  { name: "a call", source: "{{ ▸upper(event.type) }}", code: "UNKNOWN_NAME" },
  { name: "a literal", source: "{{ ▸'x' }}", code: "SYNTAX" },
  { name: "a missing filter", source: "{{ event.type | ▸}}", code: "SYNTAX" },
  { name: "two bars", source: "{{ event.type ▸|| upper }}", code: "SYNTAX" },
  { name: "a default without text", source: "{{ event.type | default▸}}", code: "SYNTAX" },
  { name: "a default that is not a string", source: "{{ event.type | default: ▸5 }}", code: "SYNTAX" },
  { name: "an argument of another filter", source: "{{ event.type | upper▸:'x' }}", code: "SYNTAX" },
  { name: "an unterminated default", source: "{{ event.type | default:▸'x }}", code: "SYNTAX" },
  { name: "a 33rd placeholder", source: `${"{{event.a}}".repeat(32)} ▸{{event.a}}`, code: "LIMIT" },
  { name: "a 17th segment", source: `{{ event${".a".repeat(16)}.▸a }}`, code: "LIMIT" },
]) {
  test(`a template with ${name} is refused`, () => {
    const { source: text, position } = marked(source);
    assert.throws(
      () => compileTemplate(text, "titleTemplate"),
      (error) => {
        assert.ok(error instanceof InvalidTemplate && error instanceof PrismError);
        const [detail] = error.details ?? [];
        assert.deepEqual(
          [error.code, detail?.path, detail?.code, detail?.position],
          ["INVALID_TEMPLATE", "titleTemplate", code, position],
        );
        assert.deepEqual([error.position, error.expected], [position, detail?.expected]);
        return true;
      },
    );
  });
}

test("32 placeholders are accepted", () => {
  assert.equal(render("{{event.name}}".repeat(32)), "Zoë".repeat(32));
});
