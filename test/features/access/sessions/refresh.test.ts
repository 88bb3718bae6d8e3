import assert from "node:assert/strict";
import test from "node:test";
import { rotateSession } from "../../../../src/features/access/sessions/sessions.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { answered } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { call, cookieOf, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";

const REFRESH = "/api/v1/auth/refresh";
const DAY = 86_400_000;

async function meOf(prism: TestPrism, token: string): Promise<string> {
  return outcomeOf(await prism.get("/api/v1/users/me", { token }));
}

test("S2-18, S4-33: a refresh token is good once and gives the next; the session stays one and the same", async (t) => {
  keepsPromise(t, ["S2-18", "S4-33"]);
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  let { refreshToken, token } = await logIn(prism, "ann");
  const seen = new Set([refreshToken]);
  for (let i = 0; i < 4; i++) {
    const { body } = await answered(200, call(prism, REFRESH, { refreshToken }));
    assert.deepEqual([body.tokenType, body.expiresIn, body.user.id], ["Bearer", 900, id]);
    assert.equal(await meOf(prism, token), "200", "the access token of before goes on until it ends");
    ({ refreshToken = "", token } = body);
    seen.add(refreshToken);
  }
  assert.equal(seen.size, 5);
  assert.equal(scalarOf(prism, "select count(*) from sessions where userId = ?", id), 1);
  const stored = JSON.stringify(rowsOf(prism, "select * from refresh_tokens"));
  for (const each of seen) assert.equal(stored.includes(each) || stored.includes(each.slice(4)), false);
});

test("D53, S1-30: of refreshes side by side the last token is good; another one ends the session, and the audit trail says so", async (t) => {
  keepsPromise(t, "S1-30");
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  const other = await logIn(prism, "ann");
  const { refreshToken, token } = await logIn(prism, "ann");
  const replies = await Promise.all(Array.from({ length: 6 }, () => call(prism, REFRESH, { refreshToken })));
  assert.deepEqual(replies.map(outcomeOf), Array(6).fill("200"));
  const given = new Set(replies.map(({ body }) => body.refreshToken));
  assert.equal(given.size, 6);
  assert.equal(
    scalarOf(
      prism,
      "select count(*) from refresh_tokens r join sessions s on s.id = r.sessionId where userId = ? and usedAt is null",
      id,
    ),
    2,
    "of six tokens one is good, beside the other login's",
  );
  // The order of the answers is not that of the transactions, so all are tried.
  const last = await refreshOutcomes(
    prism,
    [...given].map((each) => each ?? ""),
  );
  assert.ok(last.includes("401 REFRESH_REUSED"), "a void token ends the session");
  assert.equal(await meOf(prism, token), "401 SESSION_REVOKED");
  assert.equal(await meOf(prism, other.token), "200", "other logins of the user go on");
  const [session] = rowsOf<{ id: string; revokeReason: string }>(
    prism,
    "select id, revokeReason from sessions where userId = ? and revokedAt is not null",
    id,
  );
  assert.equal(session?.revokeReason, "reuse");
  assert.deepEqual(
    rowsOf(prism, "select resourceType, resourceId, metadata from audit_log where action = 'auth.refresh_reused'"),
    [{ resourceType: "session", resourceId: session?.id, metadata: JSON.stringify({ userId: id }) }],
  );
});

async function refreshOutcomes(prism: TestPrism, tokens: readonly string[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const refreshToken of tokens) outcomes.push(outcomeOf(await call(prism, REFRESH, { refreshToken })));
  return outcomes;
}

test("a refresh whose answer was lost can be repeated for 30 seconds", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  const { refreshToken } = await logIn(prism, "ann");
  const lost = await call(prism, REFRESH, { refreshToken });
  clock.advance(30_000);
  const repeated = await answered(200, call(prism, REFRESH, { refreshToken }));
  assert.notEqual(repeated.body.refreshToken, lost.body.refreshToken);
  assert.equal(await meOf(prism, repeated.body.token), "200");
  const next = await call(prism, REFRESH, { refreshToken: repeated.body.refreshToken });
  assert.equal(next.status, 200, "the session goes on");
  assert.equal(rowsOf(prism, "select 1 from audit_log where action = 'auth.refresh_reused'").length, 0);
});

test("only the client that used a refresh token first can repeat it; the list of sessions shows that, and the audit trail", async (t) => {
  const prism = await startAccounts(t, { settings: { trustedProxies: "127.0.0.1/32" } });
  await makeAccount(prism, { username: "ann" });
  const from = (address: string, agent: string) => ({ "X-Forwarded-For": address, "User-Agent": agent });
  const [owner, elsewhere, otherAgent] = [
    from("203.0.113.1", "Firefox"),
    from("203.0.113.2", "Firefox"),
    from("203.0.113.1", "curl"),
  ];
  for (const [thief, expected] of [
    [elsewhere, "401 REFRESH_REUSED"],
    [otherAgent, "401 REFRESH_REUSED"],
    [owner, "200"],
  ] as const) {
    const { refreshToken } = await logIn(prism, "ann");
    assert.equal((await call(prism, REFRESH, { refreshToken }, owner)).status, 200);
    const second = await call(prism, REFRESH, { refreshToken }, thief);
    assert.equal(outcomeOf(second), expected, JSON.stringify(thief));
  }
  const { token } = await logIn(prism, "ann");
  const { body } = await prism.get<{ data: { repeatedAt: string | null }[] }>("/api/v1/auth/sessions", { token });
  assert.deepEqual(body.data.map(({ repeatedAt }) => repeatedAt !== null).sort(), [false, true]);
  const audited = rowsOf<{ action: string }>(prism, "select action from audit_log where action like 'auth.refresh_%'");
  assert.deepEqual(audited.map(({ action }) => action).sort(), [
    "auth.refresh_repeated",
    "auth.refresh_reused",
    "auth.refresh_reused",
  ]);
});

test("a repeated refresh ends the session when it comes late, when the replacement was used, or with a void replacement", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  const begin = async () => {
    const { refreshToken = "" } = await logIn(prism, "ann");
    const { body } = await call(prism, REFRESH, { refreshToken });
    return { first: refreshToken, second: body.refreshToken ?? "" };
  };
  const late = await begin();
  clock.advance(30_001);
  assert.deepEqual(await refreshOutcomes(prism, [late.first, late.second]), [
    "401 REFRESH_REUSED",
    "401 SESSION_REVOKED",
  ]);

  // The limit counts from the first use: a repetition does not extend it.
  const repeated = await begin();
  clock.advance(20_000);
  assert.deepEqual(await refreshOutcomes(prism, [repeated.first]), ["200"]);
  clock.advance(20_000);
  assert.deepEqual(await refreshOutcomes(prism, [repeated.first]), ["401 REFRESH_REUSED"]);

  const used = await begin();
  assert.deepEqual(await refreshOutcomes(prism, [used.second, used.first]), ["200", "401 REFRESH_REUSED"]);

  const stolen = await begin();
  assert.deepEqual(await refreshOutcomes(prism, [stolen.first, stolen.second, stolen.first]), [
    "200",
    "401 REFRESH_REUSED",
    "401 SESSION_REVOKED",
  ]);
});

test("D53: a refresh token that is played back later ends the session, however old it is", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  const first = await logIn(prism, "ann");
  const second = await call(prism, REFRESH, { refreshToken: first.refreshToken });
  clock.advance(6 * DAY);
  const third = await answered(200, call(prism, REFRESH, { refreshToken: second.body.refreshToken }));
  clock.advance(2 * DAY);
  assert.equal(outcomeOf(await call(prism, REFRESH, { refreshToken: first.refreshToken })), "401 REFRESH_REUSED");
  assert.equal(outcomeOf(await call(prism, REFRESH, { refreshToken: third.body.refreshToken })), "401 SESSION_REVOKED");
});

test("S1-18, S2-83: a refresh token ends after its time, and a session after thirty days however often it was refreshed", async (t) => {
  keepsPromise(t, "S1-18");
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  const left = await logIn(prism, "ann");
  clock.advance(7 * DAY - 1);
  const { body } = await call(prism, REFRESH, { refreshToken: left.refreshToken });
  clock.advance(7 * DAY);
  assert.equal(outcomeOf(await call(prism, REFRESH, { refreshToken: body.refreshToken })), "401 TOKEN_EXPIRED");

  let login = await logIn(prism, "ann");
  for (let days = 0; days < 25; days += 5) {
    clock.advance(5 * DAY);
    login = (await call<Required<typeof login>>(prism, REFRESH, { refreshToken: login.refreshToken })).body;
    assert.ok(login.token, `day ${days}`);
  }
  clock.advance(5 * DAY - 1000);
  const last = await answered(200, call(prism, REFRESH, { refreshToken: login.refreshToken }));
  assert.equal(await meOf(prism, last.body.token), "200");
  clock.advance(2000);
  assert.equal(await meOf(prism, last.body.token), "401 TOKEN_EXPIRED", "the access token ends with its session");
  assert.equal(outcomeOf(await call(prism, REFRESH, { refreshToken: last.body.refreshToken })), "401 TOKEN_EXPIRED");
});

test("a token that is not a refresh token of this server is refused", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const { refreshToken, token } = await logIn(prism, "ann");
  for (const [name, body, outcome] of [
    ["none", undefined, "401 UNAUTHENTICATED"],
    ["empty", { refreshToken: "" }, "400 VALIDATION_FAILED"],
    ["another", { refreshToken: `prr_${"x".repeat(43)}` }, "401 UNAUTHENTICATED"],
    ["the access token", { refreshToken: token.slice(0, 128) }, "401 UNAUTHENTICATED"],
    ["cut", { refreshToken: refreshToken.slice(0, -1) }, "401 UNAUTHENTICATED"],
    ["longer", { refreshToken: `${refreshToken}x` }, "401 UNAUTHENTICATED"],
    ["in capitals", { refreshToken: refreshToken.toUpperCase() }, "401 UNAUTHENTICATED"],
    ["far too long", { refreshToken: "x".repeat(129) }, "400 VALIDATION_FAILED"],
    ["a list", { refreshToken: [refreshToken] }, "400 VALIDATION_FAILED"],
    ["as it was given", { refreshToken }, "200"],
  ] as const) {
    assert.equal(outcomeOf(await call(prism, REFRESH, body)), outcome, name);
  }
  assert.equal(await meOf(prism, refreshToken), "401 TOKEN_INVALID", "nor does a refresh token open anything else");
});

test("D15: refresh tokens are worthless under another refresh secret", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const { refreshToken } = await logIn(prism, "ann");
  const { accounts } = prism.parts.offers;
  const other = { ...accounts, config: { auth: accounts.config.auth, secrets: { refresh: "another".repeat(8) } } };
  await assert.rejects(rotateSession(other, refreshToken, { ip: "", userAgent: "" }), { code: "UNAUTHENTICATED" });
  assert.equal((await call(prism, REFRESH, { refreshToken })).status, 200);
});

test("S1-30: the cookie is rotated with its token, and cleared when the client wants the token in the body from now on", async (t) => {
  keepsPromise(t, "S1-30");
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const login = await call(prism, "/auth/login", { login: "ann", password: PASSWORD });
  const other = { Cookie: `theme=dark; ${cookieOf(login).pair}; prism_refresh_other=x` };
  const rotated = await answered(200, call(prism, "/auth/refresh", {}, other));
  assert.equal(rotated.body.refreshToken, undefined);
  const moved = await call(prism, "/auth/refresh", { tokenDelivery: "body" }, { Cookie: cookieOf(rotated).pair });
  assert.match(moved.body.refreshToken ?? "", /^prr_/);
  assert.equal(cookieOf(moved).pair, "prism_refresh=");
  assert.ok(cookieOf(moved).attributes.includes("Max-Age=0"));
  const back = await call(prism, "/auth/refresh", { refreshToken: moved.body.refreshToken, tokenDelivery: "cookie" });
  assert.match(cookieOf(back).pair, /^prism_refresh=prr_/);
});

test("S2-20: a disabled user cannot refresh, and only a holder of the session learns the reason", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  const { refreshToken } = await logIn(prism, "ann");
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "disabled" })).status, 200);
  assert.equal(outcomeOf(await call(prism, REFRESH, { refreshToken })), "401 SESSION_REVOKED");
});
