import type { TestContext } from "node:test";
import { PushService, TestBrowser } from "../../../helpers/web-push.ts";
import { DeliveryWorld } from "./delivery-world.ts";

export const SUBSCRIPTIONS = "/api/v1/users/me/push-subscriptions";

/** What the service worker receives. */
export interface Payload {
  readonly id: string;
  readonly title: string;
  readonly body: string;
  readonly acknowledgeToken: string;
  readonly [member: string]: unknown;
}

interface Person {
  readonly id: string;
  readonly token: string;
}

/** A server, a person, and that person's browser at a push service. */
export async function openWebPushWorld(t: TestContext, options: Parameters<typeof DeliveryWorld.open>[1] = {}) {
  const service = await PushService.start(t);
  const world = await DeliveryWorld.open(t, { ...options, settings: { ...service.settings, ...options.settings } });
  const ann = await world.person("ann");
  const browser = new TestBrowser();
  const subscribe = (as: Pick<Person, "token"> = ann, body: object = service.subscription(browser)) =>
    world.prism.post<{ id: string }>(SUBSCRIPTIONS, body, { token: as.token });
  /** The messages so far, decrypted. */
  const messages = (): Payload[] => service.received.map(({ body }) => JSON.parse(browser.decrypt(body)) as Payload);
  return { service, world, prism: world.prism, ann, browser, subscribe, messages };
}
