import * as k from "./kinds.ts";
import { providers } from "./oidc-options.ts";
import { option, optional } from "./option.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Logins, sessions, passwords and tokens. */
export const AUTH_OPTIONS = {
  jwtSecret: optional(
    k.text(),
    "secret that signs access tokens (32 bytes or more); generated in development, required in production",
    {
      seed: ["JWT_SECRET"],
      secret: true,
    },
  ),
  accessSecret: optional(k.text(), "secret that signs access tokens, takes precedence over auth.jwtSecret", {
    seed: ["JWT_ACCESS_SECRET"],
    secret: true,
  }),
  accessExpires: option(
    k.duration(1000, 30 * DAY),
    15 * MINUTE,
    "lifetime of an access token; logout revokes it at once; raise it for live clients that cannot renew tokens",
    {
      seed: ["JWT_ACCESS_EXPIRES"],
    },
  ),
  previousAccessSecrets: option(
    k.list(k.secretText),
    [],
    "earlier signing secrets; access tokens signed with them are valid until they expire",
    { secret: true },
  ),
  refreshSecret: optional(k.text(), "key for the hashes of refresh tokens; by default derived from the access secret", {
    seed: ["JWT_REFRESH_SECRET"],
    secret: true,
  }),
  refreshExpires: option(k.duration(1000, 365 * DAY), 7 * DAY, "lifetime of a refresh token, which can be used once", {
    seed: ["JWT_REFRESH_EXPIRES"],
  }),
  sessionMaxMs: option(
    k.duration(1000, 3650 * DAY),
    30 * DAY,
    "maximum lifetime of a login, however often it is refreshed",
  ),
  registration: option(
    k.oneOf("approval", "open", "closed"),
    "approval",
    "approval creates accounts that wait for approval, open creates active accounts, closed allows no " +
      "registration",
    { reloadable: true, editable: true },
  ),
  localLogin: option(
    k.oneOf("on", "admins", "off"),
    "on",
    "whose passwords sign in: everyone's, administrators' or no one's; not on also closes registration; off counts " +
      "once an active administrator has an identity of a provider (docs/signing-in-groups.md)",
    { reloadable: true },
  ),
  requireEmailVerification: option(
    k.boolean(),
    false,
    "with open registration, accounts become active when the mail address is confirmed; needs smtp",
    { reloadable: true, editable: true },
  ),
  passwordMin: option(k.integer(1, 256), 8, "minimum password length in characters"),
  bcryptCost: option(k.integer(4, 16), 12, "cost of password hashes, 2^cost rounds; at least 12 in production"),
  bootstrapAdmin: {
    email: optional(k.text(3, 255), "address of an administrator, created at a start without users"),
    password: optional(k.text(), "password of that administrator", { secret: true }),
  },
  audience: option(
    k.text(1, 100),
    "prism",
    "`aud` of access tokens; servers that share a secret need different values",
  ),
  trusted: {
    issuer: optional(
      k.text(1, 500),
      "`iss` of accepted tokens of another program; without it their `iss` must be absent",
    ),
    audience: optional(k.text(1, 200), "`aud` of those tokens; without it their `aud` must be absent"),
    jwksUrl: optional(
      k.httpUrl(),
      "URL of that program's public keys (JWKS): https, or http on this machine; needs auth.trusted.issuer and " +
        "auth.trusted.audience",
    ),
    secret: optional(
      k.text(),
      "secret with which that program signs (HS256), instead of auth.trusted.jwksUrl; must differ from Prism's " +
        "own secrets",
      {
        secret: true,
      },
    ),
    algorithms: option(
      k.list(k.issuerAlgorithm),
      ["RS256", "ES256", "EdDSA"],
      "accepted signature algorithms with auth.trusted.jwksUrl; RS384, RS512, PS256 and ES384 may be added",
    ),
    userClaim: option(k.text(1, 100), "sub", "claim that names the user"),
    userField: option(
      k.oneOf("externalId", "id", "email"),
      "externalId",
      "account field that the claim is compared with; an email must be confirmed (`email_verified`)",
    ),
    provision: option(k.boolean(), false, "creates an account for the first token of an unknown user"),
    roles: option(k.list(k.roleName), ["User"], "roles of accounts created by auth.trusted.provision"),
    clockSkewMs: option(
      k.duration(0, 5 * MINUTE),
      30_000,
      "tolerated difference between that program's clock and this server's",
    ),
  },
  proxyHeader: {
    name: optional(
      k.headerName(),
      "header in which a proxy names the person that it has signed in, such as Remote-User, for GET /auth/proxy " +
        "(docs/signing-in-proxy.md); needs auth.proxyHeader.from and auth.proxyHeader.secret",
    ),
    from: option(k.list(k.cidr), [], "addresses of that proxy; trustedProxies does not count here"),
    secret: optional(k.text(16), "what that proxy sends in Prism-Proxy-Secret, 16 characters or more", {
      secret: true,
    }),
    groups: optional(
      k.headerName(),
      "header with the person's groups, separated by commas or vertical bars, such as Remote-Groups",
    ),
    roles: option(k.groupMap(), {}, 'roles by group, such as {"ops": "Operator"}; a group may have a list of them'),
    projects: option(k.groupMap(), {}, 'memberships by group, such as {"team-db": "db:editor"}: project and role'),
    link: option(
      k.oneOf("none", "username", "email"),
      "none",
      "also links, at the first sign-in, the account with this username or confirmed mail address, if it has no " +
        "password, no second factor and not the role Admin; others are linked by prism user identities link",
    ),
    label: option(k.text(1, 60), "single sign-on", "what the sign-in page calls it"),
    sessionMax: option(k.duration(60_000, 365 * DAY), 12 * 60 * MINUTE, "maximum lifetime of a session that it opens"),
    autoRedirect: option(k.boolean(), false, "the sign-in page goes to GET /auth/proxy by itself"),
  },
  oidc: option(
    providers,
    [],
    "OpenID providers whose accounts sign people in, a list in the file or JSON (docs/signing-in.md); the client's " +
      "secret may be in PRISM_AUTH_OIDC_COMPANY_CLIENT_SECRET for the name company, or in a file that this with _FILE names",
    { secret: true, reloadable: true },
  ),
  devTokenExpires: option(
    k.duration(1000, 30 * DAY),
    DAY,
    "lifetime of a token of /dev/token; long, so that a socket opened with it lasts a working day",
  ),
  devTokenCidrs: option(
    k.list(k.cidr),
    ["127.0.0.0/8", "::1"],
    "client addresses that may fetch /dev/token in development; never through a proxy, nor if publicUrl names " +
      "another host",
  ),
  devTokenHosts: option(k.list(k.hostName), [], "host names under which /dev/token answers, in addition to localhost"),
};
