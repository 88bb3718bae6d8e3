import { senderContract } from "./support/sender-contract.ts";
import { webPushContract } from "./support/web-push-contract.ts";

senderContract(webPushContract());
