import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Logins, sessions, passwords and tokens. */
export const AUTH_OPTIONS = {
  jwtSecret: optional(
    k.text(),
    "signs access tokens; generated in development, required in production (32 bytes or more)",
    {
      seed: ["JWT_SECRET"],
      secret: true,
    },
  ),
  accessSecret: optional(k.text(), "signs access tokens in place of jwtSecret", {
    seed: ["JWT_ACCESS_SECRET"],
    secret: true,
  }),
  accessExpires: option(
    k.duration(1000, 30 * DAY),
    15 * MINUTE,
    "life of an access token. Logging out ends it at once; a longer one serves live clients that cannot renew it",
    {
      seed: ["JWT_ACCESS_EXPIRES"],
    },
  ),
  previousAccessSecrets: option(
    k.list(k.secretText),
    [],
    "secrets that signed access tokens before; what they signed is good until it ends",
    { secret: true },
  ),
  refreshSecret: optional(k.text(), "keys the hashes of refresh tokens; by default derived from the access secret", {
    seed: ["JWT_REFRESH_SECRET"],
    secret: true,
  }),
  refreshExpires: option(k.duration(1000, 365 * DAY), 7 * DAY, "life of a refresh token, each good once", {
    seed: ["JWT_REFRESH_EXPIRES"],
  }),
  sessionMaxMs: option(
    k.duration(1000, 3650 * DAY),
    30 * DAY,
    "after this a login ends, however often it was refreshed",
  ),
  registration: option(
    k.oneOf("approval", "open", "closed"),
    "approval",
    "what registering makes: an account that waits for approval, one that is active, or none",
  ),
  requireEmailVerification: option(
    k.boolean(),
    false,
    "accounts of open registration begin when their mail address was confirmed; needs smtp",
  ),
  passwordMin: option(k.integer(1, 256), 8, "characters that a password has at least"),
  bcryptCost: option(k.integer(4, 16), 12, "2^cost rounds for a password; 12 or more in production"),
  bootstrapAdmin: {
    email: optional(k.text(3, 255), "makes an administrator with this address at a start without any user"),
    password: optional(k.text(), "that administrator's password", { secret: true }),
  },
  audience: option(k.text(1, 100), "prism", "`aud` of access tokens; give servers that share a secret different ones"),
  trusted: {
    issuer: optional(k.text(1, 500), "`iss` of tokens of another program that count here; without it they carry none"),
    audience: optional(k.text(1, 200), "`aud` of those tokens; without it they carry none"),
    jwksUrl: optional(
      k.httpUrl(),
      "where that program publishes its keys (JWKS); https, or http on this machine. Needs issuer and audience",
    ),
    secret: optional(
      k.text(),
      "what that program signs with (HS256), in place of jwksUrl; not one of Prism's own secrets",
      {
        secret: true,
      },
    ),
    algorithms: option(
      k.list(k.issuerAlgorithm),
      ["RS256", "ES256", "EdDSA"],
      "signatures that count with jwksUrl: also RS384, RS512, PS256, ES384",
    ),
    userClaim: option(k.text(1, 100), "sub", "the claim that names the user"),
    userField: option(
      k.oneOf("externalId", "id", "email"),
      "externalId",
      "what of an account the claim is compared with; an email must be confirmed (`email_verified`)",
    ),
    provision: option(k.boolean(), false, "whether the first token of an unknown user makes an account"),
    roles: option(k.list(k.roleName), ["User"], "roles of accounts that are made so"),
    clockSkewMs: option(k.duration(0, 5 * MINUTE), 30_000, "how far that program's clock may be off"),
  },
  devTokenExpires: option(
    k.duration(1000, 30 * DAY),
    DAY,
    "life of a token of /dev/token; long, so that a socket opened with it lasts a working day",
  ),
  devTokenCidrs: option(
    k.list(k.cidr),
    ["127.0.0.0/8", "::1"],
    "who may fetch /dev/token in development; never through a proxy, nor while publicUrl names another host",
  ),
  devTokenHosts: option(k.list(k.hostName), [], "host names besides localhost under which /dev/token answers"),
};
