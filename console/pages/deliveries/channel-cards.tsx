import type { ChannelState } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Badge, Button, Card, Time, toast, UserText } from "../../ui/index.ts";
import { CHANNELS, channelState } from "./delivery-types.ts";

/** The channels that are in use, and what is wrong with them. */
export function ChannelCards({ channels }: { readonly channels: readonly ChannelState[] }) {
  const shown = channels.filter(({ state, waiting }) => state !== "off" || waiting > 0);
  if (shown.length === 0) return null;
  return (
    <div class="grid3">
      {shown.map((channel) => (
        <ChannelCard key={channel.name} channel={channel} />
      ))}
    </div>
  );
}

function ChannelCard({ channel }: { readonly channel: ChannelState }) {
  const { name, state, waiting, pausedUntil, lastSuccessAt, lastError } = channel;
  const { tone, text } = channelState(channel);
  const resume = async () => {
    const { attempted } = await api.post<{ attempted: number }>(`/deliveries/channels/${name}/resume`);
    toast.ok(`${CHANNELS[name]}: ${attempted} deliveries are attempted now.`);
    invalidate("/deliveries", "/attention");
  };
  const isStopped = state === "paused" || state === "failing";
  return (
    <Card>
      <div class="stack s2">
        <div class="spread">
          <span class="strong">{CHANNELS[name]}</span>
          <Badge tone={tone}>{text}</Badge>
        </div>
        <span class="muted small">
          {waiting > 0 ? `${waiting} waiting. ` : ""}
          {pausedUntil === null ? null : (
            <>
              {"Next attempt "}
              <Time at={pausedUntil} />.{" "}
            </>
          )}
          {"Last success "}
          <Time at={lastSuccessAt} empty="none since the start" />.
        </span>
        {isStopped && lastError !== null && (
          <span class="small">
            <UserText lines={2}>{lastError}</UserText>
          </span>
        )}
        {isStopped && can("jobs:manage") && (
          <div>
            <Button small onClick={resume}>
              Retry now
            </Button>
          </div>
        )}
      </div>
    </Card>
  );
}
