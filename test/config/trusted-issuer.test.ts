import assert from "node:assert/strict";
import test from "node:test";
import { problemsOf } from "./support/load.ts";

const JWKS = {
  PRISM_AUTH_TRUSTED_JWKS_URL: "https://login.example.org/keys",
  PRISM_AUTH_TRUSTED_ISSUER: "https://login.example.org",
  PRISM_AUTH_TRUSTED_AUDIENCE: "prism",
};
const SECRET = "Zr8uW1kq5BvN3xTy7cLm0pEo9iGhJdSa";

test("a token issuer is refused where its settings do not fit together", (t) => {
  for (const [environment, problems] of [
    [JWKS, []],
    [{ PRISM_AUTH_TRUSTED_SECRET: SECRET }, []],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_JWKS_URL: "http://127.0.0.1:8080/keys" }, []],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_JWKS_URL: "http://login.example.org/keys" }, [/must be an https URL/]],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_JWKS_URL: "https://a:b@login.example.org/keys" }, [/must not hold a password/]],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_AUDIENCE: "" }, [/issuer and auth\.trusted\.audience must be set/]],
    [
      { PRISM_AUTH_TRUSTED_JWKS_URL: JWKS.PRISM_AUTH_TRUSTED_JWKS_URL },
      [/issuer and auth\.trusted\.audience must be set/],
    ],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_SECRET: SECRET }, [/exclude each other/]],
    [{ PRISM_AUTH_TRUSTED_ISSUER: "x" }, [/needs auth\.trusted\.jwksUrl or auth\.trusted\.secret/]],
    [{ PRISM_AUTH_TRUSTED_SECRET: SECRET, JWT_SECRET: SECRET }, [/one of Prism's own secrets/]],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_ALGORITHMS: "RS256,HS256" }, [/must be one of RS256/]],
    [{ ...JWKS, PRISM_AUTH_TRUSTED_ALGORITHMS: "none" }, [/must be one of RS256/]],
  ] as const) {
    const found = problemsOf(t, { environment: { ...environment } });
    assert.equal(found.length, problems.length, JSON.stringify([environment, found]));
    for (const [at, problem] of problems.entries()) assert.match(found[at] ?? "", problem);
    assert.doesNotMatch(found.join("\n"), new RegExp(SECRET));
  }
});
