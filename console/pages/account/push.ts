import { api } from "../../app/api.ts";
import { registerPush, registerWorker, SUBSCRIPTIONS } from "../../app/worker.ts";
import { deviceName } from "./device-name.ts";

/** Why this browser cannot receive push; undefined when it can. */
export function pushObstacle(): string | undefined {
  if (!isSecureContext) return "Browsers allow push for addresses with https only. Set the server up with https first.";
  if (!("serviceWorker" in navigator)) return "This browser, or its private mode, has no service workers.";
  if (!("PushManager" in globalThis))
    return "This browser has no push. On an iPhone or iPad, add the console to the home screen first and open it there.";
  if (Notification.permission === "denied")
    return "Notifications of this page are blocked. Allow them in the browser's settings of this page, then reload.";
  return undefined;
}

/** Asks for the permission, subscribes at the browser's push service, and sends Prism the result. */
export async function subscribeToPush(): Promise<void> {
  if ((await Notification.requestPermission()) !== "granted")
    throw new Error("The browser did not allow notifications.");
  const { publicKey } = await api.get<{ readonly publicKey: string }>("/push/key");
  const registration = await registerWorker();
  if (!registration) throw new Error("The console's service worker is not installed. Reload the page.");
  const options = { userVisibleOnly: true, applicationServerKey: publicKey };
  const subscription = await registration.pushManager.subscribe(options).catch(async () => {
    // Made with the key of another server at this address.
    await (await registration.pushManager.getSubscription())?.unsubscribe();
    return registration.pushManager.subscribe(options);
  });
  await registerPush(subscription.toJSON(), deviceName(navigator.userAgent));
}

/** Sends a test to a subscription. @throws if the push service does not take it */
export async function testPush(id: string): Promise<void> {
  const path = `${SUBSCRIPTIONS}/${id}/test`;
  const { delivered, status, error } = await api.post<{
    readonly delivered: boolean;
    readonly status: number | null;
    readonly error: string | null;
  }>(path);
  if (!delivered) throw new Error(error ?? `The push service answered ${status}.`);
}
