import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { labelsOf } from "../../../../src/features/alerts/model/labels.ts";
import {
  isSameMatcher,
  isSameMatchers,
  type Matcher,
  matchersText,
  matcherText,
  parseClassicMatcher,
  parseMatcher,
  parseMatchers,
} from "../../../../src/features/alerts/model/matchers.ts";
import { compileMatchers, matchesEmpty, patternTest } from "../../../../src/features/alerts/model/matching.ts";
import { MATCH_OPERATORS, parseUtf8Matchers } from "../../../../src/features/alerts/model/utf8-matchers.ts";

const shown = ({ name, operator, value }: Matcher) => [name, operator, value];

test("patternTest takes a pattern if it is valid on its own, and tests whole values", () => {
  const part = fc.constantFrom(
    "a",
    "b",
    "|",
    "(",
    ")",
    "(?:",
    "[",
    "]",
    "^",
    "\\",
    "\\Q",
    "\\E",
    "*",
    "{1,2}",
    "[:alpha:]",
  );
  const isValid = (source: string): boolean => {
    try {
      RE2JS.compile(source);
      return true;
    } catch {
      return false;
    }
  };
  const isTaken = (source: string): boolean => {
    try {
      patternTest(source);
      return true;
    } catch {
      return false;
    }
  };
  const property = fc.property(fc.array(part, { maxLength: 10 }), (parts) => {
    const source = parts.join("");
    // Lists of words need no automaton.
    assert.equal(isTaken(source), isValid(source) && isValid(`^(?:${source})$`), source);
  });
  fc.assert(property, { numRuns: 2000, seed: 7 });
  assert.throws(() => patternTest("a)|(b"), { code: "VALIDATION_FAILED" });
});

test("parseMatcher reads classic and UTF-8 matchers", () => {
  const cases: [string, string, string, string][] = [
    ['team="db"', "team", "=", "db"],
    ["team=db", "team", "=", "db"],
    [' team =~ "a|b" ', "team", "=~", "a|b"],
    ["team!~a.*", "team", "!~", "a.*"],
    ["team!=", "team", "!=", ""],
    ["team=", "team", "=", ""],
    ["team==b", "team", "=", "=b"],
    ["team='db'", "team", "=", "'db'"],
    ["ns:team=db", "ns:team", "=", "db"],
    ['a="x\\"y\\\\z\\n\\d"', "a", "=", 'x"y\\z\n\\d'],
    ["a=b c", "a", "=", "b c"],
    ["a=b,c=d", "a", "=", "b,c=d"],
    ["a=b\\", "a", "=", "b\\"],
    ['"foo bar"="x"', "foo bar", "=", "x"],
    ["foo.bar=x", "foo.bar", "=", "x"],
    ["föö=é", "föö", "=", "é"],
    ['a.b="\\u00e9\\x41\\t"', "a.b", "=", "éA\t"],
    ['a.b="\\xc3\\xa9"', "a.b", "=", "é"],
    ['a="\\xc3"', "a", "=", "\\xc3"],
    ["a.b=\u{1F600}", "a.b", "=", "\u{1F600}"],
    ['a="x",', "a", "=", "x"],
  ];
  for (const [text, ...expected] of cases) assert.deepEqual(shown(parseMatcher(text)), expected, text);
});

test("parseMatcher refuses anything that is not exactly one matcher", () => {
  for (const text of ["", "bad", '{a="b"}', "=b", "a b=c", "0=", "a~b", "{}", "{", '"a', "'a'=b"])
    assert.throws(() => parseMatcher(text), { message: `bad matcher format: ${text}` }, text);
  for (const text of ['a="b', 'a=b"', 'a="b"c"', 'a="b",c="d"'])
    assert.throws(() => parseMatcher(text), /matcher value contains unescaped double quote/, text);
});

test("parseMatchers reads lists with optional braces and a trailing comma", () => {
  const cases: [string, readonly string[]][] = [
    ["{}", []],
    ["", []],
    ['{team="db",env=~"a|b",}', ['team="db"', 'env=~"a|b"']],
    ["a=b,c!=d", ['a="b"', 'c!="d"']],
    ['a="x,y",b="{z}"', ['a="x,y"', 'b="{z}"']],
    ['{"foo bar"="x",a.b=c}', ['"foo bar"="x"', 'a.b="c"']],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseMatchers(text).map(matcherText), expected, text);
  for (const text of ["a=b,,c=d", '{a="b" c="d"}', "bad"]) assert.throws(() => parseMatchers(text), text);
  assert.throws(() => parseUtf8Matchers('{a="b"'), /character 7: expected }/);
  assert.throws(() => parseUtf8Matchers("a="), /expected a name or value/);
  assert.throws(() => parseUtf8Matchers('a="\\q"'), /invalid escape sequence/);
  assert.throws(() => parseClassicMatcher("foo.bar=x"), /bad matcher format/);
});

test("a matcher that is written and read again is the same", () => {
  const matcher = fc.record({
    name: fc.string({ unit: "grapheme", minLength: 1 }),
    operator: fc.constantFrom(...MATCH_OPERATORS),
    value: fc.string({ unit: "grapheme" }),
  });
  fc.assert(
    fc.property(fc.array(matcher, { maxLength: 4 }), (matchers) => {
      assert.ok(isSameMatchers(parseUtf8Matchers(matchersText(matchers)), matchers), matchersText(matchers));
      for (const one of matchers) assert.ok(isSameMatcher(parseMatcher(matcherText(one)), one), matcherText(one));
    }),
    { numRuns: 500 },
  );
});

test("lists are written sorted by name, value and operator", () => {
  assert.equal(matchersText(parseMatchers('{b="2",a!="1",a=~"1",a="0"}')), '{a="0",a!="1",a=~"1",b="2"}');
  assert.ok(isSameMatchers(parseMatchers("a=1,b=2"), parseMatchers('{b="2",a="1"}')));
  assert.ok(!isSameMatchers(parseMatchers("a=1"), parseMatchers("a=~1")));
});

test("matchers test the whole value, and an absent label as empty", () => {
  const labels = labelsOf({ team: "db", instance: "web1.example.com:9100", text: "two\nlines" });
  const cases: [string, boolean][] = [
    ['team="db"', true],
    ['team="d"', false],
    ['team=~"d"', false],
    ['team=~"d."', true],
    ['team!~"d"', true],
    ['team=~"app|db"', true],
    ['team=~"^(app|db)$"', true],
    ['team=~"(?:app|web)"', false],
    ['instance=~"web[0-9]+\\\\..*:9100"', true],
    ['instance=~"web1\\\\.example\\\\.com:9100"', true],
    ['instance=~"web1.example"', false],
    ['absent=""', true],
    ['absent=~""', true],
    ['absent!=""', false],
    ['absent!~""', false],
    ['absent=~".+"', false],
    ['absent=~".*"', true],
    ['text=~"two.lines"', false],
    ['text=~"(?s)two.lines"', true],
    ['team=~"(?i)DB"', true],
    ['team="db",absent!="x"', true],
    ['team="db",absent="x"', false],
    ["", true],
  ];
  for (const [text, expected] of cases) assert.equal(compileMatchers(parseMatchers(text))(labels), expected, text);
  assert.ok(matchesEmpty(parseMatchers('a=~".*",b!="x"')) && !matchesEmpty(parseMatchers('a=~".*",b="x"')));
});

test("lists of words match as the same pattern without the shortcut", () => {
  const alphabet = fc.constantFrom("a", "b", "|", "(", ")", "^", "$", "\\.", ".", "\\|", "-", "_");
  fc.assert(
    fc.property(
      fc.array(alphabet, { maxLength: 8 }),
      fc.constantFrom("", "a", "b", "ab", "a.b", "a|b"),
      (parts, text) => {
        const pattern = parts.join("");
        const direct = testOf(pattern);
        // An empty group turns the shortcut off.
        const general = testOf(`(?:)${pattern.includes("|") ? `(?:${pattern})` : pattern}`);
        if (direct && general) assert.equal(direct(text), general(text), pattern);
      },
    ),
    { numRuns: 1000 },
  );
});

test("a pattern that is invalid or too costly is refused", () => {
  assert.throws(() => patternTest("(a"), /error parsing regexp: missing closing \)/);
  assert.throws(() => patternTest("a)|(b"), /error parsing regexp: unexpected \)/);
  assert.throws(() => patternTest("(?=a)"), /error parsing regexp/);
  assert.throws(() => patternTest("(a{1,100}){1,100}"), /is too large/);
  assert.throws(() => compileMatchers([{ name: "a", operator: "!~", value: "*" }]), /error parsing regexp/);
  const words = Array.from({ length: 5000 }, (_, at) => `host-${at}`).join("|");
  assert.ok(patternTest(words)("host-4999"), "a list of words has no such limit");
});

function testOf(pattern: string): ((text: string) => boolean) | undefined {
  try {
    return patternTest(pattern);
  } catch {
    return undefined;
  }
}
