import assert from "node:assert/strict";
import test from "node:test";
import { isProxied, outgoingProxyOf, proxyName } from "../../src/config/outgoing-proxy.ts";

const proxyWith = (...noProxy: readonly string[]) => {
  const proxy = outgoingProxyOf({ url: "http://ann:secret@proxy.example:3128", noProxy, resolves: false });
  assert.ok(proxy);
  return proxy;
};

const CASES: readonly { noProxy: readonly string[]; direct: readonly string[]; proxied: readonly string[] }[] = [
  {
    noProxy: [],
    direct: ["localhost", "a.localhost", "127.0.0.1", "127.8.0.1", "::1", "LOCALHOST."],
    proxied: ["example.com", "10.0.0.1", "localhost.example.com"],
  },
  { noProxy: ["*"], direct: ["example.com", "10.0.0.1"], proxied: [] },
  {
    noProxy: ["example.com", ".corp", "*.lan"],
    direct: ["example.com", "a.example.com", "EXAMPLE.com.", "corp", "a.b.corp", "x.lan"],
    proxied: ["badexample.com", "example.com.evil.org", "corporate"],
  },
  {
    noProxy: ["10.0.0.0/8", "192.0.2.7", "fd00::/8"],
    direct: ["10.1.2.3", "192.0.2.7", "fd00::1"],
    proxied: ["11.0.0.1", "192.0.2.8", "10.example.com"],
  },
  { noProxy: ["one.example two.example"], direct: ["one.example", "two.example"], proxied: ["three.example"] },
  { noProxy: ["example.com:8443", "300.1.1.1/99"], direct: [], proxied: ["example.com", "10.0.0.1"] },
];

test("NO_PROXY names hosts, domains, addresses and ranges; this machine is always called directly", () => {
  for (const { noProxy, direct, proxied } of CASES) {
    const proxy = proxyWith(...noProxy);
    for (const host of direct) assert.equal(isProxied(proxy, { host, port: 443 }), false, `${host} by ${noProxy}`);
    for (const host of proxied) assert.equal(isProxied(proxy, { host, port: 443 }), true, `${host} by ${noProxy}`);
  }
  assert.equal(isProxied(proxyWith("example.com:8443"), { host: "example.com", port: 8443 }), false);
  const inside = { host: "db.example.com", port: 443, addresses: ["10.0.0.1", "10.0.0.2"] };
  assert.equal(isProxied(proxyWith("10.0.0.0/24"), inside), false);
  assert.equal(isProxied(proxyWith("10.0.0.1"), inside), true, "another address is outside");
  assert.equal(isProxied(proxyWith(), { host: "here.example.com", port: 443, addresses: ["127.0.0.1"] }), false);
});

test("the name of a proxy has no credentials, and without a URL there is none", () => {
  assert.equal(proxyName(proxyWith()), "http://proxy.example:3128");
  assert.equal(outgoingProxyOf({ noProxy: [], resolves: true }), null);
});
