import { MORE_SERVICES } from "./support/all.ts";
import { channelContract } from "./support/contract.ts";

for (const service of MORE_SERVICES) channelContract(service);
