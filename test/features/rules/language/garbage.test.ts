import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compileCondition,
  compileTemplate,
  InvalidCondition,
  InvalidTemplate,
} from "../../../../src/features/rules/language/language.ts";
import { runs } from "../../../helpers/chance.ts";
import { processorMs } from "../../../helpers/cpu-time.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { condition, event, SEED, spelling } from "./support/arbitraries.ts";
import { print } from "./support/ast.ts";
import { makeEvent } from "./support/event.ts";

/** Compiles and evaluates `source`, or checks how it is refused. @returns whether it compiled. */
function tryCondition(source: string, each = makeEvent()): boolean {
  try {
    const compiled = compileCondition(source);
    assert.equal(typeof compiled.test(each), "boolean");
    JSON.stringify(compiled.trace(each));
    return true;
  } catch (error) {
    if (!(error instanceof InvalidCondition)) throw new Error(`for ${JSON.stringify(source)}`, { cause: error });
    const [detail] = error.details ?? [];
    assert.ok(detail !== undefined && error.position >= 0 && error.position <= source.length, source);
    assert.ok(["SYNTAX", "UNKNOWN_NAME", "UNSAFE_NAME", "LIMIT", "TYPE", "REGEX"].includes(String(detail.code)));
    assert.ok(detail.message.length > 0 && detail.message.length < 400, detail.message);
    return false;
  }
}

// Words of the language and of what surrounds it, in any order: nearly conditions, which reach
// further in than noise.
const WORDS = [
  ...[
    "event",
    ".",
    "a",
    "[",
    "]",
    "(",
    ")",
    ",",
    "0",
    "1.5",
    "'x'",
    '"y"',
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "and",
    "or",
    "not",
    "&&",
    "||",
  ],
  ...[
    "!",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ":",
    "true",
    "null",
    "lower",
    "exists",
    "matches",
    "if",
    "coalesce",
    "now",
    "max",
    "concat",
  ],
  ...[
    "event.a",
    "event.type",
    "(event",
    "now()",
    "[]",
    "1 == 1",
    "=",
    ";",
    "^",
    "__proto__",
    "constructor",
    "sin",
    "PI",
    "t1",
    "IEXPR",
  ],
  ...[
    "'\\u0041'",
    "'\\'",
    "/*",
    "*/",
    "//",
    "0x",
    "1e",
    "\n",
    "\t",
    "\u00a0",
    "\0",
    "\ud800",
    "é",
    "`",
    "${",
    "}",
    "#",
    "@",
    "|",
    "&",
  ],
];
const words = fc.array(fc.constantFrom(...WORDS), { maxLength: 24 });

test("S2-60 a random order of the language's words is a condition or an InvalidCondition", (t) => {
  keepsPromise(t, "S2-60");
  let compiled = 0;
  fc.assert(
    fc.property(words, fc.constantFrom("", " "), (parts, between) => {
      compiled += tryCondition(parts.join(between)) ? 1 : 0;
    }),
    { seed: SEED, numRuns: 20_000 },
  );
  assert.ok(compiled > 20, `some of it must be conditions: ${compiled}`);
});

test("S2-60 a random string is a condition or an InvalidCondition", (t) => {
  keepsPromise(t, "S2-60");
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (source) => void tryCondition(source)),
    { seed: SEED, numRuns: runs(5000) },
  );
});

test("S2-60 random UTF-16 units, lone surrogates among them, are refused", (t) => {
  keepsPromise(t, "S2-60");
  const units = fc.array(fc.nat(0xffff), { maxLength: 100 }).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(units, (source) => void tryCondition(source)),
    { seed: SEED, numRuns: runs(5000) },
  );
});

test("a condition with a piece cut out, doubled or exchanged is a condition or an InvalidCondition", () => {
  const damage = fc.record({ at: fc.nat(300), length: fc.nat(4), insert: fc.constantFrom("", ...WORDS) });
  fc.assert(
    fc.property(condition, spelling, damage, event, (ast, how, { at, length, insert }, each) => {
      const source = print(ast, how);
      const from = at % (source.length + 1);
      tryCondition(source.slice(0, from) + insert + source.slice(from + length), each);
    }),
    { seed: SEED, numRuns: runs(5000) },
  );
});

test("what grows without end is refused in no time", () => {
  const units = [
    "(",
    "[",
    "-",
    "not ",
    "!",
    "event.a ? ",
    "event.a == (",
    "if(",
    "lower(",
    "'",
    "'\\",
    "1",
    "1e",
    " ",
    "a",
    "event.",
    "x,",
  ];
  const tookMs = processorMs(() => {
    for (const unit of units)
      for (const count of [100, 1000, 1_000_000]) assert.equal(tryCondition(unit.repeat(count)), false, unit);
  });
  assert.ok(tookMs < 5000, `${tookMs} ms`);
});

test("a random template is a template or an InvalidTemplate", () => {
  const pieces = fc.constantFrom(
    "{{",
    "}}",
    "{",
    "}",
    " ",
    "text",
    "| upper",
    "|",
    "default:'x'",
    "date",
    "| json",
    ...WORDS,
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 16 }), event, (parts, each) => {
      const source = parts.join("");
      try {
        assert.ok([...compileTemplate(source, "messageTemplate").render(each, 20)].length <= 20);
      } catch (error) {
        if (!(error instanceof InvalidTemplate)) throw new Error(`for ${JSON.stringify(source)}`, { cause: error });
        assert.ok(error.position >= 0 && error.position <= source.length);
      }
    }),
    { seed: SEED, numRuns: runs(10_000) },
  );
});
