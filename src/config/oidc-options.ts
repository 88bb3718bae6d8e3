import * as v from "valibot";
import * as k from "./kinds.ts";

const HOUR = 3_600_000;

const text = (max: number) => {
  const message = `must be a text of 1 to ${max} characters`;
  return v.pipe(v.string(message), v.minLength(1, message), v.maxLength(max, message));
};
const texts = (max = 100) => v.array(text(max), "must be a list of texts");
const isTrue = (fallback: boolean) => v.optional(v.boolean("must be true or false"), fallback);
/** What groups give: one name, or several. */
const groupMap = v.optional(k.groupMap().schema, {});

const Provider = v.strictObject(
  {
    name: v.pipe(
      v.string("must be a text"),
      v.regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "must be 1 to 32 of a-z, 0-9 and dash"),
    ),
    issuer: k.baseUrl().schema,
    clientId: text(255),
    clientSecret: v.optional(text(4096)),
    scopes: v.optional(texts(), ["openid", "profile", "email", "groups"]),
    label: v.optional(text(60)),
    userClaim: v.optional(text(100), "sub"),
    link: v.optional(v.picklist(["none", "email_verified"], "must be none or email_verified"), "none"),
    provision: isTrue(false),
    roles: groupMap,
    projects: groupMap,
    groupsClaim: v.optional(text(200), "groups"),
    groupsEvery: v.nullish(k.duration(60_000, 30 * 24 * HOUR).schema, null),
    sessionMax: v.optional(k.duration(60_000, 365 * 24 * HOUR).schema, 12 * HOUR),
    mfa: v.optional(v.picklist(["ask", "trust"], "must be ask or trust"), "ask"),
    acr: v.optional(texts(), []),
    amr: v.optional(texts(), []),
    autoRedirect: isTrue(false),
  },
  ({ expected }) =>
    expected === "never"
      ? "is not a setting of a provider"
      : expected.startsWith('"')
        ? "is missing"
        : "must be an object",
);

/** An OpenID provider whose accounts sign people in. */
export type OidcSettings = Readonly<v.InferOutput<typeof Provider>>;

/** A list of providers, in the file or as JSON. */
export const providers: k.Kind<readonly OidcSettings[]> = {
  schema: v.pipe(
    v.array(v.unknown(), "must be a list of providers"),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const found: OidcSettings[] = [];
      for (const [at, given] of dataset.value.entries()) {
        const result = v.safeParse(Provider, given);
        if (result.success) found.push(result.output);
        else addIssue({ message: `[${at}] ${v.getDotPath(result.issues[0]) ?? ""} ${result.issues[0].message}` });
      }
      return found.length === dataset.value.length ? found : NEVER;
    }),
  ),
  fromText(given) {
    try {
      return JSON.parse(given) as unknown;
    } catch {
      return given;
    }
  },
  input: "list",
};
