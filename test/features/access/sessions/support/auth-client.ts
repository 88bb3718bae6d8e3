import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { answered, type PrismOptions, type Reply, startPrism, type TestPrism } from "../../../../helpers/prism.ts";

/**
 * Passwords are hashed at the lowest cost, and attempts are not limited unless a test is about
 * that.
 */
const SETTINGS = { "auth.bcryptCost": "4", "rateLimit.enabled": "false" };

export const PASSWORD = "correct horse battery";

export interface UserBody {
  readonly id: string;
  readonly email: string | null;
  readonly username: string | null;
  readonly phone: string | null;
  readonly name: string;
  readonly status: string;
  readonly roles: readonly string[];
}

/** What logging in answers (D12). */
export interface LoginBody {
  readonly token: string;
  readonly accessToken: string;
  readonly tokenType: string;
  readonly expiresIn: number;
  readonly refreshToken?: string;
  readonly status?: string;
  readonly user: UserBody;
}

/** A server for tests of accounts. */
export function startAccounts(t: TestContext, options: PrismOptions = {}): Promise<TestPrism> {
  return startPrism(t, { ...options, settings: { ...SETTINGS, ...options.settings } });
}

/** Without credentials of its own. */
export function call<T = LoginBody>(
  prism: TestPrism,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply<T>> {
  return prism.post<T>(path, body, { token: null, headers });
}

/** `<status> <code>` of a refusal, the status alone of anything else. */
export function outcomeOf({ status, body }: Reply<unknown>): string {
  const { error } = body as { error?: { code: string } };
  return error ? `${status} ${error.code}` : String(status);
}

/** An active account with a password, made by the administrator. */
export async function makeAccount(
  prism: TestPrism,
  names: { username?: string; email?: string; phone?: string },
  { roles = ["User"], password = PASSWORD }: { roles?: readonly string[]; password?: string } = {},
): Promise<UserBody> {
  const reply = await answered(201, prism.post<UserBody>("/api/v1/users", { ...names, roles, password }));
  return reply.body;
}

/** Logs in; the refresh token comes in the body. */
export async function logIn(prism: TestPrism, login: string, password = PASSWORD): Promise<Required<LoginBody>> {
  const reply = await call<Required<LoginBody>>(prism, "/api/v1/auth/login", {
    login,
    password,
    tokenDelivery: "body",
  });
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

/** The cookie that an answer sets, as a client sends it back, and its attributes. */
export function cookieOf({ headers }: Reply<unknown>): { readonly pair: string; readonly attributes: string[] } {
  const [line = ""] = headers.getSetCookie();
  const [pair = "", ...attributes] = line.split("; ");
  return { pair, attributes };
}
