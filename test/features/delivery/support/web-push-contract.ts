import type { TestContext } from "node:test";
import type { TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { accepted, type PushAnswering, PushService, TestBrowser } from "../../../helpers/web-push.ts";
import type { Answer, Peer, SenderContract } from "./sender-contract.ts";
import { reset } from "./web-peer.ts";

const ANSWERS: Readonly<Record<Exclude<Answer, "deny" | "slow">, PushAnswering>> = {
  accept: accepted,
  later: (response) => void response.writeHead(429, { "Retry-After": "30" }).end(),
  refuse: (response) => void response.writeHead(413).end(),
  gone: (response) => void response.writeHead(410).end(),
  drop: reset,
};

/** The message carries the notification's id, which is the same for every attempt. */
export function webPushContract(): SenderContract {
  let prism: TestPrism | null = null;
  const [browser, seen, texts] = [new TestBrowser(), [] as string[], [] as string[]];
  let subscription: object = {};
  const deliveryOf = (notificationId: string): string => {
    const find = "select id from deliveries where notificationId = ? and channel = 'webpush'";
    return prism ? (rowsOf<{ id: string }>(prism, find, notificationId)[0]?.id ?? "") : "";
  };
  return {
    channel: "webpush",
    // A refused key of this server concerns the subscription that was made with another one.
    answers: ["later", "refuse", "gone", "drop", "slow"],
    wireId: (id) => id,
    async peer(t: TestContext): Promise<Peer> {
      const service = await PushService.start(t);
      seen.length = texts.length = 0;
      subscription = service.subscription(browser);
      const next: Answer[] = [];
      const waiting: (() => void)[] = [];
      service.answer = (response, request, message) => {
        const { id, body } = JSON.parse(browser.decrypt(message.body)) as { id: string; body: string };
        seen.push(deliveryOf(id));
        const answer = next.shift() ?? "accept";
        const take = (): void => {
          texts.push(body);
          accepted(response, request, message);
        };
        if (answer === "slow") waiting.push(take);
        else if (answer === "accept") take();
        else if (answer === "deny") throw new TypeError("a push service refuses one subscription");
        else ANSWERS[answer](response, request, message);
      };
      return {
        answer: (...answers) => void next.push(...answers),
        seen,
        accepted: texts,
        goOn: () => {
          for (const go of waiting.splice(0)) go();
        },
        settings: service.settings,
      };
    },
    async place(running, userId) {
      prism = running;
      const { body } = await running.post<{ id: string }>("/api/v1/users/me/push-subscriptions", subscription);
      await running.services.db.write((trx) =>
        trx.updateTable("push_devices").set({ userId }).where("id", "=", body.id).execute(),
      );
    },
    isUsable: (running, userId) =>
      scalarOf(running, "select count(*) from push_devices where userId = ? and kind = 'webpush'", userId) === 1,
  };
}
