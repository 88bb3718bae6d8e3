import { Answer } from "../../ui/index.ts";
import { useNames } from "./people.ts";
import type { Definition } from "./types.ts";
import { channelLabel, targetsText } from "./words.ts";

/** Who a matching event would notify, and by which channels. */
export function Reach({ draft }: { readonly draft: Definition }) {
  const names = useNames(draft.targetUsers);
  if (draft.targetRoles.length + draft.targetUsers.length === 0)
    return <Answer tone="warn">The rule matches, but it has no roles and no people: no one would be notified.</Answer>;
  return (
    <Answer tone="ok">
      The rule matches and would notify {targetsText(draft, names)} by {draft.channels.map(channelLabel).join(", ")}.
    </Answer>
  );
}
