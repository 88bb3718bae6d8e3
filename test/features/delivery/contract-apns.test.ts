import { apnsContract } from "./support/push-peer.ts";
import { senderContract } from "./support/sender-contract.ts";

senderContract(apnsContract());
