import assert from "node:assert/strict";
import { test } from "node:test";
import { PrismError } from "../../../../src/core/errors.ts";
import { compileCondition, InvalidCondition } from "../../../../src/features/rules/language/language.ts";
import { marked, refusalOf } from "./support/refusals.ts";

interface Case {
  readonly name: string;
  /** With a ▸ before the position of the error. */
  readonly source: string;
  readonly code: string;
  /** One of the expected tokens. */
  readonly expected?: string;
  /** Part of the message. */
  readonly says?: string;
}

function run(cases: readonly Case[]): void {
  for (const { name, source, code, expected, says } of cases) {
    test(name, () => {
      const { source: text, position } = marked(source);
      const refused = refusalOf(text);
      assert.deepEqual([refused.code, refused.position], [code, position], refused.message);
      if (expected !== undefined)
        assert.ok((refused.expected as string[]).includes(expected), String(refused.expected));
      if (says !== undefined) assert.ok(refused.message.includes(says), refused.message);
    });
  }
}

// Every row of the table of refused inputs in contract 6.3.
run([
  { name: "refuses an empty condition", source: "▸", code: "SYNTAX", expected: "expression" },
  { name: "refuses spaces only, at 0", source: "▸ \t\n ", code: "SYNTAX", expected: "expression" },
  { name: "refuses an assignment", source: "event.type ▸= 'x'", code: "SYNTAX", expected: "==" },
  { name: "S2-60 refuses event.__proto__", source: "event.▸__proto__.x == 1", code: "UNSAFE_NAME" },
  { name: "S2-60 refuses constructor as a string key", source: "event[▸'constructor'] == 1", code: "UNSAFE_NAME" },
  { name: "S2-60 refuses an escaped __proto__", source: 'event[▸"\\u005f_proto__"] == 1', code: "UNSAFE_NAME" },
  {
    name: "S2-60 refuses a method of a foreign object",
    source: "▸process.exit()",
    code: "UNKNOWN_NAME",
    expected: "event",
  },
  { name: "refuses a bare identifier", source: "▸type == 'x'", code: "UNKNOWN_NAME", says: "event.type" },
  { name: "S2-60 refuses an unknown function", source: "▸alert(1)", code: "UNKNOWN_NAME", says: "alert" },
  { name: "S2-60 refuses a method call", source: "event.type.toUpperCase▸() == 'X'", code: "SYNTAX" },
  { name: "refuses a chained comparison", source: "1 < event.amount ▸< 5", code: "SYNTAX", says: "chain" },
  { name: "refuses item outside of a list", source: "▸item.a == 1", code: "UNKNOWN_NAME", says: "any, all and count" },
  { name: "refuses item in the list that is searched", source: "any(▸item.list, true)", code: "UNKNOWN_NAME" },
  {
    name: "refuses item after the list's call",
    source: "any(event.a, item) and ▸item == 1",
    code: "UNKNOWN_NAME",
  },
  { name: "S2-60 refuses item.__proto__", source: "any(event.a, item.▸__proto__)", code: "UNSAFE_NAME" },
  { name: "refuses a search that can never match", source: "count(event.a, ▸5) > 1", code: "TYPE", says: "item" },
  { name: "refuses a search without a condition", source: "any(event.a▸)", code: "TYPE" },
  { name: "refuses an unknown zone", source: "hour(▸'Europe/Atlantis') > 1", code: "TYPE", says: "time zone" },
  { name: "refuses an offset as a zone", source: "hour(▸'+02:00') > 1", code: "TYPE" },
  { name: "refuses a zone that is not literal", source: "weekday(▸event.zone) > 1", code: "TYPE" },
  { name: "refuses a pattern that is not literal", source: "matches(event.type, ▸event.source)", code: "TYPE" },
  { name: "refuses a back-reference", source: "matches(event.type, ▸'(a)\\\\1')", code: "REGEX" },
  { name: "refuses look-ahead", source: "matches(event.type, ▸'a(?=b)')", code: "REGEX" },
  { name: "refuses negative look-ahead", source: "matches(event.type, ▸'a(?!b)')", code: "REGEX" },
  { name: "refuses look-behind", source: "matches(event.type, ▸'(?<=a)b')", code: "REGEX" },
  { name: "refuses negative look-behind", source: "matches(event.type, ▸'(?<!a)b')", code: "REGEX" },
  { name: "refuses a number as a condition", source: "▸event.amount + 1", code: "TYPE", says: "must be true or false" },
  { name: "refuses a string as a condition", source: "▸'yes'", code: "TYPE", says: "must be true or false" },
  { name: "refuses an unterminated string", source: "event.type == ▸'abc", code: "SYNTAX", expected: "'" },
  { name: "refuses 33 nested parentheses", source: `${"(".repeat(32)}▸(1 == 1${")".repeat(33)}`, code: "LIMIT" },
  { name: "refuses 513 nodes", source: `${"1 == 1 or ".repeat(128)}▸true`, code: "LIMIT", says: "512" },
]);

// What the parser underneath would let pass, or misread (contract 6.1 and D25).
run([
  { name: "refuses a comparison with a bare not", source: "▸not event.x == 1", code: "SYNTAX", says: "not (x == y)" },
  { name: "refuses a comparison with a bare !", source: "▸!event.x == 1", code: "SYNTAX", says: "not (x == y)" },
  { name: "refuses a bare not on the right", source: "event.x == ▸not event.y", code: "SYNTAX", says: "not (x == y)" },
  { name: "refuses in with a bare not", source: "▸not event.x in [1]", code: "SYNTAX", says: "not (x in y)" },
  { name: "refuses x not in y", source: "event.x ▸not in [1]", code: "SYNTAX", says: "not (x in y)" },
  { name: "refuses comparing a parenthesised comparison", source: "(event.a > 1) ▸== true", code: "SYNTAX" },
  { name: "refuses comparing with a parenthesised comparison", source: "true ▸!= ((event.a > 1))", code: "SYNTAX" },
  { name: "refuses a parenthesised in before in", source: "(event.a in [1]) ▸in [true]", code: "SYNTAX" },
  { name: "refuses a lone not", source: "not▸", code: "SYNTAX", expected: "expression" },
  { name: "refuses not before a closing parenthesis", source: "(not▸)", code: "SYNTAX", expected: "expression" },
  { name: "refuses not before a comma", source: "if(not▸, 1, 2)", code: "SYNTAX", expected: "expression" },
  { name: "refuses operands side by side", source: "event.a ▸event.b", code: "SYNTAX", expected: "operator" },
  { name: "refuses list elements without a comma", source: "event.a in [1 ▸2]", code: "SYNTAX", expected: "," },
  { name: "refuses arguments without a comma", source: "contains(event.a ▸'b')", code: "SYNTAX", expected: "," },
  { name: "refuses a trailing comma in a list", source: "event.a in [1,▸]", code: "SYNTAX", expected: "expression" },
  { name: "refuses a trailing comma in a call", source: "contains(event.a, 'b',▸)", code: "SYNTAX" },
  { name: "refuses a comma outside lists and calls", source: "event.a▸, event.b", code: "SYNTAX", expected: "end" },
  { name: "refuses a ? without :", source: "event.a ? true▸", code: "SYNTAX", expected: ":" },
  { name: "refuses a : without ?", source: "event.a ▸: true", code: "SYNTAX" },
  { name: "refuses a ? that its bracket closes", source: "(event.a ? true▸)", code: "SYNTAX", expected: ":" },
  { name: "refuses an unclosed parenthesis", source: "(1 == 1▸  ", code: "SYNTAX", expected: ")" },
  { name: "refuses a parenthesis too many", source: "1 == 1▸)", code: "SYNTAX", expected: "end" },
  { name: "refuses brackets that cross", source: "event.a in [(1▸])", code: "SYNTAX", expected: ")" },
  { name: "refuses an operator at the end", source: "event.a ==▸", code: "SYNTAX", expected: "expression" },
  { name: "refuses an operator at the start", source: "▸== event.a", code: "SYNTAX", expected: "expression" },
  { name: "refuses unary plus", source: "▸+event.a == 1", code: "SYNTAX", says: "unary plus" },
  { name: "refuses ++", source: "event.a +▸+ 1 == 1", code: "SYNTAX", says: "unary plus" },
  { name: "refuses ^", source: "event.a ▸^ 2 == 1", code: "SYNTAX", says: "power" },
  { name: "refuses **", source: "event.a *▸* 2 == 1", code: "SYNTAX" },
  { name: "refuses ;", source: "event.a == 1▸; true", code: "SYNTAX" },
  { name: "refuses ===", source: "event.a ==▸= 1", code: "SYNTAX" },
  { name: "refuses !==", source: "event.a !=▸= 1", code: "SYNTAX" },
  { name: "refuses a single &", source: "event.a ▸& event.b", code: "SYNTAX", expected: "&&" },
  { name: "refuses a single |", source: "event.a ▸| event.b", code: "SYNTAX", says: "||" },
  { name: "refuses a block comment", source: "1 == 1 /▸* x */", code: "SYNTAX" },
  { name: "refuses a line comment", source: "1 == 1 /▸/ x", code: "SYNTAX" },
  { name: "refuses a factorial", source: "event.a▸! == 1", code: "SYNTAX" },
  { name: "refuses a function definition", source: "f(x) ▸= x", code: "SYNTAX" },
  { name: "refuses an arrow", source: "event.a ▸=> 1", code: "SYNTAX" },
  { name: "refuses a built-in constant", source: "event.a > ▸PI", code: "UNKNOWN_NAME" },
  { name: "refuses a parser's own function", source: "▸sqrt(4) == 2", code: "UNKNOWN_NAME" },
  { name: "refuses sum, which comes later", source: "▸sum(event.a) > 1", code: "UNKNOWN_NAME" },
  { name: "refuses a function without a call", source: "▸lower == 1", code: "UNKNOWN_NAME" },
  { name: "refuses a call of event", source: "event▸() == 1", code: "SYNTAX" },
  { name: "refuses a call of a call", source: "lower('a')▸('b') == 1", code: "SYNTAX" },
  { name: "refuses a member of a call", source: "lower('a')▸.length == 1", code: "SYNTAX" },
  { name: "refuses a member of parentheses", source: "(event)▸.type == 'a'", code: "SYNTAX" },
  { name: "refuses an index of a literal", source: "'abc'▸[0] == 'a'", code: "SYNTAX" },
  { name: "refuses an expression as a key", source: "event[▸event.type] == 1", code: "SYNTAX", expected: "string" },
  { name: "refuses a negative index", source: "event.tags[▸-1] == 1", code: "SYNTAX", expected: "integer" },
  { name: "refuses a broken index", source: "event.tags[▸1.0] == 1", code: "SYNTAX", expected: "integer" },
  { name: "refuses two keys in brackets", source: "event.tags[0▸, 1] == 1", code: "SYNTAX", expected: "]" },
  { name: "refuses a dot at the end", source: "event.▸", code: "SYNTAX", expected: "name" },
  { name: "refuses a keyword as a member", source: "event.▸in == 1", code: "SYNTAX", says: '["in"]' },
  { name: "refuses a keyword in capitals", source: "event.a ▸AND event.b", code: "SYNTAX", says: "lower-case: and" },
  { name: "refuses a value in capitals", source: "event.a == ▸True", code: "UNKNOWN_NAME", says: "lower-case: true" },
]);

run([
  { name: "refuses a hexadecimal number", source: "event.a == 0▸x10", code: "SYNTAX" },
  { name: "refuses a number that ends in its point", source: "event.a == 1▸.", code: "SYNTAX" },
  { name: "refuses a number that begins with its point", source: "event.a == ▸.5", code: "SYNTAX" },
  { name: "refuses a half exponent", source: "event.a == 1▸e+", code: "SYNTAX" },
  { name: "refuses a number beyond a double", source: "event.a == ▸1e400", code: "LIMIT" },
  { name: "refuses an unknown escape", source: "event.a == 'x▸\\y'", code: "SYNTAX", says: "escape" },
  { name: "refuses a short \\u escape", source: "event.a == '▸\\u12'", code: "SYNTAX", says: "escape" },
  { name: "refuses a string that ends in a backslash", source: "event.a == ▸'abc\\'", code: "SYNTAX", expected: "'" },
  { name: "refuses a letter beyond ASCII in a name", source: "event.gr▸öße == 1", code: "SYNTAX", says: "ö" },
  { name: "refuses NUL", source: "event.a ▸\0== 1", code: "SYNTAX" },
  { name: "refuses a lone surrogate", source: "event.a == ▸\ud800", code: "SYNTAX" },
  { name: "refuses a character beyond U+FFFF", source: "event.a == ▸\u{1f600}", code: "SYNTAX" },
  {
    name: "refuses too few arguments, at the parenthesis",
    source: "contains(event.a▸)",
    code: "TYPE",
    says: "2 arguments",
  },
  { name: "refuses too many arguments, at the first of them", source: "lower(event.a, ▸event.b) == 'a'", code: "TYPE" },
  { name: "refuses a call without arguments", source: "lower(▸) == 'a'", code: "TYPE" },
  { name: "refuses an argument of now", source: "now(▸1) == 1", code: "TYPE" },
  { name: "refuses exists of a value", source: "exists(▸lower(event.a))", code: "TYPE" },
  { name: "refuses a number as pattern", source: "matches(event.a, ▸5)", code: "TYPE" },
  { name: "refuses a broken pattern", source: "matches(event.a, ▸'[a')", code: "REGEX" },
]);

run(
  [
    "null",
    "5",
    "-5",
    "[true]",
    "event",
    "event.payload",
    "event.type",
    "event.source.x",
    "event.occurredAt",
    "lower(event.a)",
    "split(event.a, ',')",
    "dec(event.a)",
    "now()",
    "event.a ? 1 : 2",
    "if(event.a, 'x', null)",
    "coalesce(event.type, 'x')",
    "-event.a",
    "(1 + 1)",
  ].map((source) => ({ name: `refuses ${source}: it is never true`, source: `▸${source}`, code: "TYPE" })),
);

test("accepts what could be a condition", () => {
  for (const source of [
    "true",
    "event.flag",
    "event.payload.flag",
    "coalesce(event.flag, false)",
    "event.a ? event.flag : 1",
    "not 5",
  ]) {
    assert.equal(compileCondition(source).source, source);
  }
});

test("S2-60 every refused name is refused as identifier, function, member and string key", () => {
  const names = ["__proto__", "prototype", "constructor", "__defineGetter__", "__defineSetter__", "__lookupGetter__"];
  for (const name of [...names, "__lookupSetter__", "toString", "valueOf", "hasOwnProperty"]) {
    for (const text of [
      `▸${name} == 1`,
      `▸${name}(1)`,
      `event.▸${name} == 1`,
      `event.a.b[▸"${name}"].c == 1`,
      `exists(event.▸${name})`,
    ]) {
      const { source, position } = marked(text);
      const refused = refusalOf(source);
      assert.deepEqual([refused.code, refused.position], ["UNSAFE_NAME", position], source);
    }
  }
});

test("an error has position, line and column, and the expected tokens", () => {
  const source = "event.type == 'x'\n  and event.amount = 5";
  assert.deepEqual(refusalOf(source).detail, {
    path: "condition",
    code: "SYNTAX",
    message: "there is no assignment; write == to compare",
    position: 37,
    line: 2,
    column: 20,
    expected: ["=="],
  });
});

test("InvalidCondition is a PrismError with code INVALID_CONDITION", () => {
  assert.throws(
    () => compileCondition("\n="),
    (error) => {
      assert.ok(error instanceof InvalidCondition && error instanceof PrismError);
      assert.deepEqual([error.code, error.position, error.expected], ["INVALID_CONDITION", 1, ["=="]]);
      assert.match(error.message, /^condition, line 2, column 1: /);
      return true;
    },
  );
});
