import assert from "node:assert/strict";
import test from "node:test";
import bcrypt from "bcrypt";
import fc from "fast-check";
import { PrismError } from "../../../../src/core/errors.ts";
import { PasswordHasher } from "../../../../src/features/access/passwords/hasher.ts";
import {
  bcryptInput,
  costOf,
  decoyHash,
  requireStrong,
  WEAK_PASSWORDS,
} from "../../../../src/features/access/passwords/password-text.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { call, makeAccount, outcomeOf, PASSWORD, startAccounts } from "../sessions/support/auth-client.ts";

const COST = 4;

function codeOf(fn: () => unknown): string {
  try {
    fn();
    return "taken";
  } catch (error) {
    return error instanceof PrismError ? error.code : String(error);
  }
}

test("D17: what fits into bcrypt's 72 bytes is hashed as it is, so that hashes from elsewhere verify", async (t) => {
  const hasher = new PasswordHasher({ cost: COST });
  t.after(() => hasher.close());
  for (const password of ["securepassword", "pässwörd", "🔑".repeat(18), "x".repeat(72)]) {
    assert.equal(await hasher.verify(password, bcrypt.hashSync(password, COST)), true, password);
    assert.equal(bcrypt.compareSync(password, await hasher.hash(password)), true, password);
  }
  const php = bcrypt.hashSync("securepassword", COST).replace("$2b$", "$2y$");
  assert.equal(await hasher.verify("securepassword", php), true, "the prefix of PHP");
});

test("D17: no two passwords of up to 1024 bytes are one to bcrypt", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 200 }),
      fc.string({ unit: "grapheme", maxLength: 3 }),
      (start, end) => {
        const [one, other] = [start.normalize("NFKC"), `${start}${end}`.normalize("NFKC")];
        if ([one, other].some((text) => Buffer.byteLength(text) > 1024 || text.includes("\0"))) return;
        assert.equal(bcryptInput(one) === bcryptInput(other), one === other);
        assert.ok(Buffer.byteLength(bcryptInput(other)) <= 72);
      },
    ),
  );
  assert.equal(
    codeOf(() => bcryptInput("x".repeat(1024))),
    "taken",
  );
  assert.equal(
    codeOf(() => bcryptInput("x".repeat(1025))),
    "VALIDATION_FAILED",
  );
  assert.equal(
    codeOf(() => bcryptInput("a\0b")),
    "VALIDATION_FAILED",
  );
});

test("a new password is refused when it is short, much used, or the account's own name", () => {
  const names = ["ann@example.com", "annabella", null, undefined];
  for (const [password, code] of [
    ["securepassword", "taken"],
    ["annabella1", "taken"],
    ["1234567", "WEAK_PASSWORD"],
    ["🔑🔑🔑🔑", "WEAK_PASSWORD"],
    ["password123", "WEAK_PASSWORD"],
    ["PassWord123", "WEAK_PASSWORD"],
    ["ＰＡＳＳＷＯＲＤ１", "WEAK_PASSWORD"],
    ["annabella", "WEAK_PASSWORD"],
    ["AnnaBella", "WEAK_PASSWORD"],
    ["ann@example.com", "WEAK_PASSWORD"],
    ["x".repeat(1025), "VALIDATION_FAILED"],
  ] as const) {
    assert.equal(
      codeOf(() => requireStrong(password, 8, names)),
      code,
      password,
    );
  }
  assert.ok(WEAK_PASSWORDS.size <= 1000, `${WEAK_PASSWORDS.size}`);
  assert.equal(WEAK_PASSWORDS.has("securepassword"), false, "the seeds' example");
});

test("no account, no password and no bcrypt hash are false, and bcrypt is asked all the same", async (t) => {
  const hasher = new PasswordHasher({ cost: COST });
  t.after(() => hasher.close());
  assert.equal(hasher.threadCount, 0, "nothing runs before the first password");
  assert.equal(await hasher.verify("x", null), false);
  assert.equal(hasher.threadCount, 1);
  for (const hash of ["", "x", "plain text", "$2b$04$short", `${bcrypt.hashSync("x", COST)}x`, decoyHash(COST)])
    assert.equal(await hasher.verify("x", hash), false, hash);
  assert.equal(costOf(decoyHash(12)), 12);
  assert.equal(bcrypt.getRounds(decoyHash(12)), 12, "a hash that bcrypt does not skip");
  assert.deepEqual(
    [hasher.isOutdated(decoyHash(COST)), hasher.isOutdated(decoyHash(5)), hasher.isOutdated("x")],
    [false, true, true],
  );
});

test("a check of a hash made at a lower cost does the rounds of the cost that is configured", async (t) => {
  const { compareAtCost } = await import("../../../../src/features/access/passwords/hash-thread.ts");
  const rounds: number[] = [];
  const compare = bcrypt.compareSync.bind(bcrypt);
  t.mock.method(bcrypt, "compareSync", (input: string, hash: string) => {
    rounds.push(2 ** bcrypt.getRounds(hash));
    return compare(input, hash);
  });
  for (const [at, cost] of [
    [4, 4],
    [4, 5],
    [4, 8],
    [6, 8],
  ] as const) {
    rounds.length = 0;
    assert.equal(compareAtCost("right", bcrypt.hashSync("right", at), cost), true);
    const total = rounds.reduce((sum, each) => sum + each);
    assert.equal(total, 2 ** cost, `${at} to ${cost}`);
  }
});

test("a request beyond the queue's limit is refused; idle threads stop", async (t) => {
  const hasher = new PasswordHasher({ cost: COST, threads: 1, maxWaiting: 3, idleMs: 50 });
  t.after(() => hasher.close());
  const asked = Array.from({ length: 8 }, () =>
    hasher.hash("x").then(
      () => "done",
      (error: PrismError) => error.code,
    ),
  );
  const outcomes = await Promise.all(asked);
  assert.deepEqual(outcomes, ["done", "done", "done", "done", ...Array.from({ length: 4 }, () => "OVERLOADED")]);
  await eventually("the idle thread has stopped", () => hasher.threadCount === 0);
  assert.equal(await hasher.verify("x", await hasher.hash("x")), true, "and one starts again");
});

test("closing refuses what waits and ends the threads", async () => {
  const hasher = new PasswordHasher({ cost: COST, threads: 1 });
  const outcomes = Array.from({ length: 3 }, () =>
    hasher.hash("x").then(
      () => "done",
      (error: PrismError) => error.code,
    ),
  );
  await hasher.close();
  assert.deepEqual(
    await Promise.all(outcomes),
    Array.from({ length: 3 }, () => "SHUTTING_DOWN"),
  );
  await assert.rejects(hasher.hash("x"), { code: "SHUTTING_DOWN" });
});

test("S2-92: with the hashing queue full a login is answered 503 OVERLOADED with Retry-After, and does not count as a guess", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const { passwords } = prism.parts.offers.accounts;
  const full = t.mock.method(passwords, "verify", () =>
    Promise.reject(new PrismError("OVERLOADED", "Too many passwords wait to be checked", { retryAfterMs: 1000 })),
  );
  for (let i = 0; i < 8; i++) {
    const reply = await call(prism, "/auth/login", { login: "ann", password: i < 4 ? "wrong" : PASSWORD });
    assert.deepEqual([outcomeOf(reply), reply.headers.get("retry-after")], ["503 OVERLOADED", "1"]);
  }
  full.mock.restore();
  assert.equal((await call(prism, "/auth/login", { login: "ann", password: PASSWORD })).status, 200);
});
