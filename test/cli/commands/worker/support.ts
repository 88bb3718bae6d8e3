import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { DeliveryWorld } from "../../../features/delivery/support/delivery-world.ts";
import { mailPeer } from "../../../features/delivery/support/mail-peer.ts";
import type { Peer } from "../../../features/delivery/support/sender-contract.ts";
import { status, WebPeer } from "../../../features/delivery/support/web-peer.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { type WorkerOptions, WorkerProcess, type WorkToken, workToken } from "../../../helpers/worker-process.ts";

/** A server with mail left to workers, a mail server that only workers know, and a recipient. */
export interface MailWorld {
  readonly world: DeliveryWorld;
  readonly peer: Peer;
  readonly token: WorkToken;
  /** Starts a worker that can send mail. */
  worker(options?: Partial<WorkerOptions>): Promise<WorkerProcess>;
  /** @returns the notification's id */
  send(body?: object): Promise<string>;
  /** Sends one that the mail server has, and has not answered. */
  sendSlow(): Promise<string>;
}

export async function openMailWorld(t: TestContext, settings: Record<string, string> = {}): Promise<MailWorld> {
  const peer = await mailPeer(t);
  const world = await DeliveryWorld.open(t, { settings: { "delivery.workers": "email", ...settings } });
  const { id } = await world.person("ann");
  const token = await workToken(world.prism);
  const send = (body?: object): Promise<string> => world.notify([id], ["email"], body);
  return {
    world,
    peer,
    token,
    worker: (options = {}) =>
      WorkerProcess.start(t, {
        url: world.prism.url,
        token: token.token,
        queues: "notification-delivery",
        ...options,
        settings: { ...peer.settings, ...options.settings },
      }),
    send,
    async sendSlow() {
      const before = peer.seen.length;
      peer.answer("slow");
      const notificationId = await send();
      await eventually("the mail server has the message", () => peer.seen.length > before);
      await world.only(notificationId, "sending");
      return notificationId;
    },
  };
}

/** A server with webhooks left to workers, and one target for each user. */
export async function openHookWorld(t: TestContext, people: number) {
  const peer = await WebPeer.start(t);
  peer.answer = status(204);
  const hosts = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
  const world = await DeliveryWorld.open(t, { settings: { ...hosts, "delivery.workers": "webhook" } });
  const ids: string[] = [];
  for (let n = 0; n < people; n++) {
    const { id } = await world.person(`person${n}`);
    const made = await world.prism.post<{ id: string }>("/api/v1/webhooks", { url: peer.url });
    assert.equal(made.status, 201, made.text);
    await world.prism.services.db.write((trx) =>
      trx.updateTable("webhooks").set({ userId: id }).where("id", "=", made.body.id).execute(),
    );
    ids.push(id);
  }
  const { token } = await workToken(world.prism);
  const worker = (args: readonly string[]): Promise<WorkerProcess> =>
    WorkerProcess.start(t, { url: world.prism.url, token, queues: "notification-delivery", settings: hosts, args });
  return { world, peer, ids, worker };
}
