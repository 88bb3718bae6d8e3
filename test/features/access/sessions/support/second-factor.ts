import assert from "node:assert/strict";
import { totpCode } from "../../../../../src/features/access/sessions/second-factor.ts";
import type { Reply, TestPrism } from "../../../../helpers/prism.ts";
import { call, type LoginBody, logIn, PASSWORD } from "./auth-client.ts";

export const FACTOR = "/api/v1/users/me/second-factor";
export const STEP_MS = 30_000;

/** An authenticator app: its secret, and the codes of the server's clock. */
export class Authenticator {
  readonly #prism: TestPrism;
  readonly #secret: Uint8Array;

  constructor(prism: TestPrism, secret: string) {
    this.#prism = prism;
    this.#secret = fromBase32(secret);
  }

  /** @param steps from the current one. */
  code(steps = 0): string {
    return totpCode(this.#secret, Math.floor(this.#prism.parts.base.clock.now() / STEP_MS) + steps);
  }

  /** None of the codes that are valid now. */
  wrong(): string {
    const valid = [-1, 0, 1].map((steps) => this.code(steps));
    return ["000000", "111111", "222222", "333333"].find((code) => !valid.includes(code)) ?? "";
  }
}

export interface Protected {
  readonly app: Authenticator;
  readonly secret: string;
  readonly uri: string;
  readonly recoveryCodes: readonly string[];
  /** Of the session that enabled it. */
  readonly token: string;
}

/** Enables the second factor of an account. The code of the step before is used up. */
export async function protect(prism: TestPrism, login: string, password = PASSWORD): Promise<Protected> {
  const pending = await pend(prism, login, password);
  const { app, token } = pending;

  const confirm = () => prism.post<{ recoveryCodes: string[] }>(`${FACTOR}/confirm`, { code: app.code(-1) }, { token });
  let confirmed = await confirm();
  // A new step may have begun on the way: the code was two steps old.
  if (confirmed.status === 401) confirmed = await confirm();
  assert.equal(confirmed.status, 200, confirmed.text);
  return { ...pending, recoveryCodes: confirmed.body.recoveryCodes };
}

/** A second factor that waits for its first code. */
export async function pend(
  prism: TestPrism,
  login: string,
  password = PASSWORD,
): Promise<Omit<Protected, "recoveryCodes">> {
  const { token } = await logIn(prism, login, password);
  const { status, body, text } = await prism.post<{ secret: string; uri: string }>(FACTOR, { password }, { token });
  assert.equal(status, 201, text);
  return { app: new Authenticator(prism, body.secret), ...body, token };
}

interface Challenged {
  readonly error: { readonly code: string; readonly details: readonly [{ readonly challenge: string }] };
}

/** The challenge of a login with the right password. */
export async function challengeOf(prism: TestPrism, login: string, password = PASSWORD): Promise<string> {
  const reply = await call<Challenged>(prism, "/api/v1/auth/login", { login, password });
  assert.equal(reply.body.error?.code, "SECOND_FACTOR_REQUIRED", reply.text);
  return reply.body.error.details[0].challenge;
}

/** The second step of a login. */
export function secondStep(prism: TestPrism, body: object): Promise<Reply<LoginBody>> {
  return call(prism, "/api/v1/auth/login/second-factor", body);
}

export function fromBase32(text: string): Uint8Array {
  const bits = [...text]
    .map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"))
    .join("");
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
}
