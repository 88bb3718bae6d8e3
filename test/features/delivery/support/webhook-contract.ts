import type { TestContext } from "node:test";
import { scalarOf } from "../../../helpers/tables.ts";
import type { Answer, Peer, SenderContract } from "./sender-contract.ts";
import { type Answering, reset, status, WebPeer } from "./web-peer.ts";

const ANSWERS: Readonly<Record<Exclude<Answer, "refuse" | "deny" | "slow">, Answering>> = {
  accept: status(204),
  later: status(429, { "Retry-After": "30" }),
  gone: status(410),
  drop: reset,
};

/** The address of the server that the test's one webhook calls. */
let url = "";

async function webhookPeer(t: TestContext): Promise<Peer> {
  const server = await WebPeer.start(t);
  url = server.url;
  const next: Answer[] = [];
  const accepted: string[] = [];
  const waiting: (() => void)[] = [];
  server.answer = (response, request) => {
    const answer = next.shift() ?? "accept";
    const take = (): void => {
      accepted.push(server.received.at(-1)?.body ?? "");
      ANSWERS.accept(response, request);
    };
    if (answer === "slow") waiting.push(take);
    else if (answer === "accept") take();
    else if (answer === "refuse" || answer === "deny") throw new TypeError(`a webhook cannot answer ${answer}`);
    else ANSWERS[answer](response, request);
  };
  return {
    answer: (...answers) => void next.push(...answers),
    get seen() {
      return server.received.map(({ headers }) => String(headers["webhook-id"]));
    },
    accepted,
    goOn: () => {
      for (const go of waiting.splice(0)) go();
    },
    settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" },
  };
}

export const WEBHOOK_CONTRACT: SenderContract = {
  channel: "webhook",
  // Nothing that a webhook answers makes a message impossible for ever, or is about all webhooks.
  answers: ["later", "gone", "drop", "slow"],
  wireId: (id) => id,
  peer: webhookPeer,
  async place(prism, userId) {
    const { body } = await prism.post<{ id: string }>("/api/v1/webhooks", { url });
    await prism.services.db.write((trx) =>
      trx.updateTable("webhooks").set({ userId }).where("id", "=", body.id).execute(),
    );
  },
  isUsable: (prism, userId) => scalarOf(prism, "select active from webhooks where userId = ?", userId) === 1,
};
