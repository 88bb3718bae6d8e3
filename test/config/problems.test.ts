import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { GOOD_SECRETS, load, problemsOf } from "./support/load.ts";

test("all problems are listed at once: flags, environment, file, and the secrets that production wants", (t) => {
  const workingDir = temporaryDir(t);
  const problems = problemsOf(t, {
    workingDir,
    flags: { port: "99999" },
    environment: {
      NODE_ENV: "production",
      PRISM_INGEST_MAX_BATCH: "many",
      JWT_SECRET: "dev-secret",
      PRISM_METRICS_TOKEN_FILE: "/nowhere/token",
    },
    files: { "prism.config.json": { prot: 3000, cache: { ttl: 1 }, trustedProxies: ["10.0.0.0/99"], realtime: 3 } },
  });
  const expected = [
    /^prot is not a setting; did you mean port\?$/,
    /^cache\.ttl is not a setting; did you mean cache\.ttlMs\?$/,
    /^realtime must be an object$/,
    /^--port must be a whole number from 0 to 65535, not "?99999"?$/,
    /^trustedProxies must be an address or a range/,
    /^PRISM_INGEST_MAX_BATCH must be a whole number from 1 to 100000, not "many"$/,
    /^PRISM_METRICS_TOKEN_FILE points at \/nowhere\/token, which cannot be read$/,
    /^PRISM_ENCRYPTION_KEY \(encryptionKey\) is required in production; set it, in the environment or in \.env, to the output of: openssl rand -base64 32$/,
    /^JWT_SECRET \(auth\.jwtSecret\) is a placeholder; set it, in the environment or in \.env, to the output of: openssl rand -base64 48$/,
  ];
  for (const pattern of expected)
    assert.equal(
      problems.filter((problem) => pattern.test(problem)).length,
      1,
      `${pattern} in:\n${problems.join("\n")}`,
    );
  assert.equal(problems.length, expected.length, problems.join("\n"));
  assert.equal(existsSync(join(workingDir, "data")), false, "a refused start leaves nothing behind");
});

test("a secret that is wrong is not called missing as well, and is not shown", (t) => {
  const environment = { NODE_ENV: "production", ...GOOD_SECRETS, PRISM_ENCRYPTION_KEY: "c2hvcnQgYnV0IG91cnM=" };
  assert.deepEqual(problemsOf(t, { environment }), ["PRISM_ENCRYPTION_KEY must be 32 bytes in base64 or hex"]);
  const unreadable = { NODE_ENV: "production", ...GOOD_SECRETS, JWT_SECRET: "", JWT_SECRET_FILE: "/nowhere/key" };
  assert.deepEqual(problemsOf(t, { environment: unreadable }), [
    "JWT_SECRET_FILE points at /nowhere/key, which cannot be read",
  ]);
});

test("an unknown name in the file is refused with what was probably meant", (t) => {
  for (const [file, says] of [
    [{ prot: 1 }, "prot is not a setting; did you mean port?"],
    [{ Port: 1 }, "Port is not a setting; did you mean port?"],
    [{ ingest: { maxbatch: 1 } }, "ingest.maxbatch is not a setting; did you mean ingest.maxBatch?"],
    [{ maxBatch: 1 }, "maxBatch is not a setting; did you mean ingest.maxBatch?"],
    [{ log: { port: 1 } }, "log.port is not a setting; did you mean port?"],
    [{ "log.level": "warn" }, 'log.level is not a setting; write it nested: {"log":{"level":…}}'],
    [{ somethingOfAnotherProgram: 1 }, "somethingOfAnotherProgram is not a setting"],
    [{ constructor: 1 }, "constructor is not a setting"],
  ] as const)
    assert.deepEqual(problemsOf(t, { files: { "prism.config.json": file } }), [says]);
});

test("a file that is not JSON, or not an object, is refused in plain words", (t) => {
  assert.match(
    problemsOf(t, { files: { "prism.config.json": "{ port: 3000 }" } }).join("\n"),
    /^\S+prism\.config\.json cannot be read: it is not JSON at line 1, column 3$/,
  );
  // JSON.parse quotes the text around an error.
  for (const text of ['{"smtp":{"pass": hunter2-secret}}', '{"smtp":{"pass":"hunter2-secret"x}}', "hunter2-secret"])
    assert.doesNotMatch(problemsOf(t, { files: { "prism.config.json": text } }).join("\n"), /hunt|ecret/);
  for (const content of ["[]", "3", "null"])
    assert.match(
      problemsOf(t, { files: { "prism.config.json": content } }).join("\n"),
      /^\S+prism\.config\.json must contain a JSON object$/,
    );
});

test("a .env that is not a file is reported as a problem", (t) => {
  const workingDir = temporaryDir(t);
  mkdirSync(join(workingDir, ".env"));
  const problems = problemsOf(t, { workingDir, environment: { PORT: "x" } });
  assert.equal(problems.length, 2);
  assert.match(problems.join("\n"), /\.env cannot be read: EISDIR/);
});

test("an unknown PRISM_ variable is a warning with the nearest name, and changes nothing", (t) => {
  const { config, warnings } = load(t, {
    environment: {
      PRISM_PROT: "8080",
      PRISM_INGEST_MAXBATCH: "5",
      PRISM_LOG_LEVEL_FILE: "",
      PRISM_URL: "http://localhost:3000",
      PRISM_TOKEN: "x",
      PRISM_CONFIG: "x",
      PRISM_CACHE_DIR: "/tmp",
      PRISM_NOTHING_LIKE_ANY_OF_THEM_AT_ALL: "1",
      PRISMATIC: "1",
      PRISM_SECRET_ROOM: "of configuration files",
      PRISM_IMPORT_TOKEN: "of an import",
    },
    files: { ".env": "PRISM_HOOST=::1\n" },
  });
  assert.deepEqual(warnings, [
    "PRISM_HOOST is not a setting of Prism and is ignored; did you mean PRISM_HOST?",
    "PRISM_INGEST_MAXBATCH is not a setting of Prism and is ignored; did you mean PRISM_INGEST_MAX_BATCH?",
    "PRISM_NOTHING_LIKE_ANY_OF_THEM_AT_ALL is not a setting of Prism and is ignored",
    "PRISM_PROT is not a setting of Prism and is ignored; did you mean PRISM_PORT?",
  ]);
  assert.deepEqual([config.port, config.ingest.maxBatch], [3000, 10_000]);
});

test("every kind of setting says in its own words what it takes", (t) => {
  for (const [environment, says] of [
    [{ NODE_ENV: "prod" }, 'NODE_ENV must be one of development, test, production, not "prod"'],
    [{ PORT: "3000.5" }, 'PORT must be a whole number from 0 to 65535, not "3000.5"'],
    [{ PORT: "0x50" }, 'PORT must be a whole number from 0 to 65535, not "0x50"'],
    [{ HOST: "not a host" }, 'HOST must be an IP address or a host name, not "not a host"'],
    [
      { PRISM_PUBLIC_URL: "ftp://x" },
      'PRISM_PUBLIC_URL must be an http or https URL without user name, query and fragment, not "ftp://x"',
    ],
    [{ TZ: "Europe/Nowhere" }, 'TZ must be an IANA time zone such as UTC or Europe/Berlin, not "Europe/Nowhere"'],
    [{ PRISM_DOCS_PUBLIC: "yes" }, 'PRISM_DOCS_PUBLIC must be true or false, not "yes"'],
    [{ CORS_ORIGINS: "*" }, 'CORS_ORIGINS must be an origin such as https://app.example.org, not ["*"]'],
    [
      { JWT_ACCESS_EXPIRES: "soon" },
      'JWT_ACCESS_EXPIRES must be a duration from 1s to 30d: a number of milliseconds, or a text with the unit ms, s, m, h or d, not "soon"',
    ],
    [
      { PRISM_NOTIFICATIONS_APP_SCHEMES: "javascript" },
      'PRISM_NOTIFICATIONS_APP_SCHEMES must not be a scheme that browsers run, not ["javascript"]',
    ],
    [{ PRISM_METRICS_TOKEN: "short" }, "PRISM_METRICS_TOKEN must be a text of 16 to 4096 characters"],
  ] as const)
    assert.deepEqual(problemsOf(t, { environment }), [says]);
});

test("a value of the wrong type in the file is refused in the same words", (t) => {
  const file = { host: 7, dataDir: null, trustedProxies: [3], publicUrl: [], timezone: 1, cors: { origins: [null] } };
  const problems = problemsOf(t, { files: { "prism.config.json": file } });
  assert.equal(problems.length, Object.keys(file).length);
  assert.doesNotMatch(problems.join("\n"), /Invalid type|Expected/);
});

test("room for less than two of the largest requests is refused, with what would do", (t) => {
  const environment = { PRISM_INGEST_HIGH_WATER_BYTES: "8388608" };
  assert.deepEqual(problemsOf(t, { environment }), [
    "ingest.highWaterBytes is 8388608; it must be at least 16777216, twice ingest.maxBodyBytes (8388608). Raise it, or lower ingest.maxBodyBytes",
  ]);
  assert.deepEqual(problemsOf(t, { environment: { ...environment, PRISM_INGEST_MAX_BODY_BYTES: "4194304" } }), []);
});
