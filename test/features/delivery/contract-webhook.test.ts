import { senderContract } from "./support/sender-contract.ts";
import { WEBHOOK_CONTRACT } from "./support/webhook-contract.ts";

senderContract(WEBHOOK_CONTRACT);
