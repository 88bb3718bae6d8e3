/*
 * The service worker of the console: keeps the application for pages without a connection, shows
 * push messages as notifications, and acknowledges from them (docs/decisions/console.md, docs/push.md).
 */

const worker = self as unknown as ServiceWorkerGlobalScope;
/** The names of this build's assets; scripts/build-console.mjs sets both. */
declare const ASSETS: string;
declare const VERSION: string;

const PREFIX = "prism-shell-";
const CACHE = PREFIX + VERSION;
/** A connection that is this slow counts as none. */
const PATIENCE_MS = 4000;

const ICON = "icon.svg";

const inScope = (path: string): string => new URL(path, worker.registration.scope).href;
const api = (path: string): string => inScope(`../api/v1${path}`);

worker.addEventListener("install", (event) => event.waitUntil(precache()));

/** Names contain a hash, so files of an earlier build are taken from its cache. */
async function precache(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.add(new Request(inScope("./"), { cache: "reload" }));
  const keep = async (name: string) => {
    const url = inScope(`assets/${name}`);
    const known = await caches.match(url);
    await (known ? cache.put(url, known) : cache.add(url));
  };
  await Promise.all([cache.add(inScope(ICON)), ...ASSETS.split(" ").map(keep)]);
}

worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));

async function takeOver(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(
    names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)),
  );
  await worker.clients.claim();
}

worker.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { scope } = worker.registration;
  // Requests of the API are the page's: it keeps their answers itself (console/app/offline.ts).
  if (method !== "GET" || !url.startsWith(scope)) return;
  if (mode === "navigate") event.respondWith(page(event.request));
  else if (url.startsWith(`${scope}assets/`) || url === inScope(ICON)) event.respondWith(asset(event.request));
});

async function asset(request: Request): Promise<Response> {
  return (await caches.match(request.url)) ?? fetch(request);
}

/** The page of the server, or the kept one when the server cannot be reached. */
async function page(request: Request): Promise<Response> {
  const timeout = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS));
  const response = await Promise.race([fetch(request).catch(() => undefined), timeout]);
  if (response && response.status < 500) return response;
  return (await keptPage(request.url)) ?? response ?? Response.error();
}

/** The kept page is that of the console's root; its relative links are adapted to the depth. */
async function keptPage(url: string): Promise<Response | undefined> {
  const kept = await caches.match(inScope("./"));
  if (!kept) return undefined;
  const [path = ""] = url.slice(worker.registration.scope.length).split(/[?#]/);
  const base = "../".repeat(path.split("/").length - 1) || "./";
  const html = (await kept.text()).replaceAll('="./', `="${base}`);
  return new Response(html, { headers: kept.headers });
}

/** A push message (docs/push.md). */
interface Message {
  readonly title: string;
  readonly body?: string;
  /** Relative to the console. */
  readonly url?: string;
  readonly tag?: string;
  readonly priority?: number;
  readonly createdAt?: string;
  readonly actions?: readonly { readonly action: string; readonly title: string }[];
  readonly acknowledgeToken?: string;
  readonly kind?: string;
}

/** Times in texts of incidents. */
const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

function localTime(instant: string): string {
  const at = new Date(instant);
  const isToday = at.toDateString() === new Date().toDateString();
  return at.toLocaleString([], { timeStyle: "short", ...(isToday ? {} : { dateStyle: "medium" }) });
}

const URGENT_PRIORITY = 500;

worker.addEventListener("push", (event) => {
  const message = event.data?.json() as Message | undefined;
  if (message) event.waitUntil(show(message));
});

async function show(message: Message): Promise<void> {
  const { title, body = "", tag = "", priority = 0, createdAt, actions = [], url, acknowledgeToken } = message;
  const options = {
    body: message.kind === "incident" ? body.replace(INSTANT, localTime) : body,
    tag,
    icon: inScope("icon-192.png"),
    badge: inScope("badge-96.png"),
    requireInteraction: priority >= URGENT_PRIORITY,
    timestamp: createdAt === undefined ? Date.now() : Date.parse(createdAt),
    data: { url, acknowledgeToken },
    actions: [...actions, { action: "open", title: "Open" }],
  };
  await worker.registration.showNotification(title, options);
  await count();
}

/** The badge of the application's icon shows the notifications that are left. */
async function count(): Promise<void> {
  const { length } = await worker.registration.getNotifications();
  await (length > 0 ? navigator.setAppBadge?.(length) : navigator.clearAppBadge?.());
}

worker.addEventListener("notificationclick", (event) => {
  const { action, notification } = event;
  const { url = "inbox", acknowledgeToken } = notification.data as { url?: string; acknowledgeToken?: string };
  notification.close();
  const work = action === "acknowledge" && acknowledgeToken ? acknowledge(acknowledgeToken, notification) : open(url);
  event.waitUntil(work.then(count));
});

worker.addEventListener("notificationclose", (event) => event.waitUntil(count()));

/** Needs no session: the token of the message permits this one thing. */
async function acknowledge(token: string, { title, tag, data }: Notification): Promise<void> {
  const response = await post("/push/acknowledge", { token }).catch(() => undefined);
  if (response?.ok) return;
  const body = "It could not be acknowledged. Open it and try again.";
  const actions = [{ action: "open", title: "Open" }];
  const options = { body, tag, data, icon: inScope("icon-192.png"), badge: inScope("badge-96.png"), actions };
  await worker.registration.showNotification(title, options);
}

/** Shows a page of the console: in an open window, otherwise in a new one. */
async function open(url: string): Promise<void> {
  const windows = await worker.clients.matchAll({ type: "window" });
  const known = windows.find((each) => each.visibilityState === "visible") ?? windows[0];
  if (!known) return void (await worker.clients.openWindow(inScope(url)));
  // Some systems allow it for clicks on a notification only.
  await known.focus().catch(() => undefined);
  known.postMessage({ type: "open", path: `/${url}` });
}

function post(path: string, body: object, token?: string): Promise<Response> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  return fetch(api(path), { method: "POST", headers, body: JSON.stringify(body) });
}

worker.addEventListener("message", ({ data }) => {
  if ((data as { type?: string }).type === "activate") void worker.skipWaiting();
});

/** Not in all libraries of types. */
interface SubscriptionChange extends ExtendableEvent {
  readonly oldSubscription?: PushSubscription | null;
  readonly newSubscription?: PushSubscription | null;
}

worker.addEventListener("pushsubscriptionchange", (event) =>
  event.waitUntil(subscribeAgain(event as SubscriptionChange)),
);

/** The push service has ended a subscription. Without a session the next visit of a page does it. */
async function subscribeAgain({ oldSubscription, newSubscription }: SubscriptionChange): Promise<void> {
  const applicationServerKey = oldSubscription?.options.applicationServerKey ?? null;
  if (!newSubscription && applicationServerKey === null) return;
  const options = { userVisibleOnly: true, applicationServerKey };
  const subscription = newSubscription ?? (await worker.registration.pushManager.subscribe(options));
  // One refresh at a time, as in pages (console/app/session.ts).
  const login = await navigator.locks.request("prism-refresh", () => post("/auth/refresh", {}));
  if (!login.ok) return;
  const { accessToken } = (await login.json()) as { accessToken: string };
  await post("/users/me/push-subscriptions", subscription.toJSON(), accessToken);
}
