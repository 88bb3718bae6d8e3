import type { TestContext } from "node:test";
import { scalarOf } from "../../helpers/tables.ts";
import { type Answer, type Peer, senderContract } from "./support/sender-contract.ts";
import { type Answering, reset, status, WebPeer } from "./support/web-peer.ts";

const ANSWERS: Readonly<Record<Exclude<Answer, "deny" | "slow">, Answering>> = {
  accept: status(204),
  later: status(503),
  refuse: status(400),
  gone: status(410),
  drop: reset,
};

/** The address of the server that the test's one channel calls. */
let url = "";

async function peerOf(t: TestContext): Promise<Peer> {
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
    else if (answer === "deny") throw new TypeError(`a service cannot answer ${answer}`);
    else ANSWERS[answer](response, request);
  };
  return {
    answer: (...answers) => void next.push(...answers),
    get seen() {
      return server.received.map(({ headers }) => String(headers["idempotency-key"]));
    },
    accepted,
    goOn: () => {
      for (const go of waiting.splice(0)) go();
    },
    settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" },
  };
}

senderContract({
  channel: "service",
  answers: ["later", "refuse", "gone", "drop", "slow"],
  wireId: (id) => id,
  peer: peerOf,
  async place(prism, userId) {
    const { body } = await prism.post<{ id: string }>("/api/v1/channels", {
      ...{ name: "Ann's", preset: "http", fields: { url } },
      // The owner's word: no status means by itself that an address is gone.
      template: { errors: [{ status: 410, class: "gone" }] },
    });
    await prism.services.db.write((trx) =>
      trx.updateTable("channels").set({ userId }).where("id", "=", body.id).execute(),
    );
  },
  isUsable: (prism, userId) => scalarOf(prism, "select active from channels where userId = ?", userId) === 1,
});
