import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { PrismError } from "../../../../src/core/errors.ts";
import { LoginBackoff } from "../../../../src/features/access/sessions/login-backoff.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { Reply } from "../../../helpers/prism.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";

const LOGIN = "/api/v1/auth/login";
const MINUTE = 60_000;

/** How long an attempt has to wait, in seconds; 0: it is let in. */
function waitOf(backoff: LoginBackoff, name: string, address: string): number {
  try {
    backoff.begin(name, address);
    return 0;
  } catch (error) {
    return Math.ceil(((error as PrismError).retryAfterMs ?? 0) / 1000);
  }
}

test("S4-33: five failures of a name from an address are free, then each waits twice as long, up to a quarter of an hour", () => {
  const clock = new FakeClock();
  const backoff = new LoginBackoff(clock);
  for (let i = 0; i < 5; i++) assert.equal(waitOf(backoff, "ann", "a"), 0, `attempt ${i + 1}`);
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    const wait = waitOf(backoff, "ann", "a");
    waits.push(wait);
    assert.equal(waitOf(backoff, "ann", "a"), wait, "an attempt that is refused does not count");
    clock.advance(wait * 1000 - 1);
    assert.equal(waitOf(backoff, "ann", "a"), 1, "not a moment too early");
    clock.advance(1);
    assert.equal(waitOf(backoff, "ann", "a"), 0);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
  assert.equal(waitOf(backoff, "bob", "a"), 0, "another name is not concerned");
  assert.equal(waitOf(backoff, "ann", "b"), 0, "nor is another address");
});

test("a clock that is set back an hour makes a login wait no longer than its own back-off", () => {
  const clock = new FakeClock();
  const backoff = new LoginBackoff(clock);
  for (let i = 0; i < 5; i++) waitOf(backoff, "ann", "a");
  clock.set(-60 * MINUTE);
  assert.equal(waitOf(backoff, "ann", "a"), 1);
  clock.advance(1000);
  assert.equal(waitOf(backoff, "ann", "a"), 0);
});

test("fifty failures of a name close it for all but the pairs that have succeeded in the last thirty days", () => {
  const clock = new FakeClock();
  const backoff = new LoginBackoff(clock);
  backoff.begin("ann", "home").succeeded();
  for (let i = 0; i < 50; i++) assert.equal(waitOf(backoff, "ann", `bot${i}`), 0);
  assert.equal(waitOf(backoff, "ann", "bot99"), 900);
  assert.equal(waitOf(backoff, "ann", "home"), 0);
  assert.equal(waitOf(backoff, "bob", "bot99"), 0);
  clock.advance(15 * MINUTE);
  assert.equal(waitOf(backoff, "ann", "bot99"), 0, "a new quarter of an hour");
  clock.advance(30 * 24 * 60 * MINUTE);
  for (let i = 0; i < 50; i++) waitOf(backoff, "ann", `more${i}`);
  assert.equal(waitOf(backoff, "ann", "home"), 900, "after thirty days home is like any other address");
  backoff.trust("ann", "hotel");
  assert.equal(waitOf(backoff, "ann", "hotel"), 0, "a link from a mail has shown who is there");
});

test("thirty failures of an address close it for all names", () => {
  const clock = new FakeClock();
  const backoff = new LoginBackoff(clock);
  for (let i = 0; i < 30; i++) assert.equal(waitOf(backoff, `name${i}`, "bot"), 0);
  assert.equal(waitOf(backoff, "name99", "bot"), 900);
  assert.equal(waitOf(backoff, "name99", "home"), 0);
  clock.set(-24 * 60 * MINUTE);
  assert.equal(waitOf(backoff, "name99", "bot"), 900, "a clock that is set back keeps nobody out for longer");
  backoff.clear();
  assert.equal(waitOf(backoff, "name99", "bot"), 0, "prism user unlock");
});

test("guesses from other addresses of one IPv6 network close that network, and no other", () => {
  const backoff = new LoginBackoff(new FakeClock());
  for (let i = 0; i < 240; i++) assert.equal(waitOf(backoff, `name${i}`, `2001:db8:1:${i.toString(16)}:0:0:0:1`), 0);
  assert.equal(waitOf(backoff, "name", "2001:db8:1:ffff:0:0:0:1"), 900);
  assert.equal(waitOf(backoff, "name", "2001:db8:2:ffff:0:0:0:1"), 0);
});

test("an attempt that came to no guess is taken back, a success forgets the failures of the pair", () => {
  const backoff = new LoginBackoff(new FakeClock());
  for (let i = 0; i < 100; i++) {
    backoff.begin("ann", "a").withdrawn();
  }
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 4; i++) assert.equal(waitOf(backoff, `round${round}`, `from${round}`), 0);
    backoff.begin(`round${round}`, `from${round}`).succeeded();
  }
});

test("the tables are bounded, and what is forgotten is the oldest", () => {
  const backoff = new LoginBackoff(new FakeClock(), 100);
  for (let i = 0; i < 5; i++) backoff.begin("ann", "a");
  for (let i = 0; i < 99; i++) backoff.begin(`n${i}`, `a${i}`);
  assert.equal(waitOf(backoff, "ann", "a"), 1);
  backoff.begin("one more", "x");
  assert.equal(waitOf(backoff, "ann", "a"), 0);
});

/** An answer without what is of the request alone. */
function essence({ status, text, headers }: Reply<unknown>): unknown {
  const ofRequest = ["x-request-id", "x-correlation-id", "date"];
  return [
    status,
    text.replace(/"requestId":"[^"]+"/, ""),
    [...headers].filter(([name]) => !ofRequest.includes(name)).sort(),
  ];
}

test("D54: during back-off the answer is one and the same for existing and unknown names, for right and wrong passwords", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock, settings: { "auth.accessExpires": "1h" } });
  await makeAccount(prism, { username: "ann" });
  const session = await logIn(prism, "ann");
  for (const login of ["ann", "nobody"]) {
    for (let i = 0; i < 5; i++)
      assert.equal(outcomeOf(await call(prism, LOGIN, { login, password: "wrong" })), "401 INVALID_CREDENTIALS");
  }
  const answers: Reply<unknown>[] = [];
  for (const login of ["ann", "nobody"])
    for (const password of ["wrong", PASSWORD]) answers.push(await call(prism, LOGIN, { login, password }));
  const [first] = answers;
  assert.ok(first);
  assert.equal(outcomeOf(first), "429 RATE_LIMITED");
  assert.equal(first.headers.get("retry-after"), "1");
  for (const answer of answers) assert.deepEqual(essence(answer), essence(first));

  const refreshed = await call(prism, "/api/v1/auth/refresh", { refreshToken: session.refreshToken });
  assert.equal(refreshed.status, 200, "those who are logged in stay so");
  for (const spelling of [" ANN", "Ann "])
    assert.equal(
      outcomeOf(await call(prism, LOGIN, { login: spelling, password: PASSWORD })),
      "429 RATE_LIMITED",
      "no other spelling is another name",
    );
  clock.advance(1000);
  await logIn(prism, "ann");
  for (let i = 0; i < 5; i++)
    assert.equal(
      outcomeOf(await call(prism, LOGIN, { login: "ann", password: "wrong" })),
      "401 INVALID_CREDENTIALS",
      "the success has cleared what was counted",
    );
});

test("guesses sent side by side are counted before any of them is answered", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const guesses = Array.from({ length: 25 }, (_, i) => call(prism, LOGIN, { login: "ann", password: `guess ${i}` }));
  const outcomes = (await Promise.all(guesses)).map(outcomeOf).sort();
  assert.deepEqual(outcomes, [
    ...Array.from({ length: 5 }, () => "401 INVALID_CREDENTIALS"),
    ...Array.from({ length: 20 }, () => "429 RATE_LIMITED"),
  ]);
});

test("guessing the current password in a session that was found open is slowed down too, without the owner's logins", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const { id } = await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  const guess = async (currentPassword: string): Promise<string> =>
    outcomeOf(await prism.put("/api/v1/users/me/password", { currentPassword, password: "a new password" }, { token }));
  for (let i = 0; i < 5; i++) assert.equal(await guess(`wrong ${i}`), "401 INVALID_CREDENTIALS");
  assert.equal(await guess(PASSWORD), "429 RATE_LIMITED");
  await logIn(prism, "ann");
  for (let i = 0; i < 5; i++) await call(prism, LOGIN, { login: `\tid:${id}`, password: "x" });
  for (let i = 0; i < 5; i++) await call(prism, LOGIN, { login: `id:${id}`, password: "x" });
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 200);
});

test("S2-92, S4-34: attempts to log in are limited by address and by name, and the answers say which limit is near", async (t) => {
  const clock = new FakeClock();
  const settings = { "rateLimit.enabled": "true", "rateLimit.auth": "6", "rateLimit.authName": "3" };
  const prism = await startAccounts(t, { clock, settings });
  const attempt = async (login: string) => {
    const reply = await call(prism, LOGIN, { login, password: "wrong" });
    const field = (name: string) => Number(reply.headers.get(`ratelimit-${name}`));
    return [outcomeOf(reply), field("limit"), field("remaining"), reply.headers.get("retry-after")];
  };
  assert.deepEqual(await attempt("ann"), ["401 INVALID_CREDENTIALS", 3, 2, null]);
  assert.deepEqual(await attempt("ann"), ["401 INVALID_CREDENTIALS", 3, 1, null]);
  assert.deepEqual(await attempt(" ANN"), ["401 INVALID_CREDENTIALS", 3, 0, null]);
  assert.deepEqual(await attempt("ann"), ["429 RATE_LIMITED", 3, 0, "20"]);
  assert.deepEqual(await attempt("bob"), ["401 INVALID_CREDENTIALS", 6, 1, null]);
  const send = async (path: string, body: object) => {
    const reply = await call(prism, path, body);
    return [outcomeOf(reply), reply.headers.get("ratelimit-limit")];
  };
  assert.deepEqual(await send("/auth/register", { email: "x@example.com", password: PASSWORD }), ["201", "6"]);
  assert.deepEqual(await send(LOGIN, { login: "dan", password: "wrong" }), ["429 RATE_LIMITED", "6"]);
  for (let i = 0; i < 6; i++) {
    const path = i % 2 === 0 ? "forgot-password" : "resend-verification";
    assert.deepEqual(await send(`/api/v1/auth/${path}`, { email: "x@example.com" }), ["202", "6"], "counted apart");
  }
  const refused = await send("/api/v1/auth/forgot-password", { email: "other@example.com" });
  assert.deepEqual(refused, ["429 RATE_LIMITED", "6"]);
  clock.advance(10_000);
  assert.equal((await attempt("eve"))[0], "401 INVALID_CREDENTIALS");
});

/**
 * A server that believes the first address of `X-Forwarded-For`, so that a test can call from
 * anywhere.
 */
function startBehindProxy(t: TestContext, clock: FakeClock) {
  const settings = { "rateLimit.enabled": "true", trustedProxies: "127.0.0.0/8" };
  return startAccounts(t, { clock, settings });
}

const from = (address: string) => ({ "X-Forwarded-For": address });

test("guesses from many addresses never lock an account out for an address that has logged in, over a restart too", async (t) => {
  const clock = new FakeClock();
  const prism = await startBehindProxy(t, clock);
  await makeAccount(prism, { username: "ann", email: "ann@example.com" });
  const logInFrom = async (address: string, login = "ann", password = PASSWORD) =>
    outcomeOf(await call(prism, LOGIN, { login, password }, from(address)));
  assert.equal(await logInFrom("198.51.100.7"), "200");
  assert.equal(await logInFrom("2001:db8:5:6::1"), "200");
  const attack = async () => {
    for (let bot = 0; bot < 20; bot++) {
      for (const login of ["ann", "ann@example.com", "ann", "ann@example.com"])
        await logInFrom(`203.0.113.${bot}`, login, "a guess");
    }
    assert.equal(await logInFrom("203.0.113.200"), "429 RATE_LIMITED", "the attack is noticed");
  };
  await attack();
  assert.equal(await logInFrom("198.51.100.7"), "200");
  assert.equal(await logInFrom("198.51.100.7", "ann@example.com"), "200", "by every name of the account");
  assert.equal(await logInFrom("2001:db8:5:6::ffff"), "200", "another address of the same network");
  await prism.restart();
  await attack();
  assert.equal(await logInFrom("198.51.100.7"), "200");
  clock.advance(31 * 24 * 60 * MINUTE);
  await attack();
  assert.equal(await logInFrom("198.51.100.7"), "429 RATE_LIMITED", "known for thirty days");
});

test("logging in often with the right password takes nothing from the name's attempts", async (t) => {
  const prism = await startBehindProxy(t, new FakeClock());
  await makeAccount(prism, { username: "ann" });
  for (let i = 0; i < 15; i++)
    assert.equal((await call(prism, LOGIN, { login: "ann", password: PASSWORD }, from(`198.51.100.${i}`))).status, 200);
});

test("work that strangers cause from a shared address refuses neither the right password nor a refresh from there", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock(), settings: { "rateLimit.enabled": "false" } });
  await makeAccount(prism, { username: "carol" });
  const { refreshToken } = await logIn(prism, "carol");
  const { work } = prism.parts.core;
  const members = (n: number) => JSON.stringify({ z: Array.from({ length: n }, () => 1) });
  for (const path of ["/api/v1/auth/verify-email", "/auth/refresh", "/auth/logout"])
    for (let i = 0; i < 30; i++)
      assert.equal(outcomeOf(await call(prism, path, members(7900))), "413 PAYLOAD_TOO_LARGE");
  for (const url of ["", "sign-in"]) assert.equal(work.debtOf(work.ofAddress("127.0.0.1", url)), null, url);
  assert.equal(outcomeOf(await call(prism, "/api/v1/auth/verify-email", members(450))), "400 VALIDATION_FAILED");
  const owe = (url?: string): void => {
    for (let i = 0; i < 2; i++) work.charge(work.ofAddress("127.0.0.1", url), { steps: 80_000_000 });
  };
  owe();
  assert.equal(outcomeOf(await call(prism, "/api/v1/auth/verify-email", {})), "429 WORK_LIMITED");
  const long = { login: "carol", password: "x".repeat(5000) };
  assert.notEqual(outcomeOf(await call(prism, LOGIN, long)), "429 WORK_LIMITED");
  owe("sign-in");
  assert.equal(outcomeOf(await call(prism, LOGIN, long)), "429 WORK_LIMITED");
  await logIn(prism, "carol");
  assert.equal((await call(prism, "/auth/refresh", { refreshToken })).status, 200);
});
