import { api } from "../../../app/api.ts";
import { useQuery } from "../../../app/query.ts";
import { can } from "../../../app/session.ts";
import { Answer, plural, Time, UserText } from "../../../ui/index.ts";
import { useNames } from "../people.ts";
import type { Definition } from "../types.ts";
import { channelLabel, targetsText } from "../words.ts";

interface ChannelPreview {
  readonly channel: string;
  readonly result: "sent" | "waits" | "skipped";
  readonly reason: string | null;
  readonly until: string | null;
}

interface Preview {
  readonly users: number;
  readonly people: readonly {
    readonly userId: string;
    readonly name: string;
    readonly channels: readonly ChannelPreview[];
  }[];
}

/** Who a matching event would notify now, by which channels, and why not by others. */
export function Reach({ draft }: { readonly draft: Definition }) {
  const names = useNames(draft.targetUsers);
  const { projectId, targetRoles, targetUsers, channels, priority } = draft;
  const body = { projectId, targetRoles, targetUsers, channels, priority };
  const hasTargets = targetRoles.length + targetUsers.length > 0;
  const key = hasTargets && can("notifications:read_all") ? `/deliveries/preview ${JSON.stringify(body)}` : null;
  const { data } = useQuery<Preview>(key, () => api.post<Preview>("/deliveries/preview", body));
  if (!hasTargets)
    return <Answer tone="warn">The rule matches, but it has no roles and no people: no one would be notified.</Answer>;
  if (!data)
    return (
      <Answer tone="ok">
        The rule matches and would notify {targetsText(draft, names)} by {draft.channels.map(channelLabel).join(", ")}.
      </Answer>
    );
  if (data.users === 0)
    return (
      <Answer tone="warn">
        The rule matches, but no active user holds these roles in the project: no one would be notified.
      </Answer>
    );
  const missing = new Set(
    data.people.flatMap((person) => person.channels.filter(isMissing).map(({ channel }) => channel)),
  );
  return (
    <div class="stack s2">
      <Answer tone="ok">The rule matches and would notify {plural(data.users, "person", "people")}.</Answer>
      <ul class="rule-list">
        {data.people.map(({ userId, name, channels: previews }) => (
          <li key={userId} class="rule-person">
            <span class="strong">
              <UserText>{name}</UserText>
            </span>
            <ByChannel previews={previews.filter((preview) => !isMissing(preview))} />
          </li>
        ))}
      </ul>
      {missing.size > 0 && (
        <p class="muted small">Not configured on this server: {[...missing].map(channelLabel).join(", ")}.</p>
      )}
      {data.users > data.people.length && (
        <p class="muted small">And {plural(data.users - data.people.length, "other person", "other people")}.</p>
      )}
    </div>
  );
}

/** Browser push needs no configuration, only a browser. */
function isMissing({ channel, reason }: ChannelPreview): boolean {
  return reason === "not configured" && channel !== "webpush";
}

function reasonText({ channel, reason }: ChannelPreview): string | null {
  if (channel === "webpush" && (reason === "not configured" || reason === "no target"))
    return "no browser of this person has push on";
  return reason === "no target" ? "this person has no address or device for it" : reason;
}

function ByChannel({ previews }: { readonly previews: readonly ChannelPreview[] }) {
  const sent = previews.filter(({ result }) => result === "sent").map(({ channel }) => channelLabel(channel));
  const others = previews.filter(({ result }) => result !== "sent");
  return (
    <span class="small">
      {sent.length === 0 ? "Not by any channel" : `By ${sent.join(", ")}`}
      {others.length > 0 && (
        <ul class="muted">
          {others.map((preview) => (
            <li key={preview.channel}>
              {channelLabel(preview.channel)}: {reasonText(preview)}
              {preview.until !== null && (
                <>
                  , until <Time at={preview.until} mode="clock" />
                </>
              )}
            </li>
          ))}
        </ul>
      )}
    </span>
  );
}
