import { effect, signal } from "@preact/signals";
import { api } from "./api.ts";
import { CONSOLE_ROOT, href, ownPath } from "./base.ts";
import { navigate } from "./navigate.ts";
import { me, onSignOut, session } from "./session.ts";

/** A new version of the console is installed and waits for a reload. */
export const updateWaiting = signal<ServiceWorker | null>(null);

/** The browser's question whether to install the console; null where it does not offer that. */
export const installPrompt = signal<InstallPrompt | null>(null);

interface InstallPrompt extends Event {
  prompt(): Promise<{ readonly outcome: string }>;
}

const CHECK_MS = 3_600_000;
/** How often a first visit looks whether its page is shown. */
const LOOK_MS = 1000;

/** Registers the service worker once the first page is shown. Call it at start; browsers have none without https. */
export function startWorker(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    installPrompt.value = event as InstallPrompt;
  });
  addEventListener("appinstalled", () => {
    installPrompt.value = null;
  });
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  serviceWorker.addEventListener("message", ({ data }) => {
    const { type, path } = data as { readonly type?: string; readonly path?: string };
    if (type === "open" && path !== undefined) navigate(ownPath(path));
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void navigator.clearAppBadge?.().catch(() => undefined);
  });
  const begin = async () => {
    // It loads all files of the console: on a slow line they would hold up the first page.
    while (!serviceWorker.controller && !isPageShown()) await new Promise((done) => setTimeout(done, LOOK_MS));
    await registerWorker();
  };
  void begin();
}

function isPageShown(): boolean {
  return document.querySelector("h1") !== null && document.querySelector(".skeleton") === null;
}

let registered: Promise<ServiceWorkerRegistration | undefined> | undefined;

/** Registers the service worker, once. @returns undefined where the browser refuses it */
export function registerWorker(): Promise<ServiceWorkerRegistration | undefined> {
  const options: RegistrationOptions = { scope: CONSOLE_ROOT, updateViaCache: "none" };
  const register = async () => {
    const registration = await navigator.serviceWorker.register(href("/service-worker.js"), options);
    watchUpdates(registration);
    return registration;
  };
  registered ??= register().catch(() => undefined);
  return registered;
}

function watchUpdates(registration: ServiceWorkerRegistration): void {
  const note = () => {
    // Without a controller it is the first installation, which takes over by itself.
    if (registration.waiting && navigator.serviceWorker.controller) updateWaiting.value = registration.waiting;
  };
  note();
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", note);
  });
  setInterval(() => void registration.update().catch(() => undefined), CHECK_MS);
}

/** Activates the new version and reloads. */
export function update(): void {
  // Another tab may have activated it.
  if (updateWaiting.value?.state !== "installed") return location.reload();
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  updateWaiting.value?.postMessage({ type: "activate" });
}

/** The server's subscription of this browser, and its user. */
interface KeptSubscription {
  readonly id: string;
  readonly userId: string;
}
const PUSH_KEY = "prism.push";
/** Of the signed-in user. */
export const SUBSCRIPTIONS = "/users/me/push-subscriptions";

/** The id on the server of this browser's subscription; null without one. */
export const pushId = signal<string | null>(readKept()?.id ?? null);

function readKept(): KeptSubscription | null {
  try {
    const kept = JSON.parse(localStorage.getItem(PUSH_KEY) ?? "null") as Partial<KeptSubscription> | null;
    return typeof kept?.id === "string" && typeof kept.userId === "string" ? (kept as KeptSubscription) : null;
  } catch {
    return null;
  }
}

/** The subscription of this browser, of any user. */
async function currentSubscription(): Promise<PushSubscription | null> {
  const registration = await navigator.serviceWorker?.getRegistration(CONSOLE_ROOT);
  return (await registration?.pushManager?.getSubscription()) ?? null;
}

/** How often {@link endPush} was called. */
let ends = 0;

/** Sends a subscription to the server. @param device a name for the list of browsers */
export async function registerPush(subscription: PushSubscriptionJSON, device?: string): Promise<void> {
  const before = ends;
  const { id } = await api.post<{ readonly id: string }>(SUBSCRIPTIONS, { ...subscription, ...(device && { device }) });
  // The session may have ended meanwhile.
  if (ends !== before) return;
  localStorage.setItem(PUSH_KEY, JSON.stringify({ id, userId: me.value?.id ?? "" } satisfies KeptSubscription));
  pushId.value = id;
}

/** Ends push to this browser, on the server and here. */
export async function endPush(): Promise<void> {
  ends += 1;
  const kept = readKept();
  localStorage.removeItem(PUSH_KEY);
  pushId.value = null;
  if (kept && kept.userId === me.value?.id) await api.del(`${SUBSCRIPTIONS}/${kept.id}`).catch(() => undefined);
  await (await currentSubscription())?.unsubscribe();
  const registration = await navigator.serviceWorker?.getRegistration(CONSOLE_ROOT);
  for (const shown of (await registration?.getNotifications()) ?? []) shown.close();
}

onSignOut(endPush);

effect(() => {
  if (session.value === "signedIn" && me.value) void followSession(me.value.id).catch(() => undefined);
});

/** A new session of the same user keeps the subscription; that of another user ends it. */
async function followSession(userId: string): Promise<void> {
  const kept = readKept();
  if (!kept) return;
  const subscription = await currentSubscription();
  if (subscription && kept.userId === userId) await registerPush(subscription.toJSON());
  else await endPush();
}
