import type { TestContext } from "node:test";
import { scalarOf } from "../../helpers/tables.ts";
import { contractPeer } from "./support/contract-peer.ts";
import { type Peer, senderContract } from "./support/sender-contract.ts";
import { reset, status } from "./support/web-peer.ts";

const ANSWERS = {
  accept: status(204),
  later: status(503),
  refuse: status(400),
  gone: status(410),
  drop: reset,
};

/** The address of the server that the test's one channel calls. */
let url = "";

async function peerOf(t: TestContext): Promise<Peer> {
  const { server, peer } = await contractPeer(t, ANSWERS, "idempotency-key");
  url = server.url;
  return peer;
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
