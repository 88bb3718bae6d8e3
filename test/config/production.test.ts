import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { keepsPromise } from "../helpers/promise.ts";
import { GOOD_SECRETS, load, problemsOf } from "./support/load.ts";

const production = (environment: Readonly<Record<string, string>>): { environment: Record<string, string> } => ({
  environment: { NODE_ENV: "production", ...GOOD_SECRETS, ...environment },
});

test("S0-19, S4-28: production without secrets is refused, each with the variable and how to make it", (t) => {
  keepsPromise(t, "S4-28");
  assert.deepEqual(problemsOf(t, { environment: { NODE_ENV: "production" } }), [
    "JWT_SECRET (auth.jwtSecret) is required in production; set it, in the environment or in .env, to the output of: openssl rand -base64 48",
    "PRISM_ENCRYPTION_KEY (encryptionKey) is required in production; set it, in the environment or in .env, to the output of: openssl rand -base64 32",
  ]);
  assert.deepEqual(problemsOf(t, production({})), []);
});

test("placeholders of example files are no secrets, however long", (t) => {
  for (const secret of [
    "change-me",
    "change-me-in-production-please-please",
    "changeme1234567890changeme1234567890",
    "CHANGE_THIS_TO_SOMETHING_ELSE_AT_LEAST_32",
    "please change it before you go online, thanks",
    "dev-secret",
    "dev-secret-that-is-long-enough-for-all-rules",
    "dev_jwt_key_0123456789abcdefghijklmnop",
    "<secret>",
    "<put 48 random bytes of your own in here>",
    "your-256-bit-key-goes-here-0123456789",
    "your_jwt_key_0123456789_0123456789_abc",
    "my-super-secret-jwt-key-0123456789abcdef",
    "supersecretsupersecretsupersecret1234",
    "test-0123456789-0123456789-0123456789",
    "example-key-0123456789-abcdefghijklmn",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "replace-with-openssl-rand-base64-48-output",
  ]) {
    const problems = problemsOf(t, production({ JWT_SECRET: secret }));
    assert.deepEqual(
      problems,
      [
        "JWT_SECRET (auth.jwtSecret) is a placeholder; set it, in the environment or in .env, to the output of: openssl rand -base64 48",
      ],
      secret,
    );
  }
});

test("short and repeating secrets are refused, whichever variable holds them", (t) => {
  const long = "abcdef".repeat(8);
  for (const [environment, says] of [
    [{ JWT_SECRET: "Zr8uW1kq5BvN3xTy7cLm0pEo9iGhJdS" }, /^JWT_SECRET .* is 31 bytes long, of 32 or more/],
    [{ JWT_SECRET: long }, /^JWT_SECRET .* repeats too few characters/],
    [{ JWT_ACCESS_SECRET: "short-one" }, /^JWT_ACCESS_SECRET .* is 9 bytes long/],
    [{ JWT_REFRESH_SECRET: "short-two" }, /^JWT_REFRESH_SECRET .* is 9 bytes long/],
    [{ JWT_REFRESH_SECRET: "change-me-in-production-please-please" }, /^JWT_REFRESH_SECRET .* is a placeholder/],
    [{ PRISM_ENCRYPTION_KEY: "00".repeat(32) }, /^PRISM_ENCRYPTION_KEY .* repeats too few bytes/],
  ] as const) {
    const problems = problemsOf(t, production(environment));
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", says);
    assert.doesNotMatch(problems.join(), /abcdefabc|Zr8uW1kq/);
  }
});

test("what the named commands make is never refused", (t) => {
  for (let i = 0; i < 200; i++) {
    const environment = {
      JWT_SECRET: randomBytes(48).toString("base64"),
      PRISM_ENCRYPTION_KEY: randomBytes(32).toString(i % 2 === 0 ? "base64" : "hex"),
    };
    assert.deepEqual(problemsOf(t, production(environment)), []);
  }
});

test("development and test take any secret; commands that need none are not refused for it", (t) => {
  assert.equal(load(t, { environment: { JWT_SECRET: "dev-secret" } }).config.secrets.access, "dev-secret");
  assert.deepEqual(problemsOf(t, { environment: { NODE_ENV: "test", JWT_SECRET: "change-me" } }), []);
  assert.deepEqual(problemsOf(t, { environment: { NODE_ENV: "production" }, secrets: "none" }), []);
});

test("passwords that are cheap to guess are refused in production, and let pass in tests", (t) => {
  assert.deepEqual(problemsOf(t, production({ PRISM_AUTH_BCRYPT_COST: "11" })), [
    "auth.bcryptCost is 11; production needs 12 or more",
  ]);
  assert.deepEqual(problemsOf(t, production({ PRISM_AUTH_BCRYPT_COST: "12" })), []);
  assert.equal(load(t, { environment: { NODE_ENV: "test", PRISM_AUTH_BCRYPT_COST: "4" } }).config.auth.bcryptCost, 4);
});

test("other push providers than the real ones are for tests", (t) => {
  const endpoints = {
    PRISM_FCM_ENDPOINT: "http://127.0.0.1:1",
    PRISM_FCM_TOKEN_ENDPOINT: "http://127.0.0.1:1/token",
    PRISM_APNS_ENDPOINT: "http://127.0.0.1:1",
  };
  assert.deepEqual(problemsOf(t, { environment: endpoints }), []);
  assert.deepEqual(problemsOf(t, production(endpoints)), [
    "fcm.endpoint is for tests; production sends to the provider itself",
    "fcm.tokenEndpoint is for tests; production sends to the provider itself",
    "apns.endpoint is for tests; production sends to the provider itself",
  ]);
});

test("one value does not serve as both secrets, in whatever form it is written", (t) => {
  const key = randomBytes(32);
  for (const [jwt, encryption] of [
    [key.toString("base64"), key.toString("base64")],
    [key.toString("hex"), key.toString("base64")],
  ] as const) {
    const problems = problemsOf(t, production({ JWT_SECRET: jwt, PRISM_ENCRYPTION_KEY: encryption }));
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /^JWT_SECRET \(auth\.jwtSecret\) has the value of PRISM_ENCRYPTION_KEY;/);
  }
});

test("a command is refused only without the secrets that it uses", (t) => {
  const { PRISM_ENCRYPTION_KEY } = GOOD_SECRETS;
  const environment = { NODE_ENV: "production", PRISM_ENCRYPTION_KEY };
  assert.deepEqual(problemsOf(t, { environment, secrets: "encryption" }), []);
  assert.match(problemsOf(t, { environment }).join(), /^JWT_SECRET \(auth\.jwtSecret\) is required/);
  const without = problemsOf(t, { environment: { NODE_ENV: "production" }, secrets: "encryption" });
  assert.equal(without.length, 1);
  assert.match(without[0] ?? "", /^PRISM_ENCRYPTION_KEY/);
});
