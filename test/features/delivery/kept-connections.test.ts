import assert from "node:assert/strict";
import { createServer } from "node:net";
import test from "node:test";
import { OutsideHosts, SafeFetch } from "../../../src/features/channels/webhook/safe-fetch.ts";
import { makeCertificate } from "../../helpers/certificate.ts";
import { listening } from "../../helpers/listening.ts";
import { slowBody, status, WebPeer } from "./support/web-peer.ts";

const LOOPBACK = { allowsHttp: false, allowPorts: [], allowPrivateCidrs: ["127.0.0.0/8"] };

function fetchingBy(addresses: () => string, ca?: string): SafeFetch {
  const hosts = new OutsideHosts(LOOPBACK, async () => [{ address: addresses(), family: 4 }]);
  return new SafeFetch(hosts, ca === undefined ? {} : { ca });
}

const post = (fetch: SafeFetch, url: string, keepsAlive = true) =>
  fetch.request(url, { method: "POST", body: Buffer.from("hello"), keepsAlive });

test("requests that may be repeated share a connection; others have one of their own", async (t) => {
  const peer = await WebPeer.start(t);
  peer.answer = status(200, {}, "thanks");
  const fetch = fetchingBy(() => "127.0.0.1");
  for (let n = 0; n < 3; n += 1) assert.equal((await post(fetch, peer.url)).body.toString(), "thanks");
  assert.equal(peer.connections, 1);
  await post(fetch, peer.url, false);
  assert.equal(peer.connections, 2);
  assert.equal(peer.received.at(-1)?.headers.connection, "close");
});

test("a kept connection has TLS, and its certificate was checked", async (t) => {
  const certificate = makeCertificate();
  const peer = await WebPeer.start(t, certificate);
  const fetch = fetchingBy(() => "127.0.0.1", certificate.cert);
  const url = `https://localhost:${peer.port}/hook`;
  for (let n = 0; n < 2; n += 1) assert.equal((await post(fetch, url)).status, 204);
  assert.equal(peer.connections, 1);
});

test("a host with other addresses than before gets a new connection, and a refused one none", async (t) => {
  const peer = await WebPeer.start(t);
  let address = "127.0.0.1";
  const fetch = fetchingBy(() => address);
  const url = `http://hooks.test:${peer.port}/hook`;
  await post(fetch, url);
  address = "10.0.0.1";
  await assert.rejects(post(fetch, url), { name: "NoAnswer", phase: "dns" });
  address = "127.0.0.2";
  await assert.rejects(post(fetch, url), /refused|no connection/);
  assert.equal(peer.received.length, 1);
});

test("a kept connection that the other side has closed is replaced", async (t) => {
  const peer = await WebPeer.start(t);
  const fetch = fetchingBy(() => "127.0.0.1");
  await post(fetch, peer.url);
  // It takes the next request on the kept connection, and closes it without an answer.
  let left = 1;
  peer.answer = (response, request) => {
    if (left-- > 0) request.socket.resetAndDestroy();
    else response.writeHead(204).end();
  };
  assert.equal((await post(fetch, peer.url)).status, 204);
  assert.deepEqual([peer.connections, peer.received.length], [2, 3]);
});

test("an answer that is cut off leaves no connection behind", async (t) => {
  const peer = await WebPeer.start(t);
  peer.answer = (response, request) => {
    slowBody(200)(response, request);
    setImmediate(() => request.socket.destroy());
  };
  const fetch = fetchingBy(() => "127.0.0.1");
  assert.equal((await post(fetch, peer.url)).isWhole, false);
  peer.answer = status(204);
  assert.equal((await post(fetch, peer.url)).status, 204);
  assert.equal(peer.connections, 2);
});

test("an answer after a 100 Continue that was not asked for is read", async (t) => {
  const peer = createServer((socket) => {
    socket.once(
      "data",
      () => void socket.end("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"),
    );
    socket.on("error", () => undefined);
  });
  const url = `http://127.0.0.1:${await listening(t, peer)}/hook`;
  const answer = await post(
    fetchingBy(() => "127.0.0.1"),
    url,
  );
  assert.deepEqual([answer.status, answer.body.toString(), answer.isWhole], [202, "ok", true]);
});

test("of a field that came twice the first counts, and a last answer's connection is not used again", async (t) => {
  const peer = await WebPeer.start(t);
  peer.answer = (response) => {
    response.setHeader("Retry-After", ["7", "8"]);
    response.writeHead(429, { Connection: "close" }).end("later");
  };
  const fetch = fetchingBy(() => "127.0.0.1");
  for (let n = 0; n < 2; n += 1) {
    const { status: code, headers, body } = await post(fetch, peer.url);
    assert.deepEqual([code, headers["retry-after"], body.toString()], [429, "7", "later"]);
  }
  assert.deepEqual([peer.connections, peer.received.length], [2, 2]);
});
