import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { systemClock } from "../../../core/clock.ts";
import { WORKER_CHANNELS } from "../../../core/worker-channels.ts";
import { callersOf } from "../../../features/delivery/callers.ts";
import { ATTEMPT_JOB } from "../../../features/delivery/delivery-jobs.ts";
import { sendWithin } from "../../../features/delivery/send-within.ts";
import { type ChannelWork, ServerOnly } from "./work.ts";

/** What a server hands out of an attempt. What is in the message is between the two halves of the channel's sender. */
const Handed = v.object({
  deliveryId: v.string(),
  channel: v.picklist(WORKER_CHANNELS),
  message: v.looseObject({}),
});

/** Makes the calls of attempts, by the settings of this process. */
export function channelWork(config: Config): ChannelWork {
  const callers = callersOf(config, systemClock);
  return {
    channels: WORKER_CHANNELS.filter((channel) => callers.get(channel)?.isConfigured),
    async run({ kind, payload }, signal, stopping) {
      const handed = v.safeParse(Handed, payload);
      const caller = handed.success ? callers.get(handed.output.channel) : undefined;
      if (kind !== ATTEMPT_JOB || !handed.success || !caller?.isConfigured)
        throw new ServerOnly(`the server has handed out a job that this version cannot run (${kind})`);
      const { message } = handed.output;
      // A lost lease is one more reason to give up.
      return sendWithin((limit) => caller.call(message, limit), AbortSignal.any([signal, stopping]));
    },
    async close() {
      await Promise.all([...callers.values()].map(async (caller) => caller.close?.()));
    },
  };
}
