import assert from "node:assert/strict";
import test from "node:test";
import type { CDPSession, Page, Worker } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { rowsOf, scalarOf } from "../helpers/tables.ts";
import { PushService, verifiedVapid } from "../helpers/web-push.ts";
import { assertAccessible, type ConsoleTest, standInForPush, startConsole } from "./helpers.ts";

/** The service worker of a context, when it controls the page. */
async function workerOf(page: Page): Promise<Worker> {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    while (!navigator.serviceWorker.controller) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  const [worker] = page.context().serviceWorkers();
  assert.ok(worker);
  return worker;
}

/** What a service worker has, for functions that run in it. */
interface WorkerScope {
  readonly registration: Omit<ServiceWorkerRegistration, "getNotifications"> & {
    getNotifications(): Promise<(Notification & { readonly actions: readonly { readonly action: string }[] })[]>;
  };
  pair: CryptoKeyPair;
  auth: Uint8Array<ArrayBuffer>;
  dispatchEvent(event: Event): boolean;
}

test("the console can be installed, and shows what it last knew without a connection", async (t) => {
  const console = await startConsole(t, { isWhole: true });
  if (!console) return;
  const { prism } = console;
  const ann = await console.person("ann", ["User"]);
  await prism.post("/api/v1/notifications", { userId: ann.id, title: "db-2 is down", message: "no answer" });
  const page = await console.open("/inbox", { as: "ann" });
  await page.getByText("db-2 is down").first().waitFor();
  const worker = await workerOf(page);
  const context = page.context();
  const step = stepsOf(t);

  await step("installable: manifest, icons, service worker", async () => {
    const session = await context.newCDPSession(page);
    const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
    // Contexts of tests are private windows, which install nothing.
    const ids = installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== "in-incognito");
    assert.deepEqual(ids, []);
    const { errors, data = "{}" } = await session.send("Page.getAppManifest");
    assert.deepEqual(errors, []);
    const manifest = JSON.parse(data) as { scope: string; icons: { src: string; sizes: string; type: string }[] };
    for (const { src, sizes, type } of manifest.icons) {
      const icon = await page.evaluate(async (url) => {
        const response = await fetch(url);
        const bitmap = await createImageBitmap(await response.blob()).catch(() => null);
        return { type: response.headers.get("content-type"), sizes: bitmap && `${bitmap.width}x${bitmap.height}` };
      }, `${prism.url}/dashboard/${src}`);
      assert.equal(icon.type, type);
      if (type === "image/png") assert.equal(icon.sizes, sizes);
    }
  });

  await step("answers are kept per user, never sessions and tokens", async () => {
    await page.goto(`${prism.url}/dashboard/account/security`);
    await page.getByText("you are signed in on").waitFor();
    const kept = await page.evaluate(async () => {
      const names = (await caches.keys()).filter((name) => name.startsWith("prism-answers-"));
      const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
      return { names, urls: requests.flat().map(({ url }) => new URL(url).pathname) };
    });
    assert.deepEqual(kept.names, [`prism-answers-${ann.id}`]);
    assert.ok(kept.urls.includes("/dashboard/answers/notifications"));
    assert.deepEqual(
      kept.urls.filter((url) => /auth|session|token|settings|export/.test(url)),
      [],
    );
    const shell = await worker.evaluate(async () => {
      const [name = ""] = (await caches.keys()).filter((each) => each.startsWith("prism-shell-"));
      return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
    });
    assert.deepEqual(
      shell.filter((path) => path.includes("/api/")),
      [],
    );
    assert.ok(shell.includes("/dashboard/") && shell.length > 10);
  });

  await step("offline: a reload, a deep link and another page show the kept data", async () => {
    console.expected.push(/ERR_INTERNET_DISCONNECTED|Failed to fetch|WebSocket/);
    await context.setOffline(true);
    await page.goto(`${prism.url}/dashboard/inbox`);
    await page.getByText("The pages show what this browser last received").waitFor();
    await page.getByText("db-2 is down").first().waitFor();
    await assertAccessible(page, "offline");
    await page.goto(`${prism.url}/dashboard/jobs/01a1fe01-18e3-745c-b8ad-f934ede708ab/attempts`);
    await page.getByRole("navigation", { name: "Main", exact: true }).waitFor();
    await context.setOffline(false);
    await page.goto(`${prism.url}/dashboard/inbox`);
    await page.getByText("Live", { exact: true }).waitFor();
    assert.equal(await page.getByText("The pages show what this browser last received").count(), 0);
  });

  await step("a sign-out deletes what was kept", async () => {
    await page.getByRole("button", { name: "Your account" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.waitForFunction(async () => !(await caches.keys()).some((name) => name.startsWith("prism-answers-")));
  });
  console.assertClean();
});

/**
 * The keys of a browser, in its service worker: the push service that a real PushManager needs is in
 * the internet.
 */
async function makeKeys(worker: Worker): Promise<{ p256dh: string; auth: string }> {
  return worker.evaluate(async () => {
    const scope = globalThis as unknown as WorkerScope;
    scope.pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
    scope.auth = crypto.getRandomValues(new Uint8Array(16));
    const text = (bytes: Uint8Array) =>
      btoa(String.fromCharCode(...bytes))
        .replaceAll("+", "-")
        .replaceAll("/", "_")
        .replaceAll("=", "");
    const p256dh = text(new Uint8Array(await crypto.subtle.exportKey("raw", scope.pair.publicKey)));
    return { p256dh, auth: text(scope.auth) };
  });
}

/** Decrypts a message in the service worker (RFC 8291, RFC 8188). */
async function decrypt(worker: Worker, body: Buffer): Promise<string> {
  return worker.evaluate(async (given) => {
    const { pair, auth } = globalThis as unknown as WorkerScope;
    const bytes = Uint8Array.from(atob(given), (each) => each.charCodeAt(0));
    const salt = bytes.slice(0, 16);
    const sender = bytes.slice(21, 86);
    const hkdf = async (
      input: Uint8Array<ArrayBuffer>,
      hkdfSalt: Uint8Array<ArrayBuffer>,
      info: Uint8Array<ArrayBuffer>,
      length: number,
    ) => {
      const key = await crypto.subtle.importKey("raw", input, "HKDF", false, ["deriveBits"]);
      const bits = { name: "HKDF", hash: "SHA-256", salt: hkdfSalt, info };
      return new Uint8Array(await crypto.subtle.deriveBits(bits, key, length * 8));
    };
    const utf8 = (text: string) => new TextEncoder().encode(text);
    const own = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const other = await crypto.subtle.importKey("raw", sender, { name: "ECDH", namedCurve: "P-256" }, false, []);
    const secret = new Uint8Array(
      await crypto.subtle.deriveBits({ name: "ECDH", public: other }, pair.privateKey, 256),
    );
    const info = new Uint8Array([...utf8("WebPush: info\0"), ...own, ...sender]);
    const input = await hkdf(secret, auth, info, 32);
    const key = await hkdf(input, salt, utf8("Content-Encoding: aes128gcm\0"), 16);
    const iv = await hkdf(input, salt, utf8("Content-Encoding: nonce\0"), 12);
    const aes = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
    const padded = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, aes, bytes.slice(86)));
    return new TextDecoder().decode(padded.slice(0, padded.lastIndexOf(2)));
  }, body.toString("base64"));
}

const REDELIVER_MS = 20_000;

/** Delivers messages as the browser does. */
async function openDelivery(console: ConsoleTest, page: Page): Promise<(data: string) => Promise<void>> {
  const session: CDPSession = await page.context().newCDPSession(page);
  let registrationId = "";
  session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
    registrationId = registrations.find(({ isDeleted }) => !isDeleted)?.registrationId ?? registrationId;
  });
  await session.send("ServiceWorker.enable");
  await eventually("a registration", () => registrationId !== "" || undefined);
  const origin = new URL(console.prism.url).origin;
  return async (data) => {
    await session.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data });
  };
}

/** How many messages the worker has shown, also those that replaced another one. */
const showsOf = (worker: Worker) =>
  worker.evaluate(() => {
    const scope = globalThis as unknown as { registration: ServiceWorkerRegistration; shows?: number };
    if (scope.shows === undefined) {
      scope.shows = 0;
      const show = scope.registration.showNotification.bind(scope.registration);
      scope.registration.showNotification = async (...given) => {
        await show(...given);
        scope.shows = (scope.shows ?? 0) + 1;
      };
    }
    return scope.shows;
  });

/** The inspector drops a message now and then while a page loads, without an error: it is sent again. */
async function deliverUntilShown(worker: Worker, deliver: () => Promise<void>): Promise<void> {
  const before = await showsOf(worker);
  let triedAt = 0;
  await eventually("the message is shown", async () => {
    if (Date.now() - triedAt > REDELIVER_MS) {
      triedAt = Date.now();
      await deliver();
    }
    return (await showsOf(worker)) > before;
  });
}

const shownBy = (worker: Worker) =>
  worker.evaluate(async () => {
    const { registration } = globalThis as unknown as WorkerScope;
    const shown = await registration.getNotifications();
    return shown.map(({ title, body, tag, actions }) => ({
      title,
      body,
      tag,
      actions: actions.map((each) => each.action),
    }));
  });

/** A click on the notification or one of its buttons; browsers have no other way to make one. */
const clickOn = (worker: Worker, action: string) =>
  worker.evaluate(async (pressed) => {
    const scope = globalThis as unknown as WorkerScope;
    const [notification] = await scope.registration.getNotifications();
    const event = Object.assign(new Event("notificationclick"), { notification, action: pressed });
    // Events of scripts cannot be waited for.
    Object.defineProperty(event, "waitUntil", { value: () => undefined });
    scope.dispatchEvent(event);
  }, action);

test("push: subscribe, receive, decrypt in the service worker, acknowledge from the notification, sign out", async (t) => {
  const service = await PushService.start(t);
  const console = await startConsole(t, {
    isWhole: true,
    settings: { ...service.settings, "smtp.from": "prism@example.com", "delivery.pushAlways": "true" },
  });
  if (!console) return;
  const { prism } = console;
  const ann = await console.person("ann", ["User"]);
  const page = await console.open("/account/device", { as: "ann" });
  const context = page.context();
  await context.grantPermissions(["notifications"]);
  const worker = await workerOf(page);
  const keys = await makeKeys(worker);
  await standInForPush(context, { endpoint: `${service.origin}/ann`, expirationTime: null, keys });
  await page.reload();
  const deliver = await openDelivery(console, page);
  const received = async (nth: number) => {
    const message = await eventually(`message ${nth}`, () => service.received[nth - 1]);
    return { ...message, text: await decrypt(worker, message.body) };
  };
  const { body: key } = await prism.get<{ publicKey: string }>("/api/v1/push/key", { token: ann.token });
  const step = stepsOf(t);

  await step("turning push on, and a test", async () => {
    await page.getByText("Push notifications are off in this browser.").waitFor();
    await page.getByRole("button", { name: "Turn on" }).click();
    await page.getByText("Push notifications are on in this browser.").waitFor();
    await page.getByText("this one").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.dataset["key"]), key.publicKey);
    await assertAccessible(page, "device");
    await page.getByRole("button", { name: "Send a test" }).first().click();
    await page.getByText("The push service has taken the test.").waitFor();
    const { text, headers } = await received(1);
    await verifiedVapid(headers, key.publicKey, service.origin);
    await deliverUntilShown(worker, () => deliver(text));
    assert.equal((await shownBy(worker))[0]?.title, "Test");
    await clickOn(worker, "open");
    await page.waitForURL(/\/dashboard\/inbox$/);
  });

  const notify = async (title: string) => {
    const input = { userId: ann.id, title, message: "no answer for 42 s", priority: 600, channels: ["webpush"] };
    const { body, status } = await prism.post<{ id: string }>("/api/v1/notifications", input);
    assert.equal(status, 201);
    return body.id;
  };

  await step("a notification, shown once, acknowledged by its button without an open page", async () => {
    const id = await notify("db-2 is down");
    const { text } = await received(2);
    // Outside the console.
    await page.goto(`${prism.url}/docs`);
    await deliverUntilShown(worker, () => deliver(text));
    await deliverUntilShown(worker, () => deliver(text));
    const [shown, ...others] = await eventually("the notification is shown", async () => {
      const all = await shownBy(worker);
      return all.some(({ tag }) => tag === id) ? all : undefined;
    });
    assert.deepEqual(shown, {
      title: "db-2 is down",
      body: "no answer for 42 s",
      tag: id,
      actions: ["acknowledge", "open"],
    });
    assert.deepEqual(others, []);
    await clickOn(worker, "acknowledge");
    const acknowledged = () =>
      scalarOf(prism, "select acknowledgedAt from notification_recipients where notificationId = ?", id);
    await eventually("it is acknowledged", () => acknowledged() ?? undefined);
    await eventually("it is closed", async () => (await shownBy(worker)).length === 0 || undefined);
  });

  await step("a click opens the notification", async () => {
    const id = await notify("db-3 is down");
    const { text } = await received(3);
    await page.goto(`${prism.url}/dashboard/rules`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await deliverUntilShown(worker, () => deliver(text));
    await clickOn(worker, "");
    await page.waitForURL(`${prism.url}/dashboard/inbox/${id}`);
  });

  await step("a subscription that the push service replaces is sent again, and the session goes on", async () => {
    await worker.evaluate(
      (json) => {
        const scope = globalThis as unknown as WorkerScope;
        const event = Object.assign(new Event("pushsubscriptionchange"), {
          oldSubscription: null,
          newSubscription: { toJSON: () => json },
        });
        Object.defineProperty(event, "waitUntil", { value: () => undefined });
        scope.dispatchEvent(event);
      },
      { endpoint: `${service.origin}/ann-2`, keys },
    );
    const count = () =>
      rowsOf(prism, "select 1 from push_devices where userId = ? and kind = 'webpush'", ann.id).length;
    await eventually("the second subscription", () => count() === 2 || undefined);
    await page.reload();
    await page.getByText("Live", { exact: true }).waitFor();
  });

  await step("a sign-out ends push, on the server and in the browser", async () => {
    await page.goto(`${prism.url}/dashboard/account/device`);
    await page.getByText("Push notifications are on in this browser.").waitFor();
    await page.getByRole("button", { name: "Your account" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(rowsOf(prism, "select 1 from push_devices where userId = ?", ann.id).length, 0);
    const kept = await page.evaluate(() => [localStorage.getItem("prism.push"), localStorage.getItem("test.push")]);
    assert.deepEqual(kept, [null, null]);
  });
  console.assertClean();
});
