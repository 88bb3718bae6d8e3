import assert from "node:assert/strict";
import { Resolver as DnsResolver } from "node:dns/promises";
import test, { type TestContext } from "node:test";
import { PrismError } from "../../../src/core/errors.ts";
import {
  OutsideHosts,
  type OutsideRules,
  type Resolver,
  SafeFetch,
  type SafeFetchOptions,
  UnresolvedHostError,
} from "../../../src/features/channels/webhook/safe-fetch.ts";
import { addressesIn } from "../../../src/features/delivery/calls/resolve.ts";
import { type CallPhase, NoAnswer } from "../../../src/features/delivery/channel.ts";
import { makeCertificate } from "../../helpers/certificate.ts";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";
import { startStandIn } from "../channels/support/stand-in.ts";
import { reset, silence, slowBody, status, WebPeer } from "./support/web-peer.ts";

const STRICT: OutsideRules = { allowsHttp: false, allowPorts: [], allowPrivateCidrs: [] };
const LOOPBACK: OutsideRules = { ...STRICT, allowPrivateCidrs: ["127.0.0.0/8"] };

const to =
  (...addresses: readonly string[]): Resolver =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

const nowhere: Resolver = async () => {
  throw new Error("no name should be resolved");
};

function isRefused(error: unknown): error is PrismError {
  return error instanceof PrismError && error.code === "URL_REFUSED";
}

/** What a URL comes to: the addresses that may be connected to, or why not. */
async function outcomeOf(url: string, rules: OutsideRules, resolve: Resolver): Promise<string> {
  try {
    const { addresses } = await new OutsideHosts(rules, resolve).require(url);
    return addresses.map(({ address }) => address).join(" ");
  } catch (error) {
    if (!isRefused(error)) throw error;
    return error.message.replace("The URL is refused: ", "");
  }
}

const fetching = (options: SafeFetchOptions = {}): SafeFetch =>
  new SafeFetch(new OutsideHosts(LOOPBACK, to("127.0.0.1")), options);

const post = (fetch: SafeFetch, url: string, signal?: AbortSignal) =>
  fetch.request(url, { method: "POST", body: Buffer.from("hello"), ...(signal ? { signal } : {}) });

/** A failure of the network that took its whole time. */
function said(message: string, phase: CallPhase) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof NoAnswer, String(error));
    assert.deepEqual([error.message, error.phase, error.timedOut], [message, phase, true]);
    return true;
  };
}

const PRIVATE = /not public/;

test("12.6 a URL is let out by its scheme, its port and every address of its host", async (t) => {
  const development = { ...STRICT, allowsHttp: true };
  const own = { ...STRICT, allowPrivateCidrs: ["10.1.0.0/16", "fd00:1::/32"] };
  for (const { name, url, rules = STRICT, resolve = nowhere, says } of [
    { name: "a public host", url: "https://a.example/h", resolve: to("1.1.1.1"), says: /^1\.1\.1\.1$/ },
    {
      name: "both families",
      url: "https://a.example/",
      resolve: to("1.1.1.1", "2a00::1"),
      says: /^1\.1\.1\.1 2a00::1$/,
    },
    { name: "a public address", url: "https://1.1.1.1/", says: /^1\.1\.1\.1$/ },
    { name: "a public IPv6 address", url: "https://[2a00::1]/", says: /^2a00::1$/ },
    { name: "port 80", url: "https://1.1.1.1:80/", says: /^1\.1\.1\.1$/ },
    { name: "port 8443", url: "https://1.1.1.1:8443/", says: /^1\.1\.1\.1$/ },
    { name: "port 22", url: "https://1.1.1.1:22/", says: /port 22 is not let out/ },
    {
      name: "a port of the operator's",
      url: "https://1.1.1.1:9000/",
      rules: { ...STRICT, allowPorts: [9000] },
      says: /^1/,
    },
    { name: "http", url: "http://1.1.1.1/", says: /only https/ },
    { name: "http in development", url: "http://1.1.1.1/", rules: development, says: /^1\.1\.1\.1$/ },
    { name: "loopback in development", url: "http://127.0.0.1/", rules: development, says: PRIVATE },
    { name: "localhost", url: "https://localhost/", resolve: to("127.0.0.1", "::1"), says: PRIVATE },
    { name: "one bad address of two", url: "https://a.example/", resolve: to("1.1.1.1", "10.0.0.1"), says: PRIVATE },
    { name: "metadata by name", url: "https://metadata.internal/", resolve: to("169.254.169.254"), says: PRIVATE },
    { name: "IPv4 in one number", url: "https://2130706433/", says: PRIVATE },
    { name: "IPv4 in hex", url: "https://0x7f.1/", says: PRIVATE },
    { name: "IPv4 in octal", url: "https://0177.0.0.1/", says: PRIVATE },
    { name: "IPv4 in other digits", url: "https://①②⑦.⓪.⓪.①/", says: PRIVATE },
    { name: "mapped IPv4", url: "https://[::ffff:127.0.0.1]/", says: PRIVATE },
    { name: "mapped IPv4 that is public", url: "https://[::ffff:8.8.8.8]/", says: PRIVATE },
    { name: "mapped IPv4 by name", url: "https://a.example/", resolve: to("::ffff:7f00:1"), says: PRIVATE },
    { name: "a range of the operator's", url: "http://10.1.2.3:8080/", rules: own, says: /^10\.1\.2\.3$/ },
    { name: "beside that range", url: "http://10.2.0.1:8080/", rules: own, says: PRIVATE },
    { name: "that range, mapped", url: "http://[::ffff:10.1.2.3]:1/", rules: own, says: /^::ffff:a01:203$/ },
    { name: "an IPv6 range of the operator's", url: "http://[fd00:1::5]:99/", rules: own, says: /^fd00:1::5$/ },
    { name: "no URL", url: "example.org/hook", says: /not a URL/ },
    { name: "another scheme", url: "file:///etc/passwd", says: /only https/ },
    { name: "credentials", url: "https://user:pass@1.1.1.1/", says: /name or password/ },
    { name: "too long", url: `https://1.1.1.1/${"a".repeat(2048)}`, says: /longer than 2048/ },
    { name: "a name without address", url: "https://a.example/", resolve: to(), says: /could not be resolved/ },
  ])
    await t.test(name, async () => assert.match(await outcomeOf(url, rules, resolve), says));
});

test("a name that cannot be resolved has another error than one that is refused", async () => {
  const fails: Resolver = async () => {
    throw new Error("EAI_AGAIN");
  };
  await assert.rejects(
    new OutsideHosts(STRICT, fails).require("https://a.example/"),
    (error) => isRefused(error) && error.cause instanceof UnresolvedHostError,
  );
  await assert.rejects(
    new OutsideHosts(STRICT, to("10.0.0.1")).require("https://a.example/"),
    (error) => isRefused(error) && error.cause === undefined && !error.message.includes("10.0.0.1"),
  );
});

test("12.6 a name that resolves differently a moment later is connected at the checked address, and resolved again next time", async (t) => {
  const peer = await WebPeer.start(t);
  const answers = ["127.0.0.1", "10.0.0.1"];
  let asked = 0;
  const rebinding: Resolver = async () => [{ address: answers[asked++] ?? "10.0.0.1", family: 4 }];
  const fetch = new SafeFetch(new OutsideHosts(LOOPBACK, rebinding));
  // No resolver but ours knows the name, so the connection cannot have asked another.
  const url = `http://rebinding.invalid:${peer.port}/hook`;
  assert.equal((await post(fetch, url)).status, 204);
  assert.deepEqual([asked, peer.received[0]?.headers.host], [1, `rebinding.invalid:${peer.port}`]);
  await assert.rejects(post(fetch, url), (error) => error instanceof NoAnswer && error.phase === "dns");
  assert.deepEqual([asked, peer.connections], [2, 1]);
  await assert.rejects(fetch.check(url), isRefused);
});

test("a page whose host has a private address in DNS for three seconds waits, and leaves seconds after that", async (t) => {
  const asked: string[] = [];
  let address = "127.0.0.1";
  t.mock.method(DnsResolver.prototype, "resolve4", async (host: string) => {
    asked.push(host);
    return [address];
  });
  t.mock.method(DnsResolver.prototype, "resolve6", async () => []);
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId, db, clock } = world;
  const pager = await startStandIn(t, httpServer());
  const fields = httpServer().fields(pager.url.replace("127.0.0.1", "pager.invalid"));
  const channel = { name: "pager", preset: "http", projectId, fields };
  const { id } = (await answered(201, prism.post<{ id: string }>("/api/v1/channels", channel))).body;
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps: [{ type: "channel", id }] }));
  // A router or a captive portal answers in place of the name server.
  address = "10.0.0.1";
  await world.fire("A");
  const page = () => db.read.selectFrom("pages").selectAll().executeTakeFirstOrThrow();
  for (let seconds = 0; seconds < 3; seconds += 1) {
    await eventually("it is tried, and stored so", async () => {
      await prism.parts.offers.pages.check();
      const { outcome, lastError } = await page();
      return outcome === "trying" && /could not be resolved/.test(lastError ?? "");
    });
    clock.advance(1000);
  }
  assert.deepEqual(pager.seen, []);
  address = "127.0.0.1";
  // Far less than the pause after a refusal.
  clock.advance(10_000);
  await eventually("it leaves", async () => {
    await prism.parts.offers.pages.check();
    return pager.seen.length === 1;
  });
  assert.ok(asked.every((host) => host === "pager.invalid"));
});

test("each of several addresses is tried", async (t) => {
  const peer = await WebPeer.start(t);
  // The first address has no listener.
  const fetch = new SafeFetch(new OutsideHosts(LOOPBACK, to("127.9.9.9", "127.0.0.1")));
  assert.equal((await post(fetch, `http://several.invalid:${peer.port}/`)).status, 204);
});

test("where none of several addresses answers, the error says what the first did, without its address", async (t) => {
  const { port } = await WebPeer.start(t);
  const fetch = new SafeFetch(new OutsideHosts(LOOPBACK, to("127.9.9.8", "127.9.9.9")));
  await assert.rejects(post(fetch, `http://nobody.invalid:${port}/`), /the connection was refused \(ECONNREFUSED\)$/);
});

test("https needs a certificate for the name in the URL, from a trusted authority", async (t) => {
  const certificate = makeCertificate();
  const peer = await WebPeer.start(t, certificate);
  const trusting = fetching({ ca: certificate.cert });
  assert.equal((await post(trusting, `https://localhost:${peer.port}/`)).status, 204);
  await assert.rejects(post(trusting, `https://other.invalid:${peer.port}/`), /does not match certificate/);
  await assert.rejects(post(fetching(), `https://localhost:${peer.port}/`), /certificate/);
  assert.equal(peer.received.length, 1);
});

test("what comes back is taken as it is: no redirect is followed, and a body is read as far as it may be", async (t) => {
  const peer = await WebPeer.start(t);
  peer.answer = status(302, { Location: "http://169.254.169.254/latest/meta-data/" });
  const moved = await post(fetching(), peer.url);
  assert.deepEqual([moved.status, peer.connections], [302, 1]);

  peer.answer = status(200, {}, "taken");
  const small = await post(fetching(), peer.url);
  assert.deepEqual([small.body.toString(), small.isWhole], ["taken", true]);
  assert.deepEqual([peer.received.at(-1)?.body, peer.received.at(-1)?.headers["content-length"]], ["hello", "5"]);

  let isCut = false;
  peer.answer = (response) => {
    response.on("close", () => {
      isCut = !response.writableFinished;
    });
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  };
  const endless = await post(fetching(), peer.url);
  assert.deepEqual([endless.status, endless.body.length, endless.isWhole], [200, 65_536, false]);
  peer.answer = status(204);
  assert.equal((await post(fetching(), peer.url)).status, 204);
  assert.equal(isCut, true, "the connection was ended by us");
});

test("time is bounded: a silent host is given up, and a body that does not come keeps its status", async (t) => {
  const peer = await WebPeer.start(t);
  const hasty = fetching({ limits: { answerMs: 300 } });
  peer.answer = silence;
  await assert.rejects(post(hasty, peer.url), said("no answer within 0.3 s", "answer"));
  peer.answer = slowBody(200);
  // Its head comes within the time on a slow machine, too.
  const slow = await post(fetching({ limits: { answerMs: 3000 } }), peer.url);
  assert.deepEqual([slow.status, slow.isWhole], [200, false]);
  const never: Resolver = () => new Promise(() => undefined);
  const unresolved = new SafeFetch(new OutsideHosts(STRICT, never), { limits: { dnsMs: 50 } });
  await assert.rejects(post(unresolved, "https://a.example/"), said("host name not resolved within 0.05 s", "dns"));
});

test("a request ends with the caller's signal, and with the connection", async (t: TestContext) => {
  const peer = await WebPeer.start(t);
  const reason = new Error("the server is stopping");
  const asked = new AbortController();
  peer.answer = () => asked.abort(reason);
  await assert.rejects(post(fetching(), peer.url, asked.signal), reason);
  await assert.rejects(post(fetching(), peer.url, asked.signal), reason);
  peer.answer = reset;
  await assert.rejects(post(fetching(), peer.url), /ECONNRESET|socket hang up/);
});

test("a check gives up on a name that is never resolved", async () => {
  const never: Resolver = () => new Promise(() => undefined);
  const fetch = new SafeFetch(new OutsideHosts(STRICT, never), { limits: { dnsMs: 20 } });
  await assert.rejects(fetch.check("https://slow.example/"), (error) => isRefused(error));
});

test("a name without an address and one with a private address are refused in the same words", async () => {
  const missing = await outcomeOf("https://a.example/", STRICT, () => Promise.reject(new Error("ENOTFOUND")));
  assert.equal(missing, await outcomeOf("https://a.example/", STRICT, to("10.0.0.1")));
  assert.equal(missing, await outcomeOf("https://a.example/", STRICT, to()));
});

test("names of the hosts file are found there, whatever their case, and comments are none", () => {
  const hosts =
    "127.0.0.1 localhost\n::1 localhost ip6\n# 10.0.0.1 gone\n10.0.0.2 Shop.internal shop # the shop\nnonsense shop";
  assert.deepEqual(addressesIn(hosts, "LOCALHOST"), [
    { address: "127.0.0.1", family: 4 },
    { address: "::1", family: 6 },
  ]);
  assert.deepEqual(addressesIn(hosts, "shop"), [{ address: "10.0.0.2", family: 4 }]);
  assert.deepEqual(addressesIn(hosts, "gone"), []);
});
