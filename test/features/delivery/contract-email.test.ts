import { MAIL_CONTRACT } from "./support/mail-peer.ts";
import { senderContract } from "./support/sender-contract.ts";

senderContract(MAIL_CONTRACT);
