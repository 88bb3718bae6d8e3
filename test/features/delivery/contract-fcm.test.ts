import { fcmContract } from "./support/push-peer.ts";
import { senderContract } from "./support/sender-contract.ts";

senderContract(fcmContract());
