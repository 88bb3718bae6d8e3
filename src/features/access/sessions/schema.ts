import * as v from "valibot";
import { named, object, text } from "../../../http/shapes.ts";

const MAX_PASSWORD_LENGTH = 1024;

/** Kept as it was typed: no normalisation but the hasher's. */
export const password = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(MAX_PASSWORD_LENGTH, `must be at most ${MAX_PASSWORD_LENGTH} characters long`),
);

const name = v.pipe(v.string("must be a string"), v.minLength(1), v.maxLength(255));
const linkToken = v.pipe(v.string("must be a string"), v.minLength(1), v.maxLength(128));
const tokenDelivery = v.optional(v.picklist(["cookie", "body"], "must be cookie or body"));

export const RegisterBody = object({
  email: v.optional(name),
  username: v.optional(name),
  phone: v.optional(name),
  password,
  name: v.optional(text(255)),
  timezone: v.optional(name),
  inviteToken: v.optional(linkToken),
  setupToken: v.optional(linkToken),
  projectInviteToken: v.optional(linkToken),
});

export const LoginBody = object({
  login: v.optional(name),
  email: v.optional(name),
  username: v.optional(name),
  phone: v.optional(name),
  password,
  tokenDelivery,
  device: v.optional(text(100)),
  rememberMe: v.optional(
    v.pipe(v.boolean("must be true or false"), v.description("false: the cookie ends with the browser; default true")),
  ),
});

export const RefreshBody = object({ refreshToken: v.optional(linkToken), tokenDelivery });
export const LogoutBody = object({ all: v.optional(v.boolean()), refreshToken: v.optional(linkToken) });

export const EmailBody = object({ email: name });
export const LinkBody = object({ token: linkToken });
export const ResetBody = object({ token: linkToken, password });

export const UserStatusView = v.picklist(["pending", "active", "disabled", "unverified"]);

/** The response to a login. `expiresIn` is in seconds (RFC 6749 section 5.1). */
export const loginEntries = {
  token: v.string(),
  accessToken: v.string(),
  tokenType: v.literal("Bearer"),
  expiresIn: v.pipe(v.number(), v.description("Seconds")),
  refreshToken: v.optional(v.string()),
};

export const SessionView = named(
  "Session",
  v.object({
    id: v.string(),
    ip: v.string(),
    userAgent: v.string(),
    createdAt: v.string(),
    lastUsedAt: v.string(),
    current: v.boolean(),
  }),
);
