import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { RunningCli, runCli } from "../cli/run-cli.ts";
import { GOOD_SECRETS, problemsOf } from "../config/support/load.ts";
import { temporaryDir } from "../helpers/store.ts";

/** The variables that each backend's own README gives, with what Prism asks for in production. */
const SEEDS = {
  S0: {
    env: { PORT: "3000", JWT_SECRET: "dev-secret-change-me", DATABASE_URL: "postgresql://db/x", REDIS_HOST: "redis" },
    asksFor: ["PRISM_ENCRYPTION_KEY (encryptionKey) is required", "JWT_SECRET (auth.jwtSecret) is a placeholder"],
  },
  S1: {
    env: { JWT_ACCESS_SECRET: "change-me-in-production", JWT_REFRESH_SECRET: "change-me-in-production" },
    asksFor: [
      "PRISM_ENCRYPTION_KEY (encryptionKey) is required",
      "JWT_ACCESS_SECRET (auth.accessSecret) is a placeholder",
      "JWT_REFRESH_SECRET (auth.refreshSecret) is a placeholder",
    ],
  },
  S4: {
    env: {
      PORT: "3000",
      DATABASE_URL: "postgresql://db/x",
      REDIS_URL: "redis://r",
      JWT_SECRET: GOOD_SECRETS.JWT_SECRET,
    },
    asksFor: ["PRISM_ENCRYPTION_KEY (encryptionKey) is required"],
  },
} as const;

for (const [seed, { env, asksFor }] of Object.entries(SEEDS)) {
  test(`${seed}: each seed's own variables are refused in production, and the refusal names every secret`, (t) => {
    const problems = problemsOf(t, { environment: { NODE_ENV: "production", ...env } });
    assert.equal(problems.length, asksFor.length, problems.join("\n"));
    for (const text of asksFor) {
      const problem = problems.find((each) => each.startsWith(text));
      assert.match(problem ?? "", /in the environment or in \.env, to the output of: openssl rand/, text);
    }
  });
}

test("production takes over the data of development with its secrets only", async (t) => {
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  await server.until(/Prism is ready/);
  server.signal("SIGTERM");
  await server.ended();
  const made = JSON.parse(readFileSync(join(cwd, "data/secrets.json"), "utf8")) as Record<string, string>;
  const own = { JWT_SECRET: made["jwtSecret"] ?? "", PRISM_ENCRYPTION_KEY: made["encryptionKey"] ?? "" };
  for (const [secrets, status] of [
    [own, 0],
    [GOOD_SECRETS, 8],
  ] as const) {
    const env = { NODE_ENV: "production", ...secrets };
    const { status: exit, stdout } = await runCli(["doctor", "--db"], { cwd, env });
    assert.equal(exit, status, stdout);
  }
});
