import { type BadRequest, INVALID, type Outcome, RequestMaker, randomFrom, type Target } from "./bad-request.ts";

const refused = (detail: string): Outcome => ({ status: 422, code: "INVALID_CONDITION", detail });

/**
 * Contract 6.1 and 6.3: each way in which a condition can be wrong, by the code that its detail
 * has.
 */
const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  SYNTAX: [
    " ",
    " \t\n ",
    "event.type = 'x'",
    "event.type === 'x'",
    "event.type !== 'x'",
    "event.type == 'x",
    "event.type == \"x'",
    "event.type == 'x\\'",
    "event.type == '\\q'",
    "event.type == '\\u12'",
    "event.type.toUpperCase() == 'X'",
    "1 < event.amount < 5",
    "(event.a > 1) == true",
    "not event.x == 1",
    "!event.x == 1",
    "event.x not in [1]",
    "not",
    "event.a event.b",
    "event.a &",
    "event.a & event.b",
    "event.a | event.b",
    "event.a ^ 2 == 1",
    "event.a ** 2 == 1",
    "event.a == 1; true",
    "event.a == 1 // x",
    "/* x */ event.a == 1",
    "event.a! == 1",
    "f(x) = x",
    "x => x",
    "+event.a == 1",
    "event.a ? true",
    "event.a ? true : ",
    "event.a in [1, 2",
    "event.a in [1 2]",
    "event.a in [1,]",
    "contains(event.a, 'b',)",
    "(1 == 1",
    "1 == 1)",
    "event.a in [(1])",
    "event.a ==",
    "== event.a",
    "event.",
    "event..a == 1",
    "event.in == 1",
    "event[event.a] == 1",
    "event.tags[-1] == 1",
    "event.tags[1.5] == 1",
    "event.a AND event.b",
    "event.a == .5",
    "event.a == 1.",
    "event.a == 0x10",
    "event.a == 1e",
    "event.gr\u00f6\u00dfe == 1",
    "event.a \0== 1",
    "event.a == \u{1f600}",
    "event.a == \u00a01",
    "#!",
    "`event.a`",
  ],
  UNKNOWN_NAME: [
    "process.exit()",
    "type == 'x'",
    "alert(1)",
    "require('fs')",
    "globalThis.process == 1",
    "this.a == 1",
    "PI > 3",
    "sqrt(4) == 2",
    "random() > 0.5",
    "sum(event.a) > 1",
    "event.a == True",
    "eval('1') == 1",
    "payload.x == 1",
  ],
  UNSAFE_NAME: [
    "event.__proto__.x == 1",
    "event['constructor'] == 1",
    'event["\\u005f_proto__"] == 1',
    "event.a.prototype == 1",
    "event.toString == 1",
    "event.valueOf == 1",
    "event.payload.hasOwnProperty == 1",
    "event.__defineGetter__ == 1",
    "constructor == 1",
    "exists(event.__lookupSetter__)",
  ],
  LIMIT: [
    `event.a == '${"x".repeat(4096)}'`,
    `event.a == '${"x".repeat(1025)}'`,
    `${"(".repeat(33)}1 == 1${")".repeat(33)}`,
    `${"not ".repeat(40)}event.a`,
    `${"1 == 1 or ".repeat(128)}true`,
    `${"event.a or ".repeat(300)}true`,
    `event.a in [${"1,".repeat(256)}1]`,
    `event${".a".repeat(17)} == 1`,
    "event.a == 1e400",
    `matches(event.a, '${"x".repeat(257)}')`,
    "matches(event.a, 'a{900}b{900}')",
    `coalesce(${"event.a,".repeat(8)}true)`,
  ],
  TYPE: [
    "count(event.a) > 1",
    "event.amount + 1",
    "'yes'",
    "5",
    "null",
    "[true]",
    "event",
    "event.payload",
    "now()",
    "lower(event.a)",
    "matches(event.type, event.source)",
    "matches(event.a, 5)",
    "contains(event.a)",
    "lower(event.a, event.b) == 'a'",
    "lower() == 'a'",
    "now(1) == 1",
    "exists(lower(event.a))",
  ],
  REGEX: [
    "matches(event.type, '(a)\\\\1')",
    "matches(event.type, 'a(?=b)')",
    "matches(event.type, 'a(?!b)')",
    "matches(event.type, '(?<=a)b')",
    "matches(event.type, '[a')",
    "matches(event.type, '(')",
    "matches(event.type, 'a**')",
    "matches(event.type, '\\\\p{Nothing}')",
  ],
};

const TEMPLATES = [
  "{{ event.a",
  "{{ }}",
  "{{ process.exit }}",
  "{{ event.__proto__ }}",
  "{{ event.a | shout }}",
  "{{ event.a | }}",
  "{{ event.a + 1 }}",
  "{{event.a}}".repeat(33),
];

/** Characters that are not part of the language, at random positions. */
function damagedConditions(count: number): string[] {
  const random = randomFrom(4_711);
  const good = "event.amount > 1000 and not (event.level in [1, 2]) or event.count % 7 == 0";
  const signs = ["@", "#", "~", "`", "\u00a7", "\u2028", "\u0007"];
  const found = new Set<string>();
  while (found.size < count) {
    const at = Math.floor(random() * good.length);
    found.add(good.slice(0, at) + signs[Math.floor(random() * signs.length)] + good.slice(at));
  }
  return [...found];
}

/**
 * Conditions and templates that no rule can have; each is sent to be stored, and some to be tried
 * as well.
 */
export function badConditions(target: Target): BadRequest[] {
  const make = new RequestMaker(target);
  const rule = { name: "n", targetRoles: ["Admin"] };
  const store = (condition: string, outcome: Outcome) =>
    make.send(
      `condition ${condition.slice(0, 90)} (${condition.length})`,
      ["POST", "/api/v1/rules"],
      { ...rule, condition },
      outcome,
    );
  const test = (condition: string, outcome: Outcome) =>
    make.send(
      `tried: ${condition.slice(0, 60)} (${condition.length})`,
      ["POST", "/api/v1/rules/test"],
      { condition, event: {} },
      outcome,
    );
  const change = (condition: string, outcome: Outcome) =>
    make.send(
      `changed to: ${condition.slice(0, 60)} (${condition.length})`,
      ["PATCH", `/api/v1/rules/${target.rule}`],
      { condition },
      outcome,
    );
  return [
    store("", INVALID),
    ...Object.entries(CONDITIONS).flatMap(([detail, conditions]) => [
      ...conditions.map((condition) => store(condition, refused(detail))),
      ...conditions
        .slice(0, 5)
        .flatMap((condition) => [test(condition, refused(detail)), change(condition, refused(detail))]),
    ]),
    ...damagedConditions(60).map((condition) => store(condition, refused("SYNTAX"))),
    ...TEMPLATES.map((messageTemplate) =>
      make.send(
        `template ${messageTemplate.slice(0, 40)}`,
        ["POST", "/api/v1/rules"],
        { ...rule, condition: "true", messageTemplate },
        {
          status: 422,
          code: "INVALID_TEMPLATE",
        },
      ),
    ),
  ];
}
