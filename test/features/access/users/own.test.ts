import assert from "node:assert/strict";
import test from "node:test";
import { keepsPromise } from "../../../helpers/promise.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import {
  call,
  logIn,
  makeAccount,
  outcomeOf,
  PASSWORD,
  startAccounts,
  type UserBody,
} from "../sessions/support/auth-client.ts";

const ME = "/api/v1/users/me";

interface Profile extends UserBody {
  readonly timezone: string;
  readonly locale: string;
}

test("S2-46, S3-24: one's own account is changed by every path, with the seeds' bodies", async (t) => {
  keepsPromise(t, ["S2-46", "S3-24"]);
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann", email: "ann@example.org" });
  await makeAccount(prism, { username: "bob", email: "bob@example.org", phone: "+4930123456" });
  const { token } = await logIn(prism, "ann");
  const as = { token };

  for (const [method, path] of [
    ["PUT", ME],
    ["PUT", "/api/profile"],
    ["PUT", "/api/v1/profile"],
    ["PATCH", "/api/profile"],
    ["PATCH", "/api/v1/profile"],
  ] as const)
    await t.test(`S3-24: ${method} ${path} takes a name`, async (t) => {
      keepsPromise(t, "S3-24");
      const name = `John Doe by ${method} ${path}`;
      const { status, body } = await prism.request<Profile>(method, path, { name }, as);
      assert.deepEqual([status, body.name], [200, name]);
      assert.equal((await prism.get<Profile>("/api/profile", as)).body.name, name);
    });

  await t.test("everything else that is one's own, and only what was sent", async () => {
    const { body } = await prism.put<Profile>(
      ME,
      { phone: "+49 30 999999", timezone: "Asia/Tokyo", locale: "de-AT" },
      as,
    );
    assert.deepEqual(
      [body.phone, body.timezone, body.locale, body.username],
      ["+4930999999", "Asia/Tokyo", "de-AT", "ann"],
    );
    assert.equal((await prism.put<Profile>(ME, { phone: null }, as)).body.phone, null);
  });

  await t.test("another mail address needs the password; the same one, in whatever case, does not", async () => {
    const email = "ann@new.example";
    assert.equal(outcomeOf(await prism.put(ME, { email }, as)), "400 VALIDATION_FAILED");
    assert.equal(outcomeOf(await prism.put(ME, { email, currentPassword: "guess" }, as)), "401 INVALID_CREDENTIALS");
    assert.equal(outcomeOf(await prism.put(ME, { email: "ANN@example.org", name: "Ann" }, as)), "200");
    const changed = await prism.put<Profile>(ME, { email, currentPassword: PASSWORD }, as);
    assert.deepEqual([changed.status, changed.body.email], [200, email]);
    assert.equal((await logIn(prism, email)).user.username, "ann");
  });

  for (const c of [
    { body: { email: "bob@example.org", currentPassword: PASSWORD }, is: "409 EMAIL_TAKEN" },
    { body: { phone: "+4930123456" }, is: "409 PHONE_TAKEN" },
    { body: { timezone: "Mars/Olympus" }, is: "400 INVALID_TIMEZONE" },
    { body: { locale: "no language" }, is: "400 VALIDATION_FAILED" },
    { body: { name: "" }, is: "400 VALIDATION_FAILED" },
    { body: { name: "x".repeat(256) }, is: "400 VALIDATION_FAILED" },
    { body: { roles: ["Admin"] }, is: "400 VALIDATION_FAILED" },
    { body: { status: "disabled" }, is: "400 VALIDATION_FAILED" },
    { body: { username: "root" }, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`${JSON.stringify(c.body).slice(0, 40)} is refused with ${c.is}`, async () =>
      assert.equal(outcomeOf(await prism.put(ME, c.body, as)), c.is),
    );
});

test("a new password ends the other sessions and is asked for the old one", async (t) => {
  const prism = await startAccounts(t);
  const ann = await makeAccount(prism, { username: "ann" });
  const [here, there] = [await logIn(prism, "ann"), await logIn(prism, "ann")];
  const as = { token: here.token };
  const change = (body: object, options = as) => prism.put(`${ME}/password`, body, options);
  const password = "another good one";
  assert.equal(outcomeOf(await change({ currentPassword: "guess", password })), "401 INVALID_CREDENTIALS");
  assert.equal(outcomeOf(await change({ currentPassword: PASSWORD, password: "short" })), "422 WEAK_PASSWORD");
  assert.equal(
    outcomeOf(await change({ currentPassword: PASSWORD, password: "p\0ssword long" })),
    "400 VALIDATION_FAILED",
  );
  assert.equal(outcomeOf(await change({ password })), "400 VALIDATION_FAILED");
  assert.equal((await prism.get(ME, { token: there.token })).status, 200, "nothing refused has ended anything");

  assert.equal((await change({ currentPassword: PASSWORD, password })).status, 204);
  assert.equal((await prism.get(ME, as)).status, 200, "here it goes on");
  assert.equal(outcomeOf(await prism.get(ME, { token: there.token })), "401 SESSION_REVOKED");
  assert.equal(
    outcomeOf(await call(prism, "/auth/login", { username: "ann", password: PASSWORD })),
    "401 INVALID_CREDENTIALS",
  );
  assert.equal((await logIn(prism, "ann", password)).user.id, ann.id);

  const made = await prism.post<{ token: string }>(`${ME}/tokens`, { name: "t", scopes: ["tasks:own"] }, as);
  const byToken = await change({ currentPassword: password, password: PASSWORD }, { token: made.body.token });
  assert.equal(outcomeOf(byToken), "403 FORBIDDEN", "a program does not change its person's password");
});

test("preferences are kept whole, and what was not said has its default", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const as = { token: (await logIn(prism, "ann")).token };
  const path = `${ME}/preferences`;
  const defaults = { emailAlerts: true, digest: true, minPriority: 0, quietHours: null, channels: {} };
  assert.deepEqual((await prism.get(path, as)).body, defaults);
  const wanted = {
    channels: { alert: ["in_app", "email"], digest: [] },
    quietHours: { from: "22:00", to: "06:30" },
    minPriority: 5,
    emailAlerts: false,
    digest: false,
  };
  const put = await prism.put(path, wanted, as);
  assert.deepEqual([put.status, put.body], [200, { ...wanted, warnings: [] }]);
  assert.deepEqual((await prism.get(path, as)).body, wanted);
  assert.deepEqual(
    (await prism.put(path, { minPriority: 1 }, as)).body,
    { ...defaults, minPriority: 1, warnings: [] },
    "a PUT is the whole",
  );
  assert.deepEqual((await prism.get(path)).body, defaults, "of others nothing has changed");
  for (const body of [
    { quietHours: { from: "24:00", to: "06:00" } },
    { quietHours: { from: "22:00" } },
    { channels: { alert: ["pigeon"] } },
    { channels: { nothing: ["email"] } },
    { minPriority: -1 },
    { minPriority: 1.5 },
    { emailAlerts: "yes" },
    { sound: "loud" },
  ])
    assert.equal(outcomeOf(await prism.put(path, body, as)), "400 VALIDATION_FAILED", JSON.stringify(body));
  assert.equal(scalarOf(prism, "select prefs from users where username = 'ann'"), '{"minPriority":1}');
});
