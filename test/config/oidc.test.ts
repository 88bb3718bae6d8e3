import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { describeConfig } from "../../src/config/describe.ts";
import { publicConfig } from "../../src/config/load.ts";
import { load, problemsOf } from "./support/load.ts";

const COMPANY = { name: "company", issuer: "https://login.example.org", clientId: "prism" };
const SECRET = "the-secret-of-the-client";

test("a provider has defaults, and the secret of its client from the file, a variable or another file", (t) => {
  const [provider] = load(t, { files: { "prism.config.json": { auth: { oidc: [COMPANY] } } } }).config.auth.oidc;
  assert.deepEqual(provider, {
    ...COMPANY,
    clientSecret: undefined,
    scopes: ["openid", "profile", "email", "groups"],
    userClaim: "sub",
    link: "none",
    provision: false,
    roles: {},
    projects: {},
    groupsClaim: "groups",
    groupsEvery: null,
    sessionMax: 43_200_000,
    mfa: "ask",
    acr: [],
    amr: [],
    autoRedirect: false,
  });
  const second = { ...COMPANY, name: "second-one", clientSecret: "in the list" };
  const files = { "prism.config.json": { auth: { oidc: [COMPANY, second] } }, "client.secret": `${SECRET}\n` };
  const secrets = (environment: Readonly<Record<string, string>>, more: object = {}) =>
    load(t, { files: { ...files, ...more }, environment }).config.auth.oidc.map(({ clientSecret }) => clientSecret);
  assert.deepEqual(secrets({ PRISM_AUTH_OIDC_COMPANY_CLIENT_SECRET: SECRET }), [SECRET, "in the list"]);
  assert.deepEqual(secrets({}, { ".env": `PRISM_AUTH_OIDC_COMPANY_CLIENT_SECRET=${SECRET}` }), [SECRET, "in the list"]);
  const json = JSON.stringify([COMPANY]);
  assert.equal(load(t, { environment: { PRISM_AUTH_OIDC: json } }).config.auth.oidc[0]?.name, "company");
});

test("the secret of a client may be in a file that a variable names, and is shown nowhere", (t) => {
  const dir = load(t, { files: { "client.secret": `${SECRET}\n` } }).config.dataDir;
  const environment = {
    PRISM_AUTH_OIDC: JSON.stringify([{ ...COMPANY, groupsEvery: "1h" }]),
    PRISM_AUTH_OIDC_COMPANY_CLIENT_SECRET_FILE: join(dir, "..", "client.secret"),
  };
  const { config, origins, warnings } = load(t, { environment });
  assert.equal(config.auth.oidc[0]?.clientSecret, SECRET);
  assert.deepEqual(warnings, []);
  const shown = JSON.stringify([publicConfig(config), describeConfig(config, origins)]);
  assert.ok(!shown.includes(SECRET));
});

test("providers that do not fit are refused, each with its place and without a secret", (t) => {
  const production = { NODE_ENV: "production", PRISM_AUTH_OIDC_COMPANY_CLIENT_SECRET: SECRET };
  for (const [oidc, problem, environment] of [
    ["company", /^auth\.oidc must be a list of providers$/],
    [[{ ...COMPANY, nmae: "x" }], /^auth\.oidc \[0\] nmae is not a setting of a provider$/],
    [[{ name: "company", issuer: COMPANY.issuer }], /^auth\.oidc \[0\] clientId is missing$/],
    [[{ ...COMPANY, name: "Company Inc" }], /\[0\] name must be 1 to 32 of a-z/],
    [[{ ...COMPANY, issuer: "login.example.org" }], /\[0\] issuer must be an http or https URL/],
    [[{ ...COMPANY, link: "email" }], /\[0\] link must be none or email_verified/],
    [[{ ...COMPANY, sessionMax: "1 day" }], /\[0\] sessionMax must be a duration/],
    [[{ ...COMPANY, clientSecret: 5 }], /\[0\] clientSecret must be a text/],
    [[{ ...COMPANY, mfa: "trust" }], /company: mfa trust needs acr or amr/],
    [
      [COMPANY, { ...COMPANY, name: "other", userClaim: "oid" }],
      /company and other have one issuer: .* same userClaim/,
    ],
    [[COMPANY, COMPANY], /two providers with the name company/],
    [
      [COMPANY, { ...COMPANY, name: "b", autoRedirect: true }, { ...COMPANY, name: "c", autoRedirect: true }],
      /one can have it/,
    ],
    [[{ ...COMPANY, issuer: "http://login.example.org" }], /company: issuer must be an https URL/, production],
    [[COMPANY], /auth\.oidc needs publicUrl/, production],
  ] as const) {
    const files = { "prism.config.json": { auth: { oidc } } };
    const found = problemsOf(t, { files, secrets: "none", environment: environment ?? {} });
    assert.ok(
      found.some((each) => problem.test(each)),
      JSON.stringify([oidc, found]),
    );
    assert.ok(!found.join().includes(SECRET));
  }
});
