import assert from "node:assert/strict";
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer as createTcp } from "node:net";
import test, { type TestContext } from "node:test";
import { checkProxy } from "../../../src/cli/commands/doctor/config-checks.ts";
import { proxyText } from "../../../src/config/checks.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { connectThrough, outgoingProxyOf, type ProxySettings } from "../../../src/config/outgoing-proxy.ts";
import { fetchKeySet } from "../../../src/features/access/authenticate/issuer-tokens.ts";
import { OutsideHosts, type Resolver, SafeFetch } from "../../../src/features/channels/webhook/safe-fetch.ts";
import { CALL_LIMITS, connectTo } from "../../../src/features/delivery/calls/connect.ts";
import { callUrl } from "../../../src/features/health/emergency/index.ts";
import { makeCertificate } from "../../helpers/certificate.ts";
import { eventually } from "../../helpers/eventually.ts";
import { listening } from "../../helpers/listening.ts";
import { startSquid } from "../../helpers/squid.ts";
import { temporaryDir } from "../../helpers/store.ts";

const NAME = "service.example.test";
const answerOk = (_: IncomingMessage, response: ServerResponse) => response.end('{"keys":[]}');

const resolving: (...addresses: readonly string[]) => Resolver =
  (...addresses) =>
  async () => {
    if (addresses.length === 0) throw new Error("ENOTFOUND");
    return addresses.map((address) => ({ address, family: 4 }));
  };

/** A service with TLS on this machine, and calls of it as of users' URLs. */
async function worldWith(t: TestContext) {
  const certificate = makeCertificate({ name: NAME });
  const port = await listening(t, createHttps(certificate, answerOk) as unknown as Server);
  return {
    port,
    url: `https://${NAME}:${port}/hook`,
    call(url: string, settings: ProxySettings, resolve: Resolver, allowPrivateCidrs: readonly string[] = []) {
      const proxy = outgoingProxyOf(settings);
      const rules = { allowsHttp: false, allowPorts: [port], allowPrivateCidrs, proxy };
      const fetch = new SafeFetch(new OutsideHosts(rules, resolve), { ca: certificate.cert, limits: { proxy } });
      return fetch.request(url, { method: "POST", body: Buffer.from("{}") });
    },
  };
}

test("calls of users' URLs leave through the proxy by their names, and are checked here", async (t) => {
  const squid = await startSquid(t, [NAME, "refused.example.test"]);
  const { url, port, call } = await worldWith(t);
  const through: ProxySettings = { url: squid.url, noProxy: [], resolves: false };
  const open: ProxySettings = { ...through, resolves: true };
  const PUBLIC = resolving("93.184.215.14");

  assert.equal((await call(url, through, PUBLIC)).status, 200);
  const ended = (count: number) => eventually(`${count} connections`, () => squid.connections().length === count);
  await ended(1);
  assert.deepEqual(squid.connections(), [`CONNECT ${NAME}:${port} 200`]);

  await t.test("a name that does not resolve here is left to the proxy only if that resolves names", async () => {
    await assert.rejects(call(url, through, resolving()), /could not be resolved.* an operator sets proxy\.resolves/);
    // The same for a private address: the text does not tell which names exist.
    await assert.rejects(call(url, through, resolving("10.0.0.1")), /proxy\.resolves/);
    await assert.rejects(
      call(url, { ...through, noProxy: [NAME] }, resolving()),
      ({ message }: Error) => !message.includes("proxy"),
    );
    assert.equal((await call(url, open, resolving())).status, 200);
    assert.equal((await call(url, open, async () => [])).status, 200);
    await ended(3);
  });
  await t.test("private addresses are refused, whoever resolves names", async () => {
    for (const host of [
      "127.0.0.1",
      "10.0.0.1",
      "169.254.169.254",
      "[::1]",
      "0x7f.1",
      "2130706433",
      "[::ffff:10.0.0.1]",
    ])
      await assert.rejects(call(`https://${host}:${port}/`, open, PUBLIC), { code: "URL_REFUSED" }, host);
    // At a call it may be so for a moment only, as in an outage.
    for (const addresses of [["10.0.0.1"], ["93.184.215.14", "10.0.0.1"]])
      await assert.rejects(call(url, open, resolving(...addresses)), { name: "NoAnswer", phase: "dns" });
    await assert.rejects(call(`https://${NAME}:1/`, open, resolving()), /port 1 is not let out/);
    await assert.rejects(call(`http://${NAME}:${port}/`, open, resolving()), /only https/);
    await assert.rejects(call("https://localhost/", open, resolving()), /could not be resolved/);
  });
  await t.test("hosts of noProxy and of this machine are called directly", async () => {
    const own = ["127.0.0.0/8"];
    assert.equal((await call(url, through, resolving("127.0.0.1"), own)).status, 200);
    const direct = { ...open, noProxy: [".example.test"] };
    assert.equal((await call(url, direct, resolving("127.0.0.1"), own)).status, 200);
    await assert.rejects(call(url, direct, resolving()), /could not be resolved/);
  });
  await t.test("what the proxy refuses is a call without an answer", async () => {
    const refused = `https://refused.example.test:${port}/`;
    await assert.rejects(call(refused, through, PUBLIC), /no connection: the outgoing proxy answered 403/);
    // Nothing of what was refused or called directly has reached it.
    await ended(4);
    assert.equal(squid.connections().at(-1), `CONNECT refused.example.test:${port} 403`);
  });
});

test("the operator's own hosts are called through the proxy as well", async (t) => {
  const squid = await startSquid(t, [NAME]);
  const port = await listening(t, createHttp(answerOk));
  const proxy: ProxySettings = { url: squid.url, noProxy: [], resolves: false };
  const url = `http://${NAME}:${port}/x`;
  assert.equal(await callUrl(url, { proxy }, 5000), `${NAME}:${port} answered 200`);
  assert.equal(await callUrl(url, { proxy, content: Buffer.from("{}") }, 5000), `${NAME}:${port} answered 200`);
  assert.equal(await fetchKeySet(url, proxy), '{"keys":[]}');
  const limits = { ...CALL_LIMITS, proxy: outgoingProxyOf(proxy) };
  (await connectTo(new URL(url), limits, { tls: {} })).destroy();
  // This machine is called directly.
  await callUrl(`http://127.0.0.1:${port}/`, { proxy }, 5000);
  (await connectTo(new URL(`http://localhost:${port}/`), limits, { tls: {} })).destroy();
  await eventually("four connections", () => squid.connections().length === 4);
  assert.deepEqual(squid.connections(), Array(4).fill(`CONNECT ${NAME}:${port} 200`));
});

/** A proxy that gives one answer, with what it was asked. */
async function fakeProxy(t: TestContext, answer: string) {
  const asked: string[] = [];
  const server = createTcp((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (data) => {
      asked.push(data.toString());
      socket.end(answer);
    });
  });
  return { asked, port: await listening(t, server as unknown as Server) };
}

test("a proxy that does not let a call out is named in the error, without its credentials", async (t) => {
  const { url, call } = await worldWith(t);
  for (const [answer, reason] of [
    ["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", /answered 407: proxy.url needs a name and a password/],
    ["HTTP/1.1 502 Bad Gateway\r\n\r\n", /answered 502/],
    ["SSH-2.0-OpenSSH\r\n\r\n", /does not speak HTTP/],
    ["HTTP/1.1 200 OK\r\n\r\nmore", /does not speak HTTP/],
    ["", /closed the connection/],
  ] as const) {
    const { asked, port } = await fakeProxy(t, answer);
    const settings = { url: `http://ann:p%40ss@127.0.0.1:${port}`, noProxy: [], resolves: false };
    await assert.rejects(call(url, settings, resolving("93.184.215.14")), (error: Error) => {
      assert.match(error.message, reason);
      assert.doesNotMatch(error.message, /ann|p%40ss|p@ss/);
      return true;
    });
    const wanted = `Proxy-Authorization: Basic ${Buffer.from("ann:p@ss").toString("base64")}`;
    assert.ok(asked[0]?.includes(wanted), asked[0]);
  }
  const gone = { url: "http://127.0.0.1:1", noProxy: [], resolves: false };
  await assert.rejects(
    call(url, gone, resolving("93.184.215.14")),
    /outgoing proxy cannot be reached \(ECONNREFUSED\)/,
  );
});

test("HTTPS_PROXY and NO_PROXY are read, named at the start and by doctor; proxy.url comes first", async (t) => {
  const load = (environment: Record<string, string>) =>
    loadConfig({ flags: {}, environment: { PRISM_ENV: "development", ...environment }, workingDir: temporaryDir(t) });
  assert.equal(proxyText(load({})), null);
  const named = load({ HTTPS_PROXY: "ann:secret@proxy.example:3128", NO_PROXY: "localhost,.corp" });
  assert.equal(
    proxyText(named),
    "HTTP calls leave through http://proxy.example:3128 (HTTPS_PROXY), except to localhost, .corp",
  );
  const own = load({ HTTPS_PROXY: "http://one:1", PRISM_PROXY_URL: "http://two:2", PRISM_PROXY_RESOLVES: "true" });
  assert.match(
    proxyText(own) ?? "",
    /http:\/\/two:2 \(PRISM_PROXY_URL\); names that do not resolve here are left to it/,
  );
  assert.deepEqual(await checkProxy(load({})), []);
  const [failed] = await checkProxy(load({ https_proxy: "http://127.0.0.1:1" }));
  assert.equal(failed?.severity, "critical");
  assert.match(failed?.text ?? "", /127\.0\.0\.1:1 \(https_proxy\).*cannot be reached \(ECONNREFUSED\)/);
  const { port } = await fakeProxy(t, "");
  const [passed] = await checkProxy(load({ HTTPS_PROXY: `http://127.0.0.1:${port}` }));
  assert.equal(passed?.severity, "ok");
});

test("credentials of a proxy are sent as they are written: escapes are read, a bare percent stays", async (t) => {
  const heads: string[] = [];
  const port = await listening(
    t,
    createTcp((socket) => {
      socket.on("error", () => {});
      socket.once("data", (head) => {
        heads.push(head.toString("latin1"));
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      });
    }),
  );
  for (const [given, expected] of [
    ["ann:p%40ss", "ann:p@ss"],
    ["ann:50%", "ann:50%"],
    ["ann:a%zz%", "ann:a%zz%"],
  ] as const) {
    const proxy = outgoingProxyOf({ url: `http://${given}@127.0.0.1:${port}`, noProxy: [], resolves: false });
    assert.ok(proxy);
    await assert.rejects(connectThrough(proxy, { host: NAME, port: 443 }, { timeoutMs: 5000 }), /407/);
    const [, sent = ""] = /^Proxy-Authorization: Basic (\S+)/m.exec(heads.at(-1) ?? "") ?? [];
    assert.equal(Buffer.from(sent, "base64").toString(), expected);
  }
});
