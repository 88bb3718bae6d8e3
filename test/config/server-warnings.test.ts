import assert from "node:assert/strict";
import test from "node:test";
import { serverWarnings } from "../../src/config/checks.ts";
import { nodeWarning } from "../../src/core/runtime.ts";
import { GOOD_SECRETS, load } from "./support/load.ts";

const PROXIED = { PRISM_PUBLIC_URL: "https://prism.example.org", PRISM_TRUSTED_PROXIES: "10.0.0.0/8" };
const PLAIN = /^plain HTTP on 0\.0\.0\.0: .*tls\.certFile/;
const LOCAL_LINKS = /^smtp\.host is set without publicUrl: .*localhost/;

for (const { name, environment, expected } of [
  { name: "production on all interfaces without TLS", environment: {}, expected: [PLAIN] },
  { name: "production on this machine only", environment: { HOST: "127.0.0.1" }, expected: [] },
  { name: "production on the loopback address of IPv6", environment: { HOST: "::1" }, expected: [] },
  { name: "production with a proxy on another host", environment: PROXIED, expected: [] },
  {
    name: "production with an https publicUrl and no trusted proxy",
    environment: { PRISM_PUBLIC_URL: PROXIED.PRISM_PUBLIC_URL },
    expected: [PLAIN],
  },
  {
    name: "production with its own certificate",
    environment: { PRISM_TLS_CERT_FILE: "a.crt", PRISM_TLS_KEY_FILE: "a.key" },
    expected: [],
  },
  {
    name: "production that mails without publicUrl",
    environment: { HOST: "127.0.0.1", SMTP_HOST: "mail.example.org", SMTP_FROM: "a@example.org" },
    expected: [LOCAL_LINKS],
  },
  {
    name: "mail to receivers without a domain",
    environment: { HOST: "127.0.0.1", PRISM_MAIL_IN_PORT: "2525" },
    expected: [/^mailIn\.port is set without mailIn\.domain and publicUrl/],
  },
  {
    name: "mail to receivers with a domain",
    environment: { HOST: "127.0.0.1", PRISM_MAIL_IN_PORT: "2525", PRISM_MAIL_IN_DOMAIN: "in.example.org" },
    expected: [],
  },
  {
    name: "production without request limits",
    environment: { HOST: "127.0.0.1", PRISM_RATE_LIMIT_ENABLED: "false" },
    expected: [/^rateLimit\.enabled is false/],
  },
  {
    name: "development that mails to a test server",
    environment: { NODE_ENV: "development", SMTP_HOST: "localhost" },
    expected: [],
  },
  {
    name: "development on the network that mails without publicUrl",
    environment: { NODE_ENV: "development", HOST: "0.0.0.0", SMTP_HOST: "localhost" },
    expected: [LOCAL_LINKS],
  },
]) {
  test(`warnings of a server: ${name}`, (t) => {
    const { config } = load(t, { environment: { NODE_ENV: "production", ...GOOD_SECRETS, ...environment } });
    const warnings = serverWarnings(config);
    assert.equal(warnings.length, expected.length, warnings.join("\n"));
    for (const [at, pattern] of expected.entries()) assert.match(warnings[at] ?? "", pattern);
  });
}

test("a Node.js past its end of support is reported with the day, a current or unknown one is not", () => {
  assert.match(nodeWarning(Date.UTC(2026, 4, 1), "20.20.2") ?? "", /Node\.js 20\.20\.2, .*since 2026-04-30/);
  assert.equal(nodeWarning(Date.UTC(2026, 3, 30), "20.20.2"), null);
  assert.equal(nodeWarning(Date.UTC(2026, 4, 1), "22.1.0"), null);
  assert.equal(nodeWarning(Date.UTC(2026, 4, 1), "99.0.0"), null);
});
