import { pusherPeer } from "./support/pusher-peer.ts";
import { senderContract } from "./support/sender-contract.ts";

senderContract({
  channel: "pusher",
  answers: ["later", "refuse", "deny", "drop", "slow"],
  wireId: (id) => id,
  peer: pusherPeer,
  // Every user has a channel.
  place: async () => undefined,
});
