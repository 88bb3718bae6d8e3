/** One line about each function of the rule language (docs/rules.md). */
export const FUNCTIONS: Readonly<Record<string, { readonly args: string; readonly help: string }>> = {
  exists: { args: "path", help: "true if the member is present, even if it is null" },
  contains: { args: "s or list, x", help: "whether a text contains a part, or a list an element" },
  startsWith: { args: "s, t", help: "whether the text starts with t" },
  endsWith: { args: "s, t", help: "whether the text ends with t" },
  matches: { args: "s, 're'", help: "whether a part of the text matches the RE2 pattern" },
  lower: { args: "s", help: "the text in lower case" },
  upper: { args: "s", help: "the text in upper case" },
  trim: { args: "s", help: "the text without spaces at both ends" },
  length: { args: "s or list", help: "the number of characters or elements" },
  concat: { args: "a, …", help: "the texts joined" },
  substr: { args: "s, start, n", help: "n characters from start, counted from 0" },
  split: { args: "s, sep", help: "the parts of the text as a list" },
  abs: { args: "n", help: "the number without its sign" },
  min: { args: "a, b, …", help: "the smallest number" },
  max: { args: "a, b, …", help: "the largest number" },
  round: { args: "n", help: "the nearest whole number" },
  floor: { args: "n", help: "the whole number below" },
  ceil: { args: "n", help: "the whole number above" },
  number: { args: "s", help: "the number that the text shows" },
  string: { args: "x", help: "the value as text" },
  dec: { args: "x", help: "an exact decimal, for money" },
  time: { args: "s", help: "an RFC 3339 time in milliseconds" },
  now: { args: "", help: "the receipt of the event in milliseconds" },
  coalesce: { args: "a, …", help: "the first value that is not null" },
  if: { args: "c, a, b", help: "a if c is true, otherwise b" },
};

/** One line about each operator and literal. */
export const WORDS: Readonly<Record<string, string>> = {
  and: "both sides are true",
  or: "at least one side is true",
  not: "the reverse; put a comparison in brackets: not (a == b)",
  in: "whether a list contains the left side",
  true: "true",
  false: "false",
  null: "a missing or empty member; only == null compares with it",
};

export const OPERATORS: Readonly<Record<string, string>> = {
  "==": "equal, of the same type",
  "!=": "different; false for a missing member",
  ">": "greater",
  ">=": "greater or equal",
  "<": "less",
  "<=": "less or equal",
  in: "one of a list: event.level in ['warn', 'error']",
};

/** Members that every event has. */
export const ENVELOPE: Readonly<Record<string, string>> = {
  "event.type": "the kind of event",
  "event.source": "the sender of the event",
  "event.level": "debug, info, warn, error or fatal",
  "event.occurredAt": "the time of the event",
  "event.receivedAt": "the time of receipt",
  "event.projectId": "the project",
  "event.correlationId": "the id that joins events of one process",
};
