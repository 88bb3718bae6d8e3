import { openSession } from "./makers.ts";
import { ownersAnd, scoped } from "./refusals.ts";
import { at, NO_ID, open, type Table } from "./row.ts";

const NO_ACCOUNT = { email: "nobody@example.com" };

const sessionAt = (id: string): string => `/api/v1/auth/sessions/${id}`;

const ownSession = scoped(["account:own", "users:manage"]);

/**
 * Contract 4.4. The matrix calls with a forwarding header, which closes what is open to this
 * machine in development (D10).
 */
export const AUTH: Table = {
  "GET /dev/token": [{ ...open("/dev/token"), served: [404, "NOT_FOUND"] }],
  "POST /api/v1/auth/register": [{ ...open("/api/v1/auth/register"), served: [400, "VALIDATION_FAILED"] }],
  "POST /api/v1/auth/login": [{ ...open("/api/v1/auth/login"), served: [400, "VALIDATION_FAILED"] }],
  "POST /api/v1/auth/sign-in-link": [{ ...open("/api/v1/auth/sign-in-link"), served: [400, "VALIDATION_FAILED"] }],
  "GET /api/v1/setup": [open("/api/v1/setup")],
  "POST /api/v1/auth/refresh": [{ ...open("/api/v1/auth/refresh"), served: [401, "UNAUTHENTICATED"] }],
  "POST /api/v1/auth/logout": [open("/api/v1/auth/logout")],
  "POST /api/v1/auth/verify-email": [{ ...open("/api/v1/auth/verify-email"), served: [400, "VALIDATION_FAILED"] }],
  "POST /api/v1/auth/resend-verification": [
    { ...open("/api/v1/auth/resend-verification"), request: at("/api/v1/auth/resend-verification", NO_ACCOUNT) },
  ],
  "POST /api/v1/auth/forgot-password": [
    { ...open("/api/v1/auth/forgot-password"), request: at("/api/v1/auth/forgot-password", NO_ACCOUNT) },
  ],
  "POST /api/v1/auth/reset-password": [{ ...open("/api/v1/auth/reset-password"), served: [400, "VALIDATION_FAILED"] }],
  "GET /api/v1/auth/sessions": [{ refusal: scoped(["account:own"]), request: at("/api/v1/auth/sessions") }],
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
