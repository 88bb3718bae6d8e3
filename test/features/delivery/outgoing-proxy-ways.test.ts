import assert from "node:assert/strict";
import test from "node:test";
import { examine } from "../../cli/doctor-support.ts";
import { RunningCli } from "../../cli/run-cli.ts";
import { wavFile } from "../../helpers/audio.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { startSquid } from "../../helpers/squid.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { TestBrowser } from "../../helpers/web-push.ts";
import { SERVICES } from "../channels/support/all.ts";
import { upload } from "../notifications/sounds/support/upload.ts";
import { ApnsServer } from "./support/apns-server.ts";
import { FcmServer } from "./support/fcm-server.ts";
import { APP } from "./support/pusher-peer.ts";

/** Names that only squid knows. */
const hostOf = (way: string): string => `${way}.example.test`;
const urlOf = (way: string): string => `https://${hostOf(way)}`;

/** Ways out besides the channels, by what each calls. */
const WAYS = ["webhook", "apns", "fcm-token", "fcm", "pusher", "webpush", "s3", "calendar", "watch", "jwks"];

test("every way out of a server with proxy.url leaves through it", async (t) => {
  const channels = SERVICES.map((service) => service());
  const presets = [...new Set(channels.map(({ preset }) => preset))];
  const squid = await startSquid(t, [...WAYS, ...presets].map(hostOf));
  const [fcm, apns] = [await FcmServer.start(t), await ApnsServer.start(t, { isPlain: true })];
  // The token is fetched through the proxy as well: without it nothing would be sent to FCM.
  const tokens = new URL(fcm.options.tokenEndpoint ?? "");
  tokens.hostname = hostOf("fcm-token");
  const prism = await startPrism(t, {
    settings: {
      ...{ "proxy.url": squid.url, "proxy.resolves": "true", "rateLimit.enabled": "false" },
      "watch.url": `${urlOf("watch")}/ping`,
      ...{ "auth.trusted.issuer": urlOf("jwks"), "auth.trusted.audience": "prism" },
      "auth.trusted.jwksUrl": `${urlOf("jwks")}/keys`,
      ...{ "fcm.credentials": fcm.options.credentials, "fcm.endpoint": urlOf("fcm"), "fcm.tokenEndpoint": tokens.href },
      ...{ "apns.keyFile": apns.options.keyFile, "apns.keyId": apns.options.keyId },
      ...{ "apns.teamId": apns.options.teamId, "apns.bundleId": apns.options.bundleId, "apns.endpoint": urlOf("apns") },
      ...{ "pusher.mode": "remote", "pusher.appId": APP.appId, "pusher.key": APP.key, "pusher.secret": APP.secret },
      "pusher.endpoint": urlOf("pusher"),
      ...{ "storage.kind": "s3", "storage.s3.bucket": "sounds", "storage.s3.region": "eu-central-1" },
      ...{ "storage.s3.endpoint": urlOf("s3"), "storage.s3.accessKeyId": "id", "storage.s3.secretAccessKey": "key" },
    },
  });

  const { id, token } = await makeUser(prism, "ann", ["Admin"]);
  const ann = { token };
  await answered(201, prism.post("/api/v1/webhooks", { url: `${urlOf("webhook")}/hook` }, ann));
  const phone = { fcm: "registration:token", apns: "ab".repeat(32) };
  await answered(200, prism.put("/api/v1/users/me/push-tokens", phone, ann));
  const subscription = { endpoint: `${urlOf("webpush")}/send/1`, expirationTime: null, keys: new TestBrowser().keys };
  await answered(201, prism.post("/api/v1/users/me/push-subscriptions", subscription, ann));
  await answered(
    201,
    prism.post("/api/v1/notifications", {
      ...{ recipients: [id], title: "Door", message: "It is open" },
      channels: ["webhook", "fcm", "apns", "pusher", "webpush"],
    }),
  );
  assert.equal((await upload(prism, "bell.wav", wavFile())).status, 503);
  const { id: projectId } = await makeProject(prism);
  const schedule = { projectId, name: "Database", timezone: "UTC", calendarUrl: `${urlOf("calendar")}/a.ics` };
  await answered(201, prism.post("/api/v1/oncall/schedules", schedule));

  for (const { preset, fields } of channels) {
    const channel = { name: preset, preset, fields: fields(urlOf(preset)) };
    const { body: made } = await answered(201, prism.post<{ id: string }>("/api/v1/channels", channel));
    const { body: tried } = await answered(200, prism.post(`/api/v1/channels/${made.id}/test`, {}));
    assert.match(String(tried["error"]), /the outgoing proxy answered 503/, preset);
  }

  const called = () => new Set(squid.connections().map((line) => line.split(/[ :]/)[1]));
  const silent = () => [...WAYS, ...presets].filter((way) => !called().has(hostOf(way)));
  await eventually("all call through the proxy", () => silent().length === 0, 60_000).catch(() => undefined);
  assert.deepEqual(silent(), []);
  assert.equal(fcm.asked, 1, "the token came through the proxy");
  assert.equal(apns.pushes.length, 0);
});

test("serve and doctor name the proxy, without its credentials", async (t) => {
  const squid = await startSquid(t, [hostOf("emergency")]);
  const proxy = new URL(squid.url);
  const env = { PRISM_EMERGENCY_WEBHOOK: `${urlOf("emergency")}/hook`, NO_PROXY: ".corp" };
  const named = `HTTP calls leave through ${squid.url} (HTTPS_PROXY), except to .corp`;
  Object.assign(proxy, { username: "ann", password: "secret" });
  const given = { ...env, HTTPS_PROXY: proxy.href };
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env: given });
  await server.until(/Prism is ready/);
  assert.ok(server.stdout.includes(`"msg":"${named}"`), server.stdout);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
  assert.doesNotMatch(server.stdout + server.stderr, /ann:|secret@/);

  const { report } = await examine(cwd, [], given);
  const checks = report.checks.filter(({ name }) => name === "proxy");
  assert.deepEqual(
    checks.map(({ status, message }) => [status, message]),
    [["PASS", named]],
  );
  await examine(cwd, ["--emergency"], given);
  await eventually("the emergency call leaves through it", () => squid.connections().length > 0);
  assert.match(squid.connections()[0] ?? "", /^CONNECT emergency\.example\.test:443 /);
  const gone = await examine(cwd, [], { HTTPS_PROXY: "http://127.0.0.1:1" });
  assert.equal(gone.found.get("proxy"), "FAIL");
});
