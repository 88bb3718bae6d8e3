import type { OidcSettings } from "../../../config/oidc-options.ts";
import { cleanText, isVisibleAscii } from "../../../core/text/clean-text.ts";

export type IdClaims = Readonly<Record<string, unknown>>;

/** What a provider says of a person who has signed in there. */
export interface ProvedPerson {
  readonly issuer: string;
  /** The value of `userClaim`. */
  readonly subject: string;
  /** The provider's name of the session. */
  readonly sid: string | undefined;
  readonly name: string | undefined;
  readonly username: string | undefined;
  /** Only an address that the provider says it has verified. */
  readonly email: string | undefined;
  /** Null: the provider does not say which, though the person may be in some. */
  readonly groups: readonly string[] | null;
  /** Whether the ID token has an `acr` and `amr` that `mfa: trust` asks for. */
  readonly hasTrustedFactor: boolean;
}

const MAX_SUBJECT = 255;
const MAX_GROUPS = 1000;

/** Whether userinfo must be asked, since claims are not in the ID token (as of Authelia and GitLab). */
export function lacksClaims(claims: IdClaims, settings: OidcSettings): boolean {
  const isAbsent = (name: string): boolean => memberOf(claims, name) === undefined;
  const names = ["name", "email", settings.userClaim];
  return (
    names.some(isAbsent) || (usesGroups(settings) && isAbsent(settings.groupsClaim) && !areElsewhere(claims, settings))
  );
}

function usesGroups({ roles, projects }: OidcSettings): boolean {
  return Object.keys(roles).length + Object.keys(projects).length > 0;
}

/** @param idToken its claims decide. @param info claims of userinfo. @returns null without a usable subject */
export function personOf(settings: OidcSettings, idToken: IdClaims, info: IdClaims = {}): ProvedPerson | null {
  const claims = { ...info, ...idToken };
  const subject = textOf(memberOf(claims, settings.userClaim)) ?? "";
  if (subject === "" || subject.length > MAX_SUBJECT) return null;
  // An address and its verification are one statement.
  const { email, email_verified: isVerified } = "email_verified" in idToken ? idToken : info;
  // Anyone may enter an address at a provider; only a verified one says who it is.
  if (settings.userClaim === "email" && (isVerified !== true || email !== subject)) return null;
  return {
    ...{ issuer: String(idToken["iss"]), subject, sid: textOf(idToken["sid"]) },
    name: shown(claims["name"]),
    username: nameOf(claims["preferred_username"]),
    email: isVerified === true ? nameOf(email) : undefined,
    groups: groupsOf(claims, idToken, settings),
    hasTrustedFactor: hasTrustedFactor(idToken, settings),
  };
}

function hasTrustedFactor(idToken: IdClaims, { mfa, acr, amr }: OidcSettings): boolean {
  const isOne = (wanted: readonly string[], given: unknown): boolean =>
    wanted.length === 0 || [given].flat().some((each) => wanted.includes(each as string));
  return mfa === "trust" && isOne(acr, idToken["acr"]) && isOne(amr, idToken["amr"]);
}

function groupsOf(claims: IdClaims, idToken: IdClaims, settings: OidcSettings): readonly string[] | null {
  const found = memberOf(claims, settings.groupsClaim);
  // A refresh may come without an ID token (OpenID Connect Core section 12.2), and userinfo without groups.
  if (found === undefined && (!("sub" in idToken) || areElsewhere(claims, settings))) return null;
  return [found ?? []]
    .flat()
    .filter((each) => typeof each === "string")
    .slice(0, MAX_GROUPS);
}

/** Entra ID gives a link in place of more than 200 groups (OpenID Connect Core section 5.6.2). */
function areElsewhere({ _claim_names: names }: IdClaims, { groupsClaim }: OidcSettings): boolean {
  return typeof names === "object" && names !== null && groupsClaim in names;
}

/** The member of this name, or at this dotted path, such as `realm_access.roles` of Keycloak. */
function memberOf(claims: IdClaims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split(".").reduce<unknown>((from, part) => {
    return typeof from === "object" && from !== null && Object.hasOwn(from, part)
      ? (from as IdClaims)[part]
      : undefined;
  }, claims);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** An address or username as the provider checked it: a name that Prism would have to change is another person's. */
function nameOf(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= MAX_SUBJECT && isVisibleAscii(value) ? value : undefined;
}

function shown(value: unknown): string | undefined {
  return cleanText(textOf(value) ?? "").slice(0, MAX_SUBJECT) || undefined;
}
