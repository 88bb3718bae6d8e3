import * as v from "valibot";
import { doc, example, named, object, text } from "../../../http/api/shapes.ts";
import { PasskeyAnswer } from "../passkeys/answer-schema.ts";

const MAX_PASSWORD_LENGTH = 1024;

/** Kept as it was typed: no normalisation but the hasher's. */
export const password = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(MAX_PASSWORD_LENGTH, `must be at most ${MAX_PASSWORD_LENGTH} characters long`),
);

const name = v.pipe(v.string("must be a string"), v.minLength(1), v.maxLength(255));
const linkToken = v.pipe(v.string("must be a string"), v.minLength(1), v.maxLength(128));
const tokenDelivery = v.optional(
  doc(
    v.picklist(["cookie", "body"], "must be cookie or body"),
    "Where the refresh token is returned; default `cookie`",
  ),
);
const email = doc(name, "Email address");
const loginNames = {
  email: v.optional(email),
  username: v.optional(doc(name, "Username")),
  phone: v.optional(doc(name, "Phone number in E.164 form")),
};
const newPassword = doc(password, "New password");
const refreshToken = v.optional(doc(linkToken, "Refresh token; default: that of the cookie"));

export const RegisterBody = example(
  object({
    ...loginNames,
    password: newPassword,
    name: v.optional(doc(text(255), "Display name")),
    timezone: v.optional(doc(name, "IANA time zone such as Europe/Berlin")),
    inviteToken: v.optional(doc(linkToken, "Token of an invitation to this server")),
    setupToken: v.optional(doc(linkToken, "Setup token that a new server shows at its first start")),
    projectInviteToken: v.optional(doc(linkToken, "Token of an invitation to a project")),
  }),
  { username: "alan", email: "alan@example.com", password: "correct horse battery staple", name: "Alan Turing" },
);

/** How the session is opened, for each way to log in. */
export const sessionEntries = {
  tokenDelivery,
  device: v.optional(doc(text(100), "Name of the device, shown in the list of sessions")),
  rememberMe: v.optional(
    doc(v.boolean("must be true or false"), "False: the cookie ends with the browser; default true"),
  ),
};

export const LoginBody = example(
  object({
    login: v.optional(doc(name, "Email address, username or phone number")),
    ...loginNames,
    password: doc(password, "Password"),
    ...sessionEntries,
  }),
  { login: "admin", password: "correct horse battery staple" },
);

const proofEntries = {
  code: v.optional(doc(name, "Code of the authenticator app")),
  recoveryCode: v.optional(doc(name, "Recovery code, in place of `code`")),
  passkey: v.optional(PasskeyAnswer),
};

export const loginChallenge = doc(linkToken, "Challenge of the first step");
export const SecondStepBody = example(object({ challenge: loginChallenge, ...proofEntries, ...sessionEntries }), {
  challenge: "the-challenge-of-the-login",
  code: "123456",
});

export const FirstCodeBody = example(object({ code: doc(name, "Code of the authenticator app") }), { code: "123456" });
const fullProof = () =>
  object({
    password: v.optional(
      doc(
        password,
        "Password. Not needed with a passkey with user verification, nor by an account without password within ten minutes of signing in",
      ),
    ),
    ...proofEntries,
  });
export const OwnerProof = example(named("OwnerProof", "That the caller owns the account", fullProof()), {
  password: "correct horse battery staple",
});
export const FullProof = example(fullProof(), { password: "correct horse battery staple", code: "123456" });

export const SignInLinkBody = example(
  object({ token: doc(linkToken, "Token of the sign-in link"), ...sessionEntries }),
  { token: "the-token-of-the-link" },
);

export const RefreshBody = example(object({ refreshToken, tokenDelivery }), {});
export const LogoutBody = example(
  object({ all: v.optional(doc(v.boolean(), "True: all sessions of the account; default false")), refreshToken }),
  {},
);

const mailedToken = doc(linkToken, "Token of the mailed link");
export const EmailBody = example(named("AccountEmail", "The email address of an account", object({ email })), {
  email: "alan@example.com",
});
export const VerifyBody = example(
  object({
    token: mailedToken,
    password: v.optional(
      doc(password, "Password of the registration, which Prism's own page asks for; checked if it is given"),
    ),
  }),
  { token: "the-token-of-the-link", password: "correct horse battery staple" },
);
export const ResetBody = example(object({ token: mailedToken, password: newPassword }), {
  token: "the-token-of-the-link",
  password: "correct horse battery staple",
});

export const UserStatusView = v.picklist(["pending", "active", "disabled", "unverified"]);

/** The response to a login. `expiresIn` is in seconds (RFC 6749 section 5.1). */
export const loginEntries = {
  token: v.string(),
  accessToken: v.string(),
  tokenType: v.literal("Bearer"),
  expiresIn: doc(v.number(), "Lifetime of the access token in seconds"),
  refreshToken: v.optional(v.string()),
  offsets: doc(
    v.object({
      projects: doc(v.number(), "For streams of projects"),
      others: doc(v.number(), "For all other streams"),
    }),
    "The last offsets of live streams: with them as `from`, what happens while a page loads is not missed",
  ),
};

export const SessionView = named(
  "Session",
  "A login session",
  v.object({
    id: v.string(),
    ip: v.string(),
    userAgent: v.string(),
    via: doc(v.nullable(v.string()), "The provider that opened it, such as `oidc:company`; null: none"),
    createdAt: v.string(),
    lastUsedAt: v.string(),
    repeatedAt: doc(
      v.nullable(v.string()),
      "When a refresh token of it was last used a second time, from the same address and user agent",
    ),
    current: v.boolean(),
  }),
);
