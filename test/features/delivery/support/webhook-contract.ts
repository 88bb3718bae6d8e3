import type { TestContext } from "node:test";
import { scalarOf } from "../../../helpers/tables.ts";
import { contractPeer } from "./contract-peer.ts";
import type { Peer, SenderContract } from "./sender-contract.ts";
import { reset, status } from "./web-peer.ts";

const ANSWERS = {
  accept: status(204),
  later: status(429, { "Retry-After": "30" }),
  gone: status(410),
  drop: reset,
};

/** The address of the server that the test's one webhook calls. */
let url = "";

async function webhookPeer(t: TestContext): Promise<Peer> {
  const { server, peer } = await contractPeer(t, ANSWERS, "webhook-id");
  url = server.url;
  return peer;
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
