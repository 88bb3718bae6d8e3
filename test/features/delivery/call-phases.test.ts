import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { MailClient } from "../../../src/features/channels/mail/client.ts";
import { OutsideHosts, type Resolver, SafeFetch } from "../../../src/features/channels/webhook/safe-fetch.ts";
import { openConnection } from "../../../src/features/delivery/calls/connect.ts";
import { type CallPhase, NoAnswer } from "../../../src/features/delivery/channel.ts";
import { makeCertificate } from "../../helpers/certificate.ts";
import { hangingPort, silentPort } from "./support/hanging-port.ts";
import { reset, silence, WebPeer } from "./support/web-peer.ts";

const RULES = { allowsHttp: false, allowPorts: [], allowPrivateCidrs: ["127.0.0.0/8"] };
/** What comes at once comes within it on a slow machine, too. */
const AMPLE = { dnsMs: 60_000, connectMs: 60_000, tlsMs: 60_000, answerMs: 60_000 };
const HASTY_MS = 300;

const to =
  (...addresses: readonly string[]): Resolver =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

interface Case {
  readonly name: string;
  readonly phase: CallPhase;
  readonly says: string;
  readonly timedOut?: boolean;
  readonly url: (t: TestContext) => Promise<string> | string;
  readonly resolve?: Resolver;
}

const CASES: readonly Case[] = [
  {
    name: "a name server that is silent",
    ...{ phase: "dns", says: "host name not resolved within 0.3 s", timedOut: true },
    url: () => "https://slow.example/",
    resolve: () => new Promise(() => undefined),
  },
  {
    name: "a host that accepts no connection",
    ...{ phase: "connect", says: "no connection within 0.3 s", timedOut: true },
    url: async (t) => `http://127.0.0.1:${await hangingPort(t, "127.0.0.1")}/`,
  },
  {
    name: "a port on which nothing listens",
    ...{ phase: "connect", says: "the connection was refused (ECONNREFUSED)" },
    url: () => "http://127.0.0.1:1/",
  },
  {
    name: "a host that says nothing to a TLS client",
    ...{ phase: "tls", says: "no TLS within 0.3 s", timedOut: true },
    url: async (t) => `https://127.0.0.1:${await silentPort(t)}/`,
  },
  {
    name: "a certificate that nobody trusts",
    ...{ phase: "tls", says: "no TLS: self-signed certificate" },
    url: async (t) => `https://127.0.0.1:${(await WebPeer.start(t, makeCertificate())).port}/`,
  },
  {
    name: "a host that takes the request and is silent",
    ...{ phase: "answer", says: "no answer within 0.3 s", timedOut: true },
    url: async (t) => {
      const peer = await WebPeer.start(t);
      peer.answer = silence;
      return peer.url;
    },
  },
  {
    name: "a host that takes the request and resets the connection",
    ...{ phase: "answer", says: "no answer: the connection was reset (ECONNRESET)" },
    url: async (t) => {
      const peer = await WebPeer.start(t);
      peer.answer = reset;
      return peer.url;
    },
  },
];

for (const { name, phase, says, timedOut = false, url, resolve } of CASES)
  test(`${name}: the error names the phase that failed`, async (t) => {
    const limit = { dns: "dnsMs", connect: "connectMs", tls: "tlsMs", answer: "answerMs" }[phase];
    const limits = timedOut ? { ...AMPLE, [limit]: HASTY_MS } : AMPLE;
    const fetch = new SafeFetch(new OutsideHosts(RULES, resolve), { limits });
    const target = await url(t);
    const error = await fetch.request(target, { method: "POST", body: Buffer.from("hello") }).then(
      () => assert.fail("there was an answer"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof NoAnswer, String(error));
    assert.deepEqual([error.message, error.phase, error.timedOut], [says, phase, timedOut]);
  });

test("addresses that hang do not keep a call from one that answers", async (t) => {
  const peer = await WebPeer.start(t);
  await hangingPort(t, "127.0.0.2", peer.port);
  const hosts = new OutsideHosts(RULES, to("127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.1"));
  const fetch = new SafeFetch(hosts, { limits: AMPLE });
  assert.equal((await fetch.request(`http://several.invalid:${peer.port}/`, { method: "POST" })).status, 204);
});

test("a call that is given up meanwhile ends with the reason of its signal", async (t) => {
  const port = await hangingPort(t, "127.0.0.1");
  const giveUp = new AbortController();
  const addresses = [{ address: "127.0.0.1", family: 4 }];
  const opened = openConnection({ host: "h", port, addresses }, AMPLE, giveUp.signal);
  giveUp.abort(new Error("the server is stopping"));
  await assert.rejects(opened, /the server is stopping/);
});

test("a mail server that accepts no connection, or no TLS, is a failure of the network with its phase", async (t) => {
  const [hanging, silent] = [await hangingPort(t, "127.0.0.1"), await silentPort(t)];
  for (const { port, secure, phase, says } of [
    { port: hanging, secure: false, phase: "connect", says: "no connection within 0.3 s" },
    { port: hanging, secure: true, phase: "connect", says: "no connection within 0.3 s" },
    { port: silent, secure: true, phase: "tls", says: "no TLS within 0.3 s" },
  ]) {
    const limits = { ...AMPLE, [phase === "connect" ? "connectMs" : "tlsMs"]: HASTY_MS };
    const options = { host: "127.0.0.1", port, from: "prism@example.com", secure, allowPlain: true, limits };
    const mailer = new MailClient(() => options);
    t.after(() => mailer.close());
    const sent = mailer.call({ to: "ann@example.com", subject: "s", text: "t" });
    await assert.rejects(sent, { name: "NoAnswer", message: says, phase, timedOut: true });
  }
});
