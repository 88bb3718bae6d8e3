import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { wordsOfPage } from "../../../src/core/text/plain-text.ts";
import { type ChannelPreset, readPreset, ringsOf } from "../../../src/features/channels/preset.ts";
import { PRESETS } from "../../../src/features/channels/presets/index.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { WebPeer } from "../delivery/support/web-peer.ts";
import { SERVICES } from "./support/all.ts";

interface Tried {
  readonly class: string;
  readonly error: string | null;
}

const LOGIN =
  "<!DOCTYPE html>\n<html><head><title>Hotel</title></head><body><h1>Sign in to the network</h1></body></html>";

test("a page is told from a text that a script calls HTML", async (t) => {
  for (const [name, type, body, isPage] of [
    ["a login", "text/html; charset=utf-8", LOGIN, true],
    ["a page without its type", "", "\n<html lang=en>x</html>", true],
    ["a page after XML and a comment", "text/html", "<?xml version='1.0'?><!-- a --><!doctype html><p>x", true],
    ["a part of a page", "text/html", "<h1>It works!</h1>", true],
    ["PHP's answer", "text/html; charset=UTF-8", "OK", false],
    ["JSON that is called HTML", "text/html", '{"ok":true}', false],
    ["XML", "application/xml", "<response>ok</response>", false],
    ["nothing", "text/html", "", false],
  ] as const)
    await t.test(name, () => assert.equal(wordsOfPage(type, body) !== null, isPage));
});

test("a page in answer to JSON is no delivery, unless the channel says what a success looks like", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const folder = join(prism.dir, "presets", "channels");
  mkdirSync(folder, { recursive: true });
  const gateway = {
    ...{
      name: "gateway",
      title: "Gateway",
      group: "sms",
      docs: "http",
      setup: ["a", "b", "c"],
      ok: [{ status: "2xx" }],
    },
    fields: [{ key: "url", title: "URL", type: "url", example: "https://example.com" }],
    send: { url: "{{ field.url }}", body: { text: "{{ n.title }}" } },
    rate: { perSecond: 100, burst: 100 },
  };
  writeFileSync(join(folder, "gateway.json"), JSON.stringify(gateway));
  prism.parts.base.bus.emit("system:reloaded");
  const peer = await WebPeer.start(t);
  const fields = { url: peer.url };
  for (const [channel, body, type, expected] of [
    [{ preset: "http", fields }, LOGIN, "text/html", "retry"],
    [{ preset: "http", fields }, "OK", "text/html", "ok"],
    [{ preset: "http", fields }, '{"id":1}', "application/json", "ok"],
    [{ preset: "http", fields, template: { ok: [{ status: 200, text: "sign in" }] } }, LOGIN, "text/html", "ok"],
    // It rings: the page may come behind a message that was sent.
    [{ preset: "gateway", fields }, LOGIN, "text/html", "dead"],
    [{ preset: "gateway", fields }, "1 message sent", "text/html", "ok"],
  ] as const) {
    const name = `${expected} ${body} ${JSON.stringify(channel)}`.slice(0, 60) + String(Math.random());
    const made = await prism.post<{ id: string }>("/api/v1/channels", { name, ...channel });
    assert.equal(made.status, 201, made.text);
    peer.answer = (response) => void response.writeHead(200, { "Content-Type": type }).end(body);
    const { body: tried } = await prism.post<{ class: string; error: string | null }>(
      `/api/v1/channels/${made.body.id}/test`,
      {},
    );
    assert.equal(tried.class, expected, JSON.stringify([channel, tried]));
    if (expected !== "ok") assert.match(tried.error ?? "", /answered 200 with a page: Sign in to the network$/);
  }
});

test("a page in answer to any preset is no delivery, and what rings is not repeated for it", async (t) => {
  const settings = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" };
  const prism = await startPrism(t, { settings });
  const peer = await WebPeer.start(t);
  const presets = PRESETS.map((each: ChannelPreset) => readPreset(each));
  const statusOnly = presets.filter(({ ok }) => ok.some(({ path, text }) => path === undefined && text === undefined));
  assert.ok(statusOnly.length >= 4, statusOnly.map(({ name }) => name).join());
  for (const [index, service] of SERVICES.map((each) => each()).entries()) {
    const preset = presets.find(({ name }) => name === service.preset);
    assert.ok(preset, service.preset);
    const fields = service.fields(peer.url);
    const channel = { name: `${preset.name} ${index}`, preset: preset.name, fields };
    const { body: made } = await answered(201, prism.post<{ id: string }>("/api/v1/channels", channel));
    const accepted = preset.ok.flatMap((row) => row.status ?? []).map(Number);
    const status = accepted.find((each) => each < 300 && each !== 204) ?? 200;
    peer.answer = (response) => void response.writeHead(status, { "Content-Type": "text/html" }).end(LOGIN);
    const { body: tried } = await answered(200, prism.post<Tried>(`/api/v1/channels/${made.id}/test`, {}));
    assert.equal(tried.class, ringsOf(preset, fields) ? "dead" : "retry", `${preset.name} ${status}: ${tried.error}`);
    assert.match(tried.error ?? "", /with a page: Sign in to the network$/, preset.name);
  }
});

test("LINE's answer to a push says which messages it sent: another body is no delivery", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const peer = await WebPeer.start(t);
  const line = SERVICES.map((each) => each()).find(({ preset }) => preset === "line");
  assert.ok(line);
  const channel = { name: "line", preset: "line", fields: line.fields(peer.url) };
  const { body: made } = await answered(201, prism.post<{ id: string }>("/api/v1/channels", channel));
  for (const [body, expected] of [
    ['{"sentMessages":[{"id":"461230966842064897","quoteToken":"q"}]}', "ok"],
    ['{"sentMessages":[]}', "dead"],
    ["{}", "dead"],
  ] as const) {
    peer.answer = (response) => void response.writeHead(200, { "Content-Type": "application/json" }).end(body);
    const { body: tried } = await answered(200, prism.post<Tried>(`/api/v1/channels/${made.id}/test`, {}));
    assert.equal(tried.class, expected, `${body}: ${tried.error}`);
  }
});
