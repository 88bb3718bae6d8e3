import { MAIL_CONTRACT } from "./support/mail-peer.ts";
import { apnsContract, fcmContract } from "./support/push-peer.ts";
import { senderContract } from "./support/sender-contract.ts";
import { webPushContract } from "./support/web-push-contract.ts";
import { WEBHOOK_CONTRACT } from "./support/webhook-contract.ts";

// Nothing of what a channel promises depends on which process makes the calls.
for (const contract of [MAIL_CONTRACT, WEBHOOK_CONTRACT, fcmContract(), apnsContract(), webPushContract()])
  senderContract(contract, "worker");
