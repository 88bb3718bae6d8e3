import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { GOOD_SECRETS, load } from "./support/load.ts";

test("S0-17, S2-122: NODE_ENV is development by default", (t) => {
  keepsPromise(t, ["S0-17", "S2-122"]);
  assert.equal(load(t).config.env, "development");
  assert.equal(load(t, { environment: { NODE_ENV: "test" } }).config.env, "test");
  assert.equal(load(t, { environment: { NODE_ENV: "Production", ...GOOD_SECRETS } }).config.env, "production");
});

test("S0-18: PORT is 3000 by default", (t) => {
  keepsPromise(t, "S0-18");
  assert.equal(load(t).config.port, 3000);
  assert.equal(load(t, { environment: { PORT: "8080" } }).config.port, 8080);
});

test("S1-15: PORT, HOST and NODE_ENV; in production the server listens to the network, in development it does not", (t) => {
  keepsPromise(t, "S1-15");
  const { config } = load(t, { environment: { PORT: "8080", HOST: "0.0.0.0", NODE_ENV: "test" } });
  assert.deepEqual([config.port, config.host, config.env], [8080, "0.0.0.0", "test"]);
  assert.equal(load(t).config.host, "127.0.0.1");
  assert.equal(load(t, { environment: { NODE_ENV: "production", ...GOOD_SECRETS } }).config.host, "0.0.0.0");
});

test("S0-20, S1-16, S2-81: DATABASE_URL as a path or file: URL is the database", (t) => {
  keepsPromise(t, ["S0-20", "S1-16", "S2-81"]);
  const workingDir = temporaryDir(t);
  for (const [url, file] of [
    ["file:./other.db", join(workingDir, "other.db")],
    ["file:///var/lib/prism/p.db", "/var/lib/prism/p.db"],
    ["file://localhost/var/lib/prism/p.db", "/var/lib/prism/p.db"],
    ["sqlite:dev.db?mode=rwc", join(workingDir, "dev.db")],
    ["file:with%20space.db#x", join(workingDir, "with space.db")],
    ["plain/prism.db", join(workingDir, "plain/prism.db")],
    ["C:\\prism.db", join(workingDir, "C:\\prism.db")],
  ] as const) {
    const { config, warnings } = load(t, { workingDir, environment: { DATABASE_URL: url } });
    assert.deepEqual([config.databaseFile, warnings], [file, []], url);
  }
});

test("S0-20, S1-16, S4-28: a DATABASE_URL of another engine is ignored with one warning that keeps its password", (t) => {
  keepsPromise(t, ["S0-20", "S1-16", "S4-28"]);
  const workingDir = temporaryDir(t);
  for (const scheme of ["postgresql", "postgres", "mysql"]) {
    const environment = { DATABASE_URL: `${scheme}://prism:s3cr3t@db.example.org:5432/prism` };
    const { config, warnings } = load(t, { workingDir, environment });
    assert.equal(config.databaseFile, join(workingDir, "data/prism.db"));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", new RegExp(`DATABASE_URL.*${scheme}: and is ignored`));
    assert.doesNotMatch(warnings.join(), /s3cr3t/);
  }
});

test("S0-21, S1-16, S2-82, S4-28: REDIS_ variables are ignored with one warning that names them", (t) => {
  keepsPromise(t, ["S0-21", "S1-16", "S2-82", "S4-28"]);
  const { warnings } = load(t, {
    environment: { REDIS_HOST: "redis", REDIS_PORT: "6379", REDIS_URL: "redis://:word@redis" },
  });
  assert.deepEqual(warnings, [
    "REDIS_HOST, REDIS_PORT, REDIS_URL are ignored: Prism needs no Redis; its broker is embedded",
  ]);
  assert.deepEqual(load(t, { environment: { REDIS_URL: "redis://redis" } }).warnings, [
    "REDIS_URL is ignored: Prism needs no Redis; its broker is embedded",
  ]);
  assert.deepEqual(load(t, { environment: { REDIS_URL: "" } }).warnings, []);
});

test("S2-82: how long and how much is cached is a setting", (t) => {
  keepsPromise(t, "S2-82");
  assert.deepEqual(load(t).config.cache, { ttlMs: 30_000, maxEntries: 50_000 });
  const environment = { PRISM_CACHE_TTL_MS: "5s", PRISM_CACHE_MAX_ENTRIES: "1000" };
  assert.deepEqual(load(t, { environment }).config.cache, { ttlMs: 5000, maxEntries: 1000 });
});

test("S1-17, S2-83: JWT_ACCESS_SECRET signs access tokens before JWT_SECRET does", (t) => {
  keepsPromise(t, ["S1-17", "S2-83"]);
  const accessSecret = "Zr8uW1kq5BvN3xTy7cLm0pEo9iGhJdSfAaQqXwVbUnMt2Y4R";
  const { JWT_SECRET } = GOOD_SECRETS;
  assert.equal(load(t, { environment: { JWT_SECRET } }).config.secrets.access, JWT_SECRET);
  const both = { JWT_SECRET, JWT_ACCESS_SECRET: accessSecret };
  assert.equal(load(t, { environment: both }).config.secrets.access, accessSecret);
  const production = { NODE_ENV: "production", ...GOOD_SECRETS, JWT_SECRET: "", JWT_ACCESS_SECRET: accessSecret };
  assert.equal(load(t, { environment: production }).config.secrets.access, accessSecret);
});

test("S1-17, S1-18, S2-83: JWT_ACCESS_EXPIRES, JWT_REFRESH_EXPIRES and JWT_REFRESH_SECRET are settings", (t) => {
  keepsPromise(t, ["S1-17", "S2-83"]);
  const defaults = load(t).config.auth;
  assert.deepEqual([defaults.accessExpires, defaults.refreshExpires], [900_000, 604_800_000]);
  const environment = {
    JWT_ACCESS_EXPIRES: "5m",
    JWT_REFRESH_EXPIRES: "2d",
    JWT_SECRET: "a",
    JWT_REFRESH_SECRET: "b",
  };
  const { config, warnings } = load(t, { environment });
  assert.deepEqual([config.auth.accessExpires, config.auth.refreshExpires], [300_000, 172_800_000]);
  assert.deepEqual([config.secrets.access, config.secrets.refresh, warnings], ["a", "b", []]);
});

test("D16: without a refresh secret of its own one is derived, which reveals nothing of the other", (t) => {
  const { JWT_SECRET } = GOOD_SECRETS;
  const { refresh } = load(t, { environment: { JWT_SECRET } }).config.secrets;
  assert.equal(Buffer.from(refresh, "base64").length, 32);
  assert.equal(load(t, { environment: { JWT_SECRET } }).config.secrets.refresh, refresh, "the same at each start");
  assert.notEqual(load(t, { environment: { JWT_SECRET: `${JWT_SECRET}x` } }).config.secrets.refresh, refresh);
});

test("S1-19: SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_PASS and SMTP_FROM are settings", (t) => {
  keepsPromise(t, "S1-19");
  assert.equal(load(t).config.smtp.host, undefined);
  const environment = {
    SMTP_HOST: "mail.example.org",
    SMTP_PORT: "465",
    SMTP_USER: "u",
    SMTP_PASS: "p",
    SMTP_FROM: "a@b.c",
  };
  const { host, port, user, pass, from, allowPlain } = load(t, { environment }).config.smtp;
  assert.deepEqual([host, port, user, pass, from, allowPlain], ["mail.example.org", 465, "u", "p", "a@b.c", false]);
});

test("S2-85: GOOGLE_APPLICATION_CREDENTIALS and APNS_ variables are settings; paths count from the working directory", (t) => {
  keepsPromise(t, "S2-85");
  const workingDir = temporaryDir(t);
  const environment = {
    GOOGLE_APPLICATION_CREDENTIALS: "keys/google.json",
    APNS_KEY_FILE: "/etc/prism/AuthKey.p8",
    APNS_KEY_ID: "KEY4567890",
    APNS_TEAM_ID: "TEAM567890",
    APNS_BUNDLE_ID: "org.example.app",
    APNS_PRODUCTION: "true",
  };
  const { config, warnings } = load(t, { workingDir, environment });
  assert.equal(config.fcm.credentials, join(workingDir, "keys/google.json"));
  const { keyFile, keyId, teamId, bundleId, production } = config.apns;
  assert.deepEqual(
    [keyFile, keyId, teamId, bundleId, production],
    ["/etc/prism/AuthKey.p8", "KEY4567890", "TEAM567890", "org.example.app", true],
  );
  assert.deepEqual(warnings, []);
  const nothing = load(t).config;
  assert.deepEqual([nothing.fcm.credentials, nothing.apns.keyFile], [undefined, undefined]);
  assert.deepEqual(load(t, { environment: { APNS_KEY_ID: "K", APNS_TEAM_ID: "T", APNS_CERT: "c" } }).warnings, [
    "APNS_CERT is ignored: the variables for APNs are APNS_KEY_FILE, APNS_KEY_ID, APNS_TEAM_ID, APNS_BUNDLE_ID and APNS_PRODUCTION",
    "APNs is off: apns.keyFile, apns.bundleId are not set",
  ]);
});

test("S2-88: AUDIT_RETENTION_DAYS is how long the audit trail is kept; 365 by default, 0 keeps all of it", (t) => {
  assert.equal(load(t).config.retention.auditDays, 365);
  for (const [text, days] of [
    ["90", 90],
    ["0", 0],
  ] as const)
    assert.equal(load(t, { environment: { AUDIT_RETENTION_DAYS: text } }).config.retention.auditDays, days);
});

test("S1-21: RETENTION_DAYS is how long events are kept; 30 by default, 0 keeps all of them", (t) => {
  keepsPromise(t, "S1-21");
  assert.deepEqual([load(t).config.retention.days, load(t).config.retention.notificationDays], [30, 90]);
  for (const [text, days] of [
    ["7", 7],
    ["0", 0],
  ] as const)
    assert.equal(load(t, { environment: { RETENTION_DAYS: text } }).config.retention.days, days);
});

test("S1-20: ALERT_ERROR_THRESHOLD is how many errors within five minutes are an alert; 10 by default", (t) => {
  keepsPromise(t, "S1-20");
  assert.deepEqual(load(t).config.alert, { errorThreshold: 10, windowMs: 300_000, cooldownMs: 300_000 });
  assert.equal(load(t, { environment: { ALERT_ERROR_THRESHOLD: "25" } }).config.alert.errorThreshold, 25);
});

test("S2-86: request limits are settings, and can be switched off", (t) => {
  keepsPromise(t, "S2-86");
  const { rateLimit } = load(t).config;
  assert.deepEqual([rateLimit.enabled, rateLimit.ip, rateLimit.user], [true, 600, 6000]);
  const environment = { PRISM_RATE_LIMIT_ENABLED: "false", PRISM_RATE_LIMIT_IP: "60" };
  const changed = load(t, { environment }).config.rateLimit;
  assert.deepEqual([changed.enabled, changed.ip], [false, 60]);
});

test("the environment files of all seeds together start this version: each variable is used or noted, never unknown", (t) => {
  const environment = {
    NODE_ENV: "development",
    PORT: "3000",
    HOST: "0.0.0.0",
    DATABASE_URL: "postgresql://user:word@localhost:5432/prism",
    REDIS_HOST: "localhost",
    JWT_SECRET: "dev-secret",
    JWT_REFRESH_SECRET: "dev-refresh",
    SMTP_HOST: "mail",
    SMTP_PORT: "587",
    SMTP_USER: "u",
    SMTP_PASS: "p",
    SMTP_FROM: "a@example.org",
    ALERT_ERROR_THRESHOLD: "10",
    RETENTION_DAYS: "30",
    AUDIT_RETENTION_DAYS: "365",
    PUSHER_APP_ID: "1",
    PUSHER_KEY: "k",
    PUSHER_SECRET: "s",
    PUSHER_CLUSTER: "eu",
    GOOGLE_APPLICATION_CREDENTIALS: "/x.json",
    APNS_KEY_ID: "1",
    S3_BUCKET: "b",
    CDN_URL: "https://cdn.example.org",
    LOG_LEVEL: "INFO",
    DEBUG: "dms:*",
    CORS_ORIGINS: "http://localhost:5173,https://app.example.org",
    TZ: ":Europe/Berlin",
    SOMETHING_ELSE: "is nobody's business",
  };
  const { config, warnings } = load(t, { environment });
  assert.deepEqual([config.log.level, config.debug, config.timezone], ["info", "dms:*", "Europe/Berlin"]);
  assert.deepEqual(config.cors.origins, ["http://localhost:5173", "https://app.example.org"]);
  const noted = warnings.join("\n");
  const used =
    /^(NODE_ENV|PORT|HOST|JWT_.*|SMTP_.*|PUSHER_(?!CLUSTER).*|APNS_.*|CDN_URL|GOOGLE_.*|ALERT_ERROR_THRESHOLD|(AUDIT_)?RETENTION_DAYS|LOG_LEVEL|DEBUG|CORS_ORIGINS|TZ|SOMETHING_ELSE)$/;
  for (const name of Object.keys(environment)) {
    if (used.test(name)) assert.doesNotMatch(noted, new RegExp(`\\b${name}\\b`));
    else assert.match(noted, new RegExp(`\\b${name}\\b`), `${name} is not noted`);
  }
  assert.doesNotMatch(noted, /SOMETHING_ELSE|:word@/);
});
