import * as v from "valibot";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { doc, example, named, object, text } from "../../../http/api/shapes.ts";
import { userOf } from "../../../http/server/access.ts";
import { changePurpose } from "../sessions/enrol-second-factor.ts";
import { type AuthContext, type AuthLimits, RefreshCookie } from "../sessions/guards.ts";
import { FullProof, loginChallenge, OwnerProof, sessionEntries } from "../sessions/schema.ts";
import { clientOf } from "../sessions/sessions.ts";
import { challengedUser, loginPurpose } from "../sessions/sign-in.ts";
import { LoginView, loginReply } from "../sessions/sign-in-routes.ts";
import { NewPasskeyOptions, PasskeyAnswer, PasskeyList, PasskeyOptions, PasskeyRegistration } from "./answer-schema.ts";
import { passkeyOptions, passkeysOf, type StoredPasskey } from "./answers.ts";
import { beginPasskey, finishPasskey, removePasskey, renamePasskey, signInByPasskey, signInOptions } from "./manage.ts";
import { relyingPartyOf } from "./relying-party.ts";

const PATH = "/api/v1/users/me/passkeys";
const SIGN_IN_PATH = "/api/v1/auth/passkey";
const MAX_NAME = 100;

const given = doc(text(MAX_NAME, 1), "Name of the passkey");
const ById = v.object({ passkeyId: doc(v.string(), "Id of the passkey") });
/** An answer as it looks: a real one is made by an authenticator. */
const ANSWER = { id: "ZXhhbXBsZQ", rawId: "ZXhhbXBsZQ", type: "public-key" } as const;
const NewPasskey = example(
  object({
    name: v.optional(doc(text(MAX_NAME), "Name; default: `Passkey 1`, `Passkey 2` …")),
    passkey: PasskeyRegistration,
  }),
  { name: "Phone", passkey: { ...ANSWER, response: { clientDataJSON: "e30", attestationObject: "o2NmbXQ" } } },
);
const RenameBody = example(object({ name: given }), { name: "Security key" });
const BeginBody = example(
  object({
    challenge: v.optional(
      doc(loginChallenge, "Challenge of a first step; default: none, to sign in without a password"),
    ),
  }),
  {},
);
const SignInBody = example(object({ passkey: PasskeyAnswer, ...sessionEntries }), {
  passkey: { ...ANSWER, response: { clientDataJSON: "e30", authenticatorData: "SZYN5Y", signature: "MEUCIQ" } },
});

const AddedView = named(
  "AddedPasskey",
  "The new passkey, and the recovery codes of an account that had no second factor, shown once",
  v.object({ id: v.string(), recoveryCodes: v.array(v.string()) }),
);

const GUESSES = ["INVALID_CREDENTIALS", "RATE_LIMITED", "INVALID_STATE", "OVERLOADED"] as const;

/** The caller's passkeys, and signing in with one. */
export function passkeyRoutes(context: AuthContext, limits: AuthLimits): Route[] {
  return [...ownRoutes(context), ...signInRoutes(context, limits)];
}

function ownRoutes({ accounts, db }: AuthContext): Route[] {
  const own = { tag: "Authentication", access: {} } as const;
  return [
    route({
      ...own,
      method: "GET",
      path: PATH,
      id: "listPasskeys",
      summary: "List the caller's passkeys, oldest first",
      response: PasskeyList,
      async handle(exchange) {
        const { rpId, reason } = relyingPartyOf(accounts.config);
        const found = await passkeysOf(userOf(exchange).userId, db.read);
        return { data: found.map((passkey) => passkeyView(passkey, rpId)), reason };
      },
    }),
    route({
      ...own,
      method: "POST",
      path: `${PATH}/begin`,
      id: "beginPasskey",
      summary: "Begin to add a passkey: prove to be the owner, and get the options of the browser's question",
      body: OwnerProof,
      response: NewPasskeyOptions,
      errors: [...GUESSES, "LIMIT_REACHED"],
      handle: (exchange, { body }) => beginPasskey(accounts, userOf(exchange), body, clientOf(exchange)),
    }),
    route({
      ...own,
      method: "POST",
      path: PATH,
      id: "addPasskey",
      summary: "Add the passkey that the browser has made; the caller's other sessions end",
      body: NewPasskey,
      status: 201,
      response: AddedView,
      errors: ["INVALID_STATE", "LIMIT_REACHED"],
      async handle(exchange, { body }) {
        return finishPasskey(accounts, userOf(exchange), body);
      },
    }),
    route({
      ...own,
      method: "POST",
      path: `${PATH}/proof`,
      id: "beginPasskeyProof",
      summary: "Get the options of a question for a passkey, whose answer proves the owner of the account",
      response: PasskeyOptions,
      errors: ["INVALID_STATE"],
      handle(exchange) {
        const { userId } = userOf(exchange);
        return passkeyOptions(accounts, changePurpose(userId), userId);
      },
    }),
    route({
      ...own,
      method: "PATCH",
      path: `${PATH}/:passkeyId`,
      resource: PATH,
      id: "renamePasskey",
      summary: "Rename a passkey",
      params: ById,
      body: RenameBody,
      status: 204,
      errors: ["PASSKEY_NOT_FOUND"],
      async handle(exchange, { params, body }) {
        await renamePasskey(accounts, userOf(exchange).userId, params.passkeyId, body.name);
      },
    }),
    route({
      ...own,
      method: "DELETE",
      path: `${PATH}/:passkeyId`,
      id: "removePasskey",
      summary: "Remove a passkey; the caller's other sessions end, and with the last second factor its recovery codes",
      params: ById,
      body: FullProof,
      status: 204,
      errors: [...GUESSES, "PASSKEY_NOT_FOUND"],
      async handle(exchange, { params, body }) {
        await removePasskey(accounts, userOf(exchange), params.passkeyId, body, clientOf(exchange));
      },
    }),
  ];
}

/** @param rpId the host of this server; null: there are no passkeys */
export function passkeyView(passkey: StoredPasskey, rpId: string | null) {
  const { id, name, createdAt, lastUsedAt, isBackedUp, isUserVerified, rpId: host } = passkey;
  return {
    ...{ id, name, createdAt: toRfc3339(createdAt), lastUsedAt: toRfc3339OrNull(lastUsedAt) },
    ...{ backedUp: isBackedUp === 1, signsIn: isUserVerified === 1, host, works: host === rpId },
  };
}

function signInRoutes(context: AuthContext, limits: AuthLimits): Route[] {
  const { accounts, settings } = context;
  const open = { tag: "Authentication", access: "public", signsIn: true } as const;
  const cookie = new RefreshCookie(settings);
  return [
    route({
      ...open,
      method: "POST",
      path: `${SIGN_IN_PATH}/begin`,
      id: "beginPasskeySignIn",
      summary: "Get the options of a question for a passkey: to sign in without a password, or for a second step",
      attempts: "address",
      body: BeginBody,
      response: PasskeyOptions,
      errors: ["INVALID_STATE", "LINK_EXPIRED"],
      async handle(exchange, { body: { challenge } }) {
        limits.take(exchange, "login");
        if (challenge === undefined) return signInOptions(accounts);
        const userId = await challengedUser(accounts, challenge);
        if (userId === undefined) throw new PrismError("LINK_EXPIRED", "The login has expired; start again");
        return passkeyOptions(accounts, loginPurpose(challenge), userId);
      },
    }),
    route({
      ...open,
      method: "POST",
      path: SIGN_IN_PATH,
      id: "signInByPasskey",
      summary: "Log in with a passkey that verified its user, without a password; each answer is valid once",
      attempts: "name",
      body: SignInBody,
      response: LoginView,
      errors: ["INVALID_CREDENTIALS", "INVALID_STATE", "ACCOUNT_PENDING", "ACCOUNT_DISABLED", "ACCOUNT_UNVERIFIED"],
      async handle(exchange, { body }) {
        const { passkey, tokenDelivery, device, rememberMe = true } = body;
        const client = clientOf(exchange, device);
        // No login name starts with a tab.
        const key = `\tpasskey:${hashToken(passkey.id)}`;
        const succeeded = limits.takeLogin(exchange, key, accounts.backoff.isKnown(key, client.ip));
        const login = await signInByPasskey(accounts, passkey, key, client);
        succeeded();
        return loginReply(context, cookie, login, { delivery: tokenDelivery, endsWithBrowser: !rememberMe });
      },
    }),
  ];
}
