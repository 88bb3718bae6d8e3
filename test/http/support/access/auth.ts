import { randomUUID } from "node:crypto";
import { factorSealContext } from "../../../../src/features/access/sessions/second-factor.ts";
import { CALLERS_PASSWORD } from "./known.ts";
import { openSession } from "./makers.ts";
import { inPerson, may, ownersAnd, scoped } from "./refusals.ts";
import { at, NO_ID, open, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const NO_ACCOUNT = { email: "nobody@example.com" };

const FACTOR = "/api/v1/users/me/second-factor";
const PASSKEYS = "/api/v1/users/me/passkeys";
/** An answer of a browser that was not asked. */
const NEW_PASSKEY = {
  ...{ id: "c2VjcmV0", rawId: "c2VjcmV0", type: "public-key", clientExtensionResults: {} },
  response: { clientDataJSON: "e30", attestationObject: "o2NmbXQ" },
};
const PASSKEY = "/api/v1/auth/passkey";

/** A user with a second factor. */
async function makeProtected({ prism }: AccessWorld): Promise<string> {
  const { body } = await prism.post<{ id: string }>("/api/v1/users", { username: `p-${randomUUID()}`, roles: [] });
  const { database, clock, box } = prism.parts.base;
  const now = clock.now();
  const secret = box.seal(factorSealContext(body.id), Buffer.alloc(20));
  await database.write((trx) =>
    trx.insertInto("second_factors").values({ userId: body.id, secret, enabledAt: now, createdAt: now }).execute(),
  );
  return body.id;
}

async function dropFactor({ prism }: AccessWorld, userId: string): Promise<void> {
  const { database } = prism.parts.base;
  await database.write((trx) => trx.deleteFrom("second_factors").where("userId", "=", userId).execute());
}

const sessionAt = (id: string): string => `/api/v1/auth/sessions/${id}`;

const ownSession = scoped(["account:own", "users:manage"]);

/**
 * Contract 4.4. The matrix calls with a forwarding header, which closes what is open to this
 * machine in development (D10).
 */
export const AUTH: Table = {
  "GET /dev/token": { ...open("/dev/token"), served: [404, "NOT_FOUND"] },
  "POST /api/v1/auth/register": { ...open("/api/v1/auth/register"), served: [400, "VALIDATION_FAILED"] },
  "POST /api/v1/auth/login": { ...open("/api/v1/auth/login"), served: [400, "VALIDATION_FAILED"] },
  "POST /api/v1/auth/sign-in-link": { ...open("/api/v1/auth/sign-in-link"), served: [400, "VALIDATION_FAILED"] },
  "POST /api/v1/auth/login/second-factor": {
    ...open("/api/v1/auth/login/second-factor"),
    served: [400, "VALIDATION_FAILED"],
  },
  "POST /api/v1/users/me/second-factor": { refusal: inPerson, request: at(FACTOR, { password: CALLERS_PASSWORD }) },
  "POST /api/v1/users/me/second-factor/confirm": {
    refusal: inPerson,
    request: async (world, who, isServed) => {
      if (isServed && who.kind === "user") await dropFactor(world, who.id);
      return { path: `${FACTOR}/confirm`, body: { code: "123456" } };
    },
    served: [409, "INVALID_STATE"],
  },
  "POST /api/v1/users/me/second-factor/recovery-codes": {
    refusal: inPerson,
    request: at(`${FACTOR}/recovery-codes`, { password: CALLERS_PASSWORD, code: "123456" }),
    served: [409, "INVALID_STATE"],
  },
  "DELETE /api/v1/users/me/second-factor": {
    refusal: inPerson,
    request: at(FACTOR, { password: CALLERS_PASSWORD, code: "123456" }),
    served: [409, "INVALID_STATE"],
  },
  "GET /api/v1/users/me/passkeys": { refusal: inPerson, request: at(PASSKEYS) },
  "POST /api/v1/users/me/passkeys/begin": {
    refusal: inPerson,
    request: at(`${PASSKEYS}/begin`, { password: CALLERS_PASSWORD }),
  },
  "POST /api/v1/users/me/passkeys/proof": { refusal: inPerson, request: at(`${PASSKEYS}/proof`) },
  "POST /api/v1/users/me/passkeys": {
    refusal: inPerson,
    request: at(PASSKEYS, { passkey: NEW_PASSKEY }),
    served: [400, "VALIDATION_FAILED"],
  },
  "PATCH /api/v1/users/me/passkeys/:passkeyId": {
    refusal: inPerson,
    request: at(`${PASSKEYS}/${NO_ID}`, { name: "Key" }),
    served: [404, "PASSKEY_NOT_FOUND"],
  },
  "DELETE /api/v1/users/me/passkeys/:passkeyId": {
    refusal: inPerson,
    request: at(`${PASSKEYS}/${NO_ID}`, { password: CALLERS_PASSWORD }),
    served: [404, "PASSKEY_NOT_FOUND"],
  },
  "POST /api/v1/auth/passkey/begin": { ...open(`${PASSKEY}/begin`), request: at(`${PASSKEY}/begin`, {}) },
  "POST /api/v1/auth/passkey": { ...open(PASSKEY), served: [400, "VALIDATION_FAILED"] },
  "DELETE /api/v1/users/:id/second-factor": {
    refusal: may("users:manage"),
    request: async (world, _who, isServed) => ({
      path: `/api/v1/users/${isServed ? await makeProtected(world) : world.spare}/second-factor`,
    }),
  },
  "GET /api/v1/setup": open("/api/v1/setup"),
  "GET /auth/oidc/:name": open("/auth/oidc/none"),
  "GET /auth/oidc/:name/callback": open("/auth/oidc/none/callback"),
  "POST /auth/oidc/:name/backchannel-logout": {
    ...open("/auth/oidc/none/backchannel-logout"),
    served: [404, "NOT_FOUND"],
  },
  "POST /api/v1/auth/refresh": { ...open("/api/v1/auth/refresh"), served: [401, "UNAUTHENTICATED"] },
  "POST /api/v1/auth/logout": open("/api/v1/auth/logout"),
  "POST /api/v1/auth/verify-email": { ...open("/api/v1/auth/verify-email"), served: [400, "VALIDATION_FAILED"] },
  "POST /api/v1/auth/resend-verification": {
    ...open("/api/v1/auth/resend-verification"),
    request: at("/api/v1/auth/resend-verification", NO_ACCOUNT),
  },
  "POST /api/v1/auth/forgot-password": {
    ...open("/api/v1/auth/forgot-password"),
    request: at("/api/v1/auth/forgot-password", NO_ACCOUNT),
  },
  "POST /api/v1/auth/reset-password": { ...open("/api/v1/auth/reset-password"), served: [400, "VALIDATION_FAILED"] },
  "GET /api/v1/auth/sessions": { refusal: scoped(["account:own"]), request: at("/api/v1/auth/sessions") },
  "DELETE /api/v1/auth/sessions/:id": [
    {
      refusal: ownSession,
      request: async (world, who, isServed) => ({
        path: sessionAt(isServed && who.kind === "user" ? await openSession(world.prism, who.id) : NO_ID),
      }),
    },
    {
      // Another user's.
      refusal: scoped(["account:own", "users:manage"], ownersAnd("users:manage", "SESSION_NOT_FOUND")),
      request: async ({ prism, keeper }) => ({ path: sessionAt(await openSession(prism, keeper)) }),
    },
  ],
};
