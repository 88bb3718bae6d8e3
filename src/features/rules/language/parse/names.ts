/** Words that are operators or values, never names. A payload member named like one is reached with brackets. */
const KEYWORDS = ["and", "or", "not", "in", "true", "false", "null"] as const;

export type Keyword = (typeof KEYWORDS)[number];

const keywords: ReadonlySet<string> = new Set(KEYWORDS);

export function isKeyword(word: string): word is Keyword {
  return keywords.has(word);
}

// Reading them would be harmless here, since nothing inherited can be read. They are refused so that a rule which
// tries is seen by the one who writes it, and so that no later change of the evaluator can make them work.
const refusedNames: ReadonlySet<string> = new Set([
  "__proto__",
  "prototype",
  "constructor",
  "__defineGetter__",
  "__defineSetter__",
  "__lookupGetter__",
  "__lookupSetter__",
  "toString",
  "valueOf",
  "hasOwnProperty",
]);

/** Whether the language refuses `name` wherever a name can stand: identifier, member, string key. */
export function isRefusedName(name: string): boolean {
  return refusedNames.has(name);
}
