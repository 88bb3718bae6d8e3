import { mailPeer } from "./support/mail-peer.ts";
import { senderContract } from "./support/sender-contract.ts";

senderContract({
  channel: "email",
  answers: ["later", "refuse", "gone", "deny", "drop", "slow"],
  wireId: (id) => `<${id}@example.com>`,
  peer: mailPeer,
  // Everybody in this world has an address.
  place: async () => undefined,
});
