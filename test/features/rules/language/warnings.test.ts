import assert from "node:assert/strict";
import { test } from "node:test";
import { compileCondition, conditionWarnings } from "../../../../src/features/rules/language/language.ts";
import { makeEvent } from "./support/event.ts";
import { marked, refusalOf } from "./support/refusals.ts";

for (const { text, codes } of [
  { text: "▸event.tags == ['eu', 'card']", codes: ["LIST_COMPARED"] },
  { text: "▸event.list == []", codes: ["LIST_COMPARED"] },
  { text: "event.type == 'x' or ▸event.type in 'pay'", codes: ["TEXT_SEARCHED"] },
  { text: "▸'ayme' in event.type", codes: ["TEXT_SEARCHED"] },
  { text: "event.a == ▸'pay' + 'ment'", codes: ["TEXT_ADDED"] },
  { text: "event.a == ▸event.type + event.source", codes: ["TEXT_ADDED"] },
  { text: "▸event.type == 5", codes: ["TEXT_AND_NUMBER"] },
  { text: "▸dec(event.a) < '100'", codes: ["TEXT_AND_NUMBER"] },
  { text: "▸event.amount > '1000'", codes: ["TEXT_ORDER"] },
  { text: "▸event.level == true", codes: ["TYPES_DIFFER"] },
  { text: "▸(event.a == 1 ? true : false) < true", codes: ["NOT_ORDERED"] },
  { text: "time(event.occurredAt) > ▸time('2026-01-01')", codes: ["UNREADABLE"] },
  { text: "dec(event.a) > ▸dec('1,5')", codes: ["UNREADABLE"] },
  { text: "▸dec(event.a) / 2 > 1", codes: ["DECIMAL_DIVISION"] },
  { text: "▸round(dec(event.a)) > 1 and ▸lower(5) == 'x'", codes: ["WRONG_ARGUMENT"] },
  { text: "▸any(event.type, item == 'x')", codes: ["WRONG_ARGUMENT"] },
  { text: "any(event.a, ▸trim(5) == item)", codes: ["WRONG_ARGUMENT"] },
  { text: "▸event.Type == 'x'", codes: ["SIMILAR_NAME"] },
]) {
  test(`warns of ${text.replaceAll("▸", "")}`, () => {
    const { source, position } = marked(text.replace(/▸(?=lower)/, ""));
    const warnings = conditionWarnings(source);
    assert.ok(
      warnings.some((each) => codes.includes(each.code) && each.position <= position),
      JSON.stringify(warnings),
    );
    for (const { message, line, column } of warnings) assert.ok(message.length > 20 && line === 1 && column >= 1);
  });
}

for (const source of [
  "event.type == 'x' and event.amount > 1000",
  "event.amount == '1500' and event.a < event.b",
  "dec(event.a) + dec(event.b) * 2 - 1 < dec('100') and -dec(event.a) < 0",
  "event.a in ['x', 1, null] and event.a in event.list and contains(event.type, 'pay')",
  "event.missing == null and null != event.type",
  "time(event.occurredAt) > time('2026-01-31T08:00:00Z') and now() - time(event.receivedAt) < 5",
  "event.payload.Type == 'x' and event.payload.type == 'x'",
  "event.occurredAt > '2026-01-31T08:00:00Z' and length(event.a) == 0 and matches(lower(event.a), 'x')",
  "number(event.a) / 2 > 1 and min(event.a, 5) == 5 and concat(event.a, 'x') == 'ax'",
  "coalesce(event.a, 0) > 5 and if(event.a == 1, 'x', 5) == 5",
]) {
  test(`has no warning for ${source}`, () => assert.deepEqual(conditionWarnings(source), []));
}

const event = makeEvent({
  payload: { balance: "150.00", reserved: "100.00", threshold: "1000.0001", small: "9", amount: "1500", tags: ["eu"] },
});
const traceOf = (source: string) =>
  new Map(
    compileCondition(source)
      .trace(event)
      .trace.map(({ text, ...entry }) => [text, entry]),
  );

test("a trace shows every step of an arithmetic with decimals", () => {
  const trace = traceOf("dec(event.balance) - dec(event.reserved) < dec('100')");
  assert.deepEqual(trace.get("dec(event.balance) - dec(event.reserved)"), { pos: 0, value: "50", type: "decimal" });
  assert.equal(trace.get("dec(event.balance) - dec(event.reserved) < dec('100')")?.value, true);
});

for (const { source, part, hint } of [
  { source: "event.amount > 1000", part: "event.amount > 1000", hint: /number\(x\) or dec\(x\)/ },
  { source: "1000 < event.amount", part: "1000 < event.amount", hint: /number\(x\) or dec\(x\)/ },
  { source: "event.small < event.threshold", part: "event.small < event.threshold", hint: /dec\(x\) on both sides/ },
  { source: "event.tags == ['eu']", part: "event.tags == ['eu']", hint: /contains\(list, x\)/ },
  { source: "'u' in event.small", part: "'u' in event.small", hint: /contains\(text, part\)/ },
  { source: "event.small + 1 == 10", part: "event.small + 1", hint: /number\(x\)/ },
  { source: "dec('0.0001') * dec('0.1') == 0", part: "dec('0.0001') * dec('0.1')", hint: /four decimal places/ },
  { source: "5 / 0 == 1", part: "5 / 0", hint: /divisor is 0/ },
]) {
  test(`a trace hints why ${source} gave nothing`, () => assert.match(traceOf(source).get(part)?.hint ?? "", hint));
}

test("a step that gave something has no hint", () => {
  for (const [, entry] of traceOf("event.balance == '150.00' and dec(event.small) < dec(event.threshold)"))
    assert.equal(entry.hint, undefined);
});

for (const { text, message } of [
  { text: "event.type ==▸= 'x'", message: /write ==/ },
  { text: "event.type !=▸= 'x'", message: /write !=/ },
  { text: "event.type ▸=~ 'pay.*'", message: /write matches/ },
  { text: "event.amount ▸=> 1000", message: /write >=/ },
  { text: "event.x ▸<> 5", message: /write !=/ },
  { text: "event.missing▸?.x == 1", message: /plain dot/ },
  { text: "event.amount > ▸.5", message: /write 0\.5/ },
  { text: "event.content-▸type == 'x'", message: /write \["content-type"\]/ },
  { text: "event.sign-▸in == 'x'", message: /write \["sign-in"\]/ },
  { text: "▸startswith(event.a, 'x')", message: /write startsWith/ },
  { text: "▸len(event.a) > 1", message: /write length/ },
  { text: "▸avg(event.a)", message: /there is no function avg$/ },
]) {
  test(`says what to write instead of ${text.replace("▸", "")}`, () => {
    const { source, position } = marked(text);
    const refused = refusalOf(source);
    assert.match(refused.message, message);
    assert.equal(refused.position, position);
    assert.notDeepEqual(refused.expected, []);
  });
}
