import type { ApiDocument } from "./document.ts";
import type { Json, JsonObject } from "./json.ts";

/** Values of members and parameters whose meaning a schema does not tell. */
const BY_NAME: Readonly<Record<string, Json>> = {
  color: "#3366cc",
  condition: "event.type == 'a'",
  country: "DE",
  cron: "0 9 * * 1-5",
  currency: "EUR",
  channel_name: "private-user-dev",
  datetime: "2026-12-24T08:00:00Z",
  email: "someone@example.com",
  locale: "en",
  matcher: 'severity="critical"',
  matchers: ['severity="critical"'],
  phone: "+4915112345678",
  projectId: "shop",
  roles: ["Operator"],
  schedule: "0 9 * * 1-5",
  slug: "a-slug",
  sound: null,
  targetRoles: ["Admin"],
  targetUsers: ["dev"],
  timezone: "Europe/Berlin",
  url: "https://example.com/hook",
  userId: "dev",
  users: ["dev"],
  zone: "Europe/Berlin",
};
const SOME_TIME = "2026-12-24T08:00:00Z";
const SOME_ID = "0198c0de-0000-7000-8000-000000000000";
const HOUR_MS = 3_600_000;
const DEEPEST = 4;

/** A value that a schema allows, the same one each time. */
export function sampleOf(document: ApiDocument, schema: JsonObject, name = "", depth = 0): Json {
  const known = BY_NAME[name];
  const { type, format, enum: choices, const: only, ...rest } = document.resolved(schema);
  if (only !== undefined) return only;
  if (Array.isArray(choices)) return choices.at(-1) as Json;
  if (known !== undefined && (type === undefined || type === kindOf(known) || known === null)) return known;
  switch (type) {
    case "boolean":
      return true;
    case "integer":
    case "number":
      // Nothing ends while it is recorded.
      if (name.endsWith("Ms") && Number(rest["maximum"] ?? HOUR_MS) >= HOUR_MS) return HOUR_MS;
      return Math.max(Number(rest["minimum"] ?? 1), Math.min(2, Number(rest["maximum"] ?? 2)));
    case "array": {
      const items = rest["items"] as JsonObject | undefined;
      return items && depth < DEEPEST ? [sampleOf(document, items, name.replace(/s$/, ""), depth + 1)] : [];
    }
    case "object": {
      const members = Object.entries(document.membersOf(schema));
      const required = document.requiredOf(schema);
      const wanted = depth < 2 ? members : members.filter(([member]) => required.includes(member));
      return Object.fromEntries(
        wanted.map(([member, each]) => [member, sampleOf(document, each, member, depth + 1)]),
      ) as JsonObject;
    }
    default:
      return textOf(String(format ?? ""), rest);
  }
}

function textOf(format: string, { minLength = 0, maxLength = 100, pattern }: JsonObject): string {
  if (format === "date-time") return SOME_TIME;
  if (format === "uuid") return SOME_ID;
  const candidates = ["some text", "sometext", "2026-12-24", "08:00", "12.50", "a.b", "1", "abcd1234", SOME_ID];
  const fits = (text: string): boolean =>
    text.length >= Number(minLength) &&
    text.length <= Number(maxLength) &&
    (typeof pattern !== "string" || new RegExp(pattern, "u").test(text));
  return candidates.find(fits) ?? "x".repeat(Math.max(1, Number(minLength)));
}

/** A value of another type than the schema's. */
export function wrongSampleOf(document: ApiDocument, schema: JsonObject): Json {
  const { type } = document.resolved(schema);
  if (type === "object") return 7;
  if (type === "array") return "no list";
  return type === "string" || type === undefined ? { no: "text" } : "no number";
}

function kindOf(value: Json): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}
